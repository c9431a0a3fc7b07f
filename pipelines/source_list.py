"""SourceList: the files of a corpus in columns, a Source made of a row whenever one is asked for.

Covers: some 30 bytes a file where a Source takes 700; the files that a task reads, as a list of their own. Does not
cover: which files there are (find.py), what of them is read (split_list.py).

A name is kept as its last part and, for all files of a folder together, what stands before that in name and URL.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, overload

from pipelines.passed_over import PassedOver
from pipelines.sources import Source

_Folder = tuple[str, str]
_Kind = tuple[str, str | None]
Key = TypeVar("Key")


class SourceList(Sequence[Source]):
    """Sources, in order.

    Args:
        sources: the first of them.

    Attributes:
        passed_over: the files beside them that are not read.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self._folders, self._kinds = dict[_Folder, int](), dict[_Kind, int]()  # in the order of their numbers
        self._folder_of, self._kind_of = list[_Folder](), list[_Kind]()
        self._folder, self._kind = array("l"), array("B")
        self._names, self._ends = bytearray(), array("q", [0])
        self._sizes, self._rows = array("q"), array("q")
        self.passed_over = PassedOver()
        for source in sources:
            self.append(source)

    def append(self, source: Source) -> None:
        """Add one at the end."""
        base = source.name[source.name.rfind("/") + 1 :]
        if not source.url.endswith(base):
            base = ""
        cut = len(base)
        folder = (source.name[: len(source.name) - cut], source.url[: len(source.url) - cut])
        kind = (source.format, source.compression)
        self._folder.append(_number(folder, self._folders, self._folder_of))
        self._kind.append(_number(kind, self._kinds, self._kind_of))
        self._names += base.encode()
        self._ends.append(len(self._names))
        self._sizes.append(source.size)
        self._rows.append(source.rows)

    def __len__(self) -> int:
        return len(self._sizes)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> "SourceList": ...
    def __getitem__(self, index: int | slice) -> "Source | SourceList":
        if isinstance(index, slice):
            return SourceList(self[place] for place in range(len(self))[index])
        place = range(len(self))[index]
        base = self._names[self._ends[place] : self._ends[place + 1]].decode()
        name, url = self._folder_of[self._folder[place]]
        format_, compression = self._kind_of[self._kind[place]]
        sizes = {"size": self._sizes[place], "rows": self._rows[place]}
        return Source(name + base, url + base, format_, compression, **sizes)

    def __iter__(self) -> Iterator[Source]:
        return (self[place] for place in range(len(self)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SourceList)
            and len(self) == len(other)
            and all(a == b for a, b in zip(self, other, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]  # it can be added to


def _number(key: Key, numbers: dict[Key, int], keys: list[Key]) -> int:
    number = numbers.setdefault(key, len(keys))
    if number == len(keys):
        keys.append(key)
    return number
