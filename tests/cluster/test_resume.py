"""Stopped builds go on: checkpoints, lost processes, fencing, refusal of a changed corpus. Digests prove it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from cluster.build import BuildSummary, build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_state import Progress
from cluster.statement import CombineStatement
from cluster.workspace import Workspace, workspace_path
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import ConfigError, DamagedMemoryError, FencedError, OutputExistsError, StorageError
from memo_dist.files.opened import open_memory
from pipelines.plan import CorpusOptions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_local")]
EVERY_UNIT = BuildOptions(
    tokenizer="bytes",
    num_banks=40,
    inner_dim=64,
    resources=Resources(shards=2, checkpoint_every=1e-6),
    corpus=CorpusOptions(unit_bytes=1500),
)


class InterruptionError(Exception):
    """What ends a build from within, at a chosen moment."""


@pytest.fixture(autouse=True)
def few_units_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that checkpoints come often in a corpus of 40 units."""
    monkeypatch.setattr("cluster.run._MOST_UNDER_WAY", 4)


@pytest.fixture
def corpus(text_corpus: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(text_corpus, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def truth(text_corpus: Path) -> str:
    """The digest of one process that was never disturbed."""
    memory = Memory(TextConfig(num_banks=40, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    for path in text_corpus.iterdir():
        memory.memorize(path.name, np.frombuffer(path.read_bytes(), np.uint8))
    return memory.digest()


def stopped_after(units: int, corpus: Path, out: Path, options: BuildOptions = EVERY_UNIT) -> None:
    """A build that fails after so many units."""

    def interrupt(progress: Progress) -> None:
        if progress.units_done - progress.units_before >= units:
            raise InterruptionError

    with pytest.raises(InterruptionError) as caught:
        build([str(corpus)], out, options, on_progress=interrupt)
    assert "the same command goes on" in " ".join(caught.value.__notes__)


def finished(corpus: Path, out: Path, options: BuildOptions = EVERY_UNIT) -> BuildSummary:
    summary = build([str(corpus)], out, options)
    assert not workspace_path(out).exists()
    assert sorted(p.suffix for p in out.iterdir()) == sorted(
        [".json", ".json"] + [".h5"] * (options.resources.shards or 0)
    )
    with open_memory(out) as stored:
        stored.verify()
    return summary


def test_a_stopped_build_goes_on(corpus: Path, tmp_path: Path, truth: str) -> None:
    """Three attempts, each with other numbers of shards; every one begins where the one before had its checkpoint."""
    out, before = tmp_path / "m.memo", 0
    for shards in (2, 3, 1):
        stopped_after(12, corpus, out, replace(EVERY_UNIT, resources=replace(EVERY_UNIT.resources, shards=shards)))
        with open_memory(workspace_path(out)) as stored:
            stored.verify()
            source = stored.manifest.sources[0]
            assert before < source.units_done < source.units
            assert len(stored.require_working().applied()) == source.units_done
            assert sorted(p.name for p in workspace_path(out).glob("shard-*")) == [
                record.file for record in stored.manifest.shards
            ]
            before = source.units_done
    summary = finished(corpus, out)
    assert (summary.digest, summary.units_before) == (truth, before)
    assert (summary.documents, summary.tokens) == (40, sum(p.stat().st_size for p in corpus.iterdir()))


def test_a_damaged_checkpoint_is_named_with_the_way_out(corpus: Path, tmp_path: Path, truth: str) -> None:
    out = tmp_path / "m.memo"
    stopped_after(12, corpus, out)
    with open_memory(workspace_path(out)) as stored:
        file = stored.require_working().files[1].path
    with h5py.File(file, "r+") as opened:
        opened["ledger/counts"][0] += 1
    with pytest.raises(DamagedMemoryError, match=rf"{file.name}: the ledger.*remove .*building to start anew"):
        build([str(corpus)], out, EVERY_UNIT)
    shutil.rmtree(workspace_path(out))
    assert finished(corpus, out).digest == truth


def test_a_lost_shard_is_replaced(corpus: Path, tmp_path: Path, truth: str) -> None:
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        if progress.units_done >= 10 * (1 + len(killed)) and len(killed) < 2:
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::ShardActor"):
                    killed.append(process.pid)
                    os.kill(process.pid, signal.SIGKILL)
                    return

    summary = build([str(corpus)], tmp_path / "m.memo", EVERY_UNIT, on_progress=kill_one)
    assert (summary.digest, summary.losses, len(killed)) == (truth, 2, 2)


def test_a_second_attempt_takes_over(corpus: Path, tmp_path: Path, truth: str) -> None:
    out = tmp_path / "m.memo"
    summaries = []

    def overlap(progress: Progress) -> None:
        if progress.units_done == 10 and not summaries:
            summaries.append(build([str(corpus)], out, EVERY_UNIT))

    with pytest.raises((FencedError, OutputExistsError), match="another attempt"):
        build([str(corpus)], out, EVERY_UNIT, on_progress=overlap)
    assert summaries[0].digest == truth
    assert Memory.open(out).digest() == truth
    assert not workspace_path(out).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda corpus: (corpus / "05.txt").write_text("other"), r"sources: .*05\.txt differs"),
        (lambda corpus: (corpus / "05.txt").unlink(), r"sources: .*05\.txt differs"),
        (lambda corpus: (corpus / "99.txt").write_text("more"), r"sources: .*99\.txt differs"),
    ],
)
def test_a_changed_corpus_is_refused_by_name(corpus: Path, tmp_path: Path, change: object, message: str) -> None:
    out = tmp_path / "m.memo"
    stopped_after(12, corpus, out)
    change(corpus)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=message):
        build([str(corpus)], out, EVERY_UNIT)
    assert workspace_path(out).exists()


@pytest.mark.parametrize("change", [{"seed": 1}, {"num_banks": 41}, {"tokenizer": "auto"}, {"num_heads": 2}])
def test_a_changed_setting_is_refused_by_name(
    corpus: Path, tmp_path: Path, change: dict[str, object], truth: str
) -> None:
    out = tmp_path / "m.memo"
    stopped_after(12, corpus, out)
    name = next(iter(change))
    with pytest.raises(ConfigError, match=f"settings: {name} differs: it is {change[name]} now"):
        build([str(corpus)], out, replace(EVERY_UNIT, **change))  # type: ignore[arg-type]
    assert finished(corpus, out).digest == truth


def test_a_full_disk_at_a_checkpoint_loses_nothing(
    corpus: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, truth: str
) -> None:
    monkeypatch.setattr("cluster.workspace._free_bytes", lambda path: 10**12)
    out = small_disk / "m.memo"
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    stopped_after(8, corpus, out)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 60_000))
    with pytest.raises(StorageError, match="the disk is full"):
        build([str(corpus)], out, EVERY_UNIT)
    with open_memory(workspace_path(out)) as stored:
        stored.verify()
    filler.unlink()
    assert finished(corpus, out).digest == truth


def test_sigterm_drains_and_exits_75(corpus: Path, tmp_path: Path, truth: str) -> None:
    out = tmp_path / "m.memo"
    words = [str(corpus), "--out", str(out), "--tokenizer", "bytes", "--banks", "40", "--dim", "64", "--shards", "2"]
    code = (
        "import sys, time, cluster.run as b, pipelines.plan\n"
        "pipelines.plan.MIN_UNIT_BYTES = 1500\n"
        "count = b.Run._count\n"
        "def slow(self, answers):\n"
        "    count(self, answers); print('unit', file=sys.__stdout__, flush=True); time.sleep(0.2)\n"
        "b.Run._count, b._MOST_UNDER_WAY = slow, 4\n"
        "from console.app import entry\nentry()"
    )
    command = [sys.executable, "-c", code, "build", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "unit\n"
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 75
    assert "stopped as asked" in errors
    assert "the same command goes on" in errors
    with open_memory(workspace_path(out)) as stored:
        assert 0 < stored.manifest.sources[0].units_done < stored.manifest.sources[0].units


def test_a_workspace_without_a_checkpoint_is_not_gone_on_from(corpus: Path, tmp_path: Path, truth: str) -> None:
    """As a killed driver leaves it before its first checkpoint."""
    out = tmp_path / "m.memo"
    Workspace(out, CombineStatement(action="merge", memories=["of another command"]), None)
    (workspace_path(out) / "shard-00000.g0001-deadbeef.h5").write_bytes(b"torn")
    assert finished(corpus, out).digest == truth
