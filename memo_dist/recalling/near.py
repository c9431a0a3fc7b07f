"""Near: passages of a text that a memory holds nearly, and what differs.

Covers: which held runs belong to one passage, what the memory says between them. Does not cover: which runs are held
(trace.py), following and comparing (snapping.py).

A difference spoils the windows over it and no others, so what is nearly held is held in runs of four units and more,
with a few words between them. From the end of each run the memory is followed, and what it says is compared with the
text up to some way into the next run. Where that fits, both runs are of one passage, and the memory's words between
them are known. What a passage begins or ends with, before its first run and after its last, is not told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from memo_dist.recalling.changes import Change, changes
from memo_dist.recalling.confidence import confidence
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.placing import MOST_NAMED, NOWHERE, Place, placed
from memo_dist.recalling.readings import next_exactly
from memo_dist.recalling.snapping import Follow, Next, Snapper
from memo_dist.recalling.trace import TracedText
from memo_dist.recalling.walking import next_tokens
from memo_dist.tokenizer import Tokenizer

_GAP = 160  # characters between two runs of one passage
_INTO = 24  # characters of the next run that are compared
_BACK = 256  # tokens of a run that are followed from
_AT_ONCE = 64  # gaps that are followed together
_SAYS = 0.5  # probability of a token that matrices say


@dataclass(frozen=True, kw_only=True)
class NearPassage:
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


@dataclass(frozen=True)
class _Run:
    """Tokens [first, stop) that are held one after the other.

    Attributes:
        last: the token from which on they are held in one piece. units: how many all are.
    """

    first: int
    stop: int
    last: int
    units: int


def with_near(lookup: Lookup, tokenizer: Tokenizer, traced: TracedText) -> TracedText:
    """A traced text, with the passages of `least` units and more that are held nearly.

    Args:
        lookup, tokenizer: as the text was traced with.
    """
    snapper = Snapper(_follow(lookup), lookup.reading.units_begun, tokenizer)
    runs = list(_runs(lookup, traced))
    gaps = [pair for pair in pairwise(runs) if _worth(traced, *pair)]
    said: dict[int, str] = {}  # by the token at which a run ends: what the memory says there, into the next run
    for first in range(0, len(gaps), _AT_ONCE):
        some = gaps[first : first + _AT_ONCE]
        asked = [_asked(traced, *pair) for pair in some]
        for (run, _), found in zip(some, snapper.follow_on(asked), strict=True):
            if found is not None:
                said[run.stop] = found.text
    near = [one for chain in _chains(runs, said) for one in _passages(traced, chain, said)]
    places = [NOWHERE] * len(near)
    if near and (lookup.reader.is_solved or lookup.reader.has_ledger):
        held = [row.astype(np.int64) for row in tokenizer.encode([one.held for one in near])]
        places = placed(lookup.solved if lookup.reader.is_solved else lookup.exact, held)
    return replace(traced, near=[replace(one, place=place) for one, place in zip(near, places, strict=True)])


def _runs(lookup: Lookup, traced: TracedText) -> Iterator[_Run]:
    windows = traced.found.windows
    before = np.concatenate([[0], np.cumsum(lookup.reading.units_begun(traced.tokens.astype(np.int64)))])
    begins = np.searchsorted(before, np.maximum(before[:-1] - windows, 0), side="right") - 1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], windows > 0, [False]]).astype(np.int8)))
    for first, stop in edges.reshape(-1, 2).tolist():
        begin = int(begins[first:stop].min())
        yield _Run(begin, stop, int(begins[stop - 1]), int(before[stop] - before[begin]))


def _worth(traced: TracedText, run: _Run, following: _Run) -> bool:
    """Whether two runs may be of one passage."""
    apart = traced.places[following.first][0] - traced.places[run.stop - 1][1]
    return apart <= _GAP and following.stop > run.stop


def _asked(traced: TracedText, run: _Run, following: _Run) -> tuple[np.ndarray, str, str]:
    """The tokens of a run and their text, and the text after it up to some way into the next run."""
    first = max(run.last, run.stop - _BACK)
    start, end = traced.places[first][0], traced.places[run.stop - 1][1]
    rest = traced.text[end : _into(traced, run, following)]
    return traced.tokens[first : run.stop].astype(np.int64), traced.text[start:end], rest


def _into(traced: TracedText, run: _Run, following: _Run) -> int:
    """The character up to which a gap is compared: that of a word's end in the next run, if there is one."""
    last = traced.places[following.stop - 1][1]
    begin = max(traced.places[run.stop - 1][1], traced.places[following.first][0])
    ends = [stop for _, stop in traced.places[run.stop : following.stop] if stop - begin >= _INTO]
    spaces = (at for at in ends if traced.text[at : at + 1].isspace() or at == last)
    return next(spaces, last)


def _chains(runs: list[_Run], said: dict[int, str]) -> Iterator[list[_Run]]:
    """Runs that belong together, two or more."""
    chain: list[_Run] = []
    for run in runs:
        if chain and chain[-1].stop not in said:
            if len(chain) > 1:
                yield chain
            chain = []
        chain.append(run)
    if len(chain) > 1:
        yield chain


def _passages(traced: TracedText, chain: list[_Run], said: dict[int, str]) -> Iterator[NearPassage]:
    """The passage of a chain of runs, if it is long enough and differs."""
    if sum(run.units for run in chain) < traced.found.least:
        return
    start, at, held = traced.places[chain[0].first][0], traced.places[chain[0].first][0], ""
    for run, following in pairwise(chain):
        held += traced.text[at : traced.places[run.stop - 1][1]] + said[run.stop]
        at = _into(traced, run, following)
    stop = traced.places[chain[-1].stop - 1][1]
    text, held = traced.text[start:stop], held + traced.text[at:stop]
    differs = changes(text, held)
    if differs:
        yield NearPassage(
            start=start,
            stop=stop,
            first_token=chain[0].first,
            stop_token=chain[-1].stop,
            text=text,
            held=held,
            changes=differs,
        )


def _follow(lookup: Lookup) -> Follow:
    """What a memory says next, however it is read."""

    def by_ledger(contexts: list[np.ndarray]) -> list[Next]:
        return next_exactly(lookup.exact, contexts)

    def by_walking(contexts: list[np.ndarray]) -> list[Next]:
        return next_tokens(lookup.solved, contexts)

    def by_matrices(contexts: list[np.ndarray]) -> list[Next]:
        if not contexts:
            return []
        found = lookup.several(lookup.encoder.query(contexts), 4)
        sure = (confidence(found.log_odds) >= _SAYS) & (found.tokens != lookup.config.end_of_document)
        return [Next(row[ok].tolist()) for row, ok in zip(found.tokens, sure, strict=True)]

    return by_walking if lookup.reader.is_solved else by_ledger if lookup.reader.has_ledger else by_matrices


def summary(one: NearPassage, most: int = 4) -> str:
    """What differs in a passage and where it stands, in a line."""
    differs = "; ".join(f"{change.typed!r} for {change.held!r}" for change in one.changes[:most])
    more = f"; and {len(one.changes) - most} more" * (len(one.changes) > most)
    others = f" and {one.place.count - MOST_NAMED} more" * (one.place.count > MOST_NAMED)
    stands = f", in {', '.join(one.place.documents)}{others}" * bool(one.place.count)
    return f"{differs}{more}{stands}"
