"""Bank servers tell generations apart that have one digest: after compact and purge they have the new files open.

Covers: one server, of two generations at once; copies; a keeper that follows, answers of one process, files that stay
open, a memory that is replaced while it is read. Does not cover: changes of what a memory holds, loss of servers and
nodes (test_bank_servers.py).
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

import memo_dist
from cluster.bank_servers.copying import FileSource
from cluster.bank_servers.following import FollowedServers, health_of
from cluster.bank_servers.owners import BankServers
from cluster.bank_servers.server import BankServer, NotMine
from cluster.bank_servers.servers import bank_servers
from cluster.build import build
from cluster.compact import compact
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from console.app import main
from memo_dist.errors import ClusterError, DamagedMemoryError
from memo_dist.files.generations import drop_previous
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.ranges.plan import RangePlan
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from memo_dist.recalling.where import Finder
from pipelines.plan import CorpusOptions

NONE = Resources(shards=4, address="none")
PATIENCE = 90.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a memory that has a change beside its files, and kept batches one of which is less."""
    rng, place = np.random.default_rng(5), tmp_path_factory.mktemp("generations")
    corpus, path = place / "corpus", place / "m.memo"
    corpus.mkdir()
    for index in range(24):
        words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(2, 9))) for _ in range(40)]
        (corpus / f"{index:02d}.txt").write_text(f"file {index}: " + " ".join(words))
    options = BuildOptions(
        tokenizer="bytes", num_banks=8, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=1_500)
    )
    build([str(corpus)], path, options)
    assert main(["forget", str(path), str(corpus / "03.txt"), "--address", "none"]) == 0
    assert Manifest.read(path).is_segmented
    return place


@pytest.fixture
def memory(built: Path, tmp_path: Path) -> Path:
    """That memory, to be changed, beside its corpus."""
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path / "m.memo"


def prompts(memory: Path) -> list[str]:
    return [file.read_text()[9:60] for file in sorted((memory.parent / "corpus").iterdir())]


def answers(memory: OpenMemory, prompts: list[str]) -> list[Any]:
    assert memory.tokenizer is not None
    found = Session(memory, memory.tokenizer).recall_several(prompts, RecallOptions(max_tokens=8))
    return [*found, *(Finder(memory).where(text).to_dict() for text in prompts[:4])]


def open_files(pid: int, folder: Path) -> set[str]:
    """A folder's files that a process has mapped or open; of removed ones, too."""
    mapped = {line.split(maxsplit=5)[5] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/" in line}
    opened = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if os.path.lexists(file)}
    return {name for name in mapped | opened if name.startswith(f"{folder}/") and name.partition(" (")[0].count(".h5")}


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.2)
    return False


def served_again(servers: BankServers) -> bool:
    """Whether a keeper that Ray has started again has made its map."""
    try:
        servers.open()
    except ClusterError:
        return False
    return not health_of(servers.state()).bare


@pytest.fixture
def server(ray_local: None, memory: Path) -> Iterator[BankServer]:
    """One server, in this process."""
    made = BankServer(0, str(memory.absolute()), place=f"memo-dist-test-{os.getpid()}", cache_bytes=1 << 24)
    yield made
    made.close()


def read_of(server: BankServer, manifest: Manifest) -> Any:
    """What it says of one window of each range of a generation."""
    plan = RangePlan.of(manifest)
    windows = np.concatenate([plan.first_window(index) for index in range(len(plan))])
    return server.ask(manifest.generation, "read", np.arange(len(plan)), hashes=windows)


def every(manifest: Manifest) -> list[int]:
    return list(range(len(RangePlan.of(manifest))))


def test_a_generation_is_named_by_all_that_its_manifest_says(memory: Path) -> None:
    before = Manifest.read(memory)
    compact(memory, NONE)
    after = Manifest.read(memory)
    assert after.digest == before.digest
    assert after.generation != before.generation
    assert Manifest.read(memory).generation == after.generation
    assert replace(after, documents=after.documents + 1).generation != after.generation


@pytest.mark.parametrize("files", [2, 4, 6])
def test_a_server_has_two_generations_of_one_digest_open(server: BankServer, memory: Path, files: int) -> None:
    before = Manifest.read(memory)
    server.own(before, every(before))
    old_files = open_files(os.getpid(), memory)
    compact(memory, replace(NONE, shards=files))
    after = Manifest.read(memory)
    state = server.own(after, every(after))
    assert state.owned == {before.generation: every(before), after.generation: every(after)}
    assert len(read_of(server, before)) == len(every(before))
    assert len(read_of(server, after)) == len(every(after))
    counted = [server.ask(one.generation, "token_counts", np.array(every(one))) for one in (before, after)]
    np.testing.assert_array_equal(*counted)
    drop_previous(memory)
    numbers = np.arange(len(after.batches))
    tables = server.ask(after.generation, "batches", RangePlan.of(after).of_batches(numbers), numbers=numbers)
    assert sum(len(table) for table in tables) == after.documents
    server.keep({after.generation: every(after)})
    assert isinstance(read_of(server, before), NotMine)
    assert old_files
    assert not {name for name in open_files(os.getpid(), memory) if name.endswith("(deleted)")}


class TestCopies:
    """A server whose node does not see the memory."""

    @pytest.fixture
    def afar(self, ray_local: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BankServer]:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
        made = BankServer(1, "/nowhere/m.memo", place="copies", cache_bytes=1 << 24)
        yield made
        made.close()

    @pytest.fixture
    def source(self, ray_local: None, memory: Path) -> Iterator[Any]:
        kind: Any = ray.remote(FileSource)
        started = kind.options(num_cpus=0).remote(str(memory.absolute()))
        yield started
        ray.kill(started)

    def test_are_of_the_generation_and_go_with_it(
        self, afar: BankServer, source: Any, memory: Path, tmp_path: Path
    ) -> None:
        before = Manifest.read(memory)
        afar.own(before, every(before), source)
        compact(memory, NONE)
        after = Manifest.read(memory)
        afar.own(after, every(after), source)
        assert len(read_of(afar, before)) == len(read_of(afar, after))
        copies = {folder.name: folder for folder in (tmp_path / "temporary" / "copies" / "server-1").iterdir()}
        assert set(copies) == {before.generation, after.generation}
        shared = {record.file for record in before.batches if not record.taken} & {one.file for one in after.batches}
        assert shared
        for name in shared:  # what both have is copied once
            assert os.path.samefile(*(folder / "batches" / name for folder in copies.values()))
        afar.keep({after.generation: every(after)})
        assert not copies[before.generation].exists(), "what was purged is not kept as a copy"
        assert len(read_of(afar, after)) == len(every(after))

    def test_of_files_that_are_gone_fail_with_a_clear_error(self, afar: BankServer, source: Any, memory: Path) -> None:
        before = Manifest.read(memory)
        compact(memory, NONE)
        drop_previous(memory)
        with pytest.raises(DamagedMemoryError, match="was replaced, or is damaged"):
            afar.own(before, every(before), source)


@pytest.mark.slow
def test_answers_stay_and_no_purged_file_stays_open(ray_local: None, memory: Path) -> None:
    texts = prompts(memory)
    with bank_servers(memory.absolute(), 2, follows=True) as servers:
        follow = FollowedServers(servers)

        def settled() -> bool:
            return follow().manifest == Manifest.read(memory)

        def all_open() -> set[str]:
            return set[str]().union(*(open_files(one.pid, memory.absolute()) for one in servers.state().states))

        def equal() -> None:
            with open_memory(memory) as here:
                assert answers(follow(), texts) == answers(here, texts)

        equal()
        first, old, began = follow(), all_open(), Manifest.read(memory)
        assert old
        known = answers(first, texts)
        assert main(["compact", str(memory), "--address", "none", "--shards", "3"]) == 0
        assert until(settled)
        equal()
        assert health_of(servers.state()).digest == began.digest == Manifest.read(memory).digest
        assert not health_of(servers.state()).bare
        assert answers(first, texts) == known  # who has not noticed yet
        with memo_dist.open(memory) as here:
            known_by = here.documents()["id"][0].as_py()
        words = ["forget", str(memory), "--document", known_by, "--address", "none", "--shards", "3", "--purge"]
        assert main(words) == 0
        with pytest.raises(ClusterError, match="changed while it was asked; ask again"):
            list(first.kept.places())  # its files are gone
        assert until(settled)
        equal()
        ray.kill(servers._keeper, no_restart=False)  # whatever a keeper knew of old generations is gone with it
        assert until(lambda: served_again(servers))
        equal()
        there = {str(file.absolute()) for file in memory.rglob("*")}
        assert until(lambda: not all_open() - there), all_open() - there
        equal()
        assert {set(one.owned) == {follow().manifest.generation} for one in servers.state().states} == {True}
