"""Recall: verbatim continuation of prompts from anything that can read a memory.

Covers: greedy and beam continuation, confidence, abstaining. Does not cover: text (tokenizer.py), reading (shard.py,
storage.py, cluster/recall.py).

A path is a prompt with the tokens recalled so far. Each step asks the windows that the path fills. A path is a chain of
two states, inside a memorized passage or lost: the prior of a step is the confidence of the step before times the
chance of staying inside, and the confidence of a token is the probability, given what was read so far, that it
continues the whole context (decoding.py). One noisy read is no reason to stop: a path goes on while it is not plainly
lost, and since only a path that was inside can be inside later, a later token that is sure on its own evidence, without
that prior, confirms the ones before it. What is returned ends where nothing confirms any more: there recall abstains.
If a path is lost as soon as a longer window is full, what shorter windows led to was no memorized passage, and none of
it is returned.

Two memorized passages can share a window, and noise can put a wrong token first; only the steps after tell. So up to
`beam` paths are followed, and the one confirmed furthest wins. beam=1 is greedy.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.decoding import Alternative, Cleanup
from memo_dist.encoding.protocol import Reader
from memo_dist.errors import PromptError

DEFAULT_CONFIDENCE = 0.99
DEFAULT_BEAM = 8
_PRIOR = 0.5  # that a prompt is in the memory at all
_STAYS = 0.999  # that a passage goes on at the next token
_RIVAL = 5.0  # log-odds by which a rival that is itself unlikely may be behind the best and still be followed
_LOST = 1e-3  # a path less sure than this is given up
_AHEAD = 4  # steps beyond the last token asked for, to confirm it


@dataclass(frozen=True)
class Continuation:
    """What was recalled after one prompt.

    Attributes:
        tokens: recalled token ids, without "end of document".
        scores: one per token: the log-odds, natural logarithm, that the token continues its whole context.
        confidences: one per token, in [0, 1]: the highest of its own and those of the tokens that followed.
        windows: for each token the longest window that was full and asked, in tokens.
        alternatives: for each token the best of that step, best first; empty unless asked for.
        stop: "length", "end_of_document" or "abstained".
        stop_confidence: of the token at which recall abstained, of the end of the document, or of the last token.
    """

    tokens: list[int]
    scores: list[float]
    confidences: list[float]
    windows: list[int]
    stop: str
    stop_confidence: float
    alternatives: list[list[Alternative]] = field(default_factory=list)


@dataclass
class Path:
    """A prompt with tokens recalled so far; what recall says of it depends on the confidence asked for."""

    prompt: int
    context: list[int]  # the last h^L tokens
    tokens: list[int]
    scores: list[float]
    confidences: list[float]
    windows: list[int]
    alternatives: list[list[Alternative]] = field(default_factory=list)
    log_score: float = 0.0
    prior: float = _PRIOR
    stop: str = "length"
    stop_confidence: float = 0.0
    lost_window: int = 0  # the window that disagreed, if the path is lost

    def confirmed(self, max_tokens: int, min_confidence: float) -> Continuation:
        """What of the path later reads confirm."""
        ended = self.stop == "end_of_document" and self.stop_confidence >= min_confidence
        later = self.stop_confidence if ended else 0.0
        sure = np.maximum.accumulate([later, *reversed(self.confidences)])[:0:-1].tolist()
        keep = next((i for i, c in enumerate(sure) if c < min_confidence), len(sure))
        if self.lost_window not in (0, *self.windows[:keep]):
            return self._cut(0, sure, "abstained", self.stop_confidence)
        if keep >= max_tokens:
            return self._cut(max_tokens, sure, "length", sure[max_tokens - 1])
        if ended and keep == len(sure):
            return self._cut(keep, sure, "end_of_document", self.stop_confidence)
        return self._cut(keep, sure, "abstained", sure[keep] if keep < len(sure) else self.stop_confidence)

    def _cut(self, keep: int, sure: list[float], stop: str, stop_confidence: float) -> Continuation:
        return Continuation(
            self.tokens[:keep],
            self.scores[:keep],
            sure[:keep],
            self.windows[:keep],
            stop,
            stop_confidence,
            self.alternatives[:keep],
        )


def recall(
    reader: Reader,
    cleanup: Cleanup,
    prompts: list[np.ndarray],
    max_tokens: int = 50,
    beam: int = DEFAULT_BEAM,
    min_confidence: float = DEFAULT_CONFIDENCE,
    at_start: bool = False,
    top_k: int = 0,
) -> list[Continuation]:
    """Continue each prompt (token ids) by up to `max_tokens` tokens.

    Args:
        at_start: the prompts are the beginnings of documents; then any length will do, even none.
        top_k: alternatives of each step to report.

    Raises:
        PromptError: a prompt is shorter than the shortest window, or has an id outside the vocabulary.
    """
    return [
        found[0]
        for found in recall_several(reader, cleanup, prompts, 1, max_tokens, beam, min_confidence, at_start, top_k)
    ]


def recall_several(
    reader: Reader,
    cleanup: Cleanup,
    prompts: list[np.ndarray],
    count: int,
    max_tokens: int = 50,
    beam: int = DEFAULT_BEAM,
    min_confidence: float = DEFAULT_CONFIDENCE,
    at_start: bool = False,
    top_k: int = 0,
) -> list[list[Continuation]]:
    """Up to `count` different continuations of each prompt, at least one, best first; see recall for the rest.

    Where memorized passages share a context and part, each is one. None is the beginning of a better one, unless a
    document ends there.
    """
    paths = follow(reader, cleanup, prompts, max_tokens, beam, at_start, top_k)
    return [best_paths(ends, max_tokens, min_confidence, count) for ends in paths]


def follow(
    reader: Reader,
    cleanup: Cleanup,
    prompts: list[np.ndarray],
    max_tokens: int = 50,
    beam: int = DEFAULT_BEAM,
    at_start: bool = False,
    top_k: int = 0,
) -> list[list[Path]]:
    """The first half of `recall`, the same for every confidence: each prompt's paths, to their ends."""
    config = reader.config
    for index, prompt in enumerate(prompts):
        check_prompt(prompt, config, at_start, f"prompt {index + 1}")
    keep = config.context_length
    paths = [Path(i, [int(t) for t in p[-keep:]], [], [], [], []) for i, p in enumerate(prompts)]
    finished: list[list[Path]] = [[] for _ in prompts]
    for _ in range(max_tokens + _AHEAD):
        if not paths:
            break
        paths = _step(reader, cleanup, paths, finished, beam, at_start, top_k)
    for path in paths:
        finished[path.prompt].append(path)
    return finished


def check_prompt(prompt: np.ndarray, config: MemoryConfig, at_start: bool, name: str) -> None:
    """Raise PromptError, naming the prompt, if it cannot be asked."""
    shortest = config.windows[0]
    if len(prompt) < shortest and not at_start:
        raise PromptError(
            f"{name} has {len(prompt)} tokens; the shortest window is {shortest}: give at least {shortest} tokens "
            f"({config.context_length} or more work best), or say that it begins a document (--from-start)"
        )
    if len(prompt) and not 0 <= int(np.max(prompt)) < config.vocab_size:
        raise PromptError(f"{name} has token id {int(np.max(prompt))}; the vocabulary has {config.vocab_size}")


def best_path(paths: list[Path], max_tokens: int, min_confidence: float) -> Continuation:
    """The second half of `recall`, for one prompt's paths."""
    return best_paths(paths, max_tokens, min_confidence, 1)[0]


def best_paths(paths: list[Path], max_tokens: int, min_confidence: float, count: int) -> list[Continuation]:
    """First the path that is confirmed to its end, else the one confirmed furthest; between equals the likelier."""
    ranked = [(path.confirmed(max_tokens, min_confidence), path.log_score) for path in paths]
    ranked.sort(key=lambda pair: (pair[0].stop != "abstained", len(pair[0].tokens), pair[1]), reverse=True)
    kept: list[Continuation] = []
    for found, _ in ranked:
        if len(kept) < count and not any(_repeats(found, one) for one in kept):
            kept.append(found)
    return kept


def _repeats(found: Continuation, better: Continuation) -> bool:
    if found.stop == "end_of_document":
        return found.tokens == better.tokens and better.stop == found.stop
    return found.tokens == better.tokens[: len(found.tokens)]


def _step(
    reader: Reader,
    cleanup: Cleanup,
    paths: list[Path],
    finished: list[list[Path]],
    beam: int,
    at_start: bool,
    top_k: int,
) -> list[Path]:
    config = reader.config
    cues = cleanup.encoder.query([np.asarray(p.context) for p in paths], at_start)
    found = cleanup.rank(cleanup.encoder.retrieve(reader, cues), cues.filled, top_k=max(beam, top_k))
    confidence, alone = found.confidence(np.array([p.prior for p in paths])), found.confidence(_PRIOR)
    depth = cues.filled.sum(axis=1)
    grown: dict[int, list[Path]] = {}
    followed = np.arange(found.tokens.shape[1]) < beam
    for row, path in enumerate(paths):
        best, window = float(confidence[row, 0]), config.windows[depth[row] - 1]
        if best < _LOST:
            path.stop, path.stop_confidence, path.lost_window = "lost", best, window
            finished[path.prompt].append(path)
            continue
        least = min(0.0, found.log_odds[row, 0] - _RIVAL)
        worth = (confidence[row] >= _LOST) & (found.log_odds[row] >= least) & followed
        rows = (a[row][worth].tolist() for a in (found.tokens, confidence, alone, found.log_odds))
        others = found.alternatives(row, top_k)
        for token, inside, own, score in zip(*rows, strict=True):
            branch = _grow(path, token, inside, own, score, window, config)
            branch.alternatives = [*path.alternatives, others]
            grown.setdefault(path.prompt, []).append(branch)
    survivors: list[Path] = []
    for prompt, branches in grown.items():
        branches.sort(key=lambda p: -p.log_score)
        for path in branches[:beam]:
            (survivors if path.stop == "length" else finished[prompt]).append(path)
    return survivors


def _grow(path: Path, token: int, inside: float, own: float, score: float, window: int, config: MemoryConfig) -> Path:
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
        prior=inside * _STAYS,
    )
