"""Recall: verbatim continuation of prompts from anything that can read a memory.

Covers: which of the followed paths is said, and how much of it; abstaining. Does not cover: following them (paths.py),
text (prompting.py), reading (shard.py, stored.py, published.py, cluster/reader.py).

Only a path that was inside a memorized passage can be inside later, so a later token that is sure on its own evidence
confirms the ones before it. What is returned ends where nothing confirms any more: there recall abstains. If a path is
lost as soon as a longer window is full, what shorter windows led to was no memorized passage, and none of it is
returned. Of several paths the one confirmed furthest wins; beam=1 is greedy.
"""

from dataclasses import dataclass, field

import numpy as np

from memo_dist.models.candidates import Alternative, Cleanup
from memo_dist.models.cues import Reader
from memo_dist.recalling.paths import DEFAULT_BEAM, Path, follow

DEFAULT_CONFIDENCE = 0.99


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


def best_path(paths: list[Path], max_tokens: int, min_confidence: float) -> Continuation:
    """The second half of `recall`, for one prompt's paths."""
    return best_paths(paths, max_tokens, min_confidence, 1)[0]


def best_paths(paths: list[Path], max_tokens: int, min_confidence: float, count: int) -> list[Continuation]:
    """First the path that is confirmed to its end, else the one confirmed furthest; between equals the likelier."""
    ranked = [(confirmed(path, max_tokens, min_confidence), path.log_score) for path in paths]
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


def confirmed(path: Path, max_tokens: int, min_confidence: float) -> Continuation:
    """What of a path later reads confirm."""
    ended = path.stop == "end_of_document" and path.stop_confidence >= min_confidence
    later = path.stop_confidence if ended else 0.0
    sure = np.maximum.accumulate([later, *reversed(path.confidences)])[:0:-1].tolist()
    keep = next((i for i, c in enumerate(sure) if c < min_confidence), len(sure))
    if path.lost_window not in (0, *path.windows[:keep]):
        return _cut(path, 0, sure, "abstained", path.stop_confidence)
    if keep >= max_tokens:
        return _cut(path, max_tokens, sure, "length", sure[max_tokens - 1])
    if ended and keep == len(sure):
        return _cut(path, keep, sure, "end_of_document", path.stop_confidence)
    return _cut(path, keep, sure, "abstained", sure[keep] if keep < len(sure) else path.stop_confidence)


def _cut(path: Path, keep: int, sure: list[float], stop: str, stop_confidence: float) -> Continuation:
    return Continuation(
        path.tokens[:keep],
        path.scores[:keep],
        sure[:keep],
        path.windows[:keep],
        stop,
        stop_confidence,
        path.alternatives[:keep],
    )
