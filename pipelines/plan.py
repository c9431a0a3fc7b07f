"""CorpusPlan: the units of a corpus, fixed before the run.

Covers: measuring sources, packing them into units of even size, checks that need the whole of a file.
Does not cover: reading units (batching.py), the size of the memory (memo_dist/planning/memory_plan.py).

Units follow from the sources alone, never from the cluster, so a batch has the same id wherever it is made.
"""

import codecs
import hashlib
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from dask.base import compute
from dask.delayed import delayed

from memo_dist.errors import InputError
from pipelines.reading import ERROR_POLICIES, PIECE, Reading, Span
from pipelines.sources import TOKEN_IDS, Source, list_sources

BY_ROW = ("parquet", TOKEN_IDS)

UNIT_BYTES = 12 << 20  # of text: about 3 M tokens of BPE, a batch of 12 MiB
MIN_UNIT_BYTES = 128 << 10
UNITS_WANTED = 64  # so that a small corpus is read by all workers
_TASKS = 256  # of one graph: Dask's time grows with their square, to a minute for 28,000


@dataclass(frozen=True)
class CorpusOptions:
    """How a corpus is found and read; see list_sources and Reading.

    Attributes:
        limit: only the first so many documents.
        unit_bytes: text of a unit; None lets it follow from the corpus's size. Changes batches, never the memory.
    """

    include: str | None = None
    exclude: str | None = None
    errors: str = "strict"
    text_key: str = "text"
    id_key: str = "id"
    limit: int | None = None
    unit_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.errors not in ERROR_POLICIES:
            raise InputError(f"--errors is {self.errors!r}; expected one of {', '.join(ERROR_POLICIES)}")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit is {self.limit}; expected a whole number of documents from 1")

    def reading(self) -> Reading:
        return Reading(self.errors, self.text_key, self.id_key)


@dataclass(frozen=True)
class Unit:
    """What one task reads and makes one batch of; `operation` tells two uses of the same text apart, "" for a build."""

    spans: tuple[Span, ...]
    operation: str = ""

    @property
    def batch_id(self) -> str:
        """Hash of the spans: names, formats, ranges; and of the operation."""
        words = [f"{s.source.format}\0{s.describe()}\0{s.source.size}" for s in self.spans]
        words += [self.operation] if self.operation else []
        return hashlib.blake2b("\n".join(words).encode(), digest_size=16).hexdigest()

    def describe(self) -> str:
        more = f" and {len(self.spans) - 1} more" if len(self.spans) > 1 else ""
        return self.spans[0].describe() + more


@dataclass(frozen=True)
class CorpusPlan:
    """Units in order, and bytes of text in all (of parquet: of the text column before compression)."""

    units: tuple[Unit, ...]
    text_bytes: int
    files: int
    options: CorpusOptions

    @property
    def largest_unit(self) -> int:
        """Bytes of the largest unit."""
        return max(sum(span_bytes(s) for s in unit.spans) for unit in self.units)


def for_operation(plan: CorpusPlan, operation: str) -> CorpusPlan:
    """The same units, under ids of their own."""
    return replace(plan, units=tuple(replace(unit, operation=operation) for unit in plan.units))


def plan_corpus(inputs: list[str], options: CorpusOptions) -> CorpusPlan:
    """Find, measure and cut a corpus.

    Raises:
        InputError: an input is missing, broken, unreadable, or there is no text at all.
    """
    listed = list_sources(inputs, options.include, options.exclude)
    if options.limit is None:
        spans = [_whole(source) for source in _measured(listed, options.text_key)]
    else:
        spans = _first_documents(listed, options)
    if not sum(span_bytes(span) for span in spans):
        raise InputError(f"the corpus is empty: {len(listed)} files ({listed[0].name}, ...) without any text")
    return cut_into_units(spans, options)


def cut_into_units(spans: list[Span], options: CorpusOptions) -> CorpusPlan:
    """Pack spans of measured sources, in order, into units of even size."""
    total = sum(span_bytes(span) for span in spans)
    target = options.unit_bytes or min(UNIT_BYTES, max(MIN_UNIT_BYTES, -(-total // UNITS_WANTED)))
    units: list[Unit] = []
    waiting: list[Span] = []
    gathered = 0
    for span in spans:
        for part in _parts(span, target, options):
            waiting.append(part)
            gathered += span_bytes(part)
            if gathered >= target:
                units.append(Unit(tuple(waiting)))
                waiting, gathered = [], 0
    if waiting:
        units.append(Unit(tuple(waiting)))
    return CorpusPlan(tuple(units), total, len(spans), options)


def span_bytes(span: Span) -> int:
    """Bytes of text of a span; of parquet rows, their even share of the column."""
    source = span.source
    if source.format in BY_ROW:
        return source.size * (span.stop - span.start) // max(source.rows, 1)
    return span.stop - span.start


def _measured(listed: list[Source], text_key: str) -> list[Source]:
    """The sources with their sizes. Threads take the large and remote ones; over small ones they fight for Python."""
    sized = [source.measured(text_key) if source.is_quick() else None for source in listed]
    long = [source for source, known in zip(listed, sized, strict=True) if known is None]
    run = 1 + len(long) // _TASKS
    tasks = [delayed(partial(_measure, long[at : at + run], text_key), pure=False)() for at in range(0, len(long), run)]
    later = chain.from_iterable(compute(*tasks, scheduler="threads"))
    return [next(later) if known is None else known for known in sized]


def _measure(sources: list[Source], text_key: str) -> list[Source]:
    return [source.measured(text_key) for source in sources]


def _whole(source: Source) -> Span:
    return Span(source, 0, source.rows if source.format == "parquet" else source.size)


def _first_documents(listed: list[Source], options: CorpusOptions) -> list[Span]:
    """As much of the sources, in order, as holds the first `limit` documents."""
    spans: list[Span] = []
    left = options.limit or 0
    for source in listed:
        if left <= 0:
            break
        span = _whole(source.measured(options.text_key))
        stop, taken = _limited(span.source, span.stop, left)
        spans.append(replace(span, stop=stop))
        left -= taken
    return spans


def _limited(source: Source, stop: int, left: int) -> tuple[int, int]:
    """Where a source ends if only `left` documents are wanted, and how many it gives."""
    if source.format == "text":
        return stop, int(source.size > 0)
    if source.format == "parquet":
        return min(stop, left), min(stop, left)
    taken = at = 0
    with source.open() as handle:
        while taken < left and (line := handle.readline()):
            at += len(line)
            taken += bool(line.strip())
    return at, taken


def _parts(span: Span, target: int, options: CorpusOptions) -> list[Span]:
    """Cut a span that is larger than a unit; a document that spans units is checked as a whole if need be."""
    size = span_bytes(span)
    if size <= 2 * target:
        return [span]
    if span.source.format in BY_ROW:
        step = max(1, (span.stop - span.start) * target // size)
    else:
        step = max(PIECE, target // PIECE * PIECE)
        if span.source.format == "text" and options.errors != "strict":
            span = replace(span, whole_utf8=_is_utf8(span.source))
    return [
        replace(span, start=start, stop=min(span.stop, start + step)) for start in range(span.start, span.stop, step)
    ]


def _is_utf8(source: Source) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with source.open() as handle:
            while chunk := handle.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except InputError as error:
        if isinstance(error.__cause__, UnicodeDecodeError):
            return False
        raise
    return True
