"""A corpus of very many small files: listed, measured and cut into splits in little memory for each, and lazily.

Covers: pipelines/source_list.py, split_list.py, find.py, plan.py, cluster/corpus_stamp.py. The truth is a walk by
pathlib, and memory as Python's allocators count it.
"""

import os
import pickle
import tracemalloc
from pathlib import Path

import pytest

from cluster.corpus_stamp import CorpusStamp
from memo_dist.errors import ConfigError
from pipelines.find import list_sources
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.source_list import SourceList
from pipelines.sources import Source
from pipelines.split_list import SpanList
from pipelines.splits import Span

FOLDERS, FILES = 20, 1000
MOST_BYTES = 320  # a file, at the peak; some 100 are of what is at hand at a time. A Source alone has 700


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 files of some bytes; names sort otherwise than folders do."""
    root = tmp_path_factory.mktemp("many")
    for number in range(FOLDERS):
        folder = root / f"{number}" / "of.it"
        folder.mkdir(parents=True)
        for file in range(FILES - 1):
            (folder / f"{file}.txt").write_bytes(b"x" * (1 + file % 40))
        (folder.parent / "of.it.txt").write_bytes(b"beside")
    return root


def test_a_million_files_would_take_little_memory(many: Path) -> None:
    plan_corpus([str(many / "0")], CorpusOptions())  # loads what is loaded once
    tracemalloc.start()
    corpus = plan_corpus([str(many)], CorpusOptions(split_bytes=4000))
    stamp = CorpusStamp.of(corpus)
    for split in corpus.splits:
        assert split.batch_id
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    files = FOLDERS * FILES
    assert corpus.files == files == stamp.lines.count(b"\n")
    assert peak / files < MOST_BYTES


def test_files_are_those_that_a_walk_finds_in_the_order_of_their_paths(many: Path) -> None:
    walked = sorted(str(path) for path in many.rglob("*.txt"))
    assert [source.name for source in list_sources([str(many)])] == walked
    corpus = plan_corpus([str(many)], CorpusOptions())
    spans = [span for split in corpus.splits for span in split.spans]
    assert [span.source.url for span in spans] == walked
    assert [span.stop for span in spans] == [Path(name).stat().st_size for name in walked]
    assert corpus.text_bytes == sum(span.stop for span in spans)


def test_a_task_is_given_its_own_files_alone(many: Path) -> None:
    corpus = plan_corpus([str(many)], CorpusOptions(split_bytes=4000))
    split = corpus.splits[7]
    content = pickle.dumps(split)
    assert len(content) < 4000 + 120 * len(split.spans)
    again = pickle.loads(content)
    assert again == split
    assert again.batch_id == split.batch_id
    assert list(again.spans) == list(split.spans)
    assert {span.source.url for span in again.spans} < {source.url for source in corpus.splits.sources}


def test_inputs_that_overlap_give_each_file_once_where_it_comes_first(many: Path) -> None:
    inputs = [str(many / "3" / "of.it" / "5.txt"), str(many / "3"), f"{many}/3/*/1*.txt", str(many / "4")]
    names = [source.name for source in list_sources(inputs)]
    assert names[0] == inputs[0]
    assert sorted(names) == sorted(str(path) for part in "34" for path in (many / part).rglob("*.txt"))


SOURCES = [
    Source("a/ü.txt", "/data/a/ü.txt", "text", None, 3),
    Source("a/b.jsonl.gz", "/data/a/b.jsonl.gz", "jsonl", "gzip", 1 << 40, 7),
    Source("s3://bucket/c.txt", "s3://bucket/c.txt", "text", None),
    Source("name of its own", "/data/a/ü.txt", "text", None),
    Source("zip://d.txt::x.zip", "file:///y/d.txt", "text", None, 1),
]


def test_lists_give_back_what_they_were_given() -> None:
    sources = SourceList(SOURCES)
    assert list(sources) == SOURCES
    assert (sources[-1], list(sources[1:4])) == (SOURCES[-1], SOURCES[1:4])
    with pytest.raises(IndexError):
        sources[len(SOURCES)]
    spans = [
        Span(SOURCES[0], 0, 3),
        Span(SOURCES[1], 0, 5, whole_utf8=False, bytes=9),
        Span(SOURCES[1], 5, 1 << 40, bytes=0),
        Span(SOURCES[2], 0, 0),
    ]
    held = SpanList(spans)
    assert list(held) == spans
    assert [span.bytes for span in held] == [None, 9, 0, None]
    assert len(held.sources) == 3
    assert list(held[1:3]) == spans[1:3]
    assert held.bytes_of_parts([0, 1, 3, 4]).tolist() == [0, 9, 0]


def test_the_file_that_differs_is_named(many: Path, tmp_path: Path) -> None:
    def stamp() -> CorpusStamp:
        return CorpusStamp.of(plan_corpus([str(many / "11"), str(many / "12")], CorpusOptions()))

    before = stamp()
    before.write(tmp_path)
    before.require_sources(tmp_path, Path("m.memo"))
    victim = many / "12" / "of.it" / "77.txt"
    content, times = victim.read_bytes(), (victim.stat().st_atime_ns, victim.stat().st_mtime_ns)
    for change, said in [(b"other", r"it is \[5, .* now and was \[38, "), (None, r"not there now and was \[38, ")]:
        victim.unlink() if change is None else victim.write_bytes(change)
        assert stamp() != before
        with pytest.raises(ConfigError, match=rf"sources: {victim} differs: .*{said}"):
            stamp().require_sources(tmp_path, Path("m.memo"))
    victim.write_bytes(content)
    os.utime(victim, ns=times)
    assert stamp() == before
    (added := victim.with_name("7700.txt")).write_bytes(b"more")
    with pytest.raises(ConfigError, match=rf"sources: {added} differs: it is \[4, .* now and was not there"):
        stamp().require_sources(tmp_path, Path("m.memo"))
    added.unlink()
