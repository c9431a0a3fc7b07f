"""Recall: verbatim continuation of prompts from anything that can read a memory.

Covers: greedy and beam continuation, confidence, abstaining. Does not cover: text (tokenizer.py), reading (shard.py,
storage.py, cluster/recall.py).

A path is a prompt with the tokens recalled so far. Each step asks the windows that the path fills. A token's confidence
is the probability that it continues the whole context (decoding.py); the prior of a step is the confidence of the step
before, times the chance of staying inside a passage. A path ends after `max_tokens`, at the end of a document, or
where no token reaches `min_confidence`: it abstains.

Two memorized passages can share a window; only later, when a longer window is full, does one of them turn out wrong.
So up to `beam` paths are followed, and the one that stays in the memory longest wins. beam=1 is greedy.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.decoding import Cleanup
from memo_dist.encoding.hashed import HashedEncoder
from memo_dist.errors import PromptError

DEFAULT_CONFIDENCE = 0.99
DEFAULT_BEAM = 8
_PRIOR = 0.5  # that a prompt is in the memory at all
_STAYS = 0.999  # that a passage goes on at the next token
_BRANCH = 1e-2  # a continuation this much less sure than the best is not followed


class Reader(Protocol):
    """What recall needs of a memory, wherever its banks are."""

    config: MemoryConfig

    def read(self, hashes: np.ndarray) -> np.ndarray:
        """(m,) uint64 window hashes -> (m, d) int32 vectors r = (key C[bank]) * mask."""
        ...


@dataclass(frozen=True)
class Continuation:
    """What was recalled after one prompt.

    Attributes:
        tokens: recalled token ids, without "end of document".
        confidences: one per token, in [0, 1].
        windows: for each token the longest window that was full and asked, in tokens.
        stop: "length", "end_of_document" or "abstained".
        stop_confidence: of the best token at the step that ended it ("abstained"), else of the last token.
    """

    tokens: list[int]
    confidences: list[float]
    windows: list[int]
    stop: str
    stop_confidence: float


@dataclass
class _Path:
    prompt: int
    context: list[int]  # the last h^L tokens
    length: int  # tokens of prompt and continuation
    tokens: list[int]
    confidences: list[float]
    windows: list[int]
    log_score: float = 0.0
    prior: float = _PRIOR
    stop: str = ""
    stop_confidence: float = 0.0

    def result(self) -> Continuation:
        return Continuation(self.tokens, self.confidences, self.windows, self.stop, self.stop_confidence)


def read_layers(reader: Reader, hashes: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Read all filled windows: (n, L) hashes and flags -> (n, L, d) int32, zero where not filled."""
    reads = np.zeros((*hashes.shape, reader.config.inner_dim), np.int32)
    reads[filled] = reader.read(hashes[filled])
    return reads


def recall(
    reader: Reader,
    cleanup: Cleanup,
    prompts: list[np.ndarray],
    max_tokens: int = 50,
    beam: int = DEFAULT_BEAM,
    min_confidence: float = DEFAULT_CONFIDENCE,
    at_start: bool = False,
) -> list[Continuation]:
    """Continue each prompt (token ids) by up to `max_tokens` tokens.

    Args:
        at_start: the prompts are the beginnings of documents; then any length will do, even none.

    Raises:
        PromptError: a prompt is shorter than the shortest window, or has an id outside the vocabulary.
    """
    config = reader.config
    for index, prompt in enumerate(prompts):
        check_prompt(prompt, config, at_start, f"prompt {index + 1}")
    encoder = HashedEncoder(config)
    keep = config.context_length
    paths = [
        _Path(i, [int(t) for t in p[-keep:]], len(p), [], [], []) for i, p in enumerate(prompts)
    ]
    finished: list[list[_Path]] = [[] for _ in prompts]
    for _ in range(max_tokens):
        if not paths:
            break
        paths = _step(reader, cleanup, encoder, paths, finished, beam, min_confidence, at_start)
    for path in paths:
        path.stop = "length"
        path.stop_confidence = path.confidences[-1] if path.confidences else 0.0
        finished[path.prompt].append(path)
    return [max(ends, key=_rank).result() for ends in finished]


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


def _rank(path: _Path) -> tuple[bool, int, float]:
    """Paths that did not abstain first; of those that did, the one that went furthest."""
    return (path.stop != "abstained", len(path.tokens) if path.stop == "abstained" else 0, path.log_score)


def _step(
    reader: Reader,
    cleanup: Cleanup,
    encoder: HashedEncoder,
    paths: list[_Path],
    finished: list[list[_Path]],
    beam: int,
    min_confidence: float,
    at_start: bool,
) -> list[_Path]:
    config = reader.config
    hashes, filled = encoder.query([np.asarray(p.context) for p in paths], at_start)
    found = cleanup.rank(read_layers(reader, hashes, filled), filled, top_k=beam)
    confidence = found.confidence(np.array([p.prior for p in paths]))
    depth = filled.sum(axis=1)
    grown: dict[int, list[_Path]] = {}
    for row, path in enumerate(paths):
        window = config.windows[depth[row] - 1]
        best = float(confidence[row, 0])
        if best < min_confidence:
            path.stop, path.stop_confidence = "abstained", best
            finished[path.prompt].append(path)
            continue
        for token, sure in zip(found.tokens[row].tolist(), confidence[row].tolist(), strict=True):
            if sure < max(min_confidence, best * _BRANCH):
                break
            grown.setdefault(path.prompt, []).append(_grow(path, token, sure, window, config))
    survivors: list[_Path] = []
    for prompt, branches in grown.items():
        branches.sort(key=lambda p: -p.log_score)
        for path in branches[:beam]:
            (finished[prompt] if path.stop else survivors).append(path)
    return survivors


def _grow(path: _Path, token: int, sure: float, window: int, config: MemoryConfig) -> _Path:
    score = path.log_score + float(np.log(max(sure, 1e-300)))
    if token == config.end_of_document:
        return _Path(
            path.prompt, path.context, path.length, path.tokens, path.confidences, path.windows,
            score, sure, "end_of_document", sure,
        )  # fmt: skip
    return _Path(
        path.prompt,
        [*path.context, token][-config.context_length :],
        path.length + 1,
        [*path.tokens, token],
        [*path.confidences, sure],
        [*path.windows, window],
        score,
        min(sure * _STAYS, 1 - 1e-12),
    )
