"""A memory that is a dictionary: it obeys the protocol of what the executive asks, and nothing else."""

from collections import Counter
from collections.abc import Iterable, Sequence

from memo_dist.reflections.answered import Answered, unanswered
from memo_dist.reflections.reflection import Reflection


def normalised(question: str) -> str:
    return " ".join("".join(one for one in question.lower() if one.isalnum() or one == " ").split())


class DictionaryMemory:
    """Answers of normalised questions; the forms of a question vote.

    Attributes:
        asked: (question, forms), in the order in which they came.
    """

    def __init__(self, reflections: Iterable[Reflection] = ()) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.answers: dict[str, str] = {}
        for one in reflections:
            for form in (one.question, *one.forms):
                self.answers[normalised(form)] = one.answer

    def answer(self, question: str, *, forms: Sequence[str] = ()) -> Answered:
        self.asked.append((question, tuple(forms)))
        said = [self.answers.get(normalised(form)) for form in (question, *forms)]
        votes = Counter(one for one in said if one is not None).most_common(1)
        if not votes:
            return unanswered("nothing of the kind is held")
        return Answered(votes[0][0], votes[0][1] / len(said), form=question, documents=(), reason="")
