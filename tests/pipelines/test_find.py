"""Sources: which files inputs name, what they are, how large; nothing broken is taken for whole.

Covers: pipelines/find.py, sources.py, compression.py and measuring. Compressed bytes are made here with the standard
codecs, sizes are counted by hand.
"""

import bz2
import gzip
import lzma
import os
import random
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memo_dist.errors import InputError
from pipelines.find import list_sources
from pipelines.formats import format_of
from pipelines.passed_over import PassedOver
from pipelines.sources import Source

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {".gz": gzip.compress, ".zst": zstd.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
NAMES = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
NOISE = random.Random(0).randbytes(20_000)


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text of " + name)


def measured(source: Source) -> Source:
    return format_of(source).measure(source, text_key="text").source


def names_of(sources: list[Source], folder: Path) -> list[str]:
    return [str(Path(source.url).relative_to(folder)) for source in sources]


def found(folder: Path, *inputs: str, **chosen: str) -> list[str]:
    return names_of(list_sources([str(folder / i) for i in inputs], **chosen), folder)


@pytest.mark.parametrize(
    ("ending", "format_"),
    [
        (".txt", "text"),
        (".md", "text"),
        (".rst", "text"),
        (".py", "text"),
        (".jsonl", "jsonl"),
        (".ndjson", "jsonl"),
        (".json", "jsonl"),
        (".parquet", "parquet"),
    ],
)
def test_every_ending_is_recognised_alone_and_compressed(tmp_path: Path, ending: str, format_: str) -> None:
    put(tmp_path, f"a{ending}")
    source = list_sources([str(tmp_path / f"a{ending}")])[0]
    assert (source.format, source.compression) == (format_, None)
    for suffix, name in NAMES.items() if ending != ".parquet" else ():
        put(tmp_path, f"a.b{ending}{suffix}")
        source = list_sources([str(tmp_path / f"a.b{ending}{suffix}")])[0]
        assert (source.format, source.compression) == (format_, name)


@pytest.mark.parametrize("name", ["a.xls", "a", "a.gz", "a.xls.gz", "a.parquet.gz", "a.txt.zip", "a.txt.gz.gz"])
def test_an_unknown_ending_is_refused_by_name(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    with pytest.raises(InputError, match=f"{name} has an ending"):
        list_sources([str(tmp_path / name)])


def test_a_directory_gives_its_text_sorted_without_hidden_and_other_files(tmp_path: Path) -> None:
    put(
        tmp_path,
        "c/b.txt",
        "c/a.md",
        "c/sub/deep/z.py",
        "c/sub/a.rst.gz",
        "c/photo.png",
        "c/.hidden.txt",
        "c/.git/x.txt",
    )
    assert found(tmp_path, "c") == ["c/a.md", "c/b.txt", "c/sub/a.rst.gz", "c/sub/deep/z.py"]


def test_what_is_passed_over_is_told_by_ending(tmp_path: Path) -> None:
    others = ["c/a.png", "c/d/b.png", "c/Makefile", "c/.hidden.png", "c/c.txt.zip", "c/z.png.gz"]
    put(tmp_path, "c/a.txt", "c/b.txt", *others)
    sources = list_sources([str(tmp_path / "c"), str(tmp_path / "c" / "b.txt")], exclude="b.*")
    assert len(sources) == 2
    assert sources.passed_over.by_ending() == {"no ending": 1, ".png": 1, ".zip": 1, ".gz": 1}
    assert sources.passed_over.told() == "4 files with endings that are not read: 1 no ending, 1 .png, 1 .zip, 1 .gz"
    many = PassedOver()
    for number in range(5000):
        many.add(f"a.{number}")
    assert len(many) == 5000
    assert len(many.by_ending()) <= 1025
    assert many.told().endswith(", ...")


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "c/a.txt", "c/secret/b.txt")
    scan = os.scandir

    def refused(folder: str) -> Any:  # whoever is root may read all
        if folder.endswith("secret"):
            raise PermissionError(13, "Permission denied")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(InputError, match=r"the directory .*/c/secret cannot be read"):
        list_sources([str(tmp_path / "c")])


@pytest.mark.parametrize("name", ["A.TXT", "a.Jsonl", "b.JSON.GZ", "c.Parquet"])
def test_endings_in_capitals_mean_the_same(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert list_sources([str(tmp_path / name)])[0].name.endswith(name)


def test_a_directory_is_searched_as_pathlib_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "c/a.txt", "c/b/.d/e.txt", "c/b/f..txt", "c/b/..g.txt", "c/b c/ü.md", "c/h.png", "c/.i", "else/j.txt")
    for link, target in [
        ("k.txt", "a.txt"),
        ("l.txt", "nowhere"),
        ("m.txt", "m.txt"),
        ("n.txt", "../else"),
        ("o", "b"),
    ]:
        (tmp_path / "c" / link).symlink_to(target)
    (tmp_path / "c" / "p.txt").mkdir()
    os.mkfifo(tmp_path / "c" / "q.txt")
    monkeypatch.chdir(tmp_path / "c")
    for item in (".", "..", "./b", str(tmp_path / "c"), f"{tmp_path}/c/b/../"):
        path = Path(item)
        shown = (p for p in path.rglob("*") if not any(part[0] == "." for part in p.relative_to(path).parts))
        files = sorted(str(p) for p in shown if p.is_file() and p.suffix in (".txt", ".md"))
        assert [source.name for source in list_sources([item])] == files
        assert [source.url for source in list_sources([item])] == [str(Path(name).absolute()) for name in files]


def test_a_directory_below_a_hidden_one_is_read_when_it_is_named(tmp_path: Path) -> None:
    put(tmp_path, ".cache/c/a.txt")
    assert found(tmp_path, ".cache/c") == [".cache/c/a.txt"]


def test_globs_are_sorted_and_may_be_recursive(tmp_path: Path) -> None:
    put(tmp_path, "b.txt", "a.txt", "c.md", "sub/d.txt", "sub/e/f.txt")
    assert found(tmp_path, "*.txt") == ["a.txt", "b.txt"]
    assert found(tmp_path, "**/*.txt") == ["a.txt", "b.txt", "sub/d.txt", "sub/e/f.txt"]


def test_include_and_exclude_choose_below_a_directory_and_not_among_named_files(tmp_path: Path) -> None:
    put(tmp_path, "c/a.txt", "c/b.md", "c/test_b.txt", "c/sub/d.txt")
    assert found(tmp_path, "c", include="*.txt") == ["c/a.txt", "c/sub/d.txt", "c/test_b.txt"]
    assert found(tmp_path, "c", include="*.txt", exclude="test_*") == ["c/a.txt", "c/sub/d.txt"]
    assert found(tmp_path, "c", exclude="*/sub/*") == ["c/a.txt", "c/b.md", "c/test_b.txt"]
    assert found(tmp_path, "c/*", include="*.md") == ["c/b.md"]
    assert found(tmp_path, "c/a.txt", include="*.md") == ["c/a.txt"]
    with pytest.raises(InputError, match="--include"):
        found(tmp_path, "c", include="*.rst")


def test_inputs_keep_their_order_and_a_file_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "z.txt", "c/a.txt", "c/b.txt")
    assert found(tmp_path, "z.txt", "c/b.txt", "c", "z.txt") == ["z.txt", "c/b.txt", "c/a.txt"]
    monkeypatch.chdir(tmp_path)
    assert [s.name for s in list_sources(["z.txt", "./z.txt", str(tmp_path / "z.txt")])] == ["z.txt"]


@pytest.mark.parametrize("name", ["nowhere.txt", "nothing-*.txt", "empty", "pictures"])
def test_an_input_with_nothing_to_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path, "pictures/a.png", "pictures/.a.txt")
    with pytest.raises(InputError, match=name.replace("*", r"\*")):
        list_sources([str(tmp_path / name)])


def test_no_input_at_all_is_refused() -> None:
    with pytest.raises(InputError, match="no input"):
        list_sources([])


@pytest.mark.parametrize("name", ["a[1].txt", "a*.txt", "with space.txt", "über.txt", "a?.txt", "a#b.txt", "a%20b.txt"])
def test_odd_names_are_read(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    for given in (name, "."):
        source = measured(list_sources([str(tmp_path / given)])[0])
        assert source.size == len(f"text of {name}".encode())


def test_a_local_name_with_two_colons_is_a_file_and_not_a_chain_of_file_systems(tmp_path: Path) -> None:
    put(tmp_path, "std::vector.txt")
    source = list_sources([str(tmp_path / "std::vector.txt")])[0]
    assert measured(source).size == len("text of std::vector.txt")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_files_in_archives_are_found_by_glob_and_by_name(tmp_path: Path, kind: str) -> None:
    put(tmp_path, "c/a.txt", "c/b.txt", "c/sub/c.txt", "c/d.png")
    archive = str(tmp_path / f"texts.{kind}")
    with zipfile.ZipFile(archive, "w") if kind == "zip" else tarfile.open(archive, "w") as made:
        for name in ("a.txt", "b.txt", "sub/c.txt", "d.png"):
            (made.write if isinstance(made, zipfile.ZipFile) else made.add)(tmp_path / "c" / name, name)
    sources = list_sources([f"{kind}://*.txt::{archive}"])
    assert [source.name for source in sources] == [f"{kind}://{name}.txt::{archive}" for name in "ab"]
    assert [measured(source).size for source in sources] == [len("text of c/a.txt")] * 2
    (one,) = list_sources([f"{kind}://sub/c.txt::{archive}"])
    assert one.name == f"{kind}://sub/c.txt::{archive}"
    with one.open() as handle:
        assert handle.read() == b"text of c/sub/c.txt"
    with pytest.raises(InputError, match=r"none\.txt"):
        list_sources([f"{kind}://none.txt::{archive}"])


def test_a_pipe_is_said_to_be_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe is no file but a pipe or a device.*put its text into a file"):
        list_sources([str(tmp_path / "pipe")])


def test_memory_urls_are_listed_searched_and_matched() -> None:
    system = fsspec.filesystem("memory")
    root = "/test_sources_urls"
    system.pipe({f"{root}/b.txt": b"bb", f"{root}/a.jsonl": b"{}", f"{root}/sub/c.txt.gz": gzip.compress(b"ccc")})
    try:
        paths = [s.url.removeprefix("memory://") for s in list_sources([f"memory:/{root}"])]
        assert paths == [f"{root}/a.jsonl", f"{root}/b.txt", f"{root}/sub/c.txt.gz"]
        assert [measured(s).size for s in list_sources([f"memory:/{root}"])] == [2, 2, 3]
        assert [measured(s).size for s in list_sources([f"memory:/{root}/*.txt"])] == [2]
        with pytest.raises(InputError, match="nothing\\.txt"):
            list_sources([f"memory:/{root}/nothing.txt"])
    finally:
        system.rm(root, recursive=True)


def test_an_unknown_protocol_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="nosuchthing://a"):
        list_sources(["nosuchthing://a/b.txt"])


def test_a_file_url_is_read_like_its_path(tmp_path: Path) -> None:
    put(tmp_path, "c/a.txt", "c/b.txt", "c/.hidden.txt")
    assert measured(list_sources([f"file://{tmp_path}/c/a.txt"])[0]).size == len("text of c/a.txt")
    assert list_sources([f"file://{tmp_path}/c/a.txt"], include="*.md")[0].format == "text"


def test_hidden_names_are_left_out_of_url_directories_too(tmp_path: Path) -> None:
    put(tmp_path, "c/a.txt", "c/b.txt", "c/.hidden.txt", "c/.git/x.txt")
    names = [Path(source.name).name for source in list_sources([f"file://{tmp_path}/c"])]
    assert names == ["a.txt", "b.txt"]


@pytest.mark.parametrize("suffix", COMPRESS)
def test_size_is_that_of_the_text_whatever_the_codec_and_the_number_of_frames(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.txt{suffix}"
    pieces = [NOISE, b"", NOISE[:1], NOISE[:7000]]
    path.write_bytes(b"".join(COMPRESS[suffix](piece) for piece in pieces))
    source = measured(list_sources([str(path)])[0])
    assert source.size == 27_001
    with source.open() as handle:
        assert handle.read() == b"".join(pieces)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_truncated_stream_is_refused_by_name_wherever_it_ends(tmp_path: Path, suffix: str) -> None:
    whole = COMPRESS[suffix](NOISE) + COMPRESS[suffix](NOISE[::-1])
    path = tmp_path / f"cut.txt{suffix}"
    edge = len(COMPRESS[suffix](NOISE))  # ends between two frames: cannot be told from a whole file
    lengths = {1, 2, 5, 11, edge - 1, edge // 2, edge + 3, len(whole) - 1, len(whole) - 8}
    for length in sorted(lengths):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"cut\.txt{suffix} cannot be read"):
            measured(list_sources([str(path)])[0])


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_file_of_no_bytes_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"zero.txt{suffix}").touch()
    with pytest.raises(InputError, match="zero"):
        measured(list_sources([str(tmp_path / f"zero.txt{suffix}")])[0])


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_file_that_is_not_compressed_as_its_name_says_is_refused(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"plain.txt{suffix}").write_text("plain text " * 100)
    with pytest.raises(InputError, match="plain"):
        measured(list_sources([str(tmp_path / f"plain.txt{suffix}")])[0])


def test_parquet_rows_are_counted_and_a_truncated_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(1000)]}), path, row_group_size=300)
    assert measured(list_sources([str(path)])[0]).rows == 1000
    whole = path.read_bytes()
    for length in (0, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"t\.parquet cannot be read"):
            measured(list_sources([str(path)])[0])
