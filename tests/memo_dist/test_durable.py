"""Durable files: whole or not at all, whatever fails and whenever the process ends; errors name the file."""

import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memo_dist.durable import Sink, file_digest, sync_directory, write_text, writing
from memo_dist.errors import StorageError

MODULE = write_text.__module__


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_text_is_written_and_replaced_whole(tmp_path: Path) -> None:
    for text in ("first\n", "", "Ä second, longer one\n" * 1000):
        write_text(tmp_path / "a.json", text)
        assert (tmp_path / "a.json").read_text(encoding="utf-8") == text
        assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("failing", ["write", "fsync", "rename", "interrupt"])
def test_a_writer_that_fails_leaves_what_was_there(
    failing: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text that cannot be encoded, a disk that refuses to sync or to rename, Ctrl-C."""
    path = tmp_path / "a.json"
    if there:
        path.write_text("before")
    expected: type[BaseException] = OSError
    text = "after"
    if failing == "write":
        text, expected = "half of it \ud800", UnicodeEncodeError
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", refusing(OSError(errno.EIO, "the disk is broken")))
    elif failing == "rename":
        monkeypatch.setattr(Path, "rename", refusing(OSError(errno.EROFS, "read-only")))
    else:
        expected = KeyboardInterrupt
        monkeypatch.setattr(os, "fsync", refusing(KeyboardInterrupt()))
    with pytest.raises(expected):
        write_text(path, text)
    assert names(tmp_path) == (["a.json"] if there else [])
    assert not there or path.read_text() == "before"


def refusing(error: BaseException):  # type: ignore[no-untyped-def]  # stands for functions of several signatures
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


@pytest.mark.parametrize("moment", ["os.fsync", "pathlib.Path.rename"])
def test_a_process_that_ends_before_the_rename_leaves_the_old_text(moment: str, tmp_path: Path) -> None:
    """As by SIGKILL or a power cut: no handler runs. What it leaves behind does not hinder the next writer."""
    path = tmp_path / "a.json"
    path.write_text("before")
    owner, name = moment.rsplit(".", 1)
    program = (
        f"import os, pathlib\nfrom {MODULE} import write_text\n"
        f"{owner}.{name} = lambda *_: os._exit(9)\n"
        f"write_text(pathlib.Path({str(path)!r}), 'after' * 10_000)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 9
    assert path.read_text() == "before"
    write_text(path, "next")
    assert path.read_text() == "next"
    assert names(tmp_path) == ["a.json"]


def test_the_bytes_are_on_disk_before_they_have_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[tuple[str, int, int]] = []
    sync, rename = os.fsync, Path.rename

    def seen_sync(handle: int) -> None:
        found = os.fstat(handle)
        events.append(("sync", found.st_ino, found.st_size))
        sync(handle)

    def seen_rename(source: Path, target: Path) -> Path:
        found = source.stat()
        events.append(("rename", found.st_ino, found.st_size))
        return rename(source, target)

    monkeypatch.setattr(os, "fsync", seen_sync)
    monkeypatch.setattr(Path, "rename", seen_rename)
    write_text(tmp_path / "a.json", "x" * 100_000)
    inode = (tmp_path / "a.json").stat().st_ino
    assert events == [("sync", inode, 100_000), ("rename", inode, 100_000)]


def test_a_directory_is_synced_and_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def seen(handle: int) -> None:
        synced.append(handle)
        assert stat.S_ISDIR(os.fstat(handle).st_mode)
        assert os.fstat(handle).st_ino == tmp_path.stat().st_ino
        if len(synced) > 1:
            raise OSError(errno.EIO, "the disk is broken")

    monkeypatch.setattr(os, "fsync", seen)
    sync_directory(tmp_path)
    with pytest.raises(OSError, match="broken"):
        sync_directory(tmp_path)
    for handle in synced:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handle)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: make room"),
        (RuntimeError("unable to flush (errno = 28, error message = '...')"), "the disk is full: make room"),
        (OSError(errno.EACCES, "Permission denied"), "Permission denied"),
        (RuntimeError("unable to flush"), "unable to flush"),
    ],
)
def test_refusals_of_the_system_name_the_file(raised: Exception, told: str) -> None:
    with (
        pytest.raises(StorageError, match=rf"cannot write some/where: .*{told}") as caught,
        writing(Path("some/where")),
    ):
        raise raised
    assert caught.value.__cause__ is raised


def test_other_errors_pass_as_they_are() -> None:
    for raised in (StorageError("told already"), ValueError("a bug"), KeyboardInterrupt()):
        with pytest.raises(type(raised)) as caught, writing(Path("a")):
            raise raised
        assert caught.value is raised


def test_a_digest_is_that_of_the_bytes(tmp_path: Path) -> None:
    for size in (0, 1, 300_000):
        content = np.random.default_rng(size).bytes(size)
        (tmp_path / "a").write_bytes(content)
        assert file_digest(tmp_path / "a") == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_a_sink_keeps_the_first_error_and_goes_on_silently() -> None:
    """HDF5 must not be told: it could not close the file then. /dev/full refuses every byte."""
    with Sink("/dev/full", "w") as sink:
        assert sink.write(b"x" * 1000) == 1000
        first = sink.error
        assert isinstance(first, OSError)
        assert first.errno == errno.ENOSPC
        assert sink.truncate(10) == 10
        assert sink.write(b"more") == 4
        assert sink.error is first


def test_a_sink_without_errors_is_a_file(tmp_path: Path) -> None:
    with Sink(tmp_path / "a", "w+") as sink:
        assert sink.write(np.arange(4, dtype=np.uint8)) == 4
        assert sink.truncate(6) == 6
        assert sink.error is None
    assert (tmp_path / "a").read_bytes() == bytes([0, 1, 2, 3, 0, 0])
