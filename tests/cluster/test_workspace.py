"""The workspace, without Ray: checkpoints, fencing, what a failure leaves, room on the disk, whose build goes on."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cluster.corpus_stamp import CorpusStamp
from cluster.room import require_disk
from cluster.statement import BuildStatement, CombineStatement, require_same
from cluster.workspace import (
    STATEMENT_FILE,
    Workspace,
    kept_or_removed,
    unfinished_statement,
    workspace_path,
)
from memo_dist import Memory
from memo_dist.errors import ConfigError, DamagedMemoryError, FencedError, OutputExistsError, StorageError
from memo_dist.files.generations import shard_files
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.shard_writer import write_shard
from memo_dist.models.text.config import TextConfig

CONFIG = TextConfig(num_banks=6, vocab_size=100, inner_dim=64)
STATEMENT = CombineStatement(action="merge", memories=["a", "b"], digests=["0"])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "m.memo"


def memory_of(count: int) -> Memory:
    memory = Memory(CONFIG)
    for number in range(count):
        memory.memorize(f"d{number}", [number % 7, 2, 3, number % 5, 4, 9])
    return memory


def checkpoint(workspace: Workspace, count: int) -> Manifest:
    """A checkpoint of a memory of `count` documents, in one shard."""
    memory = memory_of(count)
    (name,) = workspace.shard_files(1)
    written = [write_shard(memory.shard, workspace.path / name)]
    return workspace.checkpoint(CONFIG, written, tokens=6 * count, documents=count, journal=[STATEMENT.entry()])


def test_checkpoints_replace_one_another_and_the_last_is_committed(out: Path) -> None:
    workspace = Workspace(out, STATEMENT, None)
    assert not workspace.resumable
    for count in (1, 3):
        manifest = checkpoint(workspace, count)
        assert workspace.resumable
        assert {path.name for path in workspace.path.glob("shard-*")} == {*shard_files(manifest)}
    assert not out.exists()
    workspace.commit()
    assert not workspace.path.exists()
    assert Memory.open(out).digest() == memory_of(3).digest()
    assert {path.name for path in out.iterdir()} == {MANIFEST_FILE, *shard_files(manifest)}


def test_a_later_attempt_goes_on_from_the_checkpoint_and_fences_the_first(out: Path) -> None:
    first = Workspace(out, STATEMENT, None)
    checkpoint(first, 2)
    second = Workspace(out, STATEMENT, None)
    assert second.resumable
    assert second.generation == 1
    for act in (lambda: checkpoint(first, 3), first.commit):
        with pytest.raises(FencedError, match="another attempt"):
            act()
    assert not first.abandon()
    with second.stored() as stored:
        assert stored.manifest.documents == 2
    checkpoint(second, 4)
    second.commit()
    assert isinstance(first.fenced(), FencedError)
    with pytest.raises(FencedError):
        first.commit()
    assert Memory.open(out).digest() == memory_of(4).digest()


@pytest.mark.parametrize(
    "theirs", [CombineStatement(action="merge", memories=["a", "c"], digests=["0"]), replace(STATEMENT, banks=(1, 2))]
)
def test_what_another_command_left_meanwhile_is_not_gone_on_from(out: Path, theirs: CombineStatement) -> None:
    """It looked for a stopped attempt when there was none yet; or did not look, as merge and rebank."""
    stopped = Workspace(out, theirs, None)
    manifest = checkpoint(stopped, 2)
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"stopped command .* to be continued, but (memories|banks) differs"):
            Workspace(out, STATEMENT, None)
    checkpoint(stopped, 3)  # the one that made it is not fenced
    assert Workspace(out, theirs, None).resumable
    assert manifest.documents == 2


def test_an_output_that_appears_meanwhile_is_not_replaced(out: Path) -> None:
    workspace = Workspace(out, STATEMENT, None)
    checkpoint(workspace, 1)
    out.mkdir()
    with pytest.raises(OutputExistsError):
        workspace.commit()
    with pytest.raises(OutputExistsError):
        Workspace(out, STATEMENT, None)


def test_a_failure_keeps_a_checkpoint_and_says_so(out: Path) -> None:
    workspace = Workspace(out, STATEMENT, None)
    manifest = checkpoint(workspace, 1)
    (workspace.path / "shard-00000.g0002-torn.h5").write_bytes(b"half")
    workspace.batches.mkdir()
    (workspace.batches / "torn.tmp").write_bytes(b"half")
    with pytest.raises(KeyboardInterrupt) as caught, kept_or_removed(workspace):
        raise KeyboardInterrupt
    assert caught.value.__notes__ == ["What was done is kept; the same command goes on from there."]
    assert {path.name for path in workspace.path.glob("shard-*")} == {*shard_files(manifest)}
    assert not workspace.batches.exists()


def test_a_failure_before_the_first_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "new" / "deep" / "m.memo", STATEMENT, None)
    with pytest.raises(ValueError, match="what is wrong") as caught, kept_or_removed(workspace):
        raise ValueError("what is wrong")
    assert caught.value.__notes__ == ["Nothing was published."]
    assert list(tmp_path.iterdir()) == []


def test_a_failure_because_of_another_attempt_is_told_as_that(out: Path) -> None:
    first = Workspace(out, STATEMENT, None)
    Workspace(out, STATEMENT, None)
    with pytest.raises(FencedError), kept_or_removed(first):
        raise ValueError("its files are gone")
    assert workspace_path(out).exists()


@pytest.mark.parametrize(
    ("disk", "runs", "enough"), [(1000, 0, True), (1001, 0, False), (500, 500, True), (500, 501, False)]
)
def test_room_for_the_memory_and_for_what_waits_until_it_is_written(
    out: Path, monkeypatch: pytest.MonkeyPatch, disk: int, runs: int, enough: bool
) -> None:
    plan: Any = SimpleNamespace(disk_bytes=disk, run_bytes=runs)
    monkeypatch.setattr("cluster.room._free_bytes", lambda _: 1000)
    if enough:
        require_disk(workspace_path(out), plan)
        return
    with pytest.raises(StorageError, match=r"1\.0 KB free; the memory will take"):
        require_disk(workspace_path(out), plan)


@pytest.mark.parametrize("done", ["runs", "merged"])
def test_runs_and_merged_files_are_kept_after_a_failure_and_go_with_the_memory(out: Path, done: str) -> None:
    workspace = Workspace(out, STATEMENT, None)
    folder = getattr(workspace, done)
    (folder / "half.tmp").mkdir(parents=True)
    assert not workspace.resumable
    (folder / "whole").mkdir()
    assert workspace.resumable
    with pytest.raises(KeyboardInterrupt), kept_or_removed(workspace):
        raise KeyboardInterrupt
    assert (folder / "whole").exists()
    assert unfinished_statement(out) == STATEMENT.to_dict()
    again = Workspace(out, STATEMENT, None)
    checkpoint(again, 2)
    again.commit()
    assert not (out / done).exists()


def test_what_is_given_up_is_not_gone_on_from(out: Path) -> None:
    workspace = Workspace(out, STATEMENT, None)
    (workspace.runs / "whole").mkdir(parents=True)
    workspace.discard()
    assert unfinished_statement(out) is None
    assert not workspace.abandon()
    assert not workspace.path.exists()


BUILD = BuildStatement(
    inputs=["a.txt"],
    settings={"seed": 0, "limit": None},
    corpus=CorpusStamp(sources="ee", splits="ff"),
    config=CONFIG,
    tokens=10,
    documents=1,
)


def test_what_is_given_up_for_good_leaves_nothing_though_a_task_still_adds_a_run(out: Path) -> None:
    """A task that was under way when the corpus was refused commits its run after the others were removed."""
    workspace = Workspace(out, STATEMENT, None)

    def refused() -> None:
        with kept_or_removed(workspace):
            (workspace.runs / "before").mkdir(parents=True)
            workspace.discard(for_good=True)
            (workspace.runs / "after").mkdir(parents=True)
            raise ValueError("a bad line")

    with pytest.raises(ValueError, match="a bad line") as caught:
        refused()
    assert caught.value.__notes__ == ["Nothing was published."]
    assert not workspace.path.exists()


def test_a_statement_is_read_as_it_was_written(out: Path) -> None:
    assert unfinished_statement(out) is None
    workspace = Workspace(out, BUILD, None)
    assert unfinished_statement(out) is None  # no checkpoint: nothing to go on from
    checkpoint(workspace, 1)
    found = unfinished_statement(out)
    assert found is not None
    assert BuildStatement.from_dict(found) == BUILD
    assert list(found) == ["inputs", "settings", "sources", "splits", "config", "tokens", "documents"]
    (workspace.path / STATEMENT_FILE).write_text("{")
    with pytest.raises(DamagedMemoryError, match=r"build\.json.*to start anew"):
        unfinished_statement(out)


@pytest.mark.parametrize("name", ["config", "tokens", "splits", "inputs"])
def test_a_statement_without_a_field_is_damaged(name: str) -> None:
    values = {key: value for key, value in BUILD.to_dict().items() if key != name}
    with pytest.raises(DamagedMemoryError, match=name):
        BuildStatement.from_dict(values)


def test_a_difference_is_named_with_its_key_and_both_values(out: Path) -> None:
    theirs = json.loads(json.dumps(BUILD.to_dict()))
    require_same(BUILD.to_dict(), theirs, out, place=out)
    other = replace(BUILD, settings={"seed": 1, "limit": None})
    with pytest.raises(ConfigError, match=r"settings: seed differs: it is 1 now and was 0\. Restore it, or remove"):
        require_same(other.to_dict(), theirs, out, place=out)
    with pytest.raises(ConfigError, match=r"recall job of .* but tokens differs: it is 11 now and was 10"):
        require_same(replace(BUILD, tokens=11).to_dict(), theirs, out, place=out, what_stopped="recall job")
