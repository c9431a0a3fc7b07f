"""Paths: prompts with the tokens recalled so far, followed step by step; the first half of recall.

Covers: asking, rivals, giving up. Does not cover: what is said of the paths in the end (recall.py).

Each step asks the windows that a path fills. What is known of a path goes on as the prior of its next step
(confidence.py). One noisy read is no reason to stop: a path goes on while it is not plainly lost. Two memorized
passages can share a window, and noise can put a wrong token first; only the steps after tell. So up to `beam` paths of
each prompt are followed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Alternative
from memo_dist.recalling.confidence import PRIOR, confidence, next_prior
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import RecallOptions

_RIVAL = 5.0  # log-odds by which a rival that is itself unlikely may be behind the best and still be followed
_LOST = 1e-3  # a path less sure than this is given up
_AHEAD = 4  # steps beyond the last token asked for, to confirm it


@dataclass(kw_only=True)
class Path:
    """A prompt and how it may go on.

    Attributes:
        prompt: the place of the prompt in its list.
        context: the last h^L tokens.
        tokens, scores, windows, alternatives: as in Continuation.
        confidences: of each token's own evidence.
        log_score: natural logarithm of how likely the path is, given its prompt.
        prior: of the next step.
        stop: "length", "end_of_document" or "lost"; stop_confidence: of the token or end at which it stopped.
        lost_window: the window that disagreed, in tokens, if the path is lost, else 0.
    """

    prompt: int
    context: list[int]
    tokens: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    alternatives: list[list[Alternative]] = field(default_factory=list)
    log_score: float = 0.0
    prior: float = PRIOR
    stop: str = "length"
    stop_confidence: float = 0.0
    lost_window: int = 0


def follow(lookup: Lookup, prompts: list[np.ndarray], options: RecallOptions) -> list[list[Path]]:
    """Each prompt's paths, to their ends.

    Args:
        prompts: token ids that can be asked (session.py).
    """
    follower = _Follower(lookup, options, len(prompts))
    keep = lookup.config.context_length
    paths = [Path(prompt=i, context=[int(t) for t in p[-keep:]]) for i, p in enumerate(prompts)]
    for _ in range(options.max_tokens + _AHEAD):
        if not paths:
            break
        paths = follower.step(paths)
    for path in paths:
        follower.finished[path.prompt].append(path)
    return follower.finished


class _Follower:
    """Paths of several prompts, and those that have ended."""

    def __init__(self, lookup: Lookup, options: RecallOptions, prompts: int) -> None:
        self._lookup, self._options = lookup, options
        self.finished: list[list[Path]] = [[] for _ in range(prompts)]

    def step(self, paths: list[Path]) -> list[Path]:
        """Ask the next token of every path; returns the paths that go on."""
        grown: dict[int, list[Path]] = {}
        for branch in self._branches(paths):
            grown.setdefault(branch.prompt, []).append(branch)
        survivors: list[Path] = []
        for prompt, branches in grown.items():
            branches.sort(key=lambda p: -p.log_score)
            for path in branches[: self._options.beam]:
                (survivors if path.stop == "length" else self.finished[prompt]).append(path)
        return survivors

    def _branches(self, paths: list[Path]) -> Iterator[Path]:
        """Every path with each token that may follow it; lost paths are finished instead."""
        config, beam, top_k = self._lookup.config, self._options.beam, self._options.top_k
        cues = self._lookup.encoder.query([np.asarray(p.context) for p in paths], self._options.from_start)
        wanted = max(beam, top_k)
        found = self._lookup.several(cues, wanted) if wanted > 1 else self._lookup.rank(cues)
        chained = confidence(found.log_odds, np.array([p.prior for p in paths]))
        alone = confidence(found.log_odds)
        depth = cues.filled.sum(axis=1)
        followed = np.arange(found.tokens.shape[1]) < beam
        for row, path in enumerate(paths):
            best, window = float(chained[row, 0]), config.windows[depth[row] - 1]
            if best < _LOST:
                path.stop, path.stop_confidence, path.lost_window = "lost", best, window
                self.finished[path.prompt].append(path)
                continue
            least = min(0.0, found.log_odds[row, 0] - _RIVAL)
            worth = (chained[row] >= _LOST) & (found.log_odds[row] >= least) & followed
            rows = (a[row][worth].tolist() for a in (found.tokens, chained, alone, found.log_odds))
            others = found.alternatives(row, top_k)
            for token, inside, own, score in zip(*rows, strict=True):
                branch = _grow(path, config, token=token, inside=inside, own=own, score=score, window=window)
                branch.alternatives = [*path.alternatives, others]
                yield branch


def _grow(
    path: Path, config: MemoryConfig, *, token: int, inside: float, own: float, score: float, window: int
) -> Path:
    """The path with one more token: `inside` given what came before, `own` and `score` on its evidence alone."""
    likelihood = path.log_score + float(np.log(inside))
    if token == config.end_of_document:
        return replace(path, log_score=likelihood, stop="end_of_document", stop_confidence=own)
    return Path(
        prompt=path.prompt,
        context=[*path.context, token][-config.context_length :],
        tokens=[*path.tokens, token],
        scores=[*path.scores, score],
        confidences=[*path.confidences, own],
        windows=[*path.windows, window],
        log_score=likelihood,
        prior=next_prior(inside),
    )
