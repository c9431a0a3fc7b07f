"""Plans: every byte and row is read once, in splits whose names depend on the sources alone.

Covers: pipelines/plan.py. Pieces are made small, so that small files are cut like large ones.
"""

import gzip
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.errors import InputError
from pipelines import pieces, plan
from pipelines.find import list_sources
from pipelines.formats import format_of, passages
from pipelines.plan import CorpusOptions, CorpusPlan, is_quick, plan_corpus

PIECE = 256


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", PIECE)
        patch.setattr(pieces, "SLACK", 64)
        yield


def planned(*paths: Path, **chosen: Any) -> CorpusPlan:
    return plan_corpus([str(path) for path in paths], CorpusOptions(**chosen))


def spans_of(corpus: CorpusPlan) -> list[tuple[str, int, int]]:
    return [(Path(s.source.url).name, s.start, s.stop) for split in corpus.splits for s in split.spans]


def joined(spans: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Neighbouring spans of a file as one; fails where there is a gap or an overlap."""
    whole: list[tuple[str, int, int]] = []
    for name, start, stop in spans:
        if whole and whole[-1][0] == name:
            assert whole[-1][2] == start
            whole[-1] = (name, whole[-1][1], stop)
        else:
            whole.append((name, start, stop))
    return whole


def rows_file(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps({"text": f"row {i} " * 9}) + "\n" for i in range(count)))
    return path


def table_file(path: Path, count: int) -> Path:
    pq.write_table(pa.table({"text": [f"row {i} " * 9 for i in range(count)]}), path, row_group_size=7)
    return path


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=6).filter(any),
    rows=st.integers(1, 40),
    split_bytes=st.one_of(st.none(), st.integers(1, 8000)),
)
def test_every_byte_and_row_is_in_one_unit_and_units_have_names_of_their_own(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], rows: int, split_bytes: int | None
) -> None:
    folder = tmp_path_factory.mktemp("plan")
    for index, size in enumerate(sizes):
        (folder / f"{index}.txt").write_bytes(b"x" * size)
    lines, table = rows_file(folder / "r.jsonl", rows), table_file(folder / "s.parquet", rows)
    corpus, again = (planned(folder, split_bytes=split_bytes) for _ in range(2))
    expected = [(f"{index}.txt", 0, size) for index, size in enumerate(sizes)]
    assert joined(spans_of(corpus)) == [*expected, (lines.name, 0, lines.stat().st_size), (table.name, 0, rows)]
    names = [split.batch_id for split in corpus.splits]
    assert len(set(names)) == len(names)
    assert [split.batch_id for split in again.splits] == names
    assert corpus.files == len(sizes) + 2
    for name, start, _ in spans_of(corpus):
        assert name.endswith(".parquet") or start % PIECE == 0


def test_batch_ids_say_what_is_read_and_not_how(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 5000)
    (tmp_path / "b.txt").write_bytes(b"x" * 5000)

    def ids(name: str, **chosen: Any) -> list[str]:
        return [split.batch_id for split in planned(tmp_path / name, split_bytes=1024, **chosen).splits]

    assert ids("a.txt") == ids("a.txt", errors="replace")
    assert not set(ids("a.txt")) & set(ids("b.txt"))
    before = ids("a.txt")
    (tmp_path / "a.txt").write_bytes(b"x" * 6000)
    assert not set(ids("a.txt")) & set(before)


def test_units_are_neither_much_larger_nor_much_smaller_than_asked(tmp_path: Path) -> None:
    for index, size in enumerate([10_000, 3, 0, 700, 1500, 90, 4000]):
        (tmp_path / f"{index}.txt").write_bytes(b"x" * size)
    for split_bytes in (PIECE, 1000, 3000, 100_000):
        corpus = planned(tmp_path, split_bytes=split_bytes)
        sizes = [sum(span.stop - span.start for span in split.spans) for split in corpus.splits]
        assert sum(sizes) == corpus.text_bytes == 16_293
        assert max(sizes) == corpus.largest_split <= 3 * split_bytes
        assert all(size >= min(split_bytes, 16_293) for size in sizes[:-1])
        lasts = [split.spans[-1].stop - split.spans[-1].start for split in corpus.splits]
        assert all(size - last < split_bytes for size, last in zip(sizes, lasts, strict=True))


def test_units_of_a_large_corpus_do_not_grow_with_it_and_a_small_one_has_few(tmp_path: Path) -> None:
    with open(tmp_path / "large.txt", "wb") as handle:
        handle.truncate(3 << 30)  # a hole: no space is taken
    corpus = planned(tmp_path / "large.txt")
    assert corpus.text_bytes == 3 << 30
    assert corpus.largest_split <= 2 * plan.SPLIT_BYTES
    (tmp_path / "small.txt").write_bytes(b"x" * 1000)
    assert len(planned(tmp_path / "small.txt").splits) == 1


def test_many_small_files_share_units(tmp_path: Path) -> None:
    for index in range(300):
        (tmp_path / f"{index:03}.txt").write_bytes(b"x" * 50)
    corpus = planned(tmp_path)
    assert len(corpus.splits) == 1
    assert "and 299 more" in corpus.splits[0].describe()


def test_text_bytes_are_those_of_the_text_before_compression(tmp_path: Path) -> None:
    """A repeated text is stored once in a parquet file; readers still hold it a thousand times."""
    pq.write_table(pa.table({"text": ["abc " * 250] * 1000, "junk": ["j"] * 1000}), tmp_path / "a.parquet")
    corpus = planned(tmp_path / "a.parquet", split_bytes=100_000)
    assert corpus.text_bytes == pytest.approx(1_000_000, rel=0.05)
    assert corpus.largest_split <= 300_000


@pytest.mark.parametrize("names", [["a.txt"], ["a.txt", "b.jsonl"], ["b.jsonl"], ["c.parquet"]])
def test_a_corpus_without_text_is_refused_by_name(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    if "c.parquet" in names:
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "c.parquet")
    with pytest.raises(InputError, match=rf"empty.*{names[0]}"):
        planned(*[tmp_path / name for name in names])


def test_threads_measure_as_a_loop_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(40):
        (tmp_path / f"{index:02}.txt").write_bytes(b"x" * index)
        (tmp_path / f"{index:02}.md.gz").write_bytes(gzip.compress(b"y" * index * 99))
    table_file(tmp_path / "c.parquet", 9)
    table_file(tmp_path / "0.parquet", 30)
    sources = list_sources([str(tmp_path)])
    assert all(is_quick(source) for source in sources)
    assert not any(is_quick(replace(source, url=f"file://{source.url}")) for source in sources)
    by_loop = planned(tmp_path, split_bytes=1000)
    monkeypatch.setattr(plan, "_LARGE", 0)
    assert sum(not is_quick(source) for source in sources) == 42
    for tasks in (256, 42, 5, 1):
        monkeypatch.setattr(plan, "_TASKS", tasks)
        assert planned(tmp_path, split_bytes=1000) == by_loop
    in_units = dict.fromkeys(span.source for split in by_loop.splits for span in split.spans)
    assert list(in_units) == [format_of(source).measure(source, text_key="text").source for source in sources]
    (tmp_path / "07.md.gz").write_bytes(b"\x1f\x8b not a stream")
    with pytest.raises(InputError, match=r"07\.md\.gz cannot be read"):
        planned(tmp_path)


def test_limit_reads_no_more_than_it_needs(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    rows, table = rows_file(tmp_path / "b.jsonl", 9), table_file(tmp_path / "c.parquet", 9)
    (tmp_path / "d.txt").write_text("more")
    third = sum(len(line) for line in rows.read_bytes().splitlines(keepends=True)[:3])
    whole = rows.stat().st_size
    paths = tmp_path / "a.txt", rows, table, tmp_path / "d.txt"
    assert spans_of(planned(*paths, limit=1)) == [("a.txt", 0, 4)]
    assert spans_of(planned(*paths, limit=4)) == [("a.txt", 0, 4), ("b.jsonl", 0, third)]
    assert spans_of(planned(*paths, limit=12)) == [("a.txt", 0, 4), ("b.jsonl", 0, whole), ("c.parquet", 0, 2)]
    everything = joined(spans_of(planned(*paths)))
    assert spans_of(planned(*paths, limit=10**6)) == everything
    assert spans_of(planned(tmp_path / "a.txt", tmp_path / "d.txt", limit=1)) == [("a.txt", 0, 4)]


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"--errors is 'ignore'.*strict, replace, skip"):
        CorpusOptions(errors="ignore")
    for limit in (0, -3):
        with pytest.raises(InputError, match="--limit"):
            CorpusOptions(limit=limit)


def test_a_broken_file_among_good_ones_is_named_before_anything_is_read(tmp_path: Path) -> None:
    for index in range(5):
        (tmp_path / f"{index}.txt").write_text("good")
    (tmp_path / "3.txt.gz").write_bytes(b"\x1f\x8b not a stream")
    with pytest.raises(InputError, match=r"3\.txt\.gz cannot be read"):
        planned(tmp_path)


def test_a_file_whose_name_is_not_utf8_is_planned_or_refused_by_name(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/n\xff.txt"
    with open(path, "wb") as handle:
        handle.write(b"text")
    try:
        corpus = planned(tmp_path)
        assert len({split.batch_id for split in corpus.splits}) == 1
        for split in corpus.splits:
            for span in split.spans:
                for passage in passages(span, corpus.options.reading()):
                    passage.document_id.encode()
    except InputError as error:
        assert ".txt" in str(error)  # noqa: PT017  # it may be refused, not must
