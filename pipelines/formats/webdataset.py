"""WebDataset: .tar files of samples, each the consecutive members of one key, its text in a .txt or .json of it.

Covers: texts among pictures and the like, archives that break off or are damaged. Does not cover: archives in archives,
links and devices, which are passed over.

The key of "images/00042.seg.png" is "images/00042", and "seg.png" says what it is; so WebDataset has it. A sample's
text is its .txt, else a field of its .json; "00042.title.txt" is a text of its own, "00042.title".
"""

import tarfile
from collections.abc import Iterator
from typing import IO, Any

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json
from pipelines.formats.fields import field_of
from pipelines.formats.forward_rows import MAX_ROW, BrokenRowError, ForwardRows, Row
from pipelines.formats.jsonl import text_bytes
from pipelines.reading import Reading
from pipelines.sources import Source

_CHUNK = 1 << 18
_HELD = 4 * tarfile.RECORDSIZE  # bytes last read, among them what made the library stop
_TEXT, _OBJECT = "txt", "json"
_Found = tuple[str, str, bytes | None]  # id of the document, member, its bytes or None of too many


class WebDatasetFormat(ForwardRows):
    """A document's id is the key of its sample."""

    name = "webdataset"
    suffixes: tuple[str, ...] = (".tar",)
    content = "text"

    def rows(self, handle: IO[bytes], source: Source) -> Iterator[Row]:
        """The texts of the samples, in order.

        Raises:
            InputError: also where there are members, and no texts.
        """
        held = _Held(handle)
        members = texts = place = 0
        for found, end in _samples(held, source):
            members += 1
            for one in found:
                texts += 1
                yield Row(end - place, one)
                place = end
        if members and not texts:
            raise InputError(
                f"{source.name} holds {members} samples, none with a text: expected members *.txt or *.json. "
                "Unpack an archive of other files first, or leave it out by --exclude"
            )

    def document(self, row: Row, source: Source, reading: Reading) -> tuple[object, bytes]:
        key, member, data = row.content
        if data is None:
            raise BrokenRowError(f"the member {member} is longer than {MAX_ROW:,} bytes")
        if member.lower().endswith(f".{_TEXT}"):
            return key, data
        try:
            found = parse_json(data.decode(errors="surrogateescape"))
        except ValueError as error:
            raise BrokenRowError(f"the member {member} is not JSON ({error})") from error
        text = field_of(found, reading.text_key, found) if isinstance(found, dict) else found
        if text is None:
            return key, b""
        if not isinstance(text, str) or text is found:
            got = f"the fields {sorted(found)}" if isinstance(found, dict) else f"a {type(found).__name__}"
            raise BrokenRowError(
                f"the member {member} is to be an object with the text in {reading.text_key!r}, and has {got}; name "
                "the field with --text-key"
            )
        try:
            return key, text.encode(errors="surrogateescape")  # bytes of the file that are no UTF-8
        except UnicodeEncodeError:
            return key, text_bytes(text)


def _samples(held: "_Held", source: Source) -> Iterator[tuple[list[_Found], int]]:
    """Of each sample its texts, and the byte of the archive at which it ends."""
    key, texts, objects, end = "", list[_Found](), list[_Found](), 0
    with tarfile.open(fileobj=held, mode="r|", errors="surrogateescape") as archive:  # type: ignore[call-overload]
        while (member := archive.next()) is not None:
            archive.members = []  # else it remembers all of them
            folder, slash, base = member.name.removeprefix("./").rpartition("/")
            stem, dot, ending = base.partition(".")
            if not member.isfile() or not stem or not dot:
                continue
            if f"{folder}{slash}{stem}" != key:
                if key:
                    yield texts or objects, end
                key, texts, objects = f"{folder}{slash}{stem}", [], []
            kind = ending.lower()
            if kind == _TEXT or kind.endswith(f".{_TEXT}"):
                named = f"{folder}{slash}{base[: -len(_TEXT) - 1]}"
                texts.append((named, member.name, _content(archive, member)))
            elif kind == _OBJECT:
                objects.append((key, member.name, _content(archive, member)))
            end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        held.require_end(archive.offset, source)
    if key:
        yield texts or objects, end


def _content(archive: Any, member: tarfile.TarInfo) -> bytes | None:
    if member.size > MAX_ROW:
        return None
    handle = archive.extractfile(member)
    data: bytes = handle.read()
    return data


class _Held:
    """A file that is read forward, and the last bytes that were read of it."""

    def __init__(self, handle: IO[bytes]) -> None:
        self._handle, self._last, self._place = handle, b"", 0

    def read(self, count: int) -> bytes:
        """The next bytes."""
        data = self._handle.read(count)
        self._last = (self._last + data)[-_HELD:]
        self._place += len(data)
        return data

    def require_end(self, place: int, source: Source) -> None:
        """The library stops at whatever is no header; only blocks of zeros say that an archive ends.

        Raises:
            InputError: from byte `place` on is something else, or nothing.
        """
        rest = self._last[max(0, place - self._place + len(self._last)) :]
        zeros = len(rest) >= tarfile.BLOCKSIZE and not any(rest)
        while zeros and (chunk := self.read(_CHUNK)):
            zeros = not any(chunk)
        if not zeros or self._place % tarfile.BLOCKSIZE:
            raise InputError(
                f"{source.name} is not whole, or damaged: from byte {place} on it has neither a member nor the end of "
                "an archive. Replace it or leave it out"
            )
