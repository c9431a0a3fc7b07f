"""NearWalking: from stretches of a text that are held, along what the memory says next, as long as the text says about
the same.

Covers: laying both side by side, unit by unit, the passages found. Does not cover: asking the memory, many texts
(near_passages.py).

Where memory and text part, they are in step again at the nearest place after which three units of both are the same;
what lies between is a difference. A passage is worth its units that are the same, less two for each that differs; it
ends where it was worth the most, once it has lost a dozen. A stretch that is long is believed and skipped, so what a
text costs grows with its differences, not with its length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memo_dist.recalling.differences import GAP, SYNC, Difference, NearPassage, Units, differences_of, in_step
from memo_dist.recalling.held_runs import HeldRun
from memo_dist.recalling.snapping import Next
from memo_dist.tokenizer import Tokenizer

SEED = 5  # units of a stretch from which the memory is followed
_COST = 2  # units that are the same for each that differs
_LOST = 12  # units' worth, after which a passage has ended
_PATHS = 4  # ways to go on that are followed at a time
_SKIPPED = 32  # units of a stretch that is believed
_TOKENS_OF_UNIT = 16  # that are waited for at most
_SETTLED = 8  # units that are laid beside the text before they are no longer spelled
_BEFORE = 64  # tokens that spelling looks back to
_Run = tuple[HeldRun, int, int]  # with its units [first, stop)
_Walking = tuple[Tokenizer, int]  # of the memory, and how many tokens keys reach back


@dataclass(frozen=True)
class LaidText:
    """A text to be laid beside what a memory says.

    Attributes:
        ids, places: its tokens, and where the characters of each are.
    """

    units: Units
    ids: np.ndarray
    places: list[tuple[int, int]]

    @classmethod
    def of(cls, text: str, tokenizer: Tokenizer) -> "LaidText":
        ids, places = tokenizer.encode_with_places(text)
        return cls(Units.of(text), ids.astype(np.int64), places)

    def units_of(self, run: HeldRun) -> tuple[int, int]:
        """[first, stop) of a stretch; a unit of which only a part is in it is not its last."""
        begin, end = self.places[run.first][0], self.places[run.stop - 1][1]
        stop = self.units.beginning_at(end)
        if stop and self.units.spans[stop - 1][1] > end:
            stop -= 1
        return self.units.around(begin), stop


@dataclass(frozen=True, kw_only=True)
class _Path:
    """What was recalled after a stretch, beside the text.

    Attributes:
        done, tokens: recalled: laid beside the text for good, and since. i, j: units of what `tokens` say, and of the
            text, that are laid beside one another.
        same, differing: units of the passage so far. differences: in order.
        ended: nothing more is to come of it.
    """

    done: tuple[int, ...] = ()
    tokens: tuple[int, ...] = ()
    i: int = 0
    j: int
    same: int
    differing: int = 0
    differences: tuple[Difference, ...] = ()
    ended: bool = False

    @property
    def worth(self) -> int:
        return self.same - _COST * self.differing

    @property
    def recalled(self) -> tuple[int, ...]:
        return (*self.done, *self.tokens)


class Walker:
    """Follows some stretches of one text, one after the other.

    Args:
        limit: the unit at which the next walker has its first stretch behind it; a passage that comes so far is ended,
            to be joined with that one's.
    """

    def __init__(self, laid: LaidText, runs: Sequence[_Run], *, limit: int, walking: _Walking) -> None:
        self.found: list[NearPassage] = []
        self.hands_over = False
        self._laid, self._runs, self._limit = laid, runs, limit
        self._tokenizer, self._reach = walking
        self._next = 0
        self._paths: list[_Path] = []
        self._best: _Path | None = None
        self._context = laid.ids[:0]
        self._lines: list[np.ndarray] = []
        self._start = 0

    def begin(self) -> bool:
        """Take up the next stretch if none is under way; False where none is left."""
        while not self._paths:
            if self._next == len(self._runs):
                return False
            run, first, stop = self._runs[self._next]
            self._next += 1
            if not self.found or stop > self.found[-1].stop_unit:
                self._start, self._lines = first, []
                self._enter(run, _Path(j=stop, same=stop - first))
        return True

    def contexts(self) -> list[np.ndarray]:
        """What is to be followed."""
        context = self._context
        return [np.concatenate([context, np.array(path.recalled[-self._reach :], np.int64)]) for path in self._paths]

    def take(self, said: list[Next]) -> None:
        """What follows each context."""
        grown: list[_Path] = []
        for path, one in zip(self._paths, said, strict=True):
            if not one.tokens:
                grown.append(self._laid_on(path, path.tokens, ended=True))
            grown += [self._laid_on(path, (*path.tokens, token)) for token in one.tokens]
        assert self._best is not None
        self._best = max([self._best, *grown], key=lambda path: path.worth)
        for path in grown:
            skipped = self._skipped(path)
            if skipped is not None:
                self._enter(*skipped)
                return
        self.hands_over = self._best.j >= self._limit
        going = [p for p in grown if not p.ended and p.worth > self._best.worth - _LOST and p.j < len(self._laid.units)]
        self._paths = [] if self.hands_over else sorted(going, key=lambda path: -path.worth)[:_PATHS]
        if not self._paths:
            self._end()

    def _enter(self, run: HeldRun, path: _Path) -> None:
        """Go on from the end of a stretch that is held as it is."""
        line = self._laid.ids[run.first : run.stop]
        self._context = line[-self._reach :]
        self._lines.append(line)
        self._best, self._paths = path, [path]
        self.hands_over = path.j >= self._limit
        if self.hands_over or path.j >= len(self._laid.units):
            self._end()

    def _skipped(self, path: _Path) -> tuple[HeldRun, _Path] | None:
        """The long stretch that a path has come to, and the path at its end."""
        for at in range(self._next if path.recalled else len(self._runs), len(self._runs)):
            run, first, stop = self._runs[at]
            if first > path.j - SYNC:
                return None
            if stop - path.j >= _SKIPPED:
                self._next = at + 1
                self._lines.append(self._line(path))
                return run, replace(path, done=(), tokens=(), i=0, j=stop, same=path.same + stop - path.j)
        return None

    def _line(self, path: _Path) -> np.ndarray:
        return np.concatenate([self._context, np.array(path.recalled, np.int64)])

    def _end(self) -> None:
        """The passage is what was worth most."""
        best, laid = self._best, self._laid
        assert best is not None
        self._paths = []
        if best.recalled:
            self._lines.append(self._line(best))
        self.found.append(
            NearPassage(
                start=laid.units.spans[self._start][0],
                stop=laid.units.spans[best.j - 1][1],
                first_unit=self._start,
                stop_unit=best.j,
                differences=best.differences,
                lines=tuple(self._lines),
            )
        )
        while self._next < len(self._runs) and (self.hands_over or self._runs[self._next][2] <= best.j):
            self._next += 1

    def _laid_on(self, path: _Path, tokens: tuple[int, ...], *, ended: bool = False) -> _Path:
        """A path with what was recalled laid beside the text, as far as it can be."""
        before = (*self._context[-_BEFORE:].tolist(), *path.done[-_BEFORE:])
        ours, theirs = self._laid.units, Units.of(self._tokenizer.continuation(before, tokens))
        whole = len(theirs) if ended else len(theirs) - 1  # the last one may go on
        i, j, same, differing, differences = path.i, path.j, path.same, path.differing, path.differences
        while i < whole and j < len(ours):
            if theirs.folded[i] == ours.folded[j]:
                i, j, same = i + 1, j + 1, same + 1
                continue
            step = in_step(theirs.folded[i:whole], ours.folded[j : j + GAP + SYNC])
            if step is None:
                waits = whole - i < GAP + SYNC and len(tokens) <= _TOKENS_OF_UNIT * (GAP + SYNC + i)
                ended = ended or not waits
                break
            more, less = step
            apart = list(differences_of(ours, theirs, our=range(j, j + less), their=range(i, i + more)))
            differences, count = (*differences, *apart), sum(difference.units for difference in apart)
            i, j, differing, same = i + more, j + less, differing + count, same + max(more, less) - count
        done = path.done
        if i > _SETTLED:  # what is laid beside the text for good need not be spelled again
            kept, settled = self._settled(before, tokens, theirs.spans[i - 1][0])
            i -= theirs.beginning_at(settled)
            done, tokens = (*done, *tokens[:kept]), tokens[kept:]
        return _Path(
            done=done,
            tokens=tokens,
            i=i,
            j=j,
            same=same,
            differing=differing,
            differences=differences,
            ended=ended,
        )

    def _settled(self, before: Sequence[int], tokens: Sequence[int], character: int) -> tuple[int, int]:
        """How many of some tokens lie before a character of what they say, and how many characters they are."""
        at = 0
        for number, piece in enumerate(self._tokenizer.pieces(list(tokens), before)):
            if at + len(piece) > character:
                return number, at
            at += len(piece)
        return len(tokens), at
