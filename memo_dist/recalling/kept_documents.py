"""KeptDocuments: the documents of a memory as it keeps their tokens, to find where in them a passage stands.

Covers: the tokens of one document, all places of a passage in it. Does not cover: which documents may hold a passage
(placing.py), memories that keep no tokens, of which nothing here is asked.

A passage may stand where its last window does, in whatever case and with whatever white space; that all of it stands
there is told by its text.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa

from memo_dist.batches import read_batch
from memo_dist.files.opened import OpenMemory
from memo_dist.models.cues import Cues
from memo_dist.recalling.aligning import folded_text
from memo_dist.recalling.lookup import ExactEncoder, Lookup

_TABLES = 8  # batches in memory
_LINES = 32  # documents in memory, with the keys of their places
_TRIED = 8  # last places of a passage that are looked for: a document may have other tokens there


@dataclass(frozen=True)
class Line:
    """Tokens with the keys of the places at which their units end.

    Attributes:
        tokens: (n,) int64. before: (n + 1,) units before each token. ends: (k,) places. cues: of these.
    """

    tokens: np.ndarray
    before: np.ndarray
    ends: np.ndarray
    cues: Cues

    @classmethod
    def of(cls, encoder: ExactEncoder, tokens: np.ndarray) -> "Line":
        line = np.asarray(tokens, np.int64)
        before = np.concatenate([[0], np.cumsum(encoder.units_begun(line))])
        ends = encoder.unit_ends(line).astype(np.int64) if len(line) > 1 else np.zeros(0, np.int64)
        return cls(line, before, ends, encoder.prefixes(line, ends))


class KeptDocuments:
    """Documents of a memory that keeps its tokens.

    Args:
        memory: it, opened.
    """

    def __init__(self, memory: OpenMemory) -> None:
        self._kept, self._config, self._tokenizer = memory.kept, memory.config, memory.tokenizer
        self._encoder = Lookup(memory).reading
        self._table = lru_cache(maxsize=_TABLES)(self._read)
        self.lines = lru_cache(maxsize=_LINES)(self._lines_of)

    def places(self, name: str, passage: np.ndarray) -> list[tuple[int, int]]:
        """[first, stop) of every place of a passage of (n,) token ids in the documents of an id."""
        asked = Line.of(self._encoder, passage)
        return [place for line in self.lines(name) for place in self._places(line, asked)]

    @property
    def names(self) -> list[str]:
        """The ids of all documents."""
        return list(self._batches)

    @cached_property
    def _batches(self) -> dict[str, list[int]]:
        """Of each id, the batches that have tokens of its documents."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, places in enumerate(self._kept.places()):
            for name in dict.fromkeys(places.column("document_id").to_pylist()):
                found[name].append(number)
        return found

    def _read(self, number: int) -> pa.Table:
        return self._kept.read(self._kept.records[number])

    def _lines_of(self, name: str) -> list[Line]:
        """The documents of an id, each whole."""
        parts = defaultdict(list)
        for number in self._batches.get(name, []):
            table = self._table(number)
            mask = np.array([one == name for one in table.column("document_id").to_pylist()])
            for _, segment in read_batch(table.filter(pa.array(mask)), self._config):
                parts[segment.origin].append((segment.start, segment.tokens))
        whole = ([tokens for _, tokens in sorted(some, key=lambda part: part[0])] for some in parts.values())
        return [Line.of(self._encoder, np.concatenate(tokens)) for tokens in whole]

    def _places(self, line: Line, asked: Line) -> Iterator[tuple[int, int]]:
        units, of_line = asked.before[asked.ends], line.before[line.ends]
        depths, said = asked.cues.filled.sum(axis=1), self._compared(asked.tokens)
        for at in range(len(units) - 1, max(-1, len(units) - 1 - _TRIED), -1):
            rung = int(depths[at]) - 1
            if rung < 0:
                return
            same = line.cues.filled[:, rung] & (line.cues.values[:, rung] == asked.cues.values[at, rung])
            found = [self._place(line, start, int(asked.before[-1])) for start in (of_line[same] - units[at]).tolist()]
            whole = [(first, stop) for first, stop in found if said in self._compared(line.tokens[first:stop])]
            if whole:
                yield from whole
                return

    def _place(self, line: Line, start: int, units: int) -> tuple[int, int]:
        """The tokens of some units of a line, from one on."""
        first = max(0, int(np.searchsorted(line.before, max(start, 0), side="right")) - 1)
        stop = int(np.searchsorted(line.before, start + units, side="left"))
        while stop < len(line.tokens) and line.before[stop + 1] == line.before[stop]:
            stop += 1  # the rest of the last unit, which may be of several tokens
        return first, min(max(stop, first + 1), len(line.tokens))

    def _compared(self, tokens: np.ndarray) -> str:
        """What tokens say, without white space; token ids by themselves."""
        if self._tokenizer is None:
            return "".join(f" {token} " for token in tokens.tolist())
        return folded_text(self._tokenizer.decode(tokens.tolist())).replace(" ", "")
