"""Held runs: the stretches of a text that a memory holds, in whatever case and with whatever white space.

Covers: every form of memory, texts of any length. Does not cover: how sure each token is (trace.py), stretches with
differences (near_passages.py), where they stand (where.py).

A ledger is asked at every place where a unit ends for all windows that reach back from there. A passage that begins at
unit p has, at a place with u units before it, the longest window of at most u - p; the first place that has not ends
it, and the next passage begins as early as that place allows. A solved memory tells the shortest window that decides
what follows; places that are held one after the other are a run. Matrices are traced.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memo_dist.models.cues import Cues
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.solved_session import says_alike
from memo_dist.recalling.trace import trace
from memo_dist.recalling.walking import Says
from memo_dist.solved.walk import State
from memo_dist.tokenizer import Tokenizer

_AT_ONCE = 1 << 14  # places asked at a time


@dataclass(frozen=True)
class HeldRun:
    """A stretch of a text that is held.

    Attributes:
        first, stop: tokens [first, stop) of the text. units: words and other characters in it.
    """

    first: int
    stop: int
    units: int


def held_runs(lookup: Lookup, tokenizer: Tokenizer | None, tokens: np.ndarray, *, least: int) -> list[HeldRun]:
    """The stretches of (n,) token ids of `least` units or more that a memory holds, in order; they may overlap.

    Raises:
        ConfigError: the memory is of the preset paper, or it is read from its matrices and `least` is out of range.
    """
    ids, encoder = np.asarray(tokens, np.int64), lookup.reading
    if not len(ids):
        return []
    before = np.concatenate([[0], np.cumsum(encoder.units_begun(ids))])
    ends = np.append(encoder.unit_ends(ids), len(ids)).astype(np.int64)
    if lookup.reader.is_solved:
        says = says_alike(lookup.solved, tokenizer)
        found = _solved(lookup, ids, ends=ends, units=before[ends], says=says)
    elif lookup.reader.has_ledger:
        found = _counted(lookup, ids, ends=ends, units=before[ends])
    else:
        windows = trace(lookup, ids, least=least, exactly=False).windows
        return [run for run in _by_matrices(windows, before) if run.units >= least]
    runs = []
    for begun, place in found:
        stop = int(ends[place])
        units = int(before[stop]) - begun
        if units >= least:
            first = int(np.searchsorted(before, begun, side="right")) - 1  # the token in which that unit begins
            runs.append(HeldRun(first, stop, units))
    return runs


def _by_matrices(windows: np.ndarray, before: np.ndarray) -> Iterator[HeldRun]:
    """Stretches by the (n,) windows that tell each token, 0 where none does, and (n + 1,) units before each token."""
    begins = np.searchsorted(before, np.maximum(before[:-1] - windows, 0), side="right") - 1
    edges = np.flatnonzero(np.diff(np.concatenate([[False], windows > 0, [False]]).astype(np.int8)))
    for first, stop in edges.reshape(-1, 2).tolist():
        begin = int(begins[first:stop].min())
        yield HeldRun(begin, stop, int(before[stop] - before[begin]))


def _counted(lookup: Lookup, ids: np.ndarray, *, ends: np.ndarray, units: np.ndarray) -> Iterator[tuple[int, int]]:
    """(unit that it begins with, last place) of each stretch, by a ledger."""
    windows = np.array(lookup.config.windows)
    cues = lookup.exact.encoder.prefixes(ids, ends)
    longest = np.zeros(len(ends), np.int64)
    for first in range(0, len(ends), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        filled = cues.filled[some]
        rungs = np.zeros(filled.shape, bool)
        rungs[filled] = lookup.reader.followers(cues.values[some][filled]).held
        longest[some] = np.where(rungs, windows, 0).max(axis=1)
    begun, last = 0, -1
    for place, (at, held) in enumerate(zip(units.tolist(), longest.tolist(), strict=True)):
        reached = windows[: np.searchsorted(windows, at - begun, side="right")]
        if held >= (int(reached[-1]) if len(reached) else 0):
            last = place
            continue
        if last >= 0:
            yield begun, last
        further = windows[windows > held]  # never none: the longest window is what is asked at most
        begun, last = at - int(further[0]) + 1, place if held else -1
    if last >= 0:
        yield begun, last


def _solved(
    lookup: Lookup, ids: np.ndarray, *, ends: np.ndarray, units: np.ndarray, says: Says | None
) -> Iterator[tuple[int, int]]:
    """The same by a solved memory."""
    windows, solved = np.array(lookup.config.windows), lookup.solved
    cues, own = solved.encoder.prefixes(ids, ends), np.append(ids, -1)[ends]
    held, longest = np.zeros(len(ends), bool), np.zeros(len(ends), np.int64)
    for first in range(0, len(ends), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        walked = solved.walk([Cues(cues.values[some], cues.filled[some])])
        held[some], longest[some] = walked.held, np.where(walked.held, windows[walked.rungs], 0)
        other = walked.held & (walked.states == State.SURE) & (walked.tokens != own[some])
        other[-1] &= first + _AT_ONCE < len(ends)  # nothing is known to follow the text's end
        for row in np.flatnonzero(other).tolist():
            token, place = int(walked.tokens[row]), int(ends[first + row])
            held[first + row] = says is not None and says(ids, place, token)
    begun, last = 0, -1
    for place in range(len(ends)):
        if held[place]:
            begin = max(int(units[place] - longest[place]), 0)
            begun, last = begin if last < 0 else min(begun, begin), place
        elif last >= 0:
            yield begun, last
            last = -1
    if last >= 0:
        yield begun, last
