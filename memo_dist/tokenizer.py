"""Tokenizer: text -> token ids and back, by a Hugging Face `tokenizers` model kept as JSON.

Covers: loading, identity (hash), encoding, decoding. Does not cover: training and cutting long texts
(pipelines/tokenizing.py).
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from memo_dist.errors import TokenizerError

_ENCODE_AT_ONCE = 1 << 19  # characters: the library takes some 150 bytes for every token until it is done


class Tokenizer:
    """A tokenizer defined by its JSON text.

    Raises:
        TokenizerError: the JSON is not a tokenizer.
    """

    def __init__(self, definition: str, name: str = "tokenizer.json") -> None:
        from tokenizers import Tokenizer as Model

        try:
            parsed = json.loads(definition)
            #: The JSON, without white space: one spelling, so that a memory can refuse any other.
            self.definition = json.dumps(parsed, separators=(",", ":"))
            canonical = json.dumps(parsed, sort_keys=True, separators=(",", ":"))
            self._model: Model = Model.from_str(definition)
        except Exception as error:  # tokenizers raises bare Exception
            raise TokenizerError(f"{name} is not a tokenizer of the `tokenizers` library: {error}") from error
        self._model.no_truncation()
        self._model.no_padding()
        #: BLAKE2b-128 of the definition, whatever its white space.
        self.hash = hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()

    def __reduce__(self) -> "tuple[Callable[[str], Tokenizer], tuple[str]]":
        return _restored, (self.definition,)

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

        vocabulary = {character: byte for byte, character in enumerate(_byte_alphabet())}
        model = Model(models.BPE(vocab=vocabulary, merges=[]))
        model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        model.decoder = decoders.ByteLevel()
        return cls(model.to_str())

    @property
    def vocab_size(self) -> int:
        return int(self._model.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: list[str]) -> list[np.ndarray]:
        """Token ids of each text, (n,) uint32, without special tokens."""
        tokens: list[np.ndarray] = []
        for some in _slices(texts):
            encodings = self._model.encode_batch_fast(some, add_special_tokens=False)
            tokens += [np.array(encoding.ids, np.uint32) for encoding in encodings]
        return tokens

    def encode_with_places(self, text: str) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """Token ids of a text, (n,) uint32, and for each where its characters begin and end."""
        encoding = self._model.encode(text, add_special_tokens=False)
        return np.array(encoding.ids, np.uint32), encoding.offsets

    def pieces(self, tokens: list[int]) -> list[str]:
        """What each token adds to the text; a character of several tokens comes whole, with the last of them.
        Joined they are `decode(tokens)`."""
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        found = [stream.step(self._model, token) or "" for token in tokens]
        rest = self.decode(tokens)[sum(map(len, found)) :]  # bytes that are no whole character yet
        return [*found[:-1], found[-1] + rest] if found else []

    def decode(self, tokens: list[int]) -> str:
        """The text of token ids; bytes that are not whole characters show as U+FFFD."""
        return str(self._model.decode(tokens, skip_special_tokens=False))


def _slices(texts: list[str]) -> Iterator[list[str]]:
    """Runs of texts of about `_ENCODE_AT_ONCE` characters."""
    start = size = 0
    for index, text in enumerate(texts):
        size += len(text)
        if size >= _ENCODE_AT_ONCE:
            yield texts[start : index + 1]
            start, size = index + 1, 0
    if start < len(texts):
        yield texts[start:]


@lru_cache(maxsize=2)
def _restored(definition: str) -> Tokenizer:
    """Unpickle; a worker gets the same tokenizer with every task, and parsing one takes a tenth of a second."""
    return Tokenizer(definition)


def _byte_alphabet() -> list[str]:
    """The printable character that byte-level models use for each byte, in byte order (GPT-2's table: printable
    Latin-1 bytes stand for themselves, the others are numbered from U+0100)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]
