"""Published memories read by range: answers are those of a directory, damage is named, the cache keeps to its size."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from object_store import ObjectStore

import memo_dist
import memo_dist.remote.blocks
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from memo_dist.errors import ConfigError, DamagedMemoryError, MemoError, OutputExistsError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.files.published_writer import publish
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from memo_dist.recalling.where import where_text
from memo_dist.remote.address import Address, address_in
from memo_dist.remote.copying import copy_memory
from memo_dist.remote.heads import BLOCK_BYTES
from memo_dist.remote.located import StoreCache
from memo_dist.remote.root import ROOT, Root, _checksum
from memo_dist.remote.store import Store
from memo_dist.remote.uploading import root_in, upload

ROOM = 1 << 30
NONE = Resources(shards=2, address="none")
PIECE = {"blake2b": "0" * 32, "bytes": 1}
SEVERAL = "is no name of a file of a memory|a file of its own"


@pytest.fixture(scope="module")
def folder(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """working.memo, and what is published of it: solved.memo, sums.memo."""
    place = tmp_path_factory.mktemp("here")
    options = BuildOptions(tokenizer="bytes", num_banks=40, inner_dim=64, resources=NONE)
    build([str(path) for path in sorted(text_corpus.iterdir())[:20]], place / "working.memo", options)
    publish_solved(place / "working.memo", place / "solved.memo", PublishOptions(resources=NONE))
    publish(place / "working.memo", place / "sums.memo", 2)
    return place


@pytest.fixture(scope="module")
def urls(bucket: ObjectStore, folder: Path) -> dict[str, str]:
    """Where these are in the store."""
    found = {name: f"{bucket.url}/read/{name}.memo" for name in ("working", "solved", "sums")}
    for name, url in found.items():
        copy_memory(str(folder / f"{name}.memo"), url)
    return found


@pytest.fixture
def cache(tmp_path: Path) -> StoreCache:
    return StoreCache(tmp_path / "cache", ROOM)


@pytest.fixture(scope="module")
def prompts(text_corpus: Path) -> list[str]:
    """Held ones, cut anywhere, and some that are not held."""
    rng, found = np.random.default_rng(2), []
    for path in sorted(text_corpus.iterdir())[:24]:
        text = path.read_text()
        found += [text[at : at + 60] for at in rng.integers(0, len(text) - 100, 4).tolist()]
    return found


def answers(memory: OpenMemory, prompts: list[str], *, exact: bool = True) -> list[Any]:
    return Session(memory, memory.tokenizer).recall(prompts, RecallOptions(max_tokens=8, exact_prompt=exact))


def place_of(url: str) -> Address:
    found = address_in(url)
    assert found is not None
    return found


def fetched(memory: OpenMemory) -> tuple[int, int]:
    """Requests and bytes so far."""
    assert memory.remote is not None
    return memory.remote.blocks.requests, memory.remote.blocks.fetched_bytes


@pytest.mark.parametrize("form", ["solved", "sums"])
def test_answers_are_those_of_the_directory(
    urls: dict[str, str], folder: Path, cache: StoreCache, prompts: list[str], form: str
) -> None:
    prompts = prompts if form == "solved" else prompts[:5]  # matrices take their time
    with open_memory(folder / f"{form}.memo") as here, open_memory(urls[form], kept=cache) as there:
        assert fetched(there) == (0, 0)
        one = answers(there, prompts[:1])
        assert fetched(there)[1] > 0
        assert one + answers(there, prompts[1:]) == answers(here, prompts)
        if form == "solved":  # a prompt with slips
            slip = [prompts[0].replace("a", "e", 1)]
            assert answers(there, slip, exact=False) == answers(here, slip, exact=False)
        before = fetched(there)
        answers(there, prompts)
        assert fetched(there) == before
        there.verify()
    with open_memory(urls[form], kept=cache) as again:  # what was fetched is kept, and checked
        assert answers(again, prompts[:20]) == one + answers(again, prompts[1:20])
        assert again.remote is not None
        assert fetched(again)[0] <= len(again.remote.files)  # the digests of blocks
        assert again.manifest.digest == Manifest.read(folder / f"{form}.memo").digest


def test_a_cache_that_is_smaller_than_the_memory(
    urls: dict[str, str], folder: Path, cache: StoreCache, prompts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memo_dist.remote.blocks, "_FEWEST", 6)
    small = replace(cache, most_bytes=6 * BLOCK_BYTES)
    with open_memory(folder / "solved.memo") as here, open_memory(urls["solved"], kept=small) as there:
        assert there.remote is not None
        assert there.bytes_on_disk > small.most_bytes
        assert answers(there, prompts[:3]) == answers(here, prompts[:3])
        assert fetched(there)[1] > there.bytes_on_disk  # blocks were given up, and asked for again
        assert os.fstat(there.remote.blocks._local).st_size == small.most_bytes
    with pytest.raises(ConfigError, match=r"the cache has room for less; give it more"):
        open_memory(urls["sums"], kept=replace(cache, most_bytes=BLOCK_BYTES))


def test_documents_are_named(urls: dict[str, str], folder: Path, cache: StoreCache, text_corpus: Path) -> None:
    passage = (text_corpus / "03.txt").read_text()[200:400]
    with open_memory(folder / "solved.memo") as here, open_memory(urls["solved"], kept=cache) as there:
        found = where_text(there, passage)
        assert found == where_text(here, passage)
        assert [Path(name).name for name in found.pieces[0].documents] == ["03.txt"]


def test_python_opens_an_address(urls: dict[str, str], folder: Path, prompts: list[str]) -> None:
    with memo_dist.open(urls["solved"]) as there, memo_dist.open(folder / "solved.memo") as here:
        assert there.recall(prompts[0]).text == here.recall(prompts[0]).text
        assert there.form == "published solved"


def test_a_memory_that_can_change_is_copied_first(
    urls: dict[str, str], folder: Path, cache: StoreCache, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"copy it first, memo-dist copy {urls['working']} --out M.memo")):
        open_memory(urls["working"], kept=cache)
    copy_memory(urls["working"], str(tmp_path / "copy.memo"))
    names = {str(file.relative_to(folder / "working.memo")) for file in (folder / "working.memo").rglob("*")}
    assert names == {str(file.relative_to(tmp_path / "copy.memo")) for file in (tmp_path / "copy.memo").rglob("*")}
    for name in names:
        if (folder / "working.memo" / name).is_file():
            assert (folder / "working.memo" / name).read_bytes() == (tmp_path / "copy.memo" / name).read_bytes()
    with open_memory(tmp_path / "copy.memo") as copied:
        copied.verify()
    with pytest.raises(OutputExistsError):
        copy_memory(urls["working"], str(tmp_path / "copy.memo"))
    with pytest.raises(ConfigError, match="copy goes from a directory to an address"):
        copy_memory(urls["working"], urls["working"])
    with pytest.raises(DamagedMemoryError, match=r"no.memo does not exist; expected a memory that memo-dist put there"):
        copy_memory(f"{urls['working']}/no.memo", str(tmp_path / "none.memo"))
    assert not (tmp_path / "none.memo").exists()


@pytest.fixture
def altered(bucket: ObjectStore, folder: Path, request: pytest.FixtureRequest) -> tuple[Store, Root]:
    """A memory of one test's own, to be damaged."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name)
    store = Store(place_of(f"{bucket.url}/{name}/solved.memo"))
    upload(folder / "solved.memo", store)
    root = root_in(store)
    assert root is not None
    return store, root


def test_a_damaged_object_is_named(
    altered: tuple[Store, Root], folder: Path, cache: StoreCache, prompts: list[str]
) -> None:
    store, _ = altered
    record = Manifest.read(folder / "solved.memo").solved
    assert record is not None
    name = f"objects/{record.files[0].blake2b}"
    data = bytearray((folder / "solved.memo/solved-00000.h5").read_bytes())
    for at in range(4 * BLOCK_BYTES, len(data) - 5000, 999):
        data[at] ^= 1
    store.put_bytes(name, bytes(data))
    with open_memory(store.address.url, kept=cache) as there:
        with pytest.raises(DamagedMemoryError, match=rf"{store.url(name)} \(solved-00000.h5\) is damaged: bytes "):
            answers(there, prompts)
        with pytest.raises(DamagedMemoryError, match=rf"{store.url(name)} \(solved-00000.h5\) does not match"):
            there.verify()
        store.put_bytes(name, bytes(data[:-7000]))
        with pytest.raises(DamagedMemoryError, match="ends before byte"):
            there.verify()
        store.remove(name)
        with pytest.raises(DamagedMemoryError, match="is missing; upload the memory again"):
            answers(there, prompts)


@pytest.mark.parametrize("which", ["tokenizer", "head", "root"])
def test_other_damaged_objects_are_named(altered: tuple[Store, Root], cache: StoreCache, which: str) -> None:
    store, root = altered
    name = {
        "tokenizer": root.others["tokenizer.json"].object,
        "head": root.ranges["solved-00000.h5"].head.object,
        "root": ROOT,
    }[which]
    data = store.get(name)
    assert data is not None
    store.put_bytes(name, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(DamagedMemoryError, match=re.escape(store.url(name))):
        open_memory(store.address.url, kept=cache)
    store.remove(name)
    with pytest.raises(DamagedMemoryError, match=r"is missing|does not exist"):
        open_memory(store.address.url, kept=cache)
    assert not list((cache.directory / "memories").glob("*/*"))


def test_what_is_damaged_here_is_fetched_again(
    urls: dict[str, str], folder: Path, cache: StoreCache, prompts: list[str]
) -> None:
    with open_memory(urls["solved"], kept=cache) as there:
        truth = answers(there, prompts[:20])
        assert there.remote is not None
        place = there.remote.blocks.path
    data = bytearray(place.read_bytes())
    data[:: BLOCK_BYTES // 3] = b"x" * len(data[:: BLOCK_BYTES // 3])
    place.write_bytes(bytes(data))
    with open_memory(urls["solved"], kept=cache) as there:
        assert answers(there, prompts[:20]) == truth
        assert fetched(there)[1] > BLOCK_BYTES


@pytest.mark.parametrize(
    "name", ["../outside.h5", "/tmp/outside.h5", "a/b.h5", ".hidden.h5", "manifest.json", "a\n.h5"]
)
def test_no_name_leads_out(bucket: ObjectStore, folder: Path, cache: StoreCache, tmp_path: Path, name: str) -> None:
    manifest = Manifest.read(folder / "sums.memo")
    hostile = replace(manifest, shards=[replace(manifest.shards[0], file=name), *manifest.shards[1:]])
    store = Store(place_of(f"{bucket.url}/hostile/{abs(hash(name))}.memo"))
    root = root_in(Store(place_of(f"{bucket.url}/read/sums.memo")))
    assert root is not None
    store.put_bytes(ROOT, replace(root, manifest=hostile.to_json()).to_bytes())
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(MemoError, match=SEVERAL):
        open_memory(store.address.url, kept=cache)
    with pytest.raises(MemoError, match=SEVERAL):
        copy_memory(store.address.url, str(tmp_path / "out.memo"))
    assert [path for path in sorted(tmp_path.rglob("*")) if path.is_file()] == [one for one in before if one.is_file()]


@pytest.mark.parametrize(
    "change",
    [
        {
            "ranges": {
                "../x.h5": {"head": {"blake2b": "0" * 32, "bytes": 1}, "blocks": {"blake2b": "0" * 32, "bytes": 1}}
            }
        },
        {"others": {"tokenizer.json": {"blake2b": "../../x", "bytes": 5}}},
        {"others": {"tokenizer.json": {"blake2b": "0" * 32, "bytes": -1}}},
        {"others": {"tokenizer.json": PIECE, "../x": PIECE}},
        {"others": {"tokenizer.json": PIECE, "x": PIECE}},
        {"others": {}},
        {"others": 7},
        {"manifest": None},
        {"maker": {"host": "a"}},
        {"version": 2},
        {"checksum": "0"},
    ],
)
def test_a_root_of_somebody_else_is_refused(
    altered: tuple[Store, Root], cache: StoreCache, change: dict[str, Any]
) -> None:
    store, root = altered
    body = {**json.loads(root.to_bytes()), **change}
    if "checksum" not in change:
        del body["checksum"]
        body["checksum"] = _checksum(body)
    store.put_bytes(ROOT, json.dumps(body).encode())
    with pytest.raises(DamagedMemoryError):
        open_memory(store.address.url, kept=cache)


def test_somebody_elses_directory_asks_no_store(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "solved.memo", tmp_path / "other.memo")
    (tmp_path / "other.memo/address").write_text("s3://elsewhere/x.memo")
    with open_memory(tmp_path / "other.memo") as found:
        assert found.remote is None


def test_the_cache_gives_up_what_was_not_asked_for_long(
    bucket: ObjectStore, urls: dict[str, str], folder: Path, cache: StoreCache, prompts: list[str]
) -> None:
    for name in ("first", "second"):
        upload(folder / "solved.memo", Store(place_of(f"{bucket.url}/many/{name}.memo")))
        with open_memory(f"{bucket.url}/many/{name}.memo", kept=cache) as there:
            answers(there, prompts[:5])
    held = {path.name for path in (cache.directory / "memories").glob("*/*")}
    assert held == {"first.memo", "second.memo"}
    os.utime(next((cache.directory / "memories").glob("*/first.memo")), (1, 1))
    with open_memory(f"{bucket.url}/many/second.memo", kept=cache):  # in use, so it stays
        small = replace(cache, most_bytes=1000)
        with open_memory(urls["solved"], kept=small):
            held = {path.name for path in (cache.directory / "memories").glob("*/*")}
            assert held == {"second.memo", "solved.memo"}
