"""Choices: one prompt of a completion request, and its answer, free of HTTP.

Covers: dataclasses. Does not cover: answering (completing.py), spelling answers for clients (spelling.py).
"""

from dataclasses import dataclass, field

from memo_dist.models.candidates import Alternative
from memo_dist.recalling.changes import ReadAs
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class PromptAsk:
    """One prompt and how to continue it.

    Attributes:
        prompt: a text, or token ids; of these the first may be V, "end of document": a document begins after it.
        name: of the prompt, for refusals.
        scored: give log-probabilities of tokens and of their rivals.
        echoed: give the prompt's own tokens too.
    """

    prompt: str | list[int]
    options: RecallOptions
    name: str = "the prompt"
    scored: bool = False
    echoed: bool = False


@dataclass(frozen=True)
class SpelledToken:
    """A token as text, its log-probability, and its most probable rivals, best first."""

    text: str
    log_probability: float | None = None
    rivals: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One continuation.

    Attributes:
        tokens: after the prompt; a token that repeats the prompt's end is left out.
        confidences, windows: of each token, as in Continuation.
        documents, num_documents: as in Continuation.
        alternatives: of each token, as in Continuation; texts go on from where the prompt ends.
        snapped, matched, matched_text, reason: see Continuation.
        stop: "length", "end_of_document" or "abstained"; stop_confidence: as in Continuation.
    """

    tokens: list[SpelledToken]
    confidences: list[float]
    windows: list[int]
    stop: str
    stop_confidence: float
    alternatives: list[list[Alternative]] = field(default_factory=list)
    snapped: ReadAs | None = None
    matched: int | None = None
    matched_text: str | None = None
    reason: Reason | None = None
    documents: list[str] = field(default_factory=list)
    num_documents: int = 0


@dataclass(frozen=True)
class Answer:
    """The answer to one PromptAsk: at least one choice, best first. `prompt` is empty unless it was to be echoed;
    `digest` is that of the memory that was asked."""

    prompt_tokens: int
    prompt: list[SpelledToken]
    choices: list[Choice]
    digest: str = ""
