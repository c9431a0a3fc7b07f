"""Formats, a contract: a corpus written by the library that people use makes the memory that it makes as .jsonl.

Covers: digests, built in one process; files that are damaged, truncated, empty or of another kind, each named; bytes
read from files that are streams. Truth: the .jsonl of the same documents, by the standard library. Does not cover: how
files are cut (tests/contracts/test_formats.py).
"""

import csv
import gzip
import io
import json
import random
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from warcio.warcwriter import WARCWriter

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from memo_dist import Tokenizer
from memo_dist.errors import InputError
from pipelines.batching import split_batch
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.selection import EVERYTHING
from pipelines.streaming import Stream

MIB = 1 << 20
Documents = dict[str, str]
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


@dataclass(frozen=True)
class Case:
    """A kind of file.

    Attributes:
        name: of a file of it.
        write: puts documents into a file at a path.
        framed: whether a file says where it ends, so that a piece of one is known for what it is.
        packed: whether it may be compressed as a whole.
        is_file: whether it is one file; else a directory.
    """

    name: str
    write: Callable[[Path, Documents], None]
    framed: bool = True
    packed: bool = True
    is_file: bool = True


def write_csv(path: Path, documents: Documents, delimiter: str = ",") -> None:
    with open(path, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, ["id", "title", "text"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows({"id": name, "title": "A, b", "text": text} for name, text in documents.items())


def table_of(documents: Documents) -> pa.Table:
    columns = {"id": list(documents), "text": list(documents.values()), "title": ["one"] * len(documents)}
    return pa.table(columns)


def write_arrow(path: Path, documents: Documents, new: Callable[..., Any]) -> None:
    table = table_of(documents)
    with pa.OSFile(str(path), "wb") as handle, new(handle, table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)


def write_saved(path: Path, documents: Documents) -> None:
    """As `Dataset.save_to_disk` writes a dataset of two shards, with a cache of `map` beside it."""
    path.mkdir(exist_ok=True)
    names, half = list(documents), len(documents) // 2
    for number, some in enumerate((names[:half], names[half:])):
        shard = path / f"data-{number:05}-of-00002.arrow"
        write_arrow(shard, {name: documents[name] for name in some}, pa.ipc.new_stream)
    write_arrow(path / "cache-1b2c.arrow", {"cached": "no part of it"}, pa.ipc.new_stream)
    shards = [{"filename": f"data-{number:05}-of-00002.arrow"} for number in range(2)]
    state = {"_data_files": shards, "_fingerprint": "f1", "_format_type": None, "_split": "train"}
    (path / "state.json").write_text(json.dumps(state, indent=2))
    (path / "dataset_info.json").write_text(json.dumps({"citation": "", "features": {}}, indent=2))


def write_samples(path: Path, documents: Documents) -> None:
    """As WebDataset's own writer: a text and facts about it for each key."""
    with tarfile.open(path, "w") as archive:
        for name, text in documents.items():
            for ending, data in (("json", b'{"width": 7}'), ("txt", text.encode())):
                member = tarfile.TarInfo(f"{name}.{ending}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))


def write_records(path: Path, documents: Documents) -> None:
    """As Common Crawl writes texts of pages."""
    with open(path, "wb") as handle:
        writer = WARCWriter(handle, gzip=False)
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "a test"}))
        for name, text in documents.items():
            headers = {"WARC-Record-ID": name, "Content-Type": "text/plain"}
            payload, address = io.BytesIO(text.encode()), f"http://site/{name}"
            record = writer.create_warc_record(address, "conversion", payload=payload, warc_headers_dict=headers)
            writer.write_record(record)


CASES = [
    Case("texts.wet", write_records),
    Case("samples.tar", write_samples),
    Case("stream.arrow", partial(write_arrow, new=pa.ipc.new_stream), packed=False),
    Case("file.arrow", partial(write_arrow, new=pa.ipc.new_file), packed=False),
    Case("saved", write_saved, packed=False, is_file=False),
    Case("rows.csv", write_csv, framed=False),
    Case("rows.tsv", partial(write_csv, delimiter="\t"), framed=False),
]
every_file = pytest.mark.parametrize("case", [case for case in CASES if case.is_file], ids=lambda case: case.name)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def made_up(count: int, longest: int = 60) -> Documents:
    """Documents of words, some with line ends, quotation marks, separators and other letters."""
    chosen = random.Random(count)
    words = [
        "word",
        "other",
        'a "quoted" one',
        "é",
        "漢字",
        "one,\ttwo",
        "line\n",
        "end\r\n",
        "\N{GRINNING FACE}",
        "the",
    ]
    return {f"doc-{i}": f"{i} " + " ".join(chosen.choices(words, k=chosen.randrange(1, longest))) for i in range(count)}


def write_lines(path: Path, documents: Documents) -> None:
    lines = (json.dumps({"id": name, "text": text}) for name, text in documents.items())
    path.write_text("".join(f"{line}\n" for line in lines))


def digest_of(path: Path) -> str:
    """Digest of the memory of one file of a thousand documents, built in this process."""
    options = BuildOptions(
        resources=Resources(address="none", shards=1), corpus=CorpusOptions(), tokenizer="bytes", keep_tokens=False
    )
    summary = build([str(path)], path.with_name(f"{path.name}.memo"), options)
    assert summary is not None
    assert summary.documents == 1000
    return summary.digest


def read_through(path: Path, **chosen: str) -> int:
    """Read a file as a build does; the number of rows."""
    plan = plan_corpus([str(path)], CorpusOptions(**chosen), streams=True)
    tokenizer, rows = Tokenizer.bytes(), 0
    for split in plan.splits:
        if split.step:
            stream = Stream(split=split, options=plan.options, context_length=16)
            rows += sum(len(batch) for batch, _ in stream.batches(tokenizer, EVERYTHING, lambda part: False))
        else:
            rows += len(split_batch(split, plan.options, tokenizer=tokenizer, context_length=16))
    return rows


def bytes_read() -> int:
    """By system calls of this process so far, from whatever file."""
    return int(Path("/proc/self/io").read_text().split()[1])


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a thousand documents as lines."""
    path = tmp_path_factory.mktemp("lines") / "truth.jsonl"
    write_lines(path, made_up(1000))
    return digest_of(path)


@every_case
def test_the_memory_is_that_of_the_same_documents_as_lines(tmp_path: Path, case: Case, truth: str) -> None:
    path = tmp_path / case.name
    case.write(path, made_up(1000))
    assert digest_of(path) == truth
    if case.packed:
        (tmp_path / f"{case.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        assert digest_of(tmp_path / f"{case.name}.gz") == truth


@every_file
@pytest.mark.parametrize("errors", ["strict", "skip"])
def test_a_foreign_file_is_named(tmp_path: Path, case: Case, errors: str) -> None:
    (tmp_path / case.name).write_bytes(PICTURE)
    with pytest.raises(InputError, match=case.name):
        read_through(tmp_path / case.name, errors=errors)


@every_file
def test_an_empty_file_is_named(tmp_path: Path, case: Case) -> None:
    (tmp_path / case.name).touch()
    with pytest.raises(InputError, match=case.name):
        read_through(tmp_path / case.name)


@pytest.mark.parametrize("case", [case for case in CASES if case.framed and case.is_file], ids=lambda case: case.name)
@pytest.mark.parametrize("count", [10, 5_000])
def test_a_part_of_a_file_is_named(tmp_path: Path, case: Case, count: int) -> None:
    """Also of one that is read as a stream."""
    path = tmp_path / case.name
    case.write(path, made_up(count, longest=100))
    data = path.read_bytes()
    for length in (7, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=case.name):
            read_through(path)


@every_case
def test_a_large_file_is_read_once(tmp_path: Path, case: Case) -> None:
    path = tmp_path / case.name
    case.write(path, made_up(2000, longest=300))
    size = sum(one.stat().st_size for one in ([path] if case.is_file else path.iterdir()))
    assert size > MIB
    read_through(path)  # whatever is loaded late
    before = bytes_read()
    read_through(path)
    assert bytes_read() - before <= 1.1 * size


@pytest.mark.parametrize("case", [case for case in CASES if case.packed], ids=lambda case: case.name)
def test_a_packed_file_that_is_damaged_is_named(tmp_path: Path, case: Case) -> None:
    """By what packed it, however few documents are in it, and beside others that are whole."""
    case.write(tmp_path / case.name, made_up(20))
    packed = bytearray(gzip.compress((tmp_path / case.name).read_bytes()))
    packed[-6] ^= 1  # of the checksum
    (tmp_path / f"{case.name}.gz").write_bytes(packed)
    with pytest.raises(InputError, match=rf"{case.name}.gz cannot be read as gzip.*CRC"):
        plan_corpus([str(tmp_path)], CorpusOptions())
