"""Stopped builds go on: runs and files that are there, lost processes, fencing, refusal of a changed corpus.

Digests prove it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

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
from memo_dist.runs.run_folder import RunFolder, run_folders
from pipelines.plan import CorpusOptions

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("ray_local")]
EVERY_UNIT = BuildOptions(
    tokenizer="bytes",
    num_banks=40,
    inner_dim=64,
    resources=Resources(shards=2),
    corpus=CorpusOptions(split_bytes=1500),
)


SPLITS = 36  # of the corpus, by EVERY_UNIT


class InterruptionError(Exception):
    """What ends a build from within, at a chosen moment."""


@pytest.fixture
def corpus(text_corpus: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(text_corpus, tmp_path / "corpus"))


@pytest.fixture
def truth(corpus: Path) -> str:
    """The digest of one process that was never disturbed, of documents by the same ids: anchors name them."""
    memory = Memory(TextConfig(num_banks=40, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    for path in corpus.iterdir():
        memory.memorize(str(path), np.frombuffer(path.read_bytes(), np.uint8))
    return memory.digest()


def stopped_after(splits: int, corpus: Path, out: Path, options: BuildOptions = EVERY_UNIT) -> None:
    """A build that fails after so many splits."""

    def interrupt(progress: Progress) -> None:
        if progress.splits_done - progress.splits_before >= splits:
            raise InterruptionError

    with pytest.raises(InterruptionError) as caught:
        build([str(corpus)], out, options, on_progress=interrupt)
    assert "the same command goes on" in " ".join(caught.value.__notes__)


def finished(corpus: Path, out: Path, options: BuildOptions = EVERY_UNIT) -> BuildSummary:
    summary = build([str(corpus)], out, options)
    assert not workspace_path(out).exists()
    assert sorted(p.suffix for p in out.iterdir()) == sorted(
        [".json", ".json", ""] + [".h5", ".parquet"] * (options.resources.shards or 0)
    )
    with open_memory(out) as stored:
        stored.verify()
        kept = {record.file for record in stored.manifest.batches}
        assert len(kept) == stored.manifest.sources[0].splits
    assert kept == {p.name for p in (out / "batches").iterdir()}
    return summary


def runs_of(out: Path) -> list[RunFolder]:
    return run_folders(workspace_path(out) / "runs")


def settled_runs(out: Path) -> list[RunFolder]:
    """Tasks that were under way may still end."""
    count = -1
    while count != len(runs_of(out)):
        count = len(runs_of(out))
        time.sleep(2)
    return runs_of(out)


def test_a_stopped_build_goes_on(corpus: Path, tmp_path: Path, truth: str) -> None:
    """Three attempts, each with other numbers of shards; every one makes only the runs that are missing."""
    out, before = tmp_path / "m.memo", dict[str, float]()
    for shards in (2, 3, 1):
        stopped_after(6, corpus, out, replace(EVERY_UNIT, resources=replace(EVERY_UNIT.resources, shards=shards)))
        runs = runs_of(out)  # read once: tasks that were under way may still end
        made = {run.record.batch_id: run.path.stat().st_mtime for run in runs}
        assert len(made) > len(before)
        assert before.items() <= made.items()  # none is made again
        kept = {run.record.kept.file for run in runs if run.record.kept}
        assert len(kept) == len(made)
        assert kept <= {p.name for p in (workspace_path(out) / "batches").iterdir()}
        before = made
    summary = finished(corpus, out)
    assert summary.digest == truth
    assert summary.splits_before >= len(before)
    assert (summary.documents, summary.tokens) == (40, sum(p.stat().st_size for p in corpus.iterdir()))


def at_file(count: int) -> Callable[[Progress], None]:
    """What interrupts a build once so many shard files are written."""

    def interrupt(progress: Progress) -> None:
        if progress.files and progress.files_done >= count:
            raise InterruptionError

    return interrupt


@pytest.mark.parametrize("written", [0, 1, 2])
def test_a_build_that_was_stopped_while_it_merged_goes_on(
    corpus: Path, tmp_path: Path, truth: str, written: int
) -> None:
    out = tmp_path / "m.memo"
    for _ in range(2):
        with pytest.raises(InterruptionError):
            build([str(corpus)], out, EVERY_UNIT, on_progress=at_file(written))
    files = {path.name: path.stat().st_mtime for path in workspace_path(out).glob("shard-*.h5")}
    assert len(list((workspace_path(out) / "merged").iterdir())) == written
    summary = finished(corpus, out)
    assert (summary.digest, summary.splits_before) == (truth, SPLITS)
    kept = {name: time for name, time in files.items() if (out / name).exists()}
    assert len(kept) >= written
    assert all((out / name).stat().st_mtime == time for name, time in kept.items())


def test_with_another_number_of_shards_files_are_merged_anew(corpus: Path, tmp_path: Path, truth: str) -> None:
    out = tmp_path / "m.memo"
    with pytest.raises(InterruptionError):
        build([str(corpus)], out, EVERY_UNIT, on_progress=at_file(1))
    more = replace(EVERY_UNIT, resources=replace(EVERY_UNIT.resources, shards=3))
    assert finished(corpus, out, more).digest == truth


@pytest.mark.parametrize("moment", ["checkpoint", "commit"])
def test_a_build_that_lacks_only_its_manifest_or_name_goes_on(
    corpus: Path, tmp_path: Path, truth: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m.memo"

    def interrupt(*_: object, **__: object) -> None:
        raise InterruptionError

    with monkeypatch.context() as patch:
        patch.setattr(Workspace, moment, interrupt)
        with pytest.raises(InterruptionError):
            build([str(corpus)], out, EVERY_UNIT)
    summary = finished(corpus, out)
    assert (summary.digest, summary.splits_before) == (truth, SPLITS)
    assert (summary.documents, summary.tokens) == (40, sum(p.stat().st_size for p in corpus.iterdir()))


@pytest.mark.parametrize("name", ["next-00000.arrow", "record.json", "documents.arrow", "anchors.arrow"])
def test_a_damaged_run_is_named_with_the_way_out(corpus: Path, tmp_path: Path, truth: str, name: str) -> None:
    out = tmp_path / "m.memo"
    stopped_after(12, corpus, out)
    run = runs_of(out)[3]
    content = (run.path / name).read_bytes()
    (run.path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(DamagedMemoryError, match=rf"{run.path.name}.*run it again"):
        build([str(corpus)], out, EVERY_UNIT)
    shutil.rmtree(run.path)
    assert finished(corpus, out).digest == truth


@pytest.mark.parametrize("victim", ["ray::MergeActor", "ray::dask"])
def test_a_lost_process_is_replaced(
    corpus: Path, tmp_path: Path, truth: str, victim: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor between two files; Ray itself begins tasks of a lost worker again."""
    killed: list[int] = []

    def kill_one(progress: Progress) -> None:
        due = progress.files_done == 1 if "Actor" in victim else progress.splits_done == 10
        for process in psutil.Process().children(recursive=True) if due and not killed else ():
            if process.name().startswith(victim):
                killed.append(process.pid)
                os.kill(process.pid, signal.SIGKILL)

    eight = replace(EVERY_UNIT, resources=replace(EVERY_UNIT.resources, shards=8))
    summary = build([str(corpus)], tmp_path / "m.memo", eight, on_progress=kill_one)
    assert summary.digest == truth
    if "Actor" in victim:
        assert killed
        assert summary.losses >= 1


def test_a_second_attempt_takes_over(corpus: Path, tmp_path: Path, truth: str) -> None:
    out = tmp_path / "m.memo"
    summaries = []

    def overlap(progress: Progress) -> None:
        if progress.splits_done == 10 and not summaries:
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


def test_a_full_disk_loses_nothing(corpus: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch, truth: str) -> None:
    monkeypatch.setattr("cluster.room._free_bytes", lambda path: 10**12)
    out = small_disk / "m.memo"
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    stopped_after(8, corpus, out)
    filler = small_disk / "filler"
    settled_runs(out)
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 60_000))
    before = {run.record.batch_id for run in runs_of(out)}
    with pytest.raises(StorageError, match="the disk is full"):
        build([str(corpus)], out, EVERY_UNIT)
    assert before <= {run.record.batch_id for run in runs_of(out)}
    filler.unlink()
    assert finished(corpus, out).digest == truth


@pytest.mark.parametrize("sent", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("address", ["local", "none"])
@pytest.mark.parametrize("phase", ["runs", "merge"])
def test_sigterm_drains_and_exits_75(
    corpus: Path, tmp_path: Path, truth: str, address: str, sent: str, phase: str
) -> None:
    """Killed without warning, it goes on from what was done, too."""
    out = tmp_path / "m.memo"
    words = [str(corpus), "--out", str(out), "--tokenizer", "bytes", "--banks", "40", "--dim", "64", "--shards", "6"]
    words += ["--address", address, "--json"]
    code = (
        "import sys, time, cluster.run_state as b, cluster.sorted_run as r, pipelines.plan\n"
        "pipelines.plan.MIN_SPLIT_BYTES = 1500\n"
        "count, file = b.RunState.count, r.SortedRun._count_file\n"
        "def slow(what, said, self, *values, **named):\n"
        "    said(self, *values, **named); print(what, file=sys.__stdout__, flush=True); time.sleep(0.2)\n"
        "b.RunState.count = lambda *values, **named: slow('runs', count, *values, **named)\n"
        "r.SortedRun._count_file = lambda *values: slow('merge', file, *values)\n"
        "r.SortedRun._most_under_way = lambda self: 4\n"
        "from console.app import entry\nentry()"
    )
    command = [sys.executable, "-c", code, "build", *words]
    again = [sys.executable, "-c", code.replace("sleep(0.2)", "sleep(0)"), "build", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        seen = 0
        while seen < 2:
            seen += next(lines) == f"{phase}\n"
        process.send_signal(signal.SIGKILL if sent == "SIGKILL" else signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    if sent != "SIGKILL":
        assert process.returncode == 75, errors
        assert "stopped as asked" in errors
        assert "the same command goes on" in errors
    made = settled_runs(out)
    assert made
    assert (len(list(workspace_path(out).glob("merged/*.json"))) > 0) == (phase == "merge")
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["digest"] == truth
    # a task of a program that was killed may end while the next one begins
    assert summary["splits_before"] == len(made) or (sent == "SIGKILL" and summary["splits_before"] > len(made))


def test_a_workspace_in_which_nothing_is_done_is_not_gone_on_from(corpus: Path, tmp_path: Path, truth: str) -> None:
    """As a killed driver leaves it before its first run."""
    out = tmp_path / "m.memo"
    Workspace(out, CombineStatement(action="merge", memories=["of another command"], digests=["0"]), None)
    (workspace_path(out) / "shard-00000.g0001-deadbeef.h5").write_bytes(b"torn")
    assert finished(corpus, out).digest == truth
