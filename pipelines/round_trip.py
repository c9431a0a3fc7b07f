"""RoundTrip: what of a corpus's text does not come back from a tokenizer's ids.

Covers: text -> ids -> text of a sample, the losses by kind, in words. Does not cover: choosing a tokenizer
(tokenizing.py).

A memory says what its tokens spell. A tokenizer that folds capitals or drops white space makes a memory that answers in
small letters without line ends; that may be wanted, and must be known before a build.
"""

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from memo_dist.tokenizer import Tokenizer

_CHECKED = 1 << 20  # characters in all
_OF_EACH = 1 << 14  # characters of one text
_SHOWN = 5  # examples


@dataclass(frozen=True)
class SampleText:
    """A text of a sample: a piece of a document, and whether it is the first one."""

    text: str
    begins: bool


@dataclass
class _Kind:
    """Characters of one kind: how many there were, and which were lost or added."""

    name: str
    seen: int
    lost: Counter[str]
    added: Counter[str]

    def told(self) -> list[str]:
        told = []
        if lost := self.lost.total():
            told.append(f"{lost:,} of {self.seen:,} {self.name} of a sample do not come back{_such(self.lost)}")
        if added := self.added.total():
            told.append(f"{added:,} {self.name} come back that a sample does not have{_such(self.added)}")
        return told


def losses(tokenizer: Tokenizer, sample: Iterable[SampleText]) -> tuple[str, ...]:
    """What of the sample does not come back, a sentence for each kind of character, and what does it; none if all of
    it comes back."""
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    definition = json.loads(tokenizer.definition)
    mark = _unknown(definition["model"])
    moved = checked = unknown = 0
    for one in sample:
        text = one.text[:_OF_EACH]
        back = tokenizer.decode(tokenizer.encode([text])[0].tolist())
        if not one.begins:  # its tokens are those of the middle of a document, of which a decoder strips nothing
            text, back = text.lstrip(), back.lstrip()
        if len(one.text) > _OF_EACH:
            text, back = text.rstrip(), back.rstrip()
        before.update(text)
        after.update(back.replace(mark, "") if mark else back)
        unknown += max(0, back.count(mark) - text.count(mark)) if mark else 0
        moved += text != back
        checked += len(text)
        if checked >= _CHECKED:
            break
    if not moved:
        return ()
    found = [f"{unknown:,} tokens of a sample are {mark!r}: text that the tokenizer does not know"] if unknown else []
    found += [sentence for kind in _kinds(before, after) for sentence in kind.told()]
    found = found or [f"{moved:,} texts of a sample come back in another order"]
    return (*found, _parts(definition))


def _kinds(before: Counter[str], after: Counter[str]) -> list[_Kind]:
    lost, added = before - after, after - before
    found = {name: _Kind(name, 0, Counter(), Counter()) for name in ("white spaces", "capital letters", "characters")}
    for one in {*before, *after}:
        capital = unicodedata.category(one) == "Lu"
        kind = found["white spaces" if one.isspace() else "capital letters" if capital else "characters"]
        kind.seen += before[one]
        kind.lost[one], kind.added[one] = lost[one], added[one]
    return list(found.values())


def _such(characters: Counter[str]) -> str:
    often = sorted((-count, one) for one, count in characters.items() if count)
    shown = ", ".join(repr(one) for _, one in often[:_SHOWN])
    return f", such as {shown}"


def _unknown(model: dict[str, Any]) -> str:
    """The token that stands for text without tokens of its own; "" if there is none."""
    if model.get("type") == "Unigram":
        place = model.get("unk_id")
        return "" if place is None else str(model["vocab"][place][0])
    return str(model.get("unk_token") or "")


def _parts(definition: dict[str, Any]) -> str:
    """What changes text, by name."""
    named = {part: ", ".join(_types(definition.get(part))) for part in ("normalizer", "pre_tokenizer", "decoder")}
    told = "; ".join(f"{part.replace('_', '-')} {types or 'none'}" for part, types in named.items())
    return f"what may do it: {told}"


def _types(part: Any) -> list[str]:
    """The types of a part of a tokenizer and of those that it consists of."""
    if not isinstance(part, dict):
        return []
    inner = [one for name in ("normalizers", "pretokenizers", "decoders") for one in part.get(name, [])]
    return [name for one in inner for name in _types(one)] if inner else [str(part.get("type"))]
