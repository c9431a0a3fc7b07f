"""Forward: streams that can only be read forward, kept from one split of a file to the next.

Covers: which stream is nearest to where a split begins, the bytes before that, how many are kept. Does not cover: what
is streamed (sources.py opens compressed files, formats/parquet_rows.py reads rows), files that one task reads from
front to end (streaming.py).

A compressed text that is cut into k splits would be decompressed k/2 times if every split began at its front. A process
gets the splits of a file in order, so it keeps the stream where the last one stopped and goes on from there: each
process decompresses the file once. What a split reads never depends on that.
"""

import atexit
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import RawIOBase
from typing import IO, Any, Protocol, TypeVar

_STREAMS = 4  # kept by a process: one for each thread of a small build; a codec's window is some megabytes
_REMEMBERED = 1 << 20  # bytes behind a place that can be read again: a split of text looks a piece back
_CHUNK = 1 << 18


class Stream(Protocol):
    """What can be read forward; `first` is the earliest place at which it can be read now, `place` the next one, and
    `ended` whether all of it was read."""

    @property
    def first(self) -> int: ...
    @property
    def place(self) -> int: ...
    @property
    def ended(self) -> bool: ...
    def close(self) -> None: ...


S = TypeVar("S", bound=Stream)
_idle: list[tuple[Hashable, Any]] = []
_lock = threading.Lock()


@contextmanager
def resumed(key: Hashable, start: int, opened: Callable[[], S]) -> Iterator[S]:
    """A stream of `key` from which `start` can be read: the nearest that is kept, else a new one; kept afterwards.

    Args:
        key: equal for streams of the same content.
    """
    stream = _nearest(key, start) or opened()
    try:
        yield stream
    except GeneratorExit:  # the reader wants no more of it
        _keep(key, stream)
        raise
    except BaseException:
        stream.close()
        raise
    _keep(key, stream)


def _nearest(key: Hashable, start: int) -> Any:
    with _lock:
        fits = [one for one in _idle if one[0] == key and one[1].first <= start]
        if not fits:
            return None
        nearest = max(fits, key=lambda one: one[1].place)
        _idle.remove(nearest)
        return nearest[1]


def _keep(key: Hashable, stream: Stream) -> None:
    if stream.ended:
        stream.close()
        return
    with _lock:
        _idle.append((key, stream))
    close_all(_STREAMS)


@atexit.register
def close_all(but: int = 0) -> None:
    """Close the streams that are kept, but for so many that were used last."""
    with _lock:
        last = len(_idle) - but
        dropped = [_idle.pop(0) for _ in range(last)]
    for _, one in dropped:
        one.close()


class ForwardBytes(RawIOBase):
    """The bytes of a file that cannot seek, with at least the last _REMEMBERED of them.

    Args:
        opened: gives the handle; its block ends with this stream.
    """

    def __init__(self, opened: AbstractContextManager[IO[bytes]]) -> None:
        super().__init__()
        self._opened, self._handle = opened, opened.__enter__()
        self._held, self.first, self.place, self.ended = bytearray(), 0, 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on from `place`.

        Raises:
            Exception: of the codec's own class, where the file is damaged.
        """
        if self.place == self._end:
            self._advance(min(len(buffer), _CHUNK))
        begin = self.place - self.first
        data = self._held[begin : begin + len(buffer)]
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)

    def move_to(self, start: int) -> None:
        """Move to a place from `first` on; reads forward to it, or to the end."""
        while self._end < start and self._advance(min(_CHUNK, start - self._end)):
            pass
        self.place = min(start, self._end)

    @property
    def _end(self) -> int:
        return self.first + len(self._held)

    def _advance(self, count: int) -> int:
        data = self._handle.read(count)
        self._held += data
        self.ended = not data
        if len(self._held) > 2 * _REMEMBERED:
            self.first += len(self._held) - _REMEMBERED
            del self._held[:-_REMEMBERED]
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._opened.__exit__(None, None, None)
        super().close()
