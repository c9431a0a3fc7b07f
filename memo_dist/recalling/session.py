"""Session: an opened memory that is asked; the one place that decides how a prompt becomes an answer.

Covers: text or token ids, refusals, whether ledger or matrices are read. Does not cover: either of them
(exact_session.py, matrix_session.py), settings (options.py).

A text is asked by its tokenizer's ids; a memory without a tokenizer reads a text as numbers, "3 1 4 1".
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from memo_dist.errors import PromptError, TokenizerError
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Reader
from memo_dist.recalling.alternatives import with_told_alternatives
from memo_dist.recalling.exact_session import ExactSession
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.matrix_session import MatrixSession
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.placing import placed_further
from memo_dist.recalling.questions import (
    SHOWN,
    Prompt,
    Question,
    ids_of,
    is_unicode,
    require_askable,
    require_readable,
    why_too_short,
)
from memo_dist.recalling.recall import Continuation, said_nothing
from memo_dist.recalling.solved_session import SolvedSession
from memo_dist.tokenizer import Tokenizer

_MOST_ASKED = 4000  # characters at the end of a text


def _unasked(question: Question) -> list[Continuation]:
    """The answer to a question that a memory is not asked; none where it is."""
    if question.error is not None:
        return [replace(said_nothing("refused", 0.0), prompt=question.prompt, error=question.error)]
    if question.silent is None:
        return []
    text = None if question.text is None else ""
    nothing = replace(said_nothing("abstained", 0.0), text=text, matched=0, matched_text=text)
    return [replace(nothing, prompt=question.prompt, reason=question.silent)]


class Session:
    """Asks a memory, prompt by prompt or many together; prompts do not influence one another.

    Example:
        >>> with open_memory("m.memo") as memory:
        ...     (found,) = Session(memory, memory.tokenizer).recall(["the quick bro"], RecallOptions(max_tokens=9))
        >>> found.text

    Args:
        reader: the memory.
        tokenizer: of the memory; None for a memory of bare token ids.
        cleanup: as Lookup takes it.
    """

    def __init__(
        self, reader: Reader, tokenizer: Tokenizer | None = None, cleanup: Callable[[], Cleanup] | None = None
    ) -> None:
        self.lookup = Lookup(reader, cleanup)
        self._tokenizer = tokenizer

    @property
    def tokenizer(self) -> Tokenizer:
        """The memory's tokenizer.

        Raises:
            TokenizerError: it has none.
        """
        if self._tokenizer is None:
            raise TokenizerError("this is a memory of bare token ids: it has no tokenizer; give token ids, not text")
        return self._tokenizer

    @property
    def tokenizer_hash(self) -> str:
        """Of its tokenizer; "" for a memory of bare token ids."""
        return "" if self._tokenizer is None else self._tokenizer.hash

    def recall(self, prompts: Sequence[Prompt], options: RecallOptions = DEFAULTS) -> list[Continuation]:
        """The best continuation of each prompt.

        Raises:
            PromptError: a prompt cannot be asked; the first such prompt is named.
        """
        return [best for best, *_ in self.recall_several(prompts, options)]

    def recall_several(self, prompts: Sequence[Prompt], options: RecallOptions = DEFAULTS) -> list[list[Continuation]]:
        """Up to `options.count` different continuations of each prompt, at least one, best first.

        Raises:
            PromptError: a prompt cannot be asked; the first such prompt is named.
        """
        questions = self.questions(prompts, options)
        for question in questions:
            if question.error is not None:
                raise PromptError(question.error)
        return self.answer(questions, options)

    def questions(
        self, prompts: Sequence[Prompt], options: RecallOptions = DEFAULTS, names: Sequence[str] | None = None
    ) -> list[Question]:
        """Prompts, tokenized and checked; nothing is raised.

        Args:
            names: of the prompts, for refusals; None numbers them from 1 on and repeats how a text begins.
        """
        texts = [p for p in prompts if isinstance(p, str) and is_unicode(p)] if self._tokenizer else []
        encoded = iter(self.tokenizer.encode(texts)) if texts else iter(())
        questions = []
        for place, prompt in enumerate(prompts):
            name = names[place] if names else f"prompt {place + 1}"
            text = prompt if isinstance(prompt, str) and self._tokenizer is not None else None
            try:
                if text is None:
                    ids = ids_of(prompt, name=name)
                else:
                    name = name if names else f"{name} ({text[:SHOWN]!r})"
                    if not is_unicode(text):
                        raise PromptError(f"{name} is not text that UTF-8 can spell: it has half a surrogate pair")
                    ids = next(encoded).astype(np.int64)
                require_askable(ids, self.lookup.config, name=name)
                require_readable(self.lookup.reader, options.read, name=name)
                short = options.max_tokens and not options.from_start
                silent = why_too_short(ids, self.lookup.encoder) if short else None
                questions.append(Question(ids=ids, text=text, silent=silent))
            except PromptError as error:
                questions.append(Question(ids=np.zeros(0, np.int64), text=text, error=str(error)))
        return questions

    def answer(self, questions: Sequence[Question], options: RecallOptions = DEFAULTS) -> list[list[Continuation]]:
        """Up to `options.count` continuations of each question, best first; one that says "refused", and why, where
        the question cannot be asked."""
        answers = [_unasked(question) for question in questions]
        places = [place for place, answer in enumerate(answers) if not answer]
        ends = [self._end_of(questions[place]) for place in places]
        for cut, settings in ((False, options), (True, replace(options, from_start=False))):
            some = [row for row, end in enumerate(ends) if (end is not questions[places[row]]) is cut]
            told = self._asked([ends[row] for row in some], settings) if some else []
            for row, found in zip(some, told, strict=True):
                answers[places[row]] = [self._told(one, questions[places[row]], asked=ends[row]) for one in found]
        return answers

    def _end_of(self, question: Question) -> Question:
        """A question for what the end of a long text says: more of it would cost much and tell nothing."""
        text = question.text
        if text is None or len(text) <= _MOST_ASKED:
            return question
        begin = next((at for at in range(len(text) - _MOST_ASKED, len(text)) if text[at].isspace()), -_MOST_ASKED)
        (ids,) = self.tokenizer.encode([text[begin:]])
        return Question(ids=ids.astype(np.int64), text=text[begin:])

    def _asked(self, asked: list[Question], options: RecallOptions) -> list[list[Continuation]]:
        """The answers of whatever reads this memory."""
        if self.lookup.reader.is_solved:
            told = self._solved.answer(asked, options)
        elif self._reads_exactly(options):
            told = self._exact.answer(asked, options)
        else:
            told = self._matrices.answer(asked, options)
        if self.lookup.reader.has_ledger and options.max_tokens:
            told = self._placed(asked, told, options)
        return told

    def _told(self, found: Continuation, question: Question, *, asked: Question) -> Continuation:
        """An answer as it is told: with its prompt and what was changed in it, its alternatives spelled.

        Args:
            asked: the question that was asked for it, or for its end.
        """
        snapped = found.snapped if found.snapped is not None and found.snapped.changes else None
        if snapped is not None and question.text is not None and asked.text is not None:
            snapped = replace(snapped, text=question.text[: len(question.text) - len(asked.text)] + snapped.text)
        found = replace(found, prompt=question.prompt, snapped=snapped)
        return with_told_alternatives(found, asked.ids, self._tokenizer)

    def _placed(
        self, asked: Sequence[Question], told: list[list[Continuation]], options: RecallOptions
    ) -> list[list[Continuation]]:
        """The same answers, with the documents that they stand in; where nothing is said, those that the prompt does,
        if it is held."""
        lines = [self._passage(asked[row], one) for row, several in enumerate(told) for one in several if one.tokens]
        said = iter(placed_further(self.lookup.exact, lines, from_start=options.from_start))
        silent = [row for row, several in enumerate(told) if not all(one.tokens for one in several)]
        unsaid = dict(zip(silent, self._exact.places([asked[row] for row in silent], options), strict=True))

        def place(row: int, one: Continuation) -> Continuation:
            found = next(said) if one.tokens else unsaid[row]
            return replace(one, documents=found.documents, num_documents=found.count)

        return [[place(row, one) for one in several] for row, several in enumerate(told)]

    def _passage(self, question: Question, found: Continuation) -> np.ndarray:
        """The tokens of a prompt, as it was read, with those recalled."""
        if found.snapped is not None:  # it may end inside the first token recalled
            return self.tokenizer.encode([found.snapped.text + (found.text or "")])[0].astype(np.int64)
        ids = question.ids
        kept = ids[: len(ids) - found.healed] if found.healed else ids
        return np.concatenate([kept, np.array(found.tokens, np.int64)])

    def _reads_exactly(self, options: RecallOptions) -> bool:
        return options.read == "exact" or (options.read == "auto" and self.lookup.reader.has_ledger)

    @cached_property
    def _matrices(self) -> MatrixSession:
        return MatrixSession(self.lookup, self._tokenizer)

    @cached_property
    def _solved(self) -> SolvedSession:
        return SolvedSession(self.lookup.solved, self._tokenizer)

    @cached_property
    def _exact(self) -> ExactSession:
        return ExactSession(self.lookup.exact, self._tokenizer)
