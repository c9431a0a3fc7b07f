"""Bounds: a split takes the memory that a plan gives it, and a file is not read over and over for its splits.

Covers: one large row, very many tiny ones, large row groups, long lines, compressed files; the bytes of splits. The
memory is that of a process of its own, as the kernel counts it.
"""

import ast
import contextlib
import gzip
import itertools
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from memo_dist import Tokenizer
from memo_dist.batches import read_batch
from memo_dist.errors import InputError
from memo_dist.planning.processes import WORKER_BYTES
from pipelines import forward
from pipelines.batching import split_batch
from pipelines.formats import jsonl
from pipelines.formats.batch_rows import Runs
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus, plan_token_ids

ROOT = Path(__file__).parents[2]
MIB = 1 << 20
READ_SPLITS = """
import pickle, sys
from memo_dist.tokenizer import Tokenizer
from pipelines.batching import split_batch
plan, call = pickle.load(open(sys.argv[1], "rb"))
tokenizer = None if call == "ids" else Tokenizer.bytes()
for split in plan.splits[:: 1 + len(plan.splits) // 4]:
    if call == "records":
        from memo_dist import TextConfig
        from pipelines.records import split_records
        config = TextConfig(num_banks=1, vocab_size=256, inner_dim=64)
        split_records(split, plan.options, tokenizer=tokenizer, config=config)
    else:
        split_batch(split, plan.options, tokenizer=tokenizer, context_length=64)
print(int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) << 10)
"""


def peak_of(path: Path, call: str) -> tuple[int, int]:
    """Bytes of the largest split, and of a process that reads some of a file's splits."""
    options = CorpusOptions(split_bytes=4 * MIB)
    with contextlib.chdir(path.parent):  # each row of a batch has the name of its file
        plan = plan_token_ids([path.name], options)[0] if call == "ids" else plan_corpus([path.name], options)
    task = path.with_name("task.pickle")
    task.write_bytes(pickle.dumps((plan, call)))
    words = [sys.executable, "-c", READ_SPLITS, str(task)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    return plan.largest_split, int(done.stdout)


def lines_file(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))
    return path


def tiny_rows(folder: Path) -> Path:
    return lines_file(folder / "rows.jsonl", [f"{i * 2654435761 % 2**32:x}" for i in range(200_000)])


def large_row(folder: Path) -> Path:
    return lines_file(folder / "rows.jsonl", ["a small one", "some words, 日本 " * 600_000 + "\N{GRINNING FACE}"])


def one_group(folder: Path) -> Path:
    """200 MB of text in one row group, nearly all of it the same."""
    part = "".join(map(chr, np.random.default_rng(1).integers(97, 123, 1_000)))
    text = pa.array([part[i % 97 :] + str(i) for i in range(200_000)], pa.large_string())
    pq.write_table(pa.table({"text": text}), folder / "rows.parquet", compression="zstd", use_dictionary=False)
    return folder / "rows.parquet"


def one_batch(folder: Path) -> Path:
    """200 MB of text in one batch of an Arrow stream."""
    table = pa.table({"text": pa.array([f"{i} " + "some words " * 90 for i in range(200_000)], pa.large_string())})
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as handle, pa.ipc.new_stream(handle, table.schema) as writer:
        writer.write_table(table)
    return folder / "rows.arrow"


def large_table_row(folder: Path) -> Path:
    """A field of 12 MB with line ends in it."""
    (folder / "rows.csv").write_text("text\na small one\n" + '"' + "some words, 日本\n" * 600_000 + '"\n')
    return folder / "rows.csv"


def one_group_of_ids(folder: Path) -> Path:
    ids = pa.array([np.full(4000, i % 256, np.int32) for i in range(20_000)], pa.list_(pa.int32()))
    pq.write_table(pa.table({"tokens": ids}), folder / "rows.parquet", compression="zstd")
    return folder / "rows.parquet"


def uneven_rows(folder: Path) -> Path:
    """A seventh of the rows has nearly all of the text."""
    text = ["x" * 2_000 if 30_000 <= i < 45_000 else "y" for i in range(100_000)]
    pq.write_table(pa.table({"text": text}), folder / "rows.parquet", use_dictionary=False)
    return folder / "rows.parquet"


@pytest.mark.parametrize(
    ("write", "call"),
    [
        (tiny_rows, "batch"),
        (tiny_rows, "records"),
        (large_row, "batch"),
        (large_table_row, "batch"),
        (one_group, "batch"),
        (one_batch, "batch"),
        (one_group_of_ids, "ids"),
        (uneven_rows, "batch"),
    ],
)
def test_a_worker_takes_what_is_planned(tmp_path: Path, write: Callable[[Path], Path], call: str) -> None:
    largest, peak = peak_of(write(tmp_path), call)
    _, libraries = peak_of(lines_file(tmp_path / "one.jsonl", ["a text"]), "records" if call == "records" else "batch")
    planned = max(WORKER_BYTES, libraries + 16 * MIB) + 8 * largest  # compiled kernels are shared among processes
    assert peak <= planned, f"{peak / MIB:.0f} of {planned / MIB:.0f} MiB, for {largest / MIB:.1f} MiB of text"


def planned(path: Path, split_bytes: int) -> CorpusPlan:
    return plan_corpus([str(path)], CorpusOptions(split_bytes=split_bytes))


def consumed(corpus: CorpusPlan) -> list[int]:
    """Bytes that each split reads."""
    found = []
    for split in corpus.splits:
        batch = split_batch(split, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)
        found.append(len(pc.list_flatten(batch.column("tokens"))))
    return found


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "parquet"])
def test_the_plan_knows_the_largest_split(tmp_path: Path, ending: str) -> None:
    texts = ["x" * (800_000 if i in (20, 21, 900) else 700) for i in range(1500)]
    path = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"text": texts}), path)
    else:
        lines_file(tmp_path / "rows.jsonl", texts)
        data = (tmp_path / "rows.jsonl").read_bytes()
        path.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    corpus = planned(path, 1 << 18)
    read = consumed(corpus)
    assert sum(read) == sum(map(len, texts))
    assert max(read) <= corpus.largest_split <= 1.2 * max(read) + 2 * (1 << 18)
    assert len(read) > 4


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_no_line_is_read_without_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compress: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(jsonl, "MAX_LINE", 1 << 20)
    rows = b'{"text": "an ordinary row"}\n' * 1000
    path = tmp_path / f"rows.jsonl{'' if compress is bytes else '.gz'}"
    path.write_bytes(compress(rows + b'{"text": "' + b"a" * (8 << 20) + b'"}\n' + rows))
    for split_bytes in (1 << 18, 1 << 24):
        with pytest.raises(InputError, match=rf"{path.name}: the line .* is longer than 1,048,576 bytes"):
            consumed(planned(path, split_bytes))
    with pytest.raises(InputError, match="is longer than"):
        plan_corpus([str(path)], CorpusOptions(limit=1500))


def test_packages_ask_for_no_line_without_saying_how_long_it_may_be() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("memo_dist", "pipelines", "cluster", "console")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr == "readlines" or (node.func.attr == "readline" and not node.args))
    ]
    assert found == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_a_compressed_file_is_decompressed_once_for_all_its_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    words = np.random.default_rng(2).integers(10**8, 10**9, 600_000).tolist()
    texts = [" ".join(map(str, words[i : i + 99])) for i in range(0, len(words), 99)]
    lines = [json.dumps({"text": text}) if kind == "jsonl" else text for text in texts]
    data = "".join(f"{line}\n" for line in lines).encode()
    path = tmp_path / f"a.{kind}.gz"
    path.write_bytes(gzip.compress(data, 1))
    corpus = planned(path, 1 << 19)
    read = []
    advance = forward.ForwardBytes._advance
    monkeypatch.setattr(
        forward.ForwardBytes, "_advance", lambda self, count: read.append(advance(self, count)) or read[-1]
    )
    forward.close_all()
    plain = tmp_path / f"a.{kind}"
    plain.write_bytes(data)
    ours, theirs = consumed(corpus), consumed(planned(plain, 1 << 19))
    assert len(ours) > 10
    assert sum(ours) == sum(theirs)
    assert sum(read) <= len(data)
    read.clear()
    by_two = corpus.splits[::2] + corpus.splits[1::2]  # as two processes would get them; here one after the other
    for split in by_two:
        split_batch(split, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)
    assert sum(read) <= 2 * len(data)
    assert len(forward._idle) <= forward._STREAMS


def test_a_row_group_is_decoded_once_for_all_its_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [f"row {i} " * 20 for i in range(20_000)]}), path, use_dictionary=False)
    corpus = planned(path, 1 << 17)
    opened = []
    kept = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **k: opened.append(k) or kept(*a, **k))
    forward.close_all()
    assert sum(consumed(corpus)) == corpus.text_bytes
    assert len(corpus.splits) > 10
    assert len(opened) == 1


def test_a_stream_of_a_file_that_changed_is_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a" * (4 << 20)))
    corpus = planned(path, 1 << 19)
    split_batch(corpus.splits[0], corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)
    path.write_bytes(gzip.compress(b"b" * (4 << 20)) + gzip.compress(b""))
    batch = split_batch(corpus.splits[3], corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)
    assert pc.unique(pc.list_flatten(batch.column("tokens"))).to_pylist() == [ord("b")]


def test_runs_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(4)
    lengths = [rng.integers(0, 900, 500).tolist(), [None, 0, 70_000, 1], rng.integers(0, 9, 5000).tolist()]
    runs = Runs()
    for some in lengths:
        runs.add(pa.array(some, pa.int32()), 4)
    marks, flat = runs.marks(), [4 * (length or 0) for some in lengths for length in some]
    assert runs.size == sum(flat)
    assert [marks.places[0], marks.places[-1]] == [0, len(flat)]
    sums = [sum(flat[a:b]) for a, b in zip(marks.places[:-1].tolist(), marks.places[1:].tolist(), strict=True)]
    assert sums == marks.sizes.tolist()
    cuts = marks.even(100, 4000, target=9000)
    assert cuts[0] == 100
    assert cuts[-1] == 4000
    assert cuts == sorted(set(cuts))
    parts = [marks.bytes_between(a, b) for a, b in itertools.pairwise(cuts)]
    assert all(part >= 9000 for part in parts[:-1])
    assert sum(parts) >= sum(flat[100:4000])


def test_a_long_document_is_many_segments_which_are_its_tokens(tmp_path: Path) -> None:
    text = "".join(f"line {i} of it\n" for i in range(200_000))
    corpus = planned(lines_file(tmp_path / "a.jsonl", [text]), 1 << 24)
    batch = split_batch(corpus.splits[0], corpus.options, tokenizer=Tokenizer.bytes(), context_length=16)
    from memo_dist import TextConfig

    pairs = list(read_batch(batch, TextConfig(num_banks=1, vocab_size=256, inner_dim=64)))
    assert len(pairs) > 1
    assert b"".join(bytes(segment.tokens.astype(np.uint8)) for _, segment in pairs) == text.encode()
