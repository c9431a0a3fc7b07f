"""SeveralSession: several memories that are asked together; the one that holds most of a prompt answers it.

Covers: which memory answers, whose answer it is. Does not cover: one memory (session.py), lengths (match.py).

Every memory answers for itself, in its own tokens. Of those that say something that one wins which holds the longest
end of the prompt in one piece, in characters; between equals the surer one, then the one in which the passage stands in
more documents, then the one that was named first. Where none says anything, one wins that knows where the prompt
stands, or else the one that comes nearest to saying something. A prompt is refused if all refuse it, for the first
one's reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from memo_dist.errors import ConfigError, PromptError
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.questions import Prompt, Question
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session

Asked = list[Question]  # one prompt, as each memory is asked
_SLIP = 2  # characters that a prompt which was snapped counts less: who holds it as it was typed holds more


class SeveralSession:
    """Asks memories together, prompt by prompt or many; answers have the `memory` that says them.

    Example:
        >>> with open_memory("a.memo") as a, open_memory("b.memo") as b:
        ...     both = SeveralSession({"a": Session(a, a.tokenizer), "b": Session(b, b.tokenizer)})
        ...     (found,) = both.recall(["the quick bro"])
        >>> found.memory, found.text

    Args:
        sessions: of each memory, by the name that answers say. One alone is asked as it is, and not named.

    Raises:
        ConfigError: there is none.
    """

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        if not sessions:
            raise ConfigError("no memory was given; expected one or more")
        self._names, self._sessions = list(sessions), list(sessions.values())

    def recall(self, prompts: Sequence[Prompt], options: RecallOptions = DEFAULTS) -> list[Continuation]:
        """The best continuation of each prompt.

        Raises:
            PromptError: no memory can be asked a prompt; the first such prompt is named.
        """
        return [best for best, *_ in self.recall_several(prompts, options)]

    def recall_several(self, prompts: Sequence[Prompt], options: RecallOptions = DEFAULTS) -> list[list[Continuation]]:
        """Up to `options.count` different continuations of each prompt, all of one memory, best first.

        Raises:
            PromptError: no memory can be asked a prompt; the first such prompt is named.
        """
        answers = self.answer(self.questions(prompts, options), options)
        for best, *_ in answers:
            if best.error is not None:
                raise PromptError(best.error)
        return answers

    def questions(
        self, prompts: Sequence[Prompt], options: RecallOptions = DEFAULTS, names: Sequence[str] | None = None
    ) -> list[Asked]:
        """Prompts, as each memory is asked them; nothing is raised. See Session.questions."""
        unlike = len({session.tokenizer_hash for session in self._sessions}) > 1
        asked = [session.questions(prompts, options, names) for session in self._sessions]
        found = [list(several) for several in zip(*asked, strict=True)]
        for place, prompt in enumerate(prompts):
            if unlike and not isinstance(prompt, str):
                name = names[place] if names else f"prompt {place + 1}"
                error = f"{name} is token ids, and these memories have different tokenizers: ask them for text"
                found[place] = [replace(question, error=error) for question in found[place]]
        return found

    def answer(self, questions: Sequence[Asked], options: RecallOptions = DEFAULTS) -> list[list[Continuation]]:
        """Up to `options.count` continuations of each question; one that says "refused", and why, where no memory can
        be asked it."""
        told = [
            session.answer([asked[place] for asked in questions], options)
            for place, session in enumerate(self._sessions)
        ]
        if len(self._sessions) == 1:
            return told[0]
        return [self._best(list(several)) for several in zip(*told, strict=True)]

    def _best(self, told: list[list[Continuation]]) -> list[Continuation]:
        """The answers of the memory that wins one prompt; `told` are those of all, in order."""
        answering = [place for place, (first, *_) in enumerate(told) if first.error is None]
        if not answering:
            return told[0]
        saying = [place for place in answering if _says(told[place][0])]
        if len(saying) > 1:
            best = max(saying, key=lambda place: self._worth(told[place][0]))
        elif saying:
            best = saying[0]
        else:
            best = max(answering, key=lambda place: _nearness(told[place][0]))
        return [replace(one, memory=self._names[best]) for one in told[best]]

    @staticmethod
    def _worth(found: Continuation) -> tuple[int, float, int]:
        length = (found.matched or 0) if found.matched_text is None else len(found.matched_text)
        length = max(0, length - _SLIP * (found.snapped is not None))
        return length, (found.confidences or [found.stop_confidence])[0], found.num_documents


def _nearness(found: Continuation) -> tuple[bool, float]:
    return found.num_documents > 0, found.stop_confidence


def _says(found: Continuation) -> bool:
    return bool(found.tokens) or found.stop == "end_of_document"
