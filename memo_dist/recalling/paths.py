"""Paths: prompts with the tokens recalled so far, followed step by step; the first half of recall.

Covers: asking, rivals, giving up. Does not cover: what is said of the paths in the end (recall.py).

Each step asks the windows that a path fills. A path is a chain of two states, inside a memorized passage or lost: the
prior of a step is the confidence of the step before times the chance of staying inside, and the confidence of a token
is the probability, given what was read so far, that it continues the whole context (decoding/). One noisy read is no
reason to stop: a path goes on while it is not plainly lost. Two memorized passages can share a window, and noise can
put a wrong token first; only the steps after tell. So up to `beam` paths are followed.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from memo_dist.config import MemoryConfig
from memo_dist.errors import PromptError
from memo_dist.models.candidates import Alternative, Cleanup
from memo_dist.models.cues import Reader

DEFAULT_BEAM = 8
_PRIOR = 0.5  # that a prompt is in the memory at all
_STAYS = 0.999  # that a passage goes on at the next token
_RIVAL = 5.0  # log-odds by which a rival that is itself unlikely may be behind the best and still be followed
_LOST = 1e-3  # a path less sure than this is given up
_AHEAD = 4  # steps beyond the last token asked for, to confirm it


@dataclass
class Path:
    """A prompt and how it may go on. `confidences` are of each token's own evidence; `stop` is "length",
    "end_of_document" or "lost"."""

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


def follow(
    reader: Reader,
    cleanup: Cleanup,
    prompts: list[np.ndarray],
    max_tokens: int = 50,
    beam: int = DEFAULT_BEAM,
    at_start: bool = False,
    top_k: int = 0,
) -> list[list[Path]]:
    """Each prompt's paths, to their ends; see recall.recall for the arguments and errors."""
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
