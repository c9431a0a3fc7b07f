"""Where: which documents hold a passage, how often, from which token to which.

Covers: every form of memory, passages of which only parts are held, what a form cannot tell and what would help. Does
not cover: how sure each token is (trace.py), passages with differences (near_passages.py).

Anchors tell the documents in which a stretch may stand. A memory that keeps its tokens is searched there, so that the
documents are those that have the whole stretch, and every place is known; without them the anchors' word is all.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from memo_dist.errors import PromptError
from memo_dist.files.opened import OpenMemory
from memo_dist.recalling.held_runs import HeldRun, held_runs
from memo_dist.recalling.kept_documents import KeptDocuments
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.placing import MOST_NAMED, Place, stands_of
from memo_dist.recalling.questions import ids_of, is_unicode, require_askable
from memo_dist.result import Result, html_table, table_of

DEFAULT_LEAST = 8  # units
_SEARCHED = 1 << 26  # tokens of a memory that are searched where anchors tell nothing
_MOST_PLACES = 64  # of a stretch that are told
_CANDIDATES = 256  # documents that are searched for one stretch
_NO_TOKENS = (
    "this memory does not keep the tokens of its documents, so it does not know the places; ask one that was built "
    "with them (build keeps them unless told --no-keep-tokens)"
)
_SOLVED = "a published memory does not keep its documents' tokens, so it does not know the places; ask the one that it "
_SOLVED += "was published from"
_SEVERAL = "it stands in several documents, or goes on in several ways, and a published memory names a document only "
_SEVERAL += "where one alone has an anchor; ask the one that it was published from, or give more text"
_NO_ANCHOR = "no anchor is on it or on what surely follows it: give more text before or after it"
_SUMS = "a memory that is published as sums does not know its documents; publish it with its values solved for, or ask "
_SUMS += "the one that it was published from"


@dataclass(frozen=True)
class Occurrence:
    """Tokens [first_token, stop_token) of a document."""

    document: str
    first_token: int
    stop_token: int


@dataclass(frozen=True, kw_only=True)
class HeldPiece:
    """A stretch of a passage that is held.

    Attributes:
        first_token, stop_token: tokens of the passage. start, stop: its characters; of bare token ids the same.
        units: words and other characters in it. text: it; "" of bare token ids.
        documents: ids, sorted, the first MOST_NAMED. num_documents: how many there are; 0 where none can be told.
        several: it stands in several documents, or may: which, is not told.
        times: how often it stands in them; None where that is not known.
        occurrences: where, of the documents named, the first 64.
        note: what is not known, why, and what would help; "" if all is.
    """

    first_token: int
    stop_token: int
    start: int
    stop: int
    units: int
    text: str
    documents: tuple[str, ...] = ()
    num_documents: int = 0
    several: bool = False
    times: int | None = None
    occurrences: tuple[Occurrence, ...] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Whereabouts(Result):
    """Where a passage stands.

    Attributes:
        tokens: of the passage. whole: all of it is held, in one piece.
        pieces: the stretches that are held, in order; they may overlap.
        note: where nothing is held, why that may be, and what would help; else "".
    """

    tokens: int
    whole: bool
    pieces: tuple[HeldPiece, ...]
    note: str = ""

    @property
    def documents(self) -> tuple[str, ...]:
        """Those of the longest piece."""
        return max(self.pieces, key=lambda piece: piece.units).documents if self.pieces else ()

    def to_arrow(self) -> pa.Table:
        """A row for each piece."""
        return table_of(self.pieces, HeldPiece)

    def _repr_html_(self) -> str:
        told = "held whole" if self.whole else "held in part" if self.pieces else f"not held: {self.note}"
        return html_table([(told, f"{self.tokens:,} tokens"), *((one.text, _stands(one)) for one in self.pieces)])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _stands(piece: HeldPiece) -> str:
    """Where a piece stands, in a few words."""
    named = ", ".join(piece.documents) or ("several documents" if piece.several else "not told")
    return named if piece.times is None else f"{named}, {piece.times:,} times"


class Finder:
    """Finds passages in one memory; what it has read of the memory's documents is kept for the next passage.

    Args:
        memory: opened.
    """

    def __init__(self, memory: OpenMemory) -> None:
        self._memory, self._tokenizer = memory, memory.tokenizer
        self._lookup = Lookup(memory)

    def where(self, text: str, *, least: int = DEFAULT_LEAST) -> Whereabouts:
        """Where a text stands; of a memory of bare token ids, where the ids that it spells do.

        Args:
            least: the shortest piece, in units, where only a part is held; a shorter passage is found if it is whole.

        Raises:
            ConfigError: the memory is of the preset paper. PromptError: the passage cannot be read.
        """
        if self._tokenizer is None:
            ids = ids_of(text)
            places = [(at, at + 1) for at in range(len(ids))]
        else:
            if not is_unicode(text):
                raise PromptError("the text is not text that UTF-8 can spell: it has half a surrogate pair")
            found, places = self._tokenizer.encode_with_places(text)
            ids = found.astype(np.int64)
        require_askable(ids, self._lookup.config, name="the text")
        units = int(self._lookup.reading.units_begun(ids).sum()) if len(ids) else 0
        shortest = self._lookup.config.windows[0]
        asked = min(least, max(units, shortest))
        if not (self._lookup.reader.is_solved or self._lookup.reader.has_ledger):
            asked = max(asked, shortest + 1)
        runs = _apart(held_runs(self._lookup, self._tokenizer, ids, least=asked))
        stands = stands_of(self._lookup, [ids[run.first : run.stop] for run in runs])
        pieces = []
        for run, place in zip(runs, stands, strict=True):
            start, stop = places[run.first][0], places[run.stop - 1][1]
            said = text[start:stop] if self._tokenizer is not None else ""
            begun = len(said) - len(said.lstrip())
            piece = HeldPiece(
                first_token=run.first,
                stop_token=run.stop,
                start=start + begun,
                stop=stop,
                units=run.units,
                text=said[begun:],
            )
            pieces.append(self._placed(piece, ids[run.first : run.stop], place))
        whole = len(runs) == 1 and runs[0].units >= units
        return Whereabouts(
            tokens=len(ids), whole=whole, pieces=tuple(pieces), note="" if pieces else _silence(units, shortest, asked)
        )

    @cached_property
    def _kept(self) -> KeptDocuments:
        return KeptDocuments(self._memory)

    def _placed(self, piece: HeldPiece, line: np.ndarray, place: Place) -> HeldPiece:
        """A piece with all that is known of where it stands."""
        reader = self._lookup.reader
        told = asdict(piece) | {"documents": tuple(place.documents), "num_documents": place.count}
        if reader.is_solved:
            several = place.several and not place.count
            note = _SOLVED if place.count else _SEVERAL if several else _NO_ANCHOR
            return HeldPiece(**told | {"several": several, "note": note})
        if not reader.has_ledger:
            return HeldPiece(**told | {"note": _SUMS})
        if not self._memory.manifest.keeps_tokens:
            return HeldPiece(**told | {"note": _NO_TOKENS if place.count else _NO_ANCHOR})
        names = list(place.owners)[:_CANDIDATES]
        found = self._occurrences(names, line)
        if not found and self._memory.manifest.tokens <= _SEARCHED:
            found = self._occurrences(self._kept.names, line)
        if not found:
            return HeldPiece(**told | {"note": _NO_ANCHOR if not place.count else ""})
        documents = sorted({one.document for one in found})
        named = set(documents[:MOST_NAMED])
        return HeldPiece(
            **told
            | {
                "documents": tuple(documents[:MOST_NAMED]),
                "num_documents": len(documents),
                "times": len(found),
                "occurrences": tuple(one for one in found if one.document in named)[:_MOST_PLACES],
            }
        )

    def _occurrences(self, names: list[str], line: np.ndarray) -> list[Occurrence]:
        return [Occurrence(name, first, stop) for name in names for first, stop in self._kept.places(name, line)]


def where_text(memory: OpenMemory, text: str, *, least: int = DEFAULT_LEAST) -> Whereabouts:
    """Where a text stands in a memory; see Finder, which is faster for many."""
    return Finder(memory).where(text, least=least)


def _apart(runs: list[HeldRun]) -> list[HeldRun]:
    """Without those of which the most lies within the one before or after."""

    def own(runs: list[HeldRun]) -> Iterator[HeldRun]:
        for at, run in enumerate(runs):
            first = max([run.first, *(one.stop for one in runs[:at] if one.units >= run.units)])
            stop = min([run.stop, *(one.first for one in runs[at + 1 :] if one.units > run.units)])
            if 2 * (stop - first) > run.stop - run.first:
                yield run

    return list(own(runs))


def _silence(units: int, shortest: int, asked: int) -> str:
    if units < shortest:
        counted = "1 word or other character" if units == 1 else f"{units} words and other characters"
        return f"the text has {counted}; the shortest window of this memory is {shortest}: give at least {shortest}"
    return (
        f"no {asked} words and other characters of it stand in the memory one after the other; case, line breaks and "
        "white space make no difference, other words do: trace shows the text token by token"
    )
