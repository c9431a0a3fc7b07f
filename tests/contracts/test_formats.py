"""Format, a contract: documents written by others come back, however their files are cut, compressed or reached.

Covers: every format of pipelines.formats.FORMATS, through plans, passages and batches. Truth: files are written here
with the standard library and pyarrow, and what they hold is counted by plain loops; documents of token ids are the
bytes of a text, so that one truth serves all formats. Pieces are made small, so that short texts are cut like long
ones. Does not cover: what is special to one format (tests/pipelines).
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.warcwriter import WARCWriter

from console import flags
from memo_dist import Tokenizer
from memo_dist.batches import BatchInfo
from memo_dist.errors import InputError
from pipelines import pieces
from pipelines.batching import stream_batches
from pipelines.compression import COMPRESSIONS
from pipelines.formats import FORMATS, TOKEN_IDS, describe_endings, format_by_name, passages
from pipelines.formats.protocol import Format
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus, plan_token_ids

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": zstd.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
BYTES = Tokenizer.bytes()
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
CONVERTED = ("html",)  # whose texts are not in the file as they are: tests/pipelines/formats has tests of their own
EXACT = [format_ for format_ in FORMATS if format_.name not in CONVERTED]
TEXT_FORMATS = [format_ for format_ in EXACT if format_.content == "text"]
COMPRESSIBLE = [format_ for format_ in EXACT if format_.compressible]
ROWS = [format_ for format_ in EXACT if not format_.one_document]
every_format = pytest.mark.parametrize("format_", EXACT, ids=lambda format_: format_.name)
text_formats = pytest.mark.parametrize("format_", TEXT_FORMATS, ids=lambda format_: format_.name)


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", 256)
        patch.setattr(pieces, "SLACK", 64)
        yield


@dataclass(frozen=True)
class Written:
    """Files as others wrote them: (document id, bytes) of all documents in order, and the bytes that a plan counts."""

    inputs: list[str]
    documents: list[tuple[str, bytes]]
    size: int


Compress = Callable[[bytes], bytes]


def as_it_is(data: bytes) -> bytes:
    return data


def own_id(index: int) -> str | None:
    """Every third row has no id of its own."""
    return None if index % 3 == 2 else f"row-{index}"


def write_texts(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    paths = [folder / f"{index:03}.txt{suffix}" for index in range(len(documents))]
    for path, data in zip(paths, documents, strict=True):
        path.write_bytes(compress(data))
    names = [str(path) for path in paths]
    return Written(names, list(zip(names, documents, strict=True)), sum(map(len, documents)))


def write_lines(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    path, whole, truth = folder / f"rows.jsonl{suffix}", b"", []
    for index, data in enumerate(documents):
        row = {"text": data.decode(errors="surrogateescape"), "more": index}
        if (name := own_id(index)) is not None:
            row["id"] = name
        truth.append((name or f"{path}@{len(whole)}", data))
        whole += json.dumps(row, ensure_ascii=False).encode(errors="surrogateescape") + b"\n"
    path.write_bytes(compress(whole))
    return Written([str(path)], truth, len(whole))


def write_table(folder: Path, documents: list[bytes], column: pa.Array, name: str) -> tuple[Path, list[Any]]:
    path = folder / "rows.parquet"
    ids = [own_id(index) for index in range(len(documents))]
    pq.write_table(pa.table({name: column, "id": pa.array(ids, pa.string())}), path, row_group_size=3)
    return path, [(ids[i] or f"{path}#{i}", data) for i, data in enumerate(documents)]


def strings(documents: list[bytes]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, documents)]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(documents))]  # Arrow does not look at the bytes
    return pa.Array.from_buffers(pa.string(), len(documents), buffers)


def write_arrow(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    del compress
    path, names = folder / f"rows.arrow{suffix}", [own_id(index) for index in range(len(documents))]
    table = pa.table({"text": strings(documents), "id": pa.array(names, pa.string())})
    with pa.OSFile(str(path), "wb") as handle, pa.ipc.new_stream(handle, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    truth = [(names[i] or f"{path}#{i}", data) for i, data in enumerate(documents)]
    return Written([str(path)], truth, sum(map(len, documents)))


def write_parquet(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    path, truth = write_table(folder, documents, strings(documents), "text")
    path.rename(path.with_name(path.name + suffix))
    return Written([str(path) + suffix], truth, sum(map(len, documents)))


def write_token_ids(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    column = pa.array([list(data) for data in documents], pa.list_(pa.int32()))
    path, truth = write_table(folder, documents, column, "tokens")
    return Written([str(path)], truth, 4 * sum(map(len, documents)))


def write_rows(
    folder: Path, documents: list[bytes], suffix: str, compress: Compress, *, ending: str, delimiter: str
) -> Written:
    path, truth, buffer = folder / f"rows{ending}{suffix}", [], io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter)
    writer.writerow(["more", "text", "id"])
    header = buffer.tell()
    for index, data in enumerate(documents):
        name = own_id(index)
        writer.writerow([index, data.decode(errors="surrogateescape"), name])
        truth.append((name or f"{path}#{index}", data))
    whole = buffer.getvalue().encode(errors="surrogateescape")
    path.write_bytes(compress(whole))
    return Written([str(path)], truth, len(whole) - header)


def write_samples(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    """Samples of a picture and a text, in a .txt or a .json."""
    path, truth, buffer, end = folder / f"rows.tar{suffix}", [], io.BytesIO(), 0
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for index, data in enumerate(documents):
            row = json.dumps({"more": 1, "text": data.decode(errors="surrogateescape")}, ensure_ascii=False)
            text = (".json", row.encode(errors="surrogateescape")) if index % 2 else (".txt", data)
            for ending, content in ((".jpg", PICTURE), text):
                member = tarfile.TarInfo(f"part/{index:03}{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            truth.append((f"part/{index:03}", data))
            end = buffer.tell()
    path.write_bytes(compress(buffer.getvalue()))
    return Written([str(path)], truth, end)


def write_records(folder: Path, documents: list[bytes], suffix: str, compress: Compress) -> Written:
    path, truth, buffer = folder / f"rows.wet{suffix}", [], io.BytesIO()
    writer = WARCWriter(buffer, gzip=False)
    writer.write_record(writer.create_warcinfo_record("rows.wet", {"software": "a test"}))
    for index, data in enumerate(documents):
        name = f"<urn:uuid:{uuid.UUID(int=index)}>"
        headers = {"WARC-Record-ID": name, "Content-Type": "text/plain"}
        writer.write_record(
            writer.create_warc_record(
                f"http://site/{index}", "conversion", payload=io.BytesIO(data), warc_headers_dict=headers
            )
        )
        truth.append((name, data))
    path.write_bytes(compress(buffer.getvalue()))
    return Written([str(path)], truth, len(buffer.getvalue()))


WRITERS: dict[str, Callable[[Path, list[bytes], str, Compress], Written]] = {
    "text": write_texts,
    "jsonl": write_lines,
    "parquet": write_parquet,
    "arrow": write_arrow,
    "csv": partial(write_rows, ending=".csv", delimiter=","),
    "tsv": partial(write_rows, ending=".tsv", delimiter="\t"),
    "webdataset": write_samples,
    "warc": write_records,
    "token ids": write_token_ids,
}
NAMED = ("webdataset", "warc")  # which have a name for each document
WITHOUT_FIELDS = ("warc",)
UNFRAMED = ("csv", "tsv")  # nothing in these files says where they end


def write(folder: Path, format_: Format, documents: list[bytes], suffix: str = "") -> Written:
    folder.mkdir(exist_ok=True)
    return WRITERS[format_.name](folder, documents, suffix, COMPRESS.get(suffix, as_it_is))


def planned(format_: Format, inputs: list[str], **chosen: Any) -> CorpusPlan:
    options = CorpusOptions(**chosen)
    return plan_token_ids(inputs, options)[0] if format_ is TOKEN_IDS else plan_corpus(inputs, options)


def read(format_: Format, inputs: list[str], **chosen: Any) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
    """(id, bytes) of the documents in the order of reading, and what reading counted."""
    plan = planned(format_, inputs, **chosen)
    documents: list[tuple[str, bytes]] = []
    counts = dict.fromkeys(("skipped", "replaced", "empty", "consumed"), 0)
    open_document = False
    for split in plan.splits:
        reading = plan.options.reading()
        for passage in (p for span in split.spans for p in passages(span, reading)):
            data = "".join(passage.pieces()).encode() if passage.ids is None else bytes(passage.ids.tolist())
            if open_document:
                name, before = documents.pop()
                assert name == passage.document_id
                assert len(before) == passage.start or chosen.get("errors") == "replace"  # counts the file's bytes
                data = before + data
            else:
                assert passage.start == 0
            documents.append((passage.document_id, data))
            open_document = not passage.ends
        for name in counts:
            counts[name] += getattr(reading, name)
    assert not open_document
    return documents, counts


def whole(documents: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [(name, data) for name, data in documents if data]


fragments = st.sampled_from(
    ["word ", "a line\n", "é", "漢字", "\N{GRINNING FACE}", "\n", '"\\', "x" * 120, "\r\n", "\0"]
)
texts = st.lists(fragments, max_size=25).map(lambda parts: "".join(parts).encode())
corpora = st.lists(texts, min_size=1, max_size=7).filter(any)
unit_sizes = st.one_of(st.none(), st.integers(1, 3000))
SOME = [text.encode() for text in ("first\n", "é" * 400, "", "a line of words\n" * 90, "漢字", "the last one")]


def test_every_format_has_a_writer_and_every_ending_one_format() -> None:
    assert WRITERS.keys() == {format_.name for format_ in EXACT}
    assert COMPRESS.keys() == COMPRESSIONS.keys()
    endings = [suffix for format_ in FORMATS for suffix in format_.suffixes]
    assert len(set(endings)) == len(endings)
    for format_ in FORMATS:
        for suffix in format_.suffixes:
            assert format_by_name(f"a/b{suffix}") == (format_, None)
            for ending, name in COMPRESSIONS.items():
                expected = (format_, name) if format_.compressible else None
                assert format_by_name(f"memory://a/b{suffix}{ending}") == expected


def test_help_and_errors_show_the_endings_of_the_list(tmp_path: Path) -> None:
    endings = [suffix for format_ in FORMATS for suffix in format_.suffixes]
    (argument,) = flags.OptionalInputs.__metadata__  # type: ignore[attr-defined]  # of Annotated
    (tmp_path / "a.unknown").touch()
    with pytest.raises(InputError) as refused:
        plan_corpus([str(tmp_path / "a.unknown")], CorpusOptions())
    for shown in (str(argument.help), describe_endings(), str(refused.value)):
        words = shown.replace(",", " ").rstrip(".").split()
        assert [word for word in words if word in endings][: len(endings)] == endings


@every_format
@settings(max_examples=40, deadline=None)
@given(documents=corpora, split_bytes=unit_sizes)
def test_documents_come_back_with_their_ids_in_order_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, format_: Format, documents: list[bytes], split_bytes: int | None
) -> None:
    written = write(tmp_path_factory.mktemp("corpus"), format_, documents)
    found, counts = read(format_, written.inputs, split_bytes=split_bytes)
    assert found == whole(written.documents)
    assert counts["empty"] == len(documents) - len(found)
    assert counts["skipped"] == counts["replaced"] == 0


@every_format
def test_documents_that_begin_where_a_unit_begins_are_read_once(tmp_path: Path, format_: Format) -> None:
    for length in range(190, 270):  # at one of them a row is as long as a piece
        written = write(tmp_path / str(length), format_, [b"x" * length] * 3)
        assert read(format_, written.inputs, split_bytes=1)[0] == written.documents


@every_format
@settings(max_examples=15, deadline=None)
@given(documents=corpora, split_bytes=unit_sizes)
def test_batches_hold_the_bytes_of_the_documents_and_are_named_by_their_units(
    tmp_path_factory: pytest.TempPathFactory, format_: Format, documents: list[bytes], split_bytes: int | None
) -> None:
    written = write(tmp_path_factory.mktemp("corpus"), format_, documents)
    plan = planned(format_, written.inputs, split_bytes=split_bytes)
    found: dict[str, list[int]] = {}
    infos = []
    for batch in stream_batches(plan, None if format_ is TOKEN_IDS else BYTES, 16):
        infos.append(BatchInfo.of(batch))
        for row in batch.to_pylist():
            tokens = found.setdefault(row["document_id"], [])
            assert row["context"] == (tokens[-16:] if row["segment_start"] else [])
            tokens += row["tokens"]
    assert [(name, bytes(tokens)) for name, tokens in found.items()] == whole(written.documents)
    names = [info.batch_id for info in infos]
    assert names == [split.batch_id for split in planned(format_, written.inputs, split_bytes=split_bytes).splits]
    assert len(set(names)) == len(names)


@every_format
@pytest.mark.parametrize("split_bytes", [1, 256, 700, 10**6])
def test_the_spans_of_units_are_the_uncut_files_without_gap_or_overlap(
    tmp_path: Path, format_: Format, split_bytes: int
) -> None:
    written = write(tmp_path, format_, [*SOME, *SOME])
    uncut = planned(format_, written.inputs, split_bytes=10**9)
    (expected,) = [[(s.source, s.start, s.stop) for s in split.spans] for split in uncut.splits]
    joined: list[tuple[Any, int, int]] = []
    for span in (s for split in planned(format_, written.inputs, split_bytes=split_bytes).splits for s in split.spans):
        if joined and joined[-1][0] == span.source:
            source, start, stop = joined.pop()
            assert stop == span.start < span.stop
            joined.append((source, start, span.stop))
        else:
            joined.append((span.source, span.start, span.stop))
    assert joined == expected


@every_format
@settings(max_examples=25, deadline=None)
@given(documents=corpora, split_bytes=unit_sizes)
def test_measuring_counts_what_reading_gives(
    tmp_path_factory: pytest.TempPathFactory, format_: Format, documents: list[bytes], split_bytes: int | None
) -> None:
    documents = [data or b"some" for data in documents]  # of rows without any text, one byte each is counted
    written = write(tmp_path_factory.mktemp("corpus"), format_, documents)
    plan = planned(format_, written.inputs, split_bytes=split_bytes)
    assert plan.text_bytes == written.size == read(format_, written.inputs, split_bytes=split_bytes)[1]["consumed"]
    assert plan.files == len(written.inputs)


@pytest.mark.parametrize("format_", COMPRESSIBLE, ids=lambda format_: format_.name)
@pytest.mark.parametrize("suffix", COMPRESS)
@pytest.mark.parametrize("split_bytes", [None, 300])
def test_compressed_files_hold_the_same_documents(
    tmp_path: Path, format_: Format, suffix: str, split_bytes: int | None
) -> None:
    plain, small = write(tmp_path / "plain", format_, SOME), write(tmp_path / "small", format_, SOME, suffix)
    documents, counts = read(format_, small.inputs, split_bytes=split_bytes)
    assert documents == whole(small.documents)
    without_folder = [data for _, data in read(format_, plain.inputs, split_bytes=split_bytes)[0]]
    assert [data for _, data in documents] == without_folder
    assert counts == read(format_, plain.inputs, split_bytes=split_bytes)[1]


@every_format
def test_a_url_gives_the_documents_of_the_file(tmp_path: Path, format_: Format) -> None:
    system, root = fsspec.filesystem("memory"), f"/contract-{format_.name.replace(' ', '-')}"
    written = write(tmp_path, format_, SOME)
    try:
        system.put(str(tmp_path) + "/", root + "/", recursive=True)
        found = read(format_, [f"memory:/{root}"], split_bytes=500)[0]
    finally:
        system.rm(root, recursive=True)
    assert [data for _, data in found] == [data for _, data in whole(written.documents)]


@every_format
@pytest.mark.parametrize("split_bytes", [None, 1])
def test_limit_gives_the_first_documents_of_all_files_and_reads_no_further_file(
    tmp_path: Path, format_: Format, split_bytes: int | None
) -> None:
    full = [data or b"not empty" for data in SOME]
    first, second = write(tmp_path / "a", format_, full), write(tmp_path / "b", format_, full)
    inputs, truth = first.inputs + second.inputs, first.documents + second.documents
    for limit in range(1, len(truth) + 2):
        assert read(format_, inputs, limit=limit, split_bytes=split_bytes)[0] == truth[:limit]
    Path(second.inputs[0]).write_bytes(PICTURE)
    assert read(format_, inputs, limit=len(full))[0] == first.documents


@every_format
def test_a_file_of_no_bytes_is_refused_by_name_and_gives_no_document_beside_others(
    tmp_path: Path, format_: Format
) -> None:
    written = write(tmp_path / "good", format_, SOME)
    empty = tmp_path / f"zero{Path(written.inputs[0]).suffix}"
    empty.touch()
    with pytest.raises(InputError, match="zero"):
        read(format_, [str(empty)])
    try:
        found = read(format_, [*written.inputs, str(empty)])[0]
    except InputError as error:
        assert "zero" in str(error)  # noqa: PT017  # a format whose files have a frame refuses it
    else:
        assert found == whole(written.documents)


@every_format
@pytest.mark.parametrize("errors", ["strict", "replace", "skip"])
def test_a_foreign_file_of_the_same_ending_is_refused_by_name(tmp_path: Path, format_: Format, errors: str) -> None:
    written = write(tmp_path / "good", format_, SOME)
    foreign = tmp_path / f"picture{Path(written.inputs[0]).suffix}"
    foreign.write_bytes(PICTURE)
    if errors == "strict" or format_ not in TEXT_FORMATS or not format_.compressible:
        with pytest.raises(InputError, match="picture"):
            read(format_, [*written.inputs, str(foreign)], errors=errors)
    elif format_.one_document and errors == "replace":  # any bytes are a text then
        assert read(format_, [str(foreign)], errors=errors)[0] == [
            (str(foreign), PICTURE.decode(errors="replace").encode())
        ]


@pytest.mark.parametrize("format_", [f for f in ROWS if f.name not in UNFRAMED], ids=lambda format_: format_.name)
def test_a_truncated_file_of_rows_is_refused_by_name(tmp_path: Path, format_: Format) -> None:
    """These formats say where a row or the file ends; of one that does not, such as csv, this cannot be wanted."""
    path = Path(write(tmp_path, format_, SOME).inputs[0])
    data = path.read_bytes()
    for length in {3, 20, len(data) // 3, len(data) // 2, len(data) - 3}:
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
            read(format_, [str(path)])


@pytest.mark.parametrize("format_", COMPRESSIBLE, ids=lambda format_: format_.name)
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_compressed_file_is_refused_by_name_before_anything_is_read(
    tmp_path: Path, format_: Format, suffix: str
) -> None:
    path = Path(write(tmp_path, format_, [SOME[3], *SOME], suffix).inputs[0])
    data = path.read_bytes()
    for length in {0, 3, len(data) // 2, len(data) - 1}:
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
            planned(format_, [str(path)])


broken_texts = st.lists(st.sampled_from([b"word ", "é".encode(), b"\xff", b"\xe2\x82", b"a line\n" * 40]), max_size=8)


@text_formats
@settings(max_examples=30, deadline=None)
@given(
    documents=st.lists(broken_texts.map(b"".join), min_size=1, max_size=5).filter(any),
    split_bytes=unit_sizes,
)
def test_documents_that_are_not_utf8_follow_the_policy_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, format_: Format, documents: list[bytes], split_bytes: int | None
) -> None:
    written = write(tmp_path_factory.mktemp("corpus"), format_, documents)
    replaced, valid = [], []
    for name, data in whole(written.documents):
        text = data.decode(errors="replace").encode()
        replaced.append((name, text))
        valid += [(name, data)] if text == data else []
    broken = len(replaced) - len(valid)
    chosen = {"split_bytes": split_bytes}
    found, counts = read(format_, written.inputs, errors="replace", **chosen)
    assert (found, counts["replaced"], counts["skipped"]) == (replaced, broken, 0)
    found, counts = read(format_, written.inputs, errors="skip", **chosen)
    assert (found, counts["replaced"], counts["skipped"]) == (valid, 0, broken)
    if broken:
        first = next(name for name, data in whole(written.documents) if (name, data) not in valid)
        file = first if first in written.inputs else written.inputs[0]
        with pytest.raises(InputError) as refused:
            read(format_, written.inputs, errors="strict", **chosen)
        assert file in str(refused.value)
    else:
        assert read(format_, written.inputs, errors="strict", **chosen)[0] == valid


@pytest.mark.parametrize(
    "format_",
    [f for f in ROWS if f in TEXT_FORMATS and f.name not in WITHOUT_FIELDS],
    ids=lambda format_: format_.name,
)
def test_a_missing_field_is_refused_with_the_file_and_the_fields_there_are(tmp_path: Path, format_: Format) -> None:
    written = write(tmp_path, format_, SOME)
    with pytest.raises(InputError, match=rf"{Path(written.inputs[0]).name}.*'body'.*'text'"):
        read(format_, written.inputs, text_key="body")


@pytest.mark.parametrize("format_", [f for f in ROWS if f.name not in NAMED], ids=lambda format_: format_.name)
def test_rows_are_named_by_the_field_that_is_chosen_or_else_by_their_place(tmp_path: Path, format_: Format) -> None:
    full = [data or b"not empty" for data in SOME]
    written = write(tmp_path, format_, full)
    found = read(format_, written.inputs, id_key="nothing")[0]
    assert [data for _, data in found] == full
    assert len({name for name, _ in found}) == len(full)
    for index, (name, _) in enumerate(found):
        assert name.startswith(written.inputs[0])
        assert own_id(index) is not None or name == written.documents[index][0]
