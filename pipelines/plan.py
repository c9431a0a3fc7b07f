"""CorpusPlan: the splits of a corpus, fixed before the run.

Covers: measuring sources, packing them into splits of even size, corpora of text and of token ids. Does not cover: how
a format is measured and cut (formats/), reading splits (batching.py), the size of the memory
(memo_dist/planning/memory_plan.py).

Splits follow from the sources alone, never from the cluster, so a batch has the same id wherever it is made.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from dask.base import compute
from dask.delayed import delayed

from memo_dist.errors import InputError
from pipelines.find import list_sources
from pipelines.formats import TEXT_FORMATS, TOKEN_IDS, format_of, span_bytes
from pipelines.formats.protocol import Measured
from pipelines.passed_over import PassedOver
from pipelines.reading import ERROR_POLICIES, Reading
from pipelines.sources import Source, source_stamp
from pipelines.split_list import SpanList, SplitList
from pipelines.splits import OPEN, Marks, Span

SPLIT_BYTES = 12 << 20  # of text: about 3 M tokens of BPE, a batch of 12 MiB
MIN_SPLIT_BYTES = 128 << 10
SPLITS_WANTED = 64  # so that a small corpus is read by all workers
_TASKS = 256  # of one graph: Dask's time grows with their square, to a minute for 28,000
_SURE = 4  # times what is expected of a file whose end nobody has seen: so much fits into a split
_AT_ONCE = 1 << 10  # sources measured together
_LARGE = 1 << 20  # bytes of a file that takes milliseconds to read through, more than a thread costs


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """How a corpus is found and read; see list_sources and Reading.

    Attributes:
        limit: the number of documents to read, from the first on; None reads all.
        format: what every file is read as; None lets its ending tell.
        split_bytes: text of a split; None lets it follow from the corpus's size. Changes batches, never the memory.
    """

    include: str | None = None
    exclude: str | None = None
    errors: str = "strict"
    text_key: str = "text"
    id_key: str = "id"
    limit: int | None = None
    split_bytes: int | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.errors not in ERROR_POLICIES:
            raise InputError(f"--errors is {self.errors!r}; expected one of {', '.join(ERROR_POLICIES)}")
        if self.format is not None and self.format not in TEXT_FORMATS:
            raise InputError(f"--format is {self.format!r}; expected one of {', '.join(TEXT_FORMATS)}")
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit is {self.limit}; expected a whole number of documents from 1")

    def reading(self) -> Reading:
        """A new reading of documents, which has found nothing yet."""
        return Reading(errors=self.errors, text_key=self.text_key, id_key=self.id_key)


@dataclass(frozen=True)
class CorpusPlan:
    """A corpus in splits.

    Attributes:
        splits: in the order of the corpus, each made when it is asked for.
        text_bytes: bytes of text in all; of parquet, those of the text column before compression.
        files: number of files.
        options: how the splits are read.
        passed_over: files beside them that are not read.
    """

    splits: SplitList
    text_bytes: int
    files: int
    options: CorpusOptions
    passed_over: PassedOver = field(default_factory=PassedOver, compare=False)

    @property
    def largest_split(self) -> int:
        """Bytes of the largest split."""
        return self.splits.largest

    @property
    def content(self) -> str:
        """What the corpus holds: "text" or "token ids"."""
        return format_of(self.splits[0].spans[0].source).content

    @property
    def is_one_document(self) -> bool:
        """Whether the corpus is a single file that is a single document."""
        return self.files == 1 and format_of(self.splits[0].spans[0].source).one_document


@dataclass(frozen=True)
class TokenCounts:
    """What a scan of token ids found: `documents` without empty ones; `vocab_size`, the highest id and one."""

    tokens: int
    documents: int
    vocab_size: int


def for_operation(plan: CorpusPlan, operation: str) -> CorpusPlan:
    """The same splits, under ids of their own."""
    return replace(plan, splits=plan.splits.under(operation))


def plan_corpus(inputs: list[str], options: CorpusOptions, *, streams: bool = False) -> CorpusPlan:
    """Find, measure and cut a corpus of text.

    Args:
        streams: a file that would be read through to be measured may be a stream instead: one split of many batches.

    Raises:
        InputError: an input is missing, broken, unreadable, or there is no text at all.
    """
    listed = list_sources(inputs, options.include, options.exclude, format_name=options.format)
    found = _Found()
    for _, span in _measured_spans(listed, options, streams=streams):
        found.add(span)
    if not found.bytes:
        raise InputError(f"the corpus is empty: {len(listed)} files ({listed[0].name}, ...) without any text")
    return replace(_cut_into_splits(found, options), passed_over=listed.passed_over)


def plan_token_ids(inputs: list[str], options: CorpusOptions) -> tuple[CorpusPlan, TokenCounts]:
    """Find, scan and cut a corpus of token ids.

    Raises:
        InputError: a file is missing, no parquet, has no column of token ids, or an id is out of range.
    """
    listed = list_sources(inputs, options.include, options.exclude, format_name=options.format)
    found, tokens, documents, vocab_size = _Found(), 0, 0, 0
    for measured, span in _measured_spans((TOKEN_IDS.taking(source) for source in listed), options):
        tokens += measured.tokens or 0
        documents += measured.documents or 0
        vocab_size = max(vocab_size, measured.vocab_size or 0)
        if span.stop:
            found.add(span)
    if not tokens:
        raise InputError(f"{', '.join(inputs)} hold no token ids at all")
    plan = replace(_cut_into_splits(found, options), passed_over=listed.passed_over)
    return plan, TokenCounts(tokens, documents, vocab_size)


class _Found:
    """The spans of measured sources, each as a whole.

    Attributes:
        bytes: of all of them.
    """

    def __init__(self) -> None:
        self._spans, self._marks, self.bytes = SpanList(), dict[int, Marks](), 0

    def add(self, span: Span) -> None:
        size = span_bytes(span)
        if span.marks is not None:
            self._marks[len(self._spans)] = span.marks
        self._spans.append(span, size)
        self.bytes += size

    def __len__(self) -> int:
        return len(self._spans)

    def __iter__(self) -> Iterator[Span]:
        for place, span in enumerate(self._spans):
            yield replace(span, marks=marks) if (marks := self._marks.get(place)) else span


def _cut_into_splits(found: _Found, options: CorpusOptions) -> CorpusPlan:
    """Pack spans of measured sources, in order, into splits of even size."""
    target = options.split_bytes or min(SPLIT_BYTES, max(MIN_SPLIT_BYTES, -(-found.bytes // SPLITS_WANTED)))
    spans, edges, gathered = SpanList(), array("q", [0]), 0
    for span in found:
        if span.stop == OPEN and span_bytes(span) > target // _SURE:
            edges.extend([len(spans)] if gathered else [])
            spans.append(span, span_bytes(span))
            edges.append(len(spans))
            gathered = 0
            continue
        for part in _parts(span, target, options.errors):
            size = span_bytes(part)
            spans.append(part, size)
            gathered += size
            if gathered >= target:
                edges.append(len(spans))
                gathered = 0
    if edges[-1] < len(spans):
        edges.append(len(spans))
    splits = SplitList(spans, edges, step=target)
    return CorpusPlan(splits=splits, text_bytes=found.bytes, files=len(found), options=options)


def _parts(span: Span, target: int, errors: str) -> list[Span]:
    """A span as it is, or cut if it is much larger than a split."""
    if span_bytes(span) <= 2 * target:
        return [span]
    # a part's bytes are to be its own
    return format_of(span.source).parts(replace(span, bytes=None), target=target, errors=errors)


def _measured_spans(
    sources: Iterable[Source], options: CorpusOptions, *, streams: bool = False
) -> Iterator[tuple[Measured, Span]]:
    """What measuring finds of each source, and the span of it to read: all of it, or as much of the sources, in order,
    as holds the first `limit` documents."""
    if options.limit is None:
        remaining = iter(sources)
        while some := list(islice(remaining, _AT_ONCE)):
            yield from _measured(some, options, streams=streams)
        return
    missing = options.limit
    for source in sources:
        format_ = format_of(source)
        measured = format_.measure(source, text_key=options.text_key, limit=missing)
        span, taken = format_.first_documents(format_.whole(measured), missing)
        yield measured, span
        missing -= taken
        if missing <= 0:
            return


def _measured(sources: list[Source], options: CorpusOptions, *, streams: bool) -> list[tuple[Measured, Span]]:
    """What measuring finds of each source. Threads take the large and remote ones; over small ones they fight for
    Python."""
    measure = partial(_measure, options=options, streams=streams)
    measured = {i: measure([source])[0] for i, source in enumerate(sources) if is_quick(source)}
    slow = [i for i in range(len(sources)) if i not in measured]
    length = 1 + len(slow) // _TASKS
    runs = [slow[first : first + length] for first in range(0, len(slow), length)]
    tasks = [delayed(partial(measure, [sources[i] for i in run]), pure=False)() for run in runs]
    for run, results in zip(runs, compute(*tasks, scheduler="threads"), strict=True):
        measured.update(zip(run, results, strict=True))
    return [measured[i] for i in range(len(sources))]


def _measure(sources: list[Source], options: CorpusOptions, streams: bool) -> list[tuple[Measured, Span]]:
    uncut = 2 * (options.split_bytes or MIN_SPLIT_BYTES)  # of a million small files marks would be gigabytes
    found = []
    for source in sources:
        format_ = format_of(source)
        if streams and (span := format_.sampled(source)) is not None:
            found.append((Measured(span.source), span))
            continue
        one = format_.measure(source, text_key=options.text_key)
        if one.marks and one.source.size <= uncut:
            one = replace(one, marks=None)
        found.append((one, format_.whole(one)))
    return found


def is_quick(source: Source) -> bool:
    """Whether measuring takes less than starting a thread: no remote file, nor a large one that is read through.

    Raises:
        InputError: the file system does not answer.
    """
    if source.is_remote:
        return False
    return not format_of(source).measuring_reads(source) or int(source_stamp(source)[0]) < _LARGE
