"""Tables of text: what is special to .csv and .tsv: headers, quotation marks, rows that are broken.

Covers: as above. Does not cover: what all formats have in common (tests/contracts, test_format_contract.py).
"""

from pathlib import Path

import pytest

from memo_dist.errors import InputError
from pipelines.formats import csv as tables
from pipelines.formats import passages
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.reading import Reading


def read(path: Path, content: str | bytes, **chosen: str) -> tuple[dict[str, str], Reading]:
    """The documents of a file with such content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    plan = plan_corpus([str(path)], CorpusOptions(**chosen))
    reading = plan.options.reading()
    found = [passage for split in plan.splits for span in split.spans for passage in passages(span, reading)]
    return {one.document_id.removeprefix(f"{path.parent}/"): "".join(one.pieces()) for one in found}, reading


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbftext,id\none,a\n",
        b"\n\ntext,id\n\none,a\n\n",
        b'"id","text"\r\n"a","one"\r\n',
        b"id,text\na,one",
    ],
)
def test_headers_and_line_ends_as_programs_write_them(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.csv", content)[0] == {"a": "one"}


def test_rows_without_an_id_are_named_by_their_place(tmp_path: Path) -> None:
    assert read(tmp_path / "a.csv", 'text\n"one\ntwo"\n\nthree\n')[0] == {"a.csv#0": "one\ntwo", "a.csv#1": "three"}


@pytest.mark.parametrize("errors", ["strict", "skip"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("words,name\none,a\n", r"column 'text'.*\['words', 'name'\].*--text-key"),
        ("one text;a\nanother;b\n", r"column 'text'.*\['one text;a'\].*stand between ','"),
        (",".join(f"column {i}" for i in range(50)) + "\n1\n", r"'column 19'\] and more"),
        ("id,text\na,one\n".encode("utf-16"), "a.csv is UTF-16.*iconv"),
    ],
)
def test_a_file_without_the_column_is_refused_with_those_it_has(
    tmp_path: Path, content: str | bytes, told: str, errors: str
) -> None:
    with pytest.raises(InputError, match=told):
        read(tmp_path / "a.csv", content, errors=errors)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("b,one,two\n", r"a.csv#1: the row that ends in line 3 has 3 fields, the header 2"),
        ("b\n", r"has 1 fields, the header 2"),
        ('b,"one" two\n', r"a.csv#1: line 3: fields are not quoted"),
        ("b,one\rtwo\n", r"a.csv#1: line 3: fields are not quoted"),
        ('b,"' + "x" * 300 + '"\n', r"a.csv#1: line 3: a field is longer than 256 bytes"),
    ],
)
def test_a_broken_row_is_named_by_its_line_and_may_be_left_out(
    tmp_path: Path, broken: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_ROW", 256)
    monkeypatch.setattr(tables._Lines, "__next__", _unlimited)
    content = f"id,text\na,first\n{broken}c,last\n"
    with pytest.raises(InputError, match=told):
        read(tmp_path / "a.csv", content)
    found, reading = read(tmp_path / "a.csv", content, errors="skip")
    assert found == {"a": "first", "c": "last"}
    assert (reading.skipped, reading.rejects[0][0]) == (1, f"{tmp_path}/a.csv#1")


def _unlimited(lines: tables._Lines) -> str:
    line = lines._handle.readline()
    if not line:
        raise StopIteration
    lines.bytes += len(line)
    return line.decode()


def test_quotation_marks_that_are_never_closed_do_not_swallow_the_rest_in_silence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.csv#1: line 4: the file ends inside quotation marks"):
        read(tmp_path / "a.csv", 'id,text\na,first\nb,"second\nc,third\n')


def test_a_line_without_end_is_refused_before_it_fills_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MAX_ROW", 100)
    with pytest.raises(InputError, match=r"a.csv: the line that begins at byte 8 is longer than 100 bytes"):
        read(tmp_path / "a.csv", "id,text\n" + "x" * 200)
