"""Near: passages of a traced text that a memory holds with some differences, what differs, and where they stand.

Covers: what `trace --fuzzy` tells. Does not cover: finding them (near_passages.py).
"""

from dataclasses import dataclass, replace
from typing import Any

from memo_dist.recalling.changes import Change, changes
from memo_dist.recalling.differences import NearPassage
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.near_passages import near_passages
from memo_dist.recalling.placing import MOST_NAMED, NOWHERE, Place, stands_of
from memo_dist.recalling.trace import TracedText
from memo_dist.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class NearlyHeld:
    """A passage of a text that a memory holds with some differences.

    Attributes:
        start, stop: characters of the text; first_token, stop_token: of its tokens.
        held: the passage as the memory has it. changes: what differs, in words.
        place: the documents in which it stands as the memory has it.
    """

    start: int
    stop: int
    first_token: int
    stop_token: int
    text: str
    held: str
    changes: list[Change]
    place: Place = NOWHERE

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        span = {name: getattr(self, name) for name in ("first_token", "stop_token", "start", "stop", "text", "held")}
        differs = [{"typed": one.typed, "held": one.held} for one in self.changes]
        return {**span, "changes": differs, "documents": self.place.documents, "num_documents": self.place.count}


def with_near(lookup: Lookup, tokenizer: Tokenizer, traced: TracedText) -> TracedText:
    """A traced text, with the passages of `least` units and more that are held with differences.

    Args:
        lookup, tokenizer: as the text was traced with.
    """
    (found,) = near_passages(lookup, tokenizer, [traced.text], least=traced.found.least)
    found = [one for one in found if one.differences]
    places = [NOWHERE] * len(found)
    if lookup.reader.is_solved or lookup.reader.has_ledger:
        places = stands_of(lookup, [max(one.lines, key=len) for one in found])
    near = [_told(traced, one, place) for one, place in zip(found, places, strict=True)]
    return replace(traced, near=[one for one in near if one.changes])


def _told(traced: TracedText, one: NearPassage, place: Place) -> NearlyHeld:
    begins = [first for first, _ in traced.places]
    first = next((at for at, (_, stop) in enumerate(traced.places) if stop > one.start), len(begins))
    stop = next((at for at, begin in enumerate(begins) if begin >= one.stop), len(begins))
    text, held = traced.text[one.start : one.stop], _as_held(traced.text, one)
    return NearlyHeld(
        start=one.start,
        stop=one.stop,
        first_token=first,
        stop_token=stop,
        text=text,
        held=held,
        changes=changes(text, held),
        place=place,
    )


def _as_held(text: str, one: NearPassage) -> str:
    """The passage with what the memory has in place of each difference; words that are put in have a space behind."""
    held, at = "", one.start
    for difference in one.differences:
        held += text[at : difference.start] + difference.held
        at = difference.stop
        if not difference.held and text[at : at + 1].isspace():
            at += 1
        elif difference.start == difference.stop and not text[at : at + 1].isspace():
            held += " "
    return held + text[at : one.stop]


def summary(one: NearlyHeld, most: int = 4) -> str:
    """What differs in a passage and where it stands, in a line."""
    differs = "; ".join(f"{change.typed!r} for {change.held!r}" for change in one.changes[:most])
    more = f"; and {len(one.changes) - most} more" * (len(one.changes) > most)
    others = f" and {one.place.count - MOST_NAMED} more" * (one.place.count > MOST_NAMED)
    stands = f", in {', '.join(one.place.documents)}{others}" * bool(one.place.count)
    return f"{differs}{more}{stands}"
