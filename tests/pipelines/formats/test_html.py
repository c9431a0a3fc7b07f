"""Pages: the text of .html files, and of the pages in archives of the web.

Covers: what is shown of a page, letters of other encodings, files that are no pages; which records of an archive are
texts. Truth: what stands between the tags, by hand; archives are written by warcio. Does not cover: what all formats
have in common (tests/contracts, test_format_contract.py).
"""

import gzip
import io
from pathlib import Path

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from memo_dist.errors import InputError
from pipelines.formats import html, passages, warc
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.reading import Reading

PAGE = """<!doctype html><html><head><meta charset={charset}><title>Not shown</title><style>p {{}}</style>
<script>var x = "<p>no</p>";</script></head><body><h1>A heading</h1><!-- nor this -->
<p>One <b>bold</b>   word &amp; l'été.</p><p>Another.</p></body></html>"""
TEXT = "A heading\n\nOne bold word & l'été.\n\nAnother."


def read(path: Path, **chosen: str) -> tuple[dict[str, str], Reading]:
    plan = plan_corpus([str(path)], CorpusOptions(**chosen), streams=True)
    reading = plan.options.reading()
    found = [passage for split in plan.splits for span in split.spans for passage in passages(span, reading)]
    return {one.document_id.removeprefix(f"{path}/"): "".join(one.pieces()) for one in found}, reading


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "utf-16"])
def test_a_page_is_the_text_that_it_shows(tmp_path: Path, charset: str) -> None:
    for name in ("a.html", "b.HTM"):
        (tmp_path / name).write_bytes(PAGE.format(charset=charset).encode(charset))
    (tmp_path / "c.html.gz").write_bytes(gzip.compress(PAGE.format(charset=charset).encode(charset)))
    assert read(tmp_path)[0] == dict.fromkeys(("a.html", "b.HTM", "c.html.gz"), TEXT)


def test_files_that_are_no_pages_are_named_and_may_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.html").write_bytes(PAGE.format(charset="utf-8").encode())
    (tmp_path / "b.html").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    (tmp_path / "c.html").touch()
    with pytest.raises(InputError, match=r"b.html#0: there is no tag of HTML in it"):
        read(tmp_path)
    found, reading = read(tmp_path, errors="skip")
    assert found == {"a.html": TEXT}
    assert [place for place, _ in reading.rejects] == [f"{tmp_path}/b.html#0"]
    monkeypatch.setattr(html, "MAX_ROW", 100)
    with pytest.raises(InputError, match=r"a.html is a page of more than 100 bytes"):
        read(tmp_path)


Records = list[tuple[str, str, dict[str, str], bytes, StatusAndHeaders | None]]


def answer(status: str, **headers: str) -> StatusAndHeaders:
    return StatusAndHeaders(status, [(name.replace("_", "-"), value) for name, value in headers.items()], "HTTP/1.1")


def write(path: Path, records: Records) -> Path:
    """An archive as servers' answers are kept, each record compressed for itself."""
    with open(path, "wb") as handle:
        writer = WARCWriter(handle, gzip=path.suffix == ".gz")
        writer.write_record(writer.create_warcinfo_record(path.name, {"software": "a test"}))
        for name, kind, headers, data, http in records:
            record = writer.create_warc_record(
                f"http://site/{name}",
                kind,
                payload=io.BytesIO(data),
                warc_headers_dict={"WARC-Record-ID": f"<urn:{name}>", **headers},
                http_headers=http,
            )
            writer.write_record(record)
    return path


@pytest.mark.parametrize("ending", [".warc", ".warc.gz"])
def test_pages_and_texts_of_an_archive_are_documents(tmp_path: Path, ending: str) -> None:
    page = PAGE.format(charset="utf-8").encode()
    old = PAGE.replace("<meta charset={charset}>", "").format().encode("iso-8859-1")
    shown = answer("200 OK", Content_Type="text/html; charset=utf-8")
    records: Records = [
        ("a", "response", {}, page, shown),
        ("b", "response", {}, old, answer("200 OK", Content_Type="text/html; charset=ISO-8859-1")),
        ("c", "response", {}, gzip.compress(page), answer("200 OK", Content_Type="text/html", Content_Encoding="gzip")),
        ("d", "response", {}, "été".encode("latin-1"), answer("200", Content_Type="text/plain; charset=latin-1")),
        ("e", "response", {}, b"\xff\xd8", answer("200 OK", Content_Type="image/jpeg")),
        ("f", "response", {}, page, answer("404 Not Found", Content_Type="text/html")),
        ("g", "request", {}, b"", answer("GET / HTTP/1.1")),
        ("h", "conversion", {"Content-Type": "text/plain"}, b"a text\n", None),
        ("i", "resource", {"Content-Type": "text/html"}, page, None),
        ("j", "metadata", {"Content-Type": "text/plain"}, b"fetchTimeMs: 3", None),
    ]
    found, _ = read(write(tmp_path / f"a{ending}", records))
    texts = {"a": TEXT, "b": TEXT, "c": TEXT, "d": "été", "h": "a text\n", "i": TEXT}
    assert found == {f"<urn:{name}>": text for name, text in texts.items()}


def test_records_that_cannot_be_read_are_named_and_may_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warc, "MAX_ROW", 100)
    path = write(
        tmp_path / "a.wet", [("a", "conversion", {}, b"x" * 200, None), ("b", "conversion", {}, b"a text", None)]
    )
    with pytest.raises(InputError, match=r"a.wet#0: the record <urn:a> is longer than 100 bytes"):
        read(path)
    found, reading = read(path, errors="skip")
    assert (found, reading.skipped) == ({"<urn:b>": "a text"}, 1)


def test_an_archive_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.warc holds 2 records, none with a text"):
        read(write(tmp_path / "a.warc", [("a", "metadata", {}, b"x", None)]))


def test_an_archive_that_breaks_off_anywhere_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wet", [(f"{i}", "conversion", {}, b"some words\n" * 9, None) for i in range(3)])
    data = path.read_bytes()
    ends = {place + 4 for place in range(len(data)) if data[place : place + 4] == b"\r\n\r\n"}
    for length in sorted(set(range(5, len(data), 7)) - ends):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"a\.wet"):
            read(path)
