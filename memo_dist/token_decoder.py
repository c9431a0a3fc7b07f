"""TokenDecoder: token ids -> text, where a text goes on and where it ends inside a character.

Covers: whole texts, continuations, what each token adds, for every decoder of the `tokenizers` library. Does not cover:
definitions and encoding (tokenizer.py).

A decoder says what a text is that begins with the first id it is given: it strips a leading space (SentencePiece's
kind), and shows bytes that are no whole character yet as U+FFFD. So a continuation is never decoded by itself. With
whole(x) the text of x without an unfinished character at its end, `tokens` add to `before`
    whole(tail + tokens) without its beginning whole(tail),
where tail is the end of `before`, long enough that a decoder sees no beginning of a text.
Which ids hold bytes, and which, follows from the decoder: byte-level models spell every byte as a printable character,
models with byte fallback have an id `<0xNN>` for each byte; all other ids are whole characters.
"""

import codecs
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Model

_TAIL = 4  # ids before a continuation: decoders treat only the first one of a text otherwise
_LONGEST_CHARACTER = 4  # bytes, so that many ids at most
_LONGEST_TAIL = 64  # where ids add nothing to a text
REACH = _LONGEST_TAIL + _LONGEST_CHARACTER  # ids before a continuation that are looked at
_BYTE_ID = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TokenDecoder:
    """Decodes the ids of one tokenizer.

    Args:
        model: the tokenizer.
        decoder: the entry `decoder` of its definition.
    """

    def __init__(self, model: "Model", decoder: Any) -> None:
        self._model = model
        kinds = set(_kinds(decoder))
        self._byte_level = "ByteLevel" in kinds
        self._byte_fallback = "ByteFallback" in kinds and not self._byte_level
        self._bytes_of = {character: byte for byte, character in enumerate(byte_alphabet())}

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ids that begin a text; bytes that are not whole characters show as U+FFFD."""
        return str(self._model.decode(tokens, skip_special_tokens=False))

    def continuation(self, before: Sequence[int], tokens: Sequence[int]) -> str:
        """What `tokens` add to the text that `before` is, without an unfinished character at the end."""
        line = [*before[-REACH:], *tokens]
        return self._added(line, len(line) - len(tokens), len(line))

    def pieces(self, tokens: Sequence[int], before: Sequence[int] | None = None) -> list[str]:
        """What each id adds; a character of several ids comes whole, with the last of them.

        Joined they are `decode(tokens)`, or, with `before`, `continuation(before, tokens)`.
        """
        line = [*(before or [])[-REACH:], *tokens]
        start = len(line) - len(tokens)
        found = [self._added(line, at, at + 1) for at in range(start, len(line))]
        whole = self.decode(tokens) if before is None else self._added(line, start, len(line))
        return _fitted(found, whole)

    def _added(self, line: list[int], start: int, stop: int) -> str:
        """What ids [start, stop) of a line add to those before them."""
        begin = self._tail(line, start)
        said, whole = self._whole(line[begin:start]), self._whole(line[begin:stop])
        if not whole.startswith(said):  # bytes that are no text, which other bytes beside them may change
            alike = next((i for i, (a, b) in enumerate(zip(said, whole, strict=False)) if a != b), len(whole))
            return whole[alike:]
        return whole[len(said) :]

    def _tail(self, line: list[int], start: int) -> int:
        """Where the tail before `start` begins: not inside a character, and with something to read."""
        if not start:
            return 0
        begin = start - min(start, _TAIL)
        while begin and start - begin < _LONGEST_TAIL and not self.decode(line[begin:start]):
            begin = max(0, begin - _TAIL)
        for at in range(begin, max(-1, begin - _LONGEST_CHARACTER), -1):
            if not self._goes_on(line[at]):
                return at
        return begin

    def _goes_on(self, token: int) -> bool:
        """Whether the id begins inside a character."""
        data = self._bytes(token)
        return data is not None and 0x80 <= (data or b"\x80")[0] < 0xC0

    def _whole(self, tokens: list[int]) -> str:
        """The text of ids, without an unfinished character at its end."""
        if self._byte_level:
            unfinished = _unfinished(b"".join(self._bytes(token) or b"" for token in tokens[-_LONGEST_TAIL:]))
            text = self.decode(tokens)
            return text[:-1] if unfinished else text
        if self._byte_fallback:
            left = _unfinished(self._last_bytes(tokens))
            while left:
                left -= len(self._bytes(tokens[-1]) or b"")
                tokens = tokens[:-1]
        return self.decode(tokens)

    def _last_bytes(self, tokens: list[int]) -> bytes:
        """The bytes of the ids after the last one that is whole characters."""
        found: list[bytes] = []
        for token in reversed(tokens):
            data = self._bytes(token)
            if data is None:
                break
            found.append(data)
        return b"".join(reversed(found))

    def _bytes(self, token: int) -> bytes | None:
        """The bytes of an id; none for an id without a token; None if it is whole characters."""
        if not self._byte_level and not self._byte_fallback:
            return None
        spelled = self._model.id_to_token(token)
        if spelled is None:
            return b""
        if self._byte_level:
            known = [self._bytes_of.get(character) for character in spelled]
            return spelled.encode() if None in known else bytes(byte for byte in known if byte is not None)
        found = _BYTE_ID.fullmatch(spelled)
        return bytes([int(found[1], 16)]) if found else None


def byte_alphabet() -> list[str]:
    """The printable character that byte-level models use for each byte, in byte order (GPT-2's table: printable
    Latin-1 bytes stand for themselves, the others are numbered from U+0100)."""
    shown = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in shown else chr(next(hidden)) for byte in range(256)]


def _kinds(decoder: Any) -> list[str]:
    """The types of a decoder and of those it consists of."""
    if not isinstance(decoder, dict):
        return []
    return [str(decoder.get("type")), *(kind for one in decoder.get("decoders", []) for kind in _kinds(one))]


def _unfinished(data: bytes) -> int:
    """How many bytes at the end begin a character that more bytes could finish."""
    reader = codecs.getincrementaldecoder("utf-8")("replace")
    reader.decode(data)
    return len(reader.getstate()[0])


def _fitted(pieces: list[str], whole: str) -> list[str]:
    """Pieces that join to `whole`: as they are while they agree with it, then all that is left in the last one."""
    said = 0
    for place, piece in enumerate(pieces):
        if not whole.startswith(piece, said):
            pieces[place:] = [""] * (len(pieces) - place)
            break
        said += len(piece)
    return [*pieces[:-1], pieces[-1] + whole[said:]] if pieces else []
