"""Exact recall: prompts followed token by token by what the ledger says, without noise.

Covers: the longest window that is held, rivals, how likely each beginning of a continuation is. Does not cover: whether
a prompt is held at all (support.py), texts (exact_session.py), reading matrices (paths.py, recall.py).

At each step the longest filled window that is held says which tokens follow, and how often each did; a path's weight is
the product of its tokens' shares. A window that is filled and not held says that a path has left what it came from:
each such rung costs a factor. So a rival that shared a short window with the prompt fades as soon as a longer window
reaches over both, and the paths that remain are the ways in which the memory goes on. A beginning of a continuation is
as likely as the paths that share it are together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from memo_dist.log_sum import log_sum_exp
from memo_dist.models.candidates import Alternative
from memo_dist.models.text.followers import Followers
from memo_dist.recalling.lookup import ExactLookup, FarReader
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.overlap import after

Spell = Callable[[Sequence[int], Sequence[int]], str]  # (before, tokens) -> text
LEFT = 10.0  # natural logarithm of what a filled rung that is not held takes from a path
_RIVALS = 4  # paths for each of the beam's: the ledger is read faster than matrices are
_AHEAD = 8  # steps beyond the last token asked for, to tell rivals apart
_TRIED = 512  # tokens of a step that are compared with what is owed
_BEFORE = 64  # tokens that spelling looks back to
_SURE = 36.0  # log-odds of what has no rival at all


@dataclass(frozen=True, kw_only=True)
class Start:
    """What is continued.

    Attributes:
        tokens: (n,) ids.
        owed: text that the continuation must say first.
        held: the probability that the prompt is a passage of the memory.
    """

    tokens: np.ndarray
    owed: str = ""
    held: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Path:
    """A way to go on.

    Attributes:
        start: the place of its Start in the list.
        context: the last tokens, as many as keys know.
        tokens: recalled, without "end of document".
        windows, alternatives: of each token: the window that said it, in units; the best of its step.
        counts: how often each token followed that window, and last, where one does, the end of the document.
        weight: natural logarithm.
        owed: what is still owed.
        stop: "" while it goes on, else "end_of_document" or "lost".
    """

    start: int
    context: list[int]
    tokens: list[int] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    alternatives: list[list[Alternative]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    weight: float = 0.0
    owed: str = ""
    stop: str = ""


def follow_exactly(
    lookup: ExactLookup, starts: list[Start], options: RecallOptions, *, spell: Spell | None = None
) -> list[list[Path]]:
    """The paths of each start, the heaviest first; also those that were given up for heavier ones.

    Args:
        spell: what tokens add to others, Tokenizer.continuation; only what is owed needs it.
    """
    follower = _Follower(lookup, options, spell)
    reach = lookup.config.context_length
    ended: list[list[Path]] = [[] for _ in starts]
    paths = [
        Path(start=index, context=[int(t) for t in start.tokens[-reach:]], owed=start.owed)
        for index, start in enumerate(starts)
    ]
    for _ in range(options.max_tokens + _AHEAD):
        going: list[Path] = []
        for grown in follower.step(paths):
            kept = grown[: follower.width]
            for path in [*grown[follower.width :], *(path for path in kept if path.stop)]:
                ended[path.start].append(path)
            going += [path for path in kept if not path.stop]
        paths = going
        if not paths:
            break
    for path in paths:
        ended[path.start].append(path)
    return [sorted(several, key=lambda path: -path.weight) for several in ended]


def followed_by(
    lookup: ExactLookup, contexts: list[np.ndarray], *, at_start: bool = False
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], int, int]]:
    """Of each context the tokens and counts of its longest window that is held, its rung, and how many are filled; rung
    -1 where none is held."""
    cues = lookup.encoder.query(contexts, at_start)
    depth = cues.filled.sum(axis=1)
    if isinstance(lookup.reader, FarReader):
        rungs, followers = lookup.reader.longest_followers(cues)
        yield from ((followers.of(row), int(rungs[row]), int(depth[row])) for row in range(len(contexts)))
        return
    rung = depth - 1
    told: list[Followers | None] = [None] * len(contexts)
    at = np.zeros(len(contexts), np.int64)
    left = np.flatnonzero(rung >= 0)
    while len(left):
        found = lookup.reader.followers(cues.values[left, rung[left]])
        for place, row in enumerate(left.tolist()):
            told[row], at[row] = found, place
        missing = left[~found.held]
        rung[missing] -= 1
        left = missing[rung[missing] >= 0]
    for row, answer in enumerate(told):
        said = (np.zeros(0, np.int64),) * 2 if answer is None or rung[row] < 0 else answer.of(int(at[row]))
        yield (said[0], said[1]), int(rung[row]), int(depth[row])


class _Follower:
    """Steps of all paths together."""

    def __init__(self, lookup: ExactLookup, options: RecallOptions, spell: Spell | None) -> None:
        self._lookup, self._options, self._spell = lookup, options, spell
        self.width = 1 if options.beam == 1 else _RIVALS * options.beam

    def step(self, paths: list[Path]) -> Iterator[list[Path]]:
        """The paths of each start after one token more, the heaviest first."""
        grown: dict[int, list[Path]] = {}
        for path, found, rung, depth in self._said(paths):
            grown.setdefault(path.start, []).extend(self._branches(path, found, rung=rung, depth=depth))
        for several in grown.values():
            yield sorted(several, key=lambda path: -path.weight)

    def _said(self, paths: list[Path]) -> Iterator[tuple[Path, tuple[np.ndarray, np.ndarray], int, int]]:
        """Each path with what `followed_by` says of it."""
        contexts = [np.asarray(path.context) for path in paths]
        told = followed_by(self._lookup, contexts, at_start=self._options.from_start)
        for path, (said, rung, depth) in zip(paths, told, strict=True):
            yield path, said, rung, depth

    def _branches(self, path: Path, found: tuple[np.ndarray, np.ndarray], *, rung: int, depth: int) -> Iterator[Path]:
        """The path with each token that may follow it."""
        if rung < 0:
            yield replace(path, stop="lost", weight=path.weight - LEFT)
            return
        config, (tokens, counts) = self._lookup.config, found
        if path.owed:
            tokens, counts = tokens[:_TRIED], counts[:_TRIED]
            fits = [self._owed_after(path, token) for token in tokens.tolist()]
            kept = np.array([owed is not None for owed in fits], bool)
            tokens, counts, owing = tokens[kept], counts[kept], [owed for owed in fits if owed is not None]
        else:
            owing = [""] * len(tokens)
        if not len(tokens):
            yield replace(path, stop="lost", weight=path.weight - LEFT * depth)
            return
        shares = counts / counts.sum()
        weight = path.weight - LEFT * (depth - 1 - rung)
        shown, most = self._options.top_k, _RIVALS * self.width
        listed = list(zip(tokens.tolist()[:most], shares.tolist()[:most], counts.tolist()[:most], strict=True))
        best = zip(tokens[:shown].tolist(), shares[:shown].tolist(), counts[:shown].tolist(), strict=True)
        others = [Alternative(token, _log_odds(share), count, share) for token, share, count in best]
        for (token, share, count), owed in zip(listed, owing[:most], strict=True):
            likely, often = weight + float(np.log(share)), [*path.counts, count]
            if token == config.end_of_document:
                yield replace(path, weight=likely, stop="end_of_document", counts=often)
                continue
            yield Path(
                start=path.start,
                context=[*path.context, token][-config.context_length :],
                tokens=[*path.tokens, token],
                windows=[*path.windows, config.windows[rung]],
                alternatives=[*path.alternatives, others],
                counts=often,
                weight=likely,
                owed=owed,
            )

    def _owed_after(self, path: Path, token: int) -> str | None:
        """What a path owes after a token, all of it until it is said whole; None if its tokens say something else."""
        if self._spell is None or token == self._lookup.config.end_of_document:
            return None
        before = path.context[: len(path.context) - len(path.tokens)]
        found = after(self._spell(before[-_BEFORE:], [*path.tokens, token]), path.owed)
        return None if found is None else path.owed if found[1] else ""


def steps_to_say(start: Start, path: Path, spell: Spell | None) -> int:
    """After how many of a path's tokens it has said all that its start owes; 0 where nothing is owed.

    Args:
        path: that owes no more. spell: as `follow_exactly` was given it.
    """
    if not start.owed or spell is None:
        return 0
    before = start.tokens[-_BEFORE:].tolist()
    said = ((count, after(spell(before, path.tokens[:count]), start.owed)) for count in range(1, len(path.tokens)))
    return next((count for count, found in said if found is not None and not found[1]), len(path.tokens))


def _log_odds(share: float) -> float:
    """Natural logarithm of the odds of a probability, as far as it goes."""
    return float(np.clip(np.log(max(share, 1e-300)) - np.log(max(1 - share, 1e-300)), -_SURE, _SURE))


def log_odds(confidences: list[float]) -> list[float]:
    """Natural logarithms of odds, for `scores`."""
    return [_log_odds(one) for one in confidences]


def beginnings(path: Path, paths: list[Path]) -> tuple[list[float], float]:
    """How likely each beginning of a path is among all paths of its start: after each of its tokens, and its end there.

    Args:
        paths: all, `path` among them.
    """
    total = log_sum_exp(np.array([one.weight for one in paths]))
    likely = np.zeros(len(path.tokens) + 1)  # of paths by how many of the path's tokens they share
    whole = 0.0
    for one in paths:
        shared = next(
            (i for i, (a, b) in enumerate(zip(path.tokens, one.tokens, strict=False)) if a != b),
            min(len(path.tokens), len(one.tokens)),
        )
        share = float(np.exp(one.weight - total))
        likely[shared] += share
        whole += share if one.tokens == path.tokens and one.stop == path.stop else 0.0
    upward = np.cumsum(likely[::-1])[::-1]
    return np.minimum(upward[1:], 1.0).tolist(), min(whole, 1.0)
