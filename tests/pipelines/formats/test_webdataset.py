"""WebDataset: which members of an archive are texts, and of which key; archives that are not whole.

Covers: as above. Does not cover: what all formats have in common (tests/contracts, test_format_contract.py).
"""

import io
import tarfile
from pathlib import Path

import pytest

from memo_dist.errors import InputError
from pipelines.formats import passages, webdataset
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.reading import Reading


def write(path: Path, members: dict[str, bytes], **chosen: int) -> Path:
    with tarfile.open(path, "w", **chosen) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def read(path: Path, **chosen: str) -> tuple[dict[str, str], Reading]:
    plan = plan_corpus([str(path)], CorpusOptions(**chosen))
    reading = plan.options.reading()
    found = [passage for split in plan.splits for span in split.spans for passage in passages(span, reading)]
    return {one.document_id: "".join(one.pieces()) for one in found}, reading


def test_a_sample_has_its_text_in_a_txt_or_else_a_json(tmp_path: Path) -> None:
    members = {
        "a/1.jpg": b"\xff\xd8",
        "a/1.json": b'{"text": "not this"}',
        "a/1.txt": b"one",
        "a/2.TXT": b"two",
        "a/2.json": b'{"text": "not this"}',
        "a/3.json": b'{"text": "three", "id": 7}',
        "a/4.jpg": b"\xff\xd8",
        "./b/5.title.txt": b"a title",
        "./b/5.txt": b"five",
        "b/._6.txt": b"of a file system",
        "b/7.json": b'{"text": null}',
        "README": b"no ending",
        "8.txt": b"",
    }
    found, reading = read(write(tmp_path / "a.tar", members))
    assert found == {"a/1": "one", "a/2": "two", "a/3": "three", "b/5.title": "a title", "b/5": "five"}
    assert reading.empty == 2


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_keys(tmp_path: Path, form: int) -> None:
    key = "/".join(["a long part of a name"] * 6) + "/é"
    assert read(write(tmp_path / "a.tar", {f"{key}.txt": b"one"}, format=form))[0] == {key: "one"}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"1.json": b'{"caption": "a"}'}, r"a.tar#0: the member 1.json .* 'text', and has the fields \['caption'\]"),
        ({"1.json": b"[1]"}, r"a.tar#0: the member 1.json .* has a list"),
        ({"1.json": b"{"}, r"a.tar#0: the member 1.json is not JSON"),
        ({"1.txt": b"x" * 200}, r"a.tar#0: the member 1.txt is longer than 100 bytes"),
    ],
)
def test_a_broken_member_is_named_and_may_be_left_out(
    tmp_path: Path, members: dict[str, bytes], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webdataset, "MAX_ROW", 100)
    path = write(tmp_path / "a.tar", {**members, "2.txt": b"fine"})
    with pytest.raises(InputError, match=told):
        read(path)
    found, reading = read(path, errors="skip")
    assert (found, reading.skipped) == ({"2": "fine"}, 1)


def test_an_archive_of_other_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a.tar holds 2 samples, none with a text"):
        read(write(tmp_path / "a.tar", {"1.jpg": b"a", "2.jpg": b"b"}))


def test_an_archive_that_breaks_off_or_is_damaged_anywhere_is_named(tmp_path: Path) -> None:
    """Also where the library would take the rest for padding."""
    path = write(tmp_path / "a.tar", {f"{i}.txt": b"x" * 700 for i in range(5)})
    data = path.read_bytes()
    end = 5 * 3 * 512
    for length in (512, 513, 1024, 1536, 3 * 512, 4 * 512 + 9, end - 512, end, end + 511, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"a\.tar"):
            read(path)
    for header in range(0, end, 3 * 512):
        path.write_bytes(data[: header + 3] + b"\xff" + data[header + 4 :])
        with pytest.raises(InputError, match=r"a\.tar"):
            read(path)
    path.write_bytes(data + data)  # one behind the other
    with pytest.raises(InputError, match=r"a\.tar is not whole"):
        read(path)
