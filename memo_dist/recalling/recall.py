"""Recall: token ids -> their verbatim continuations, from anything that can read a memory.

Covers: which of the followed paths is said, and how much of it; abstaining. Does not cover: following them (paths.py),
prompts as people and programs give them (session.py).

Only a path that was inside a memorized passage can be inside later, so a later token that is sure on its own evidence
confirms the ones before it. What is returned ends where nothing confirms any more: there recall abstains. If a path is
lost as soon as a longer window is full, what shorter windows led to was no memorized passage, and none of it is
returned. Of several paths the one confirmed furthest wins.
"""

from dataclasses import dataclass, field

import numpy as np

from memo_dist.models.candidates import Alternative
from memo_dist.recalling.changes import ReadAs
from memo_dist.recalling.confidence import confirmed_by_later
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.paths import Path, follow
from memo_dist.recalling.reasons import Reason
from memo_dist.recalling.telling import told, told_in_html
from memo_dist.result import Result


@dataclass(frozen=True, kw_only=True)
class Continuation(Result):
    """The answer to one prompt, for the command line, Python, jobs and the service.

    Attributes:
        prompt: as it was asked: a text, or token ids.
        text: what follows the text, exactly where it stops; None if the prompt is token ids.
        snapped: how the prompt was read and what in it was changed for that, where it is not held as it is and the
            memory has something like it; else None.
        matched: tokens at the end of the prompt, as it was read, that the memory holds in one piece; None where it
            cannot tell, as of the preset paper. Of a long prompt, its last 4,000 characters and 1,024 tokens are asked;
            512 tokens of matrices.
        matched_text: their text; None of token ids.
        healed: tokens at the prompt's end that were recalled again; `tokens` repeats their text first.
        tokens: recalled token ids, without "end of document".
        scores: one per token: the log-odds, natural logarithm, that the token continues its whole context.
        confidences: one per token, in [0, 1]: the highest of its own and those of the tokens that followed.
        windows: for each token the longest window that was full and asked, in tokens.
        stop: "length", "end_of_document", "abstained" or "refused".
        stop_confidence: of the token at which recall abstained, of the end of the document, or of the last token.
        reason: why nothing more is said, where it is neither the length nor the end of a document; else None.
        alternatives: for each token the best of that step, best first; empty unless asked for.
        documents: ids of the documents in which the prompt stands with its continuation, sorted, eight at most; where
            nothing is said, those in which the prompt stands, if it is held whole.
        num_documents: how many they are; 0 where the memory cannot tell: the passage is too short, or it is published.
        error: why the prompt was refused; else None.
        memory: the name of the memory that answers, where several were asked together; else None.
    """

    prompt: str | list[int] = field(default_factory=list)
    text: str | None = None
    snapped: ReadAs | None = None
    matched: int | None = None
    matched_text: str | None = None
    healed: int = 0
    tokens: list[int]
    scores: list[float]
    confidences: list[float]
    windows: list[int]
    stop: str
    stop_confidence: float
    reason: Reason | None = None
    alternatives: list[list[Alternative]] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    num_documents: int = 0
    error: str | None = None
    memory: str | None = None

    def __repr__(self) -> str:
        return told(self)

    def _repr_html_(self) -> str:
        return told_in_html(self)


def continue_ids(lookup: Lookup, prompts: list[np.ndarray], options: RecallOptions) -> list[list[Continuation]]:
    """Up to `options.count` different continuations of each prompt, at least one, best first.

    Where memorized passages share a context and part, each is one. None is the beginning of a better one, unless a
    document ends there.

    Args:
        prompts: token ids that can be asked (session.py).
    """
    if not options.max_tokens:
        return [[said_nothing("length", 1.0)] for _ in prompts]
    return [best_paths(paths, options) for paths in follow(lookup, prompts, options)]


def said_nothing(stop: str, stop_confidence: float) -> Continuation:
    """An answer without a token."""
    return Continuation(tokens=[], scores=[], confidences=[], windows=[], stop=stop, stop_confidence=stop_confidence)


def best_paths(paths: list[Path], options: RecallOptions) -> list[Continuation]:
    """The second half of recall, for one prompt's paths: first the path that is confirmed to its end, else the one
    confirmed furthest; between equals the likelier."""
    ranked = [(confirmed(path, options.max_tokens, options.min_confidence), path.log_score) for path in paths]
    ranked.sort(key=lambda pair: (pair[0].stop != "abstained", len(pair[0].tokens), pair[1]), reverse=True)
    kept: list[Continuation] = []
    for found, _ in ranked:
        if len(kept) < options.count and not any(_repeats(found, one) for one in kept):
            kept.append(found)
    return kept


def _repeats(found: Continuation, better: Continuation) -> bool:
    if found.stop == "end_of_document":
        return found.tokens == better.tokens and better.stop == found.stop
    return found.tokens == better.tokens[: len(found.tokens)]


def confirmed(path: Path, max_tokens: int, min_confidence: float) -> Continuation:
    """What of a path later reads confirm."""
    ended = path.stop == "end_of_document" and path.stop_confidence >= min_confidence
    sure = confirmed_by_later(path.confidences, path.stop_confidence if ended else 0.0)
    keep = next((i for i, c in enumerate(sure) if c < min_confidence), len(sure))
    if path.lost_window not in (0, *path.windows[:keep]):
        return _cut(path, sure[:0], "abstained", at=path.stop_confidence)
    if keep >= max_tokens:
        return _cut(path, sure[:max_tokens], "length", at=sure[max_tokens - 1])
    if ended and keep == len(sure):
        return _cut(path, sure, "end_of_document", at=path.stop_confidence)
    return _cut(path, sure[:keep], "abstained", at=sure[keep] if keep < len(sure) else path.stop_confidence)


def _cut(path: Path, confidences: list[float], stop: str, *, at: float) -> Continuation:
    """The beginning of a path, a token for each of `confidences`; `at` is the confidence where it stops."""
    keep = len(confidences)
    return Continuation(
        tokens=path.tokens[:keep],
        scores=path.scores[:keep],
        confidences=confidences,
        windows=path.windows[:keep],
        stop=stop,
        stop_confidence=at,
        alternatives=path.alternatives[:keep],
    )
