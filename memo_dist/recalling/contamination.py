"""Contamination: how much of the items of a test set a memory holds, verbatim or nearly so.

Covers: one item's longest passages, its verdict. Does not cover: reading items (items.py), reports on many
(contamination_report.py), jobs (cluster/contamination_job.py).

An item is *verbatim* if one passage that is held as it is, but for case and white space, has at least the share
`verbatim` of its words and other characters; *near-verbatim* if one passage with differences (near_passages.py) has at
least the share `near` of them; else *clean*. What is said in other words is out of reach: it shares no passages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.recalling.differences import NearPassage, Units
from memo_dist.recalling.held_runs import held_runs
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.near_passages import near_passages
from memo_dist.recalling.placing import stands_of
from memo_dist.tokenizer import Tokenizer

VERBATIM, NEAR, CLEAN, SHORT = "verbatim", "near-verbatim", "clean", "too short"
VERDICTS = (VERBATIM, NEAR, CLEAN, SHORT)
_MOST_DIFFERENCES = 32  # of an item that are told


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When an item counts as held.

    Attributes:
        verbatim, near: shares of an item's words and other characters, in (0, 1].
        least: words and other characters of the shortest passage that counts; a shorter item is too short to be told.

    Raises:
        ConfigError: one is out of range.
    """

    verbatim: float = 0.9
    near: float = 0.5
    least: int = 8

    def __post_init__(self) -> None:
        for name in ("verbatim", "near"):
            share = getattr(self, name)
            if not 0 < share <= 1:
                raise ConfigError(f"{name} is {share}; expected a share of an item, more than 0 and 1 at most")
        if self.least < 5:
            raise ConfigError(f"least is {self.least}; expected 5 words and other characters or more")


@dataclass(frozen=True, kw_only=True)
class ItemVerdict:
    """What a memory holds of one item.

    Attributes:
        verdict: of VERDICTS. units: words and other characters of the item.
        tokens, text, share: of the longest passage that is held as it is: how many tokens it has, its text, its share
            of the item.
        near_share, near_text: of the longest passage with differences.
        differing: units that differ there. differences: the first of them, each as (typed, held).
        documents, num_documents, several: where the longer of the two stands; see HeldPiece.
    """

    verdict: str
    units: int
    tokens: int = 0
    text: str = ""
    share: float = 0.0
    near_share: float = 0.0
    near_text: str = ""
    differing: int = 0
    differences: tuple[tuple[str, str], ...] = ()
    documents: tuple[str, ...] = ()
    num_documents: int = 0
    several: bool = False


DEFAULTS = Thresholds()


def judged_items(
    lookup: Lookup, tokenizer: Tokenizer, texts: Sequence[str], *, thresholds: Thresholds = DEFAULTS
) -> list[ItemVerdict]:
    """The verdict on each text.

    Args:
        tokenizer: of the memory.

    Raises:
        ConfigError: the memory is of the preset paper.
    """
    near = near_passages(lookup, tokenizer, texts)
    found = [
        _judged(lookup, tokenizer, text, near=several, thresholds=thresholds)
        for text, several in zip(texts, near, strict=True)
    ]
    lines = [line for _, line in found]
    held = [index for index, line in enumerate(lines) if line is not None]
    stands = stands_of(lookup, [line for line in lines if line is not None])
    verdicts: list[ItemVerdict] = []
    places = dict(zip(held, stands, strict=True))
    for index, (told, _) in enumerate(found):
        if index in places:
            place = places[index]
            told |= {"documents": tuple(place.documents), "num_documents": place.count, "several": place.several}
        verdicts.append(ItemVerdict(**told))
    return verdicts


def _judged(
    lookup: Lookup, tokenizer: Tokenizer, text: str, *, near: list[NearPassage], thresholds: Thresholds
) -> tuple[dict[str, Any], np.ndarray | None]:
    """An item's verdict but for its documents, and a line of the memory's own tokens that tells these."""
    units = Units.of(text)
    told: dict[str, Any] = {"verdict": SHORT, "units": len(units)}
    if len(units) < thresholds.least:
        return told, None
    told["verdict"], line = CLEAN, None
    ids, places = tokenizer.encode_with_places(text)
    runs = held_runs(lookup, tokenizer, ids, least=thresholds.least)
    if runs:
        longest = max(runs, key=lambda run: run.units)
        said = text[places[longest.first][0] : places[longest.stop - 1][1]].strip()
        share = min(1.0, longest.units / len(units))
        told |= {"tokens": longest.stop - longest.first, "text": said, "share": share}
        line = ids[longest.first : longest.stop].astype(np.int64)
    passages = [one for one in near if one.units >= thresholds.least]
    if passages:
        widest = max(passages, key=lambda one: one.units)
        told["near_share"] = min(1.0, widest.units / len(units))
        told["near_text"], told["differing"] = text[widest.start : widest.stop], widest.differing
        told["differences"] = tuple((text[d.start : d.stop], d.held) for d in widest.differences[:_MOST_DIFFERENCES])
        line = max(widest.lines, key=len)
    if told.get("share", 0) >= thresholds.verbatim:
        told["verdict"] = VERBATIM
    elif max(told.get("near_share", 0), told.get("share", 0)) >= thresholds.near:
        told["verdict"] = NEAR
    return told, line
