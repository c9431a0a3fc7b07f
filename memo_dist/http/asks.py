"""What travels between the front and a replica: questions and answers, free of HTTP and of OpenAI's words.

Covers: dataclasses. Does not cover: bodies (bodies.py), answering (answerer.py), spelling answers (spelling.py).
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ask:
    """One prompt and how to continue it.

    Attributes:
        prompt: a text, or token ids.
        max_tokens: of the continuation; 0 for none.
        count: different continuations wanted.
        min_confidence, beam: see memo_dist/recalling/recall.py.
        scored: give log-probabilities of tokens and of their rivals.
        echoed: give the prompt's own tokens too.
    """

    prompt: "str | list[int]"
    max_tokens: int
    count: int
    min_confidence: float
    beam: int
    scored: bool
    echoed: bool

    @property
    def group(self) -> tuple[object, ...]:
        """Asks of one group can be answered by one call of recall."""
        kind = isinstance(self.prompt, str)
        return (kind, self.max_tokens, self.count, self.min_confidence, self.beam, self.scored)


@dataclass(frozen=True)
class SpelledToken:
    """A token as text, its log-probability, and its most probable rivals, best first."""

    text: str
    log_probability: float | None = None
    rivals: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """One continuation: tokens, and a confidence and a window of each; `stop`: length, end_of_document or abstained."""

    tokens: list[SpelledToken]
    confidences: list[float]
    windows: list[int]
    stop: str
    stop_confidence: float


@dataclass(frozen=True)
class Answer:
    """To one Ask; `choices` are one at least, best first. `prompt` is empty unless it was to be echoed."""

    prompt_tokens: int
    prompt: list[SpelledToken]
    choices: list[Choice]


@dataclass(frozen=True)
class Refusal:
    """Why an Ask cannot be answered, for whoever asked."""

    reason: str


@dataclass(frozen=True)
class TraceAsk:
    """A text to look up; see memo_dist/recalling/trace.py."""

    text: str
    least: int
    min_confidence: float
