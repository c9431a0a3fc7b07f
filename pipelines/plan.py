"""CorpusPlan: the units of a corpus, fixed before the run.

Covers: measuring sources, packing them into units of even size, corpora of text and of token ids. Does not cover: how a
format is measured and cut (formats/), reading units (batching.py), the size of the memory
(memo_dist/planning/memory_plan.py).

Units follow from the sources alone, never from the cluster, so a batch has the same id wherever it is made.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from dask.base import compute
from dask.delayed import delayed

from memo_dist.errors import InputError
from pipelines.find import list_sources
from pipelines.formats import TOKEN_IDS, format_of, span_bytes
from pipelines.formats.protocol import Measured
from pipelines.reading import ERROR_POLICIES, Reading
from pipelines.sources import Source, source_stamp
from pipelines.units import Span, Unit

UNIT_BYTES = 12 << 20  # of text: about 3 M tokens of BPE, a batch of 12 MiB
MIN_UNIT_BYTES = 128 << 10
UNITS_WANTED = 64  # so that a small corpus is read by all workers
_TASKS = 256  # of one graph: Dask's time grows with their square, to a minute for 28,000
_LARGE = 1 << 20  # bytes of a file that takes milliseconds to read through, more than a thread costs


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """How a corpus is found and read; see list_sources and Reading.

    Attributes:
        limit: the number of documents to read, from the first on; None reads all.
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
        """A new reading of documents, which has found nothing yet."""
        return Reading(errors=self.errors, text_key=self.text_key, id_key=self.id_key)


@dataclass(frozen=True)
class CorpusPlan:
    """A corpus in units.

    Attributes:
        units: in the order of the corpus.
        text_bytes: bytes of text in all; of parquet, those of the text column before compression.
        files: number of files.
        options: how the units are read.
    """

    units: tuple[Unit, ...]
    text_bytes: int
    files: int
    options: CorpusOptions

    @property
    def largest_unit(self) -> int:
        """Bytes of the largest unit."""
        return max(sum(span_bytes(span) for span in unit.spans) for unit in self.units)

    @property
    def content(self) -> str:
        """What the corpus holds: "text" or "token ids"."""
        return format_of(self.units[0].spans[0].source).content

    @property
    def is_one_document(self) -> bool:
        """Whether the corpus is a single file that is a single document."""
        return self.files == 1 and format_of(self.units[0].spans[0].source).one_document


@dataclass(frozen=True)
class TokenCounts:
    """What a scan of token ids found: `documents` without empty ones; `vocab_size`, the highest id and one."""

    tokens: int
    documents: int
    vocab_size: int


def for_operation(plan: CorpusPlan, operation: str) -> CorpusPlan:
    """The same units, under ids of their own."""
    return replace(plan, units=tuple(replace(unit, operation=operation) for unit in plan.units))


def plan_corpus(inputs: list[str], options: CorpusOptions) -> CorpusPlan:
    """Find, measure and cut a corpus of text.

    Raises:
        InputError: an input is missing, broken, unreadable, or there is no text at all.
    """
    listed = list_sources(inputs, options.include, options.exclude)
    spans = [span for _, span in _measured_spans(listed, options)]
    if not sum(span_bytes(span) for span in spans):
        raise InputError(f"the corpus is empty: {len(listed)} files ({listed[0].name}, ...) without any text")
    return cut_into_units(spans, options)


def plan_token_ids(inputs: list[str], options: CorpusOptions) -> tuple[CorpusPlan, TokenCounts]:
    """Find, scan and cut a corpus of token ids.

    Raises:
        InputError: a file is missing, no parquet, has no column of token ids, or an id is out of range.
    """
    listed = (TOKEN_IDS.taking(source) for source in list_sources(inputs, options.include, options.exclude))
    scanned = list(_measured_spans(listed, options))
    counts = TokenCounts(
        tokens=sum(measured.tokens or 0 for measured, _ in scanned),
        documents=sum(measured.documents or 0 for measured, _ in scanned),
        vocab_size=max(measured.vocab_size or 0 for measured, _ in scanned),
    )
    if not counts.tokens:
        raise InputError(f"{', '.join(inputs)} hold no token ids at all")
    return cut_into_units([span for _, span in scanned if span.stop], options), counts


def cut_into_units(spans: list[Span], options: CorpusOptions) -> CorpusPlan:
    """Pack spans of measured sources, in order, into units of even size."""
    total = sum(span_bytes(span) for span in spans)
    target = options.unit_bytes or min(UNIT_BYTES, max(MIN_UNIT_BYTES, -(-total // UNITS_WANTED)))
    units: list[Unit] = []
    waiting: list[Span] = []
    gathered = 0
    for span in spans:
        for part in _parts(span, target, options.errors):
            waiting.append(part)
            gathered += span_bytes(part)
            if gathered >= target:
                units.append(Unit(tuple(waiting)))
                waiting, gathered = [], 0
    if waiting:
        units.append(Unit(tuple(waiting)))
    return CorpusPlan(units=tuple(units), text_bytes=total, files=len(spans), options=options)


def _parts(span: Span, target: int, errors: str) -> list[Span]:
    """A span as it is, or cut if it is much larger than a unit."""
    if span_bytes(span) <= 2 * target:
        return [span]
    return format_of(span.source).parts(span, target=target, errors=errors)


def _measured_spans(sources: Iterable[Source], options: CorpusOptions) -> Iterator[tuple[Measured, Span]]:
    """What measuring finds of each source, and the span of it to read: all of it, or as much of the sources, in order,
    as holds the first `limit` documents."""
    if options.limit is None:
        for measured in _measured(list(sources), options.text_key):
            yield measured, format_of(measured.source).whole(measured.source)
        return
    missing = options.limit
    for source in sources:
        format_ = format_of(source)
        measured = format_.measure(source, text_key=options.text_key, limit=missing)
        span, taken = format_.first_documents(format_.whole(measured.source), missing)
        yield measured, span
        missing -= taken
        if missing <= 0:
            return


def _measured(sources: list[Source], text_key: str) -> list[Measured]:
    """What measuring finds of each source. Threads take the large and remote ones; over small ones they fight for
    Python."""
    measured = {i: _measure([source], text_key)[0] for i, source in enumerate(sources) if is_quick(source)}
    slow = [i for i in range(len(sources)) if i not in measured]
    length = 1 + len(slow) // _TASKS
    runs = [slow[first : first + length] for first in range(0, len(slow), length)]
    tasks = [delayed(partial(_measure, [sources[i] for i in run], text_key), pure=False)() for run in runs]
    for run, results in zip(runs, compute(*tasks, scheduler="threads"), strict=True):
        measured.update(zip(run, results, strict=True))
    return [measured[i] for i in range(len(sources))]


def _measure(sources: list[Source], text_key: str) -> list[Measured]:
    return [format_of(source).measure(source, text_key=text_key) for source in sources]


def is_quick(source: Source) -> bool:
    """Whether measuring takes less than starting a thread: no remote file, nor a large one that is read through.

    Raises:
        InputError: the file system does not answer.
    """
    if source.is_remote:
        return False
    return not format_of(source).measuring_reads(source) or int(source_stamp(source)[0]) < _LARGE
