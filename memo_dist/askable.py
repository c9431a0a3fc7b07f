"""Askable: what can be asked of every memory from Python, whatever its form and wherever it is.

Covers: recall, trace, evaluate; prompts and texts as they are given. Does not cover: memories in this process
(memory.py), memory directories (memory_on_disk.py), how answers are found (recalling/).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from numbers import Number
from typing import TYPE_CHECKING, Unpack, cast, overload

import numpy as np
import pyarrow as pa

from memo_dist.batches import BatchInfo, make_batch
from memo_dist.errors import ConfigError, InputError
from memo_dist.memory_config import MemoryConfig
from memo_dist.recalling.answers import Answers
from memo_dist.recalling.near import with_near
from memo_dist.recalling.options import DEFAULTS, RecallOptions, RecallSettings
from memo_dist.recalling.questions import Prompt, is_unicode
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session
from memo_dist.recalling.trace import DEFAULT_LEAST, TracedText, trace_text
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer

if TYPE_CHECKING:
    from memo_dist.measuring.evaluation import Evaluation
    from memo_dist.reflections.answered import Answered

Prompts = list[Prompt] | list[str] | list[list[int]] | list[np.ndarray]
Texts = Iterable[str] | Iterable[tuple[str, str]] | Mapping[str, str]
_AT_ONCE = 256  # texts of a batch


class Askable(ABC):
    """A memory that answers: `recall` continues prompts, `trace` finds what of a text is held, `evaluate` measures.

    Attributes:
        config: shape and seed.
        tokenizer: of its texts; None for a memory of bare token ids.
    """

    config: MemoryConfig
    tokenizer: Tokenizer | None

    @property
    @abstractmethod
    def session(self) -> Session:
        """What answers prompts."""

    @overload
    def recall(self, prompts: Prompt, **settings: Unpack[RecallSettings]) -> Continuation: ...
    @overload
    def recall(self, prompts: Prompts, **settings: Unpack[RecallSettings]) -> Answers: ...
    def recall(self, prompts: Prompt | Prompts, **settings: Unpack[RecallSettings]) -> Continuation | Answers:
        """Continue one prompt, or each of a list of prompts, verbatim: texts by text, token ids by token ids.

        Example:
            >>> found = memory.recall("It was the best of times, it was the")
            >>> found.text, found.stop, found.documents
            >>> memory.recall(["one prompt", "another"], max_tokens=20, min_confidence=0.9).to_arrow()

        Args:
            prompts: a text, token ids (a list of numbers or an array), or a list of such prompts.
            settings: see RecallOptions; `count` makes a list of it also of one prompt: its different continuations.

        Returns:
            A Continuation of one prompt; Answers, a list of them, of a list. `count=3` gives the continuations of each
            prompt one after another, best first, each with its `prompt`.

        Raises:
            PromptError: a prompt cannot be asked; it is named. ConfigError: a setting is out of range.
        """
        options = RecallOptions(**settings)
        several = _are_several(prompts)
        asked = cast("list[Prompt]", list(prompts)) if several else [cast("Prompt", prompts)]
        answers = self.session.recall_several(asked, options)
        if several or options.count > 1:
            return Answers(one for found in answers for one in found)
        return answers[0][0]

    def trace(
        self,
        text: str,
        *,
        least: int = DEFAULT_LEAST,
        min_confidence: float = DEFAULTS.min_confidence,
        fuzzy: bool = False,
    ) -> TracedText:
        """Find the passages of a text that this memory holds, with the documents that they stand in.

        Example:
            >>> found = memory.trace(page)
            >>> found.held, [passage.text for passage in found.passages]

        Args:
            text: of any length.
            least: the shortest passage that counts as held, in words and other characters.
            min_confidence: of every statement.
            fuzzy: also find passages that are held nearly, and what differs: `near` of what comes back.

        Raises:
            InputError: it is no text. TokenizerError: this is a memory of bare token ids.
            ConfigError: `least` or `min_confidence` is out of range, or the memory is of the preset paper.
        """
        require_text(text, "what is traced")
        session = self.session
        traced = trace_text(session.lookup, session.tokenizer, text, least=least, min_confidence=min_confidence)
        return with_near(session.lookup, session.tokenizer, traced) if fuzzy else traced

    def answer(self, question: str, *, forms: Sequence[str] = ()) -> "Answered":
        """Answer a question from the reflections that a memory holds: verbatim as it was memorized, or not at all.

        Example:
            >>> found = memory.answer("Who is the mentor of Ada Finch?", forms=["Who mentored Ada Finch?"])
            >>> found.answer, found.form, found.documents, found.reason

        Args:
            question: of any length.
            forms: other ways to ask the same; each has a vote.

        Raises:
            InputError: one of them is no text.
        """
        from memo_dist.reflections.answering import answer_question

        return answer_question(self.session.lookup, question, forms)

    def evaluate(
        self,
        texts: Texts | None = None,
        *,
        unseen: Texts | None = None,
        sample: int = 5000,
        prompts: int = 200,
        lengths: Sequence[int] | None = None,
    ) -> "Evaluation":
        """Measure how well this memory recalls what it was given.

        Args:
            texts: all that was memorized: texts, (id, text) pairs, or a mapping; None: the tokens that it keeps.
            unseen: texts that were not memorized, to learn how often it answers what it does not hold.
            sample: positions asked for the next token.
            prompts: prompts of each length to continue by 30 tokens. lengths: of them, in tokens; 8 to 64 unless given.

        Raises:
            ConfigError: it keeps no tokens and no texts are given, or a length is below 1.
            InputError: what is given is no text.
        """
        from memo_dist.measuring.evaluation import evaluate
        from memo_dist.measuring.verbatim import PROMPTS

        tokens, associations = self._size()
        return evaluate(
            self.session.lookup.reader,
            self._kept() if texts is None else self._batches(texts),
            tokens=tokens,
            associations=associations,
            tokenizer=self.tokenizer,
            unseen=None if unseen is None else self._batches(unseen),
            sample=sample,
            prompts=prompts,
            lengths=PROMPTS if lengths is None else lengths,
        )

    @abstractmethod
    def _size(self) -> tuple[int, int]:
        """Tokens and associations that are held."""

    def _kept(self) -> Callable[[], Iterable[pa.Table]]:
        """The batches of the tokens that it keeps."""
        raise ConfigError("this memory keeps no tokens to be measured on; give the texts that were memorized")

    def _batches(self, texts: Texts) -> Callable[[], Iterable[pa.Table]]:
        return partial(_batches_of, list(named_texts(texts)), self.session.tokenizer)


def _batches_of(texts: list[tuple[str, str]], tokenizer: Tokenizer) -> Iterable[pa.Table]:
    for first in range(0, len(texts), _AT_ONCE):
        some = texts[first : first + _AT_ONCE]
        encoded = tokenizer.encode([text for _, text in some])
        segments = [
            (name, Segment(0, NO_TOKENS, ids, True)) for (name, _), ids in zip(some, encoded, strict=True) if len(ids)
        ]
        yield make_batch(segments, BatchInfo(f"texts {first}", "", "", tokenizer.hash))


def named_texts(texts: Texts) -> Iterable[tuple[str, str]]:
    """(id, text) pairs out of texts, which get their numbers from 1 on, of pairs, or of a mapping.

    Raises:
        InputError: one is no text; it is named.
    """
    if isinstance(texts, str):
        raise InputError("one text was given where several are expected; give [text], or {'an id': text}")
    pairs = texts.items() if isinstance(texts, Mapping) else texts
    for number, one in enumerate(pairs, start=1):
        name, text = one if isinstance(one, tuple) and len(one) == 2 else (str(number), one)
        if not isinstance(name, str):
            raise InputError(f"document {number} has the id {name!r}; expected a text")
        require_text(text, f"document {name!r}")
        yield name, cast("str", text)


def require_text(text: object, name: str) -> None:
    """Raise InputError, naming it, if this is no text."""
    if not isinstance(text, str):
        raise InputError(f"{name} is {str(text)[:40]!r} of type {type(text).__name__}; expected a text")
    if not is_unicode(text):
        raise InputError(f"{name} is not text that UTF-8 can spell: it has half a surrogate pair")


def _are_several(prompts: object) -> bool:
    """Whether this is a sequence of prompts: neither a text nor numbers in a row."""
    if isinstance(prompts, np.ndarray):
        return prompts.ndim > 1
    return isinstance(prompts, list | tuple) and not (prompts and isinstance(prompts[0], Number))
