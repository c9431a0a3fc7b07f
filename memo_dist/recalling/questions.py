"""Questions: prompts as they are asked, or why they cannot be.

Covers: texts and token ids given in any form, refusals, what is too short. Does not cover: answers (session.py).
"""

from dataclasses import dataclass
from numbers import Number

import numpy as np

from memo_dist.errors import PromptError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.cues import Encoder, Reader
from memo_dist.recalling.reasons import Reason, too_short

Prompt = str | list[int] | np.ndarray
_ONE = {"tokens": "token", "words and other characters": "word or other character"}
SHOWN = 30  # characters of a prompt that a refusal repeats


@dataclass(frozen=True, kw_only=True)
class Question:
    """A prompt as it is asked.

    Attributes:
        ids: (n,) int64.
        text: what the ids spell; None for a prompt of token ids.
        error: why it cannot be asked; None if it can.
        silent: why nothing is said to it without asking; None if it is asked.
    """

    ids: np.ndarray
    text: str | None = None
    error: str | None = None
    silent: Reason | None = None

    @property
    def prompt(self) -> str | list[int]:
        """As Continuation repeats it."""
        if self.text is not None:
            return self.text
        ids: list[int] = self.ids.tolist()
        return ids


def require_askable(ids: np.ndarray, config: MemoryConfig, *, name: str) -> None:
    """Raise PromptError, naming the prompt, if a token id is outside the vocabulary."""
    for token in (int(np.max(ids)), int(np.min(ids))) if len(ids) else ():
        if not 0 <= token < config.vocab_size:
            raise PromptError(f"{name} has token id {token}; the vocabulary has {config.vocab_size}")


def require_readable(reader: Reader, read: str, *, name: str) -> None:
    """Raise PromptError, naming the prompt, if the memory cannot be read as RecallOptions.read says."""
    if read == "exact" and not reader.has_ledger and not reader.is_solved:
        raise PromptError(
            f"{name} cannot be read exactly: this memory keeps no ledger; expected 'auto' or 'matrices' (read)"
        )
    if read == "matrices" and reader.is_solved:
        raise PromptError(
            f"{name} cannot be read from matrices: this memory is published with its values solved for, and has none; "
            "expected 'auto' or 'exact' (read)"
        )


def require_long_enough(ids: np.ndarray, encoder: Encoder, *, name: str) -> None:
    """Raise PromptError, naming the prompt, if it does not fill the shortest window."""
    reason = why_too_short(ids, encoder, name=name)
    if reason is not None:
        raise PromptError(reason.text)


def why_too_short(ids: np.ndarray, encoder: Encoder, *, name: str = "the prompt") -> Reason | None:
    """What a prompt lacks that does not fill the shortest window; None if it does."""
    if encoder.query([ids]).filled[0, 0]:
        return None
    shortest, (count, what) = encoder.config.windows[0], encoder.length(ids)
    counted = _ONE.get(what, what) if count == 1 else what
    return too_short(f"{name} has {count} {counted}", shortest, units=what)


def is_unicode(text: str) -> bool:
    """False for lone surrogates, which JSON and the shell can spell."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def ids_of(prompt: Prompt, *, name: str = "the prompt") -> np.ndarray:
    """Token ids given as numbers, or written in a text.

    Raises:
        PromptError: they are no whole numbers in a row.
    """
    words = prompt.replace(",", " ").split() if isinstance(prompt, str) else prompt
    if not isinstance(prompt, str):
        _require_whole(prompt, name)
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


def _require_whole(prompt: object, name: str) -> None:
    """Refuse what would be cut down to whole numbers: floats, truths; also a number alone."""
    if isinstance(prompt, Number):
        raise PromptError(f"{name} is {prompt!r}, a {type(prompt).__name__}; expected a text or a list of token ids")
    if isinstance(prompt, np.ndarray):
        if prompt.dtype.kind in "fcb" and prompt.size:
            raise PromptError(f"{name} is an array of {prompt.dtype}; token ids are whole numbers: give integers")
        return
    for place, one in enumerate(prompt if isinstance(prompt, list | tuple) else ()):
        if isinstance(one, float | complex | bool | np.floating | np.bool_):
            raise PromptError(
                f"{name} has {one!r}, a {type(one).__name__}, as token {place + 1}; token ids are whole numbers"
            )
