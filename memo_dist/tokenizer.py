"""Tokenizer: text -> token ids and back, by a Hugging Face `tokenizers` model kept as JSON.

Covers: loading, identity (hash), encoding, what is refused. Does not cover: decoding (token_decoder.py), training
(tokenizer_training.py), long texts (pipelines/joining.py).
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.errors import TokenizerError
from memo_dist.json_text import parse_json
from memo_dist.token_decoder import TokenDecoder, byte_alphabet

_ENCODE_AT_ONCE = 1 << 17  # characters: the library takes up to 250 bytes for every token until it is done
_BYTES_LOADED = 12  # of memory for a byte of definition, while it is parsed; 5 are left
_COMMON_BYTES = 24 << 20  # of a tokenizer of 32,000 tokens, which are in what a plan gives to every process


class Tokenizer:
    """A tokenizer defined by its JSON text.

    Raises:
        TokenizerError: the JSON is not a tokenizer, or gives a text other tokens each time.
    """

    def __init__(self, definition: str, name: str = "tokenizer.json") -> None:
        self._load(_facts_of(definition, name), name)

    def _load(self, facts: "_Facts", name: str) -> None:
        from tokenizers import Tokenizer as Model

        self._facts = facts
        try:
            self._model: Model = Model.from_str(facts.definition)
        except Exception as error:  # tokenizers raises bare Exception
            raise _no_tokenizer(name, error) from error
        self._model.no_truncation()
        self._model.no_padding()
        self._model.post_processor = None  # special tokens are never added; else it only trims where tokens lie
        self._decoder = TokenDecoder(self._model, facts.decoder)

    def __reduce__(self) -> "tuple[Callable[[_Facts], Tokenizer], tuple[_Facts]]":
        return _restored, (self._facts,)

    @property
    def definition(self) -> str:
        """The JSON, without white space: one spelling, so that a memory can refuse any other."""
        return self._facts.definition

    @property
    def hash(self) -> str:
        """BLAKE2b-128 of the definition, whatever its white space."""
        return self._facts.hash

    @property
    def memory_bytes(self) -> int:
        """What a process takes at most to load it, beyond what a tokenizer of a common size takes."""
        return max(0, _BYTES_LOADED * len(self.definition) - _COMMON_BYTES)

    @classmethod
    def from_file(cls, path: str | Path) -> "Tokenizer":
        """Read a tokenizer.json.

        Raises:
            TokenizerError: the file is missing or is no tokenizer.
        """
        try:
            return cls(Path(path).read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerError(
                f"tokenizer {path}: {error}; expected auto, bytes, or the path of a tokenizer.json"
            ) from error

    @classmethod
    def bytes(cls) -> "Tokenizer":
        """One token per byte of UTF-8; the token id is the byte."""
        from tokenizers import Tokenizer as Model
        from tokenizers import decoders, models, pre_tokenizers

        vocabulary = {character: byte for byte, character in enumerate(byte_alphabet())}
        model = Model(models.BPE(vocab=vocabulary, merges=[]))
        model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        model.decoder = decoders.ByteLevel()
        return cls(model.to_str())

    @cached_property
    def vocab_size(self) -> int:
        """The highest token id and one: ids may have holes."""
        return max(self._model.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, texts: list[str], *, at_once: int = _ENCODE_AT_ONCE) -> list[np.ndarray]:
        """Token ids of each text, (n,) uint32, without special tokens.

        Args:
            at_once: characters whose texts are shared out among the library's threads; each may take 250 bytes.

        Raises:
            TokenizerError: the tokenizer gives up on one of them.
        """
        tokens: list[np.ndarray] = []
        for some in _slices(texts, at_once):
            tokens += self._ids(some)
        return tokens

    def _ids(self, texts: list[str]) -> list[np.ndarray]:
        with _panics_told():
            encodings = self._model.encode_batch_fast(texts, add_special_tokens=False)
        return [np.array(encoding.ids, np.uint32) for encoding in encodings]

    def encode_with_places(self, text: str) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Token ids of a text, (n,) uint32, and for each where its characters begin and end."""
        with _panics_told():
            encoding = self._model.encode(text, add_special_tokens=False)
        return np.array(encoding.ids, np.uint32), encoding.offsets

    def encode_with_words(self, text: str) -> tuple[np.ndarray, list[tuple[int, int]], list[int | None]]:
        """As `encode_with_places`, and for each token the number of the word, or other part of the text, that it is
        made from by itself."""
        with _panics_told():
            encoding = self._model.encode(text, add_special_tokens=False)
        return np.array(encoding.ids, np.uint32), encoding.offsets, encoding.word_ids

    def decode_several(self, several: list[list[int]]) -> list[str]:
        """`decode` of each; faster together."""
        return [str(text) for text in self._model.decode_batch(several, skip_special_tokens=False)]

    def decode(self, tokens: list[int]) -> str:
        """The text of token ids; bytes that are not whole characters show as U+FFFD."""
        return self._decoder.decode(tokens)

    def continuation(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """What `tokens` add to the text when they follow `before`.

        Exactly what stands there: with the space that a decoder strips where a text begins, and without a character
        at the end of which more tokens are to come.
        """
        return self._decoder.continuation(before, tokens)

    def loses_last_space(self, text: str, tokens: list[int]) -> bool:
        """Whether a text ends in white space of which its tokens say nothing: what follows them begins with it."""
        return text[-1:].isspace() and not self.continuation(tokens[:-1], tokens[-1:])[-1:].isspace()

    def pieces(self, tokens: list[int], before: Sequence[int] | None = None) -> list[str]:
        """What each token adds to the text; a character of several tokens comes whole, with the last of them.

        Joined they are `decode(tokens)`, or, with the tokens before them, `continuation(before, tokens)`.
        """
        return self._decoder.pieces(tokens, before)


def _require_deterministic(parsed: dict[str, Any], name: str) -> None:
    """Raise TokenizerError for a model that chooses among spellings by chance."""
    model = parsed.get("model")
    dropout = model.get("dropout") if isinstance(model, dict) else None
    if dropout:
        raise TokenizerError(
            f"{name} has a dropout of {dropout}: it gives the same text other tokens each time, and a memory is asked "
            "by the tokens it was given; set model.dropout to null in the file"
        )


def _slices(texts: list[str], at_once: int) -> Iterator[list[str]]:
    """Runs of texts of about `at_once` characters."""
    start = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= at_once:
            yield texts[start : index + 1]
            start, size = index + 1, 0
    if start < len(texts):
        yield texts[start:]


@dataclass(frozen=True)
class _Facts:
    """What is known of a definition once it was parsed; a process that gets these need not do it again."""

    definition: str
    hash: str
    decoder: Any = field(compare=False)


def _facts_of(definition: str, name: str) -> _Facts:
    """Parse a definition.

    Raises:
        TokenizerError: it is no JSON object, or a tokenizer that chooses by chance.
    """
    try:
        parsed = parse_json(definition)
        state = hashlib.blake2b(digest_size=16)
        for part in json.JSONEncoder(sort_keys=True, separators=(",", ":")).iterencode(parsed):
            state.update(part.encode())
        facts = _Facts(json.dumps(parsed, separators=(",", ":")), state.hexdigest(), parsed.get("decoder"))
    except Exception as error:  # whatever JSON that is no object leads to
        raise _no_tokenizer(name, error) from error
    _require_deterministic(parsed, name)
    return facts


def _no_tokenizer(name: str, error: Exception) -> TokenizerError:
    return TokenizerError(f"{name} is not a tokenizer of the `tokenizers` library: {error}")


@contextmanager
def _panics_told() -> Iterator[None]:
    """A panic of the library, of its regular expressions above all, is no Exception: nobody would catch it."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise TokenizerError(
            f"the tokenizer gave up on a text ({error}). Leave the text out, or use a tokenizer whose patterns do not "
            "go back and forth"
        ) from error


@lru_cache(maxsize=2)
def _restored(facts: _Facts) -> Tokenizer:
    """Unpickle; a worker gets the same tokenizer with every task, and loading one takes a tenth of a second."""
    tokenizer = Tokenizer.__new__(Tokenizer)
    tokenizer._load(facts, "tokenizer.json")
    return tokenizer
