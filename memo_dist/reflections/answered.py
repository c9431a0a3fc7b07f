"""Answered: what a memory of reflections says to a question.

Covers: the answer or why there is none. Does not cover: finding it (answering.py).
"""

from dataclasses import dataclass

from memo_dist.result import Result

UNKNOWN = "I don't know"  # the words of abstention wherever text is asked for


@dataclass(frozen=True)
class Answered(Result):
    """The answer to one question, or why there is none.

    Attributes:
        answer: verbatim as it was memorized; None: the memory does not know.
        confidence: the share of the asked forms of the question that agree, from 0 to 1.
        form: how the question and a stored form of it are alike, and that form; None without an answer.
        documents: those that the answer was drawn from, sorted.
        reason: why there is no answer, in plain English; "" where there is one.
    """

    answer: str | None
    confidence: float
    form: str | None
    documents: tuple[str, ...]
    reason: str

    @property
    def text(self) -> str:
        """The answer in words, also where there is none."""
        return UNKNOWN if self.answer is None else self.answer


def unanswered(reason: str, *, confidence: float = 0.0, documents: tuple[str, ...] = ()) -> Answered:
    """No answer, for this reason."""
    return Answered(answer=None, confidence=confidence, form=None, documents=documents, reason=reason)
