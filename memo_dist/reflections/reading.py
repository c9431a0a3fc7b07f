"""Reading: what follows cues in a memory of reflections, whatever its form.

Covers: one step after many contexts, names that a cue leads to, rows of names. Does not cover: which cues are asked,
what is said (answering.py).

A working memory says what follows by its ledger; a solved one says the only follower, or that there are several; sums
are read one after the other. Whatever is read of a row is held against its name, so that no read can make up an answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from memo_dist.recalling.lookup import Lookup
from memo_dist.reflections.layout import LENGTH_BYTES, NAME_BYTES, PIECE_BYTES, name_of, piece_cue
from memo_dist.solved.walk import State

_MOST = 16  # reflections of one cue that are looked at; what more have says nothing
_SUMMED = 4  # followers that are read from sums
_LIKELY = -6.0  # log-odds of one that is followed in sums: what a name leads to is proved


@dataclass(frozen=True)
class Led:
    """Where a cue leads.

    Attributes:
        names: of reflections.
        several: there are more than are named.
    """

    names: tuple[bytes, ...] = ()
    several: bool = False


@dataclass
class _Way:
    """A way on from a cue."""

    cue: bytes
    said: bytes = b""
    several: bool = False

    @property
    def context(self) -> np.ndarray:
        return np.frombuffer(self.cue + self.said, np.uint8).astype(np.int64)


@dataclass
class _Found:
    names: list[bytes] = field(default_factory=list)
    several: bool = False


class ReflectionReader:
    """Reads a memory of reflections.

    Args:
        lookup: the memory.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    def led(self, cues: Iterable[bytes]) -> dict[bytes, Led]:
        """Where each cue leads; cues that are not held are left out."""
        found: dict[bytes, _Found] = {}
        ways = [_Way(one) for one in dict.fromkeys(cues)]
        for _ in range(NAME_BYTES):
            grown: dict[bytes, list[_Way]] = {}
            for way, (following, more) in zip(ways, self._following([way.context for way in ways]), strict=True):
                further = [_Way(way.cue, way.said + bytes([one]), way.several or more) for one in following]
                grown.setdefault(way.cue, []).extend(further)
            for several in grown.values():
                if len(several) > _MOST:
                    several[0].several = True
            ways = [way for several in grown.values() for way in several[:_MOST]]
        for way in ways:  # one that ended before was no name, and says nothing
            told = found.setdefault(way.cue, _Found())
            told.names.append(way.said)
            told.several |= way.several
        return {one: Led(tuple(told.names), told.several) for one, told in found.items()}

    def rows(self, names: Iterable[bytes]) -> dict[bytes, bytes]:
        """The row of each name; without those that are not held, or not read as they were written."""
        asked = list(dict.fromkeys(names))
        firsts = dict(zip(asked, self._pieces([(one, 0, PIECE_BYTES) for one in asked]), strict=True))
        lengths = {one: int.from_bytes(first[:LENGTH_BYTES], "big") for one, first in firsts.items()}
        further = [
            (one, number, min(PIECE_BYTES, lengths[one] + LENGTH_BYTES - number * PIECE_BYTES))
            for one, first in firsts.items()
            if len(first) == PIECE_BYTES
            for number in range(1, -(-(lengths[one] + LENGTH_BYTES) // PIECE_BYTES))
        ]
        written = dict(firsts)
        for (one, _, _), piece in zip(further, self._pieces(further), strict=True):
            written[one] += piece
        rows = {one: whole[LENGTH_BYTES : LENGTH_BYTES + lengths[one]] for one, whole in written.items()}
        return {one: row for one, row in rows.items() if name_of(row) == one}

    def _pieces(self, asked: Sequence[tuple[bytes, int, int]]) -> list[bytes]:
        """Of each (name, piece number, bytes) as much as is held."""
        ways = [_Way(piece_cue(name, number)) for name, number, _ in asked]
        going = [(way, size) for way, (_, _, size) in zip(ways, asked, strict=True)]
        while going:
            told = self._following([way.context for way, _ in going], proved=True)
            left = []
            for (way, size), (following, _) in zip(going, told, strict=True):
                if following:
                    way.said += bytes(following[:1])
                if following and len(way.said) < size:
                    left.append((way, size))
            going = left
        return [way.said for way in ways]

    def _following(self, contexts: list[np.ndarray], *, proved: bool = False) -> list[tuple[list[int], bool]]:
        """The bytes that follow each context where a document begins, and whether there are more.

        Args:
            proved: what is read is held against its name as a whole, so of sums the best is taken, likely or not.
        """
        if not contexts:
            return []
        reader, lookup = self._lookup.reader, self._lookup
        cues, end = lookup.encoder.query(contexts, True), lookup.config.end_of_document
        if reader.is_solved:
            walked = lookup.solved.walk([cues])
            return [
                ([int(token)] if held and token < end else [], state in (State.OPEN, State.LEFT))
                for token, held, state in zip(walked.tokens, walked.held, walked.states, strict=True)
            ]
        if reader.has_ledger:
            followers = reader.followers(cues.values[:, 0])
            several = [followers.of(row)[0] for row in range(len(contexts))]
            return [([one for one in tokens.tolist() if one < end], False) for tokens in several]
        if proved:
            best = lookup.rank(cues).tokens[:, 0].tolist()
            return [([one] if one < end else [], False) for one in best]
        found, told = lookup.several(cues, _SUMMED), []
        for tokens, odds in zip(found.tokens.tolist(), found.log_odds.tolist(), strict=True):
            said = [one for one, sure in zip(tokens, odds, strict=True) if sure > _LIKELY]
            told.append(([one for one in said if one < end], len(said) == _SUMMED))
        return told
