"""Session: an opened memory that is asked; the one place that decides how a prompt becomes an answer.

Covers: text or token ids, refusals, healing of cut-off texts, decoding. Does not cover: continuation itself
(recall.py), settings (options.py).

A text is asked by its tokenizer's ids; a memory without a tokenizer reads a text as numbers, "3 1 4 1". A prompt that a
person cuts off ("the quick bro") is tokenized otherwise than the text it was cut from, so its last windows were never
written. Where recall abstains at once, the prompt's last one to three tokens are taken away and recalled again; the
answer counts only if it begins with exactly the text taken away. A prompt's first word may be cut off as well, and
would spoil every window that reaches back to it, so it is not asked. Token ids are asked as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from memo_dist.errors import PromptError, TokenizerError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Reader
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.recall import Continuation, continue_ids, said_nothing
from memo_dist.tokenizer import Tokenizer

Prompt = str | list[int] | np.ndarray
_MOST_HEALED = 3
_LONGEST_WORD = 8  # tokens
_SHOWN = 30  # characters of a prompt that a refusal repeats


@dataclass(frozen=True, kw_only=True)
class Question:
    """A prompt as it is asked.

    Attributes:
        ids: (n,) int64.
        text: what the ids spell; None for a prompt of token ids.
        error: why it cannot be asked; None if it can.
    """

    ids: np.ndarray
    text: str | None = None
    error: str | None = None

    @property
    def prompt(self) -> str | list[int]:
        """As Continuation repeats it."""
        if self.text is not None:
            return self.text
        ids: list[int] = self.ids.tolist()
        return ids


class Session:
    """Asks a memory, prompt by prompt or many together; prompts do not influence one another.

    Example:
        >>> with open_memory("m.memo") as memory:
        ...     (found,) = Session(memory, memory.tokenizer).recall(["the quick bro"], RecallOptions(max_tokens=9))
        >>> found.text

    Args:
        reader: the memory.
        tokenizer: of the memory; None for a memory of bare token ids.
        cleanup: of the memory's config; None makes one.
    """

    def __init__(self, reader: Reader, tokenizer: Tokenizer | None = None, cleanup: Cleanup | None = None) -> None:
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
        texts = [p for p in prompts if isinstance(p, str) and _is_unicode(p)] if self._tokenizer else []
        encoded = iter(self.tokenizer.encode(texts)) if texts else iter(())
        questions = []
        for place, prompt in enumerate(prompts):
            name = names[place] if names else f"prompt {place + 1}"
            text = prompt if isinstance(prompt, str) and self._tokenizer is not None else None
            try:
                if text is None:
                    ids = _ids(prompt)
                else:
                    name = name if names else f"{name} ({text[:_SHOWN]!r})"
                    if not _is_unicode(text):
                        raise PromptError(f"{name} is not text that UTF-8 can spell: it has half a surrogate pair")
                    ids = next(encoded).astype(np.int64)
                require_askable(ids, self.lookup.config, name=name, any_length=_any_length(options))
                questions.append(Question(ids=ids, text=text))
            except PromptError as error:
                questions.append(Question(ids=np.zeros(0, np.int64), text=text, error=str(error)))
        return questions

    def answer(self, questions: Sequence[Question], options: RecallOptions = DEFAULTS) -> list[list[Continuation]]:
        """Up to `options.count` continuations of each question, best first; one that says "refused", and why, where
        the question cannot be asked."""
        answers = [
            [] if q.error is None else [replace(said_nothing("refused", 0.0), prompt=q.prompt, error=q.error)]
            for q in questions
        ]
        places = [place for place, question in enumerate(questions) if question.error is None]
        ids = [self._asked(questions[place], options) for place in places]
        for place, found in zip(places, continue_ids(self.lookup, ids, options), strict=True):
            answers[place] = [self._said(questions[place], one, 0) for one in found]
        texts = {place: asked for place, asked in zip(places, ids, strict=True) if questions[place].text is not None}
        if options.max_tokens:
            self._heal(questions, answers, texts, options=options)
        return answers

    def _asked(self, question: Question, options: RecallOptions) -> np.ndarray:
        if question.text is None or _any_length(options):
            return question.ids
        return _without_first_word(question.ids, self.tokenizer, self.lookup.config.windows[0])

    def _said(self, question: Question, found: Continuation, cut: int) -> Continuation:
        """A continuation as the answer to its question; `cut` tokens of the prompt are repeated by it."""
        text = None if question.text is None else self.tokenizer.decode(found.tokens)
        return replace(found, prompt=question.prompt, text=text, healed=cut)

    def _heal(
        self,
        questions: Sequence[Question],
        answers: list[list[Continuation]],
        texts: dict[int, np.ndarray],
        *,
        options: RecallOptions,
    ) -> None:
        """Ask texts that have no answer again, without their last tokens; `texts` are place -> ids asked before."""
        shortest = 0 if options.from_start else self.lookup.config.windows[0]
        for cut in range(1, _MOST_HEALED + 1):
            silent = [
                place
                for place, ids in texts.items()
                if answers[place][0].stop == "abstained" and not answers[place][0].text and len(ids) - cut >= shortest
            ]
            again = continue_ids(self.lookup, [texts[place][:-cut] for place in silent], options)
            for place, several in zip(silent, again, strict=True):
                taken = self.tokenizer.decode(texts[place][-cut:].tolist())
                whole = [self._said(questions[place], found, cut) for found in several]
                healed = [
                    replace(one, text=one.text[len(taken) :])
                    for one in whole
                    if one.text is not None and one.text.startswith(taken) and len(one.text) > len(taken)
                ]
                answers[place] = healed or answers[place]


def require_askable(ids: np.ndarray, config: MemoryConfig, *, name: str, any_length: bool = False) -> None:
    """Raise PromptError, naming the prompt, if its token ids cannot be asked.

    Args:
        name: of the prompt.
        any_length: a prompt may be shorter than the shortest window.
    """
    shortest = config.windows[0]
    if len(ids) < shortest and not any_length:
        raise PromptError(
            f"{name} has {len(ids)} tokens; the shortest window is {shortest}: give at least {shortest} tokens "
            f"({config.context_length} or more work best), or say that it begins a document (from_start)"
        )
    for token in (int(np.max(ids)), int(np.min(ids))) if len(ids) else ():
        if not 0 <= token < config.vocab_size:
            raise PromptError(f"{name} has token id {token}; the vocabulary has {config.vocab_size}")


def _any_length(options: RecallOptions) -> bool:
    return options.from_start or not options.max_tokens


def _is_unicode(text: str) -> bool:
    """False for lone surrogates, which JSON and the shell can spell."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _ids(prompt: Prompt) -> np.ndarray:
    """Token ids given as numbers, or written in a text."""
    words = prompt.replace(",", " ").split() if isinstance(prompt, str) else prompt
    try:
        if isinstance(words, np.ndarray) and words.dtype.kind == "u":
            words = words.tolist()  # a cast of what int64 cannot hold would wrap
        ids = np.array(words, np.int64)
        if ids.ndim != 1:
            raise ValueError(f"{ids.ndim} dimensions")
        return ids
    except (ValueError, OverflowError, TypeError) as error:
        why = "; this memory has no tokenizer to read text with" if isinstance(prompt, str) else f" ({error})"
        raise PromptError(f"{str(prompt)[:40]!r} is no list of token ids, such as '3 1 4 1'{why}") from error


def _without_first_word(tokens: np.ndarray, tokenizer: Tokenizer, shortest: int) -> np.ndarray:
    """The tokens from the first one on that begins with white space; without the first if none of the next few does."""
    nearby = range(1, min(_LONGEST_WORD, len(tokens)))
    cut = next((i for i in nearby if tokenizer.decode([int(tokens[i])])[:1].isspace()), 1)
    return tokens[cut:] if len(tokens) - cut >= shortest else tokens
