"""SplitList: the splits of a corpus in columns, a Split made of a row whenever one is asked for.

Covers: spans of sources, which of them are a split, what of both goes to a task. Does not cover: where spans are cut
and how they are packed (plan.py).

A corpus of a million small files has a million spans. A list of them takes 40 bytes each beside the 30 of its source;
as objects both took 900, in the driver and in every task.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, overload

import numpy as np

from pipelines.source_list import SourceList
from pipelines.sources import Source
from pipelines.splits import OPEN, Span, Split

_UNKNOWN = -1  # bytes of a span that are its share of the source


class _Spans(Sequence[Span]):
    """Spans that are equal to other ones by what they hold."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_equal, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))


class SpanList(_Spans):
    """Spans, in order; neighbours of one source share it. Marks are left out.

    Args:
        spans: the first of them.
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.sources, self._last = SourceList(), None
        self._source, self._start, self._stop, self._bytes = array("q"), array("q"), array("q"), array("q")
        self._whole_utf8 = array("b")
        for span in spans:
            self.append(span, span.bytes)

    _last: Source | None

    def append(self, span: Span, size: int | None) -> None:
        """Add one at the end, with so many bytes; None: its share of the source."""
        if span.source != self._last:
            self.sources.append(span.source)
            self._last = span.source
        self._source.append(len(self.sources) - 1)
        self._start.append(span.start)
        self._stop.append(span.stop)
        self._bytes.append(_UNKNOWN if size is None else size)
        self._whole_utf8.append(span.whole_utf8)

    def __len__(self) -> int:
        return len(self._start)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Span]: ...
    def __getitem__(self, index: int | slice) -> "Span | Sequence[Span]":
        if isinstance(index, slice):
            return SpanPart(self, range(len(self))[index])
        known = self._bytes[index]
        return Span(
            self.sources[self._source[index]],
            self._start[index],
            self._stop[index],
            whole_utf8=bool(self._whole_utf8[index]),
            bytes=None if known == _UNKNOWN else known,
        )

    def bytes_of_parts(self, edges: Sequence[int]) -> np.ndarray:
        """(n,) int64: bytes of the spans between each two of n + 1 edges, as far as they are known."""
        known = np.maximum(np.frombuffer(self._bytes, np.int64), 0)
        return np.diff(np.concatenate([[0], np.cumsum(known)])[np.asarray(edges)])

    def are_open(self) -> np.ndarray:
        """(n,) bool: which spans go to the end of their source, wherever that is."""
        found: np.ndarray = np.frombuffer(self._stop, np.int64) == OPEN
        return found


class SpanPart(_Spans):
    """Some spans of a list; pickled, a list of their own."""

    def __init__(self, spans: SpanList, places: range) -> None:
        self._spans, self._places = spans, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Span]: ...
    def __getitem__(self, index: int | slice) -> "Span | Sequence[Span]":
        if isinstance(index, slice):
            return SpanPart(self._spans, self._places[index])
        return self._spans[self._places[index]]

    def __iter__(self) -> Iterator[Span]:
        return (self._spans[place] for place in self._places)

    def __reduce__(self) -> tuple[Any, ...]:
        return _as_it_is, (SpanList(self),)


class SplitList(Sequence[Split]):
    """Splits, in order.

    Args:
        spans: of all splits; one that is open has a split of its own, a stream.
        edges: where splits begin among them, and the end.
        step: of the streams.
        operation: of every split.
    """

    def __init__(self, spans: SpanList, edges: Sequence[int], *, step: int = 0, operation: str = "") -> None:
        self._spans, self._edges, self._step, self._operation = spans, edges, step, operation

    @classmethod
    def of(cls, splits: Iterable[Split]) -> "SplitList":
        """Splits that are there, none of them a stream."""
        spans, edges, operation = SpanList(), array("q", [0]), ""
        for split in splits:
            operation = split.operation
            for span in split.spans:
                spans.append(span, span.bytes)
            edges.append(len(spans))
        return cls(spans, edges, operation=operation)

    def under(self, operation: str) -> "SplitList":
        """The same splits, under ids of their own."""
        return SplitList(self._spans, self._edges, step=self._step, operation=operation)

    def renamed(self, name: str) -> "SplitList":
        """The same splits, their files under one name."""
        spans = (replace(span, source=replace(span.source, name=name)) for span in self._spans)
        return SplitList(SpanList(spans), self._edges, step=self._step, operation=self._operation)

    def share(self, number: int, of: int) -> "SplitList":
        """Every `of`-th split from that number on; streams, which take longest, are dealt out first."""
        streams = self._are_streams()
        dealt = np.concatenate([np.flatnonzero(streams), np.flatnonzero(~streams)])[number::of]
        spans, edges = SpanList(), array("q", [0])
        for place in np.sort(dealt).tolist():
            for span in self._spans[self._edges[place] : self._edges[place + 1]]:
                spans.append(span, span.bytes)
            edges.append(len(spans))
        return SplitList(spans, edges, step=self._step, operation=self._operation)

    @property
    def sources(self) -> SourceList:
        """The files that splits read, those of which nothing is read left out."""
        return self._spans.sources

    @property
    def largest(self) -> int:
        """Bytes that the largest batch is made of, about."""
        return int(np.minimum(self._bytes(), np.where(self._are_streams(), self._step, OPEN)).max())

    @property
    def batches(self) -> int:
        """How many batches there are; of streams, about."""
        return int(np.where(self._are_streams(), -(-self._bytes() // max(self._step, 1)), 1).sum())

    def streams(self) -> Iterator[Split]:
        """Those that are streams."""
        return (self[place] for place in np.flatnonzero(self._are_streams()).tolist())

    def others(self) -> Iterator[Split]:
        """Those that are none."""
        return (self[place] for place in np.flatnonzero(~self._are_streams()).tolist())

    def _bytes(self) -> np.ndarray:
        return self._spans.bytes_of_parts(self._edges)

    def _are_streams(self) -> np.ndarray:
        edges = np.asarray(self._edges)
        alone: np.ndarray = self._spans.are_open()[edges[:-1]] & (np.diff(edges) == 1) & (self._step > 0)
        return alone

    def __len__(self) -> int:
        return len(self._edges) - 1

    @overload
    def __getitem__(self, index: int) -> Split: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Split, ...]: ...
    def __getitem__(self, index: int | slice) -> Split | tuple[Split, ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(len(self))[index])
        place = range(len(self))[index]
        first, last = self._edges[place], self._edges[place + 1]
        is_stream = self._step and last - first == 1 and self._spans[first].stop == OPEN
        return Split(self._spans[first:last], self._operation, self._step if is_stream else 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SplitList) and len(self) == len(other) and all(map(_equal, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self._edges))


def _as_it_is(spans: SpanList) -> SpanList:
    return spans


def _equal(one: object, other: object) -> bool:
    return one == other
