"""A build into an object store: one whole memory, whatever is killed, whoever else builds; readers never see half."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from object_store import SECRET, ObjectStore
from stored_driver import OPTIONS

import memo_dist
from cluster.build import build
from cluster.change import forget
from cluster.change_prepare import ChangeOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.stored_build import build_to_store
from cluster.stored_output import StoredOutput
from memo_dist.errors import ConfigError, DamagedMemoryError, FencedError, OutputExistsError, StorageError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.remote.address import address_in
from memo_dist.remote.copying import copy_memory
from memo_dist.remote.located import StoreCache
from memo_dist.remote.root import names_beside
from memo_dist.remote.store import Store
from memo_dist.remote.uploading import manifest_in, root_in, upload

pytestmark = pytest.mark.slow
SMALL = ("--banks", "8", "--dim", "64", "--shards", "2", "--address", "none")
DRIVER = Path(__file__).with_name("stored_driver.py")


@pytest.fixture(scope="module")
def corpus(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the texts."""
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(text_corpus.iterdir())[:8]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def here(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both memories in directories, m.memo and p.memo."""
    folder = tmp_path_factory.mktemp("here")
    build([str(corpus)], folder / "m.memo", OPTIONS)
    publish_solved(folder / "m.memo", folder / "p.memo", PublishOptions(resources=OPTIONS.resources))
    return folder


def digests(folder: Path) -> tuple[str, str]:
    return Manifest.read(folder / "m.memo").digest, Manifest.read(folder / "p.memo").digest


def stored(*urls: str) -> tuple[str, ...]:
    """The digests of memories in the store."""
    found = []
    for url in urls:
        store = store_of(url)
        root = root_in(store)
        assert root is not None, url
        found.append(manifest_in(root, store).digest)
    return tuple(found)


def store_of(url: str) -> Store:
    address = address_in(url)
    assert address is not None
    return Store(address)


def started(corpus: Path, urls: tuple[str, str], work: Path) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(corpus), *urls, str(work)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def killed_at(process: "subprocess.Popen[str]", step: str, number: int) -> None:
    """SIGKILL when a step was told so many times."""
    assert process.stdout is not None
    for line in process.stdout:
        number -= line.strip() == step
        if not number:
            process.send_signal(signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL, process.stderr and process.stderr.read()


@contextmanager
def reader_of(url: str, cache: Path) -> Iterator[list[str]]:
    """Somebody who opens a memory again and again; what was seen: "absent", "whole", or what else there was."""
    seen: list[str] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.is_set():
            kept = StoreCache(cache / f"{len(seen)}", 1 << 30)
            try:
                with open_memory(url, kept=kept) as found:
                    found.verify()
                seen.append("whole")
            except DamagedMemoryError as error:
                seen.append("absent" if "does not exist" in str(error) else str(error))
            except Exception as error:  # any other is what the test is about
                seen.append(repr(error))

    reading = threading.Thread(target=look)
    reading.start()
    try:
        yield seen
    finally:
        ended.set()
        reading.join()


def test_killed_builds_end_in_one_whole_memory(bucket: ObjectStore, corpus: Path, here: Path, tmp_path: Path) -> None:
    urls = f"{bucket.url}/killed/m.memo", f"{bucket.url}/killed/p.memo"
    with reader_of(urls[1], tmp_path / "cache") as seen:
        for step, number in (("memorizing", 3), ("publishing", 9), ("putting", 2), ("committing", 2), ("committed", 2)):
            killed_at(started(corpus, urls, tmp_path / "work"), step, number)
            assert (step == "committed") == (root_in(store_of(urls[1])) is not None)
        told, errors = started(corpus, urls, tmp_path / "work").communicate()
        assert not errors
        while seen[-1] != "whole":
            pass
    assert told.split()[-2:] == list(digests(here)) == list(stored(*urls))
    assert set(seen) == {"absent", "whole"}
    assert seen == sorted(seen)  # once there, it stays
    assert list((tmp_path / "work").iterdir()) == []


def test_of_two_builds_one_is_the_result_and_the_other_is_told(
    bucket: ObjectStore, corpus: Path, here: Path, tmp_path: Path
) -> None:
    urls = f"{bucket.url}/twice/m.memo", f"{bucket.url}/twice/p.memo"
    both = [started(corpus, urls, tmp_path / name) for name in ("a", "b")]
    told = [process.communicate() for process in both]
    assert stored(*urls) == digests(here)
    won = next(at for at, (output, _) in enumerate(told) if len(output.split()[-1]) == 32)
    lost = told[1 - won][1]
    assert "FencedError" in lost or "OutputExistsError" in lost, told
    assert f"process {both[won].pid} on " in lost
    assert len(store_of(urls[0]).names("objects")) == len(set(store_of(urls[0]).names("objects")))


def test_two_in_one_directory_are_told_of_each_other(
    bucket: ObjectStore, corpus: Path, here: Path, tmp_path: Path
) -> None:
    urls = f"{bucket.url}/one/m.memo", f"{bucket.url}/one/p.memo"
    first = started(corpus, urls, tmp_path / "work")
    assert first.stdout is not None
    assert first.stdout.readline().strip() == "memorizing"
    both = [first, started(corpus, urls, tmp_path / "work")]
    told = [process.communicate() for process in both]
    won = next(at for at, (output, _) in enumerate(told) if output and len(output.split()[-1]) == 32)
    assert told[won][0].split()[-2:] == list(digests(here)) == list(stored(*urls))
    assert "FencedError" in told[1 - won][1]
    assert f"process {both[won].pid} on " in told[1 - won][1]


def test_a_lost_race_leaves_the_winners_memory(bucket: ObjectStore, here: Path, tmp_path: Path) -> None:
    store = store_of(f"{bucket.url}/race/m.memo")
    upload(here / "m.memo", store)
    names = set(store.names("objects"))
    with pytest.raises(
        FencedError, match=rf"committed meanwhile by process {os.getpid()} on .*another memory, of digest"
    ):
        upload(here / "p.memo", store)
    assert set(store.names("objects")) == names
    upload(here / "m.memo", store)  # as an attempt does that was killed before it could say so


def test_what_is_there_is_not_replaced(bucket: ObjectStore, corpus: Path, here: Path, tmp_path: Path) -> None:
    url = f"{bucket.url}/there/m.memo"
    upload(here / "m.memo", store_of(url))
    with pytest.raises(OutputExistsError, match="exists, committed by process"):
        build_to_store([str(corpus)], url, None, options=OPTIONS, work=tmp_path)
    with pytest.raises(StorageError, match=r"s3://no-bucket/m.memo.*there is no such bucket"):
        build_to_store([str(corpus)], "s3://no-bucket/m.memo", None, options=OPTIONS, work=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_the_same_command_goes_on(bucket: ObjectStore, tmp_path: Path) -> None:
    address = address_in(f"{bucket.url}/same/m.memo")
    assert address is not None
    StoredOutput(address, tmp_path, {"command": "build", "inputs": ["a"]})
    with pytest.raises(ConfigError, match=r"s3://bucket/same/m.memo is to be continued, but inputs differs"):
        StoredOutput(address, tmp_path, {"command": "build", "inputs": ["b"]})


def test_a_file_that_is_altered_here_is_not_committed(bucket: ObjectStore, here: Path, tmp_path: Path) -> None:
    shutil.copytree(here / "p.memo", tmp_path / "p.memo")
    with open(tmp_path / "p.memo/solved-00000.h5", "r+b") as file:
        file.seek(-9, os.SEEK_END)
        file.write(b"x")
    store = store_of(f"{bucket.url}/altered/p.memo")
    with pytest.raises(DamagedMemoryError, match=r"solved-00000.h5 does not match"):
        upload(tmp_path / "p.memo", store)
    assert root_in(store) is None


def test_changes_beside_the_files_come_and_go(bucket: ObjectStore, here: Path, tmp_path: Path) -> None:
    shutil.copytree(here / "m.memo", tmp_path / "m.memo")
    with memo_dist.open(tmp_path / "m.memo") as found:
        name = found.documents()["id"].to_pylist()[0]
    forget(tmp_path / "m.memo", [], ChangeOptions(resources=OPTIONS.resources, documents=(name,), fold_share=9.0))
    manifest = Manifest.read(tmp_path / "m.memo")
    assert manifest.segments
    assert len(names_beside(manifest)) > 1
    copy_memory(str(tmp_path / "m.memo"), f"{bucket.url}/changed/m.memo")
    copy_memory(f"{bucket.url}/changed/m.memo", str(tmp_path / "copy.memo"))
    with memo_dist.open(tmp_path / "copy.memo") as copied:
        copied.verify()
        assert copied.digest == manifest.digest != Manifest.read(here / "m.memo").digest


def test_no_secret_is_told(bucket: ObjectStore, corpus: Path, tmp_path: Path) -> None:
    urls = f"{bucket.url}/secret/m.memo", f"{bucket.url}/secret/p.memo"
    log = tmp_path / "log"
    words = ["build", str(corpus), "--out", urls[0], "--publish", urls[1], "--tokenizer", "bytes"]
    done = subprocess.run(
        [sys.executable, "-m", "console", *words, *SMALL, "--log-file", str(log), "--work", str(tmp_path / "work")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    asked = subprocess.run(
        [sys.executable, "-m", "console", "inspect", urls[1], "--json"],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": f"{SECRET}-wrong", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    told = [done.stdout, done.stderr, asked.stdout, asked.stderr, log.read_text()]
    for url in urls:
        store = store_of(url)
        told += [str(store.get(f"objects/{name}")) for name in store.names("objects")] + [str(store.get("memory.json"))]
    told += [str(file.read_bytes()) for file in tmp_path.rglob("*") if file.is_file()]
    cache = Path(os.environ["XDG_CACHE_HOME"])
    told += [str(file.read_bytes()) for file in cache.rglob("*") if file.is_file()]
    assert not [text for text in told if SECRET in text or "an-id-that-nothing-may-tell" in text]
