"""Builds as arrays: tasks in any order, twice, at once, killed in the middle; too early, too late, of another plan.

The truth is the digest of an ordinary build of the same."""

import gzip
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.array_build import finish, make_runs, merge_runs, plan_build
from cluster.array_plan import ArrayPlan, Share
from cluster.array_status import array_status
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_tasks import RunTasks
from cluster.workspace import workspace_path
from console.app import main
from memo_dist import open_memory
from memo_dist.errors import (
    ConfigError,
    DamagedMemoryError,
    FencedError,
    InputError,
    OutputExistsError,
    UnfinishedError,
)
from memo_dist.runs.run_folder import run_folders
from pipelines.plan import CorpusOptions

HERE = Resources(address="none")
SPLIT = 8000  # bytes
OPTIONS = BuildOptions(
    tokenizer="bytes", inner_dim=64, resources=replace(HERE, shards=5), corpus=CorpusOptions(split_bytes=SPLIT)
)
DRIVER = str(Path(__file__).parent / "array_driver.py")


@pytest.fixture(scope="module")
def corpus(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small files, and one of many batches that is read as a stream."""
    folder = Path(shutil.copytree(text_corpus, tmp_path_factory.mktemp("array") / "corpus"))
    chosen = random.Random(3)
    lines = [
        " ".join(chosen.choices(["hill", "dale", "brook", "stone", "moss"], k=chosen.randint(2, 40)))
        for _ in range(300)
    ]
    with gzip.open(folder / "rows.jsonl.gz", "wt") as handle:
        handle.writelines(json.dumps({"id": str(i), "text": line}) + "\n" for i, line in enumerate(lines))
    return folder


@pytest.fixture(scope="module")
def truth(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of an ordinary build, whose number of banks follows from what is counted."""
    return build([str(corpus)], tmp_path_factory.mktemp("truth") / "m.memo", OPTIONS).digest


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "m.memo"


def planned(corpus: Path, out: Path) -> Path:
    plan_build([str(corpus)], out, OPTIONS)
    return out


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_tasks_in_any_order_and_some_twice_make_the_memory_of_a_build(
    corpus: Path, out: Path, truth: str, seed: int
) -> None:
    chosen, of = random.Random(seed), 8
    planned(corpus, out)
    for work in (make_runs, merge_runs):
        order = [*range(of), *chosen.sample(range(of), 3)]
        chosen.shuffle(order)
        done = [work(out, Share(task, of), HERE) for task in order]
        assert sum(one.before for one in done) > 0
        assert sum(one.items - one.before for one in done) == (
            len(run_folders(workspace_path(out) / "runs")) if work is make_runs else 5
        )
    assert finish(out, HERE).digest == truth
    assert not workspace_path(out).exists()
    with open_memory(out) as memory:
        memory.require_working().verify()


def test_two_of_one_task_at_once_make_it_once(corpus: Path, out: Path, truth: str) -> None:
    planned(corpus, out)
    for work in (make_runs, merge_runs):
        threads = [threading.Thread(target=work, args=(out, Share(task % 2, 2), HERE)) for task in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert finish(out, HERE).digest == truth


def test_more_tasks_than_there_is_work(corpus: Path, out: Path, truth: str) -> None:
    planned(corpus, out)
    assert make_runs(out, Share(98, 99), HERE).items == 0
    make_runs(out, Share(), HERE)
    assert [merge_runs(out, Share(task, 7), HERE).items for task in range(7)] == [1, 1, 1, 1, 1, 0, 0]
    assert finish(out, HERE).digest == truth


def test_a_build_goes_on_from_a_plan_and_what_tasks_have_made(corpus: Path, out: Path, truth: str) -> None:
    planned(corpus, out)
    make_runs(out, Share(1, 2), HERE)
    summary = build([str(corpus)], out, OPTIONS)
    assert (summary.digest, summary.splits_before > 0) == (truth, True)
    with pytest.raises(OutputExistsError):
        make_runs(out, Share(0, 2), HERE)


def test_who_comes_too_early_is_told_which_tasks_are_missing(corpus: Path, out: Path) -> None:
    planned(corpus, out)
    with pytest.raises(UnfinishedError, match=r"no task of memo-dist make-runs .* has begun"):
        merge_runs(out, Share(0, 2), HERE)
    for task in (0, 2, 3, 5):
        make_runs(out, Share(task, 6), HERE)
    missing = r"splits of .* are not read yet: those of task 1, 4 of 6\. Run memo-dist make-runs .* --task 1 --of 6 and"
    for early in (lambda: merge_runs(out, Share(0, 2), HERE), lambda: finish(out, HERE)):
        with pytest.raises(UnfinishedError, match=missing):
            early()
    for task in (1, 4):
        make_runs(out, Share(task, 6), HERE)
    with pytest.raises(UnfinishedError, match=r"5 of 5 files of .* those of task 0, 1 of 2"):
        finish(out, HERE)
    merge_runs(out, Share(1, 2), HERE)
    with pytest.raises(UnfinishedError, match=r"3 of 5 files of .* are not merged yet: those of task 0 of 2"):
        finish(out, HERE)
    assert not out.exists()


def test_a_source_that_has_changed_since_is_refused_by_name(corpus: Path, out: Path, tmp_path: Path) -> None:
    own = Path(shutil.copytree(corpus, tmp_path / "own"))
    planned(own, out)
    (own / "03.txt").write_text("another text")
    with pytest.raises(ConfigError, match=r"sources: .*03\.txt differs"):
        make_runs(out, Share(0, 2), HERE)


def test_relative_inputs_are_those_of_the_directory_of_the_plan(
    corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus)
    plan_build(["00.txt"], out, OPTIONS)
    monkeypatch.chdir(corpus.parent)
    with pytest.raises(ConfigError, match=r"were named in .*corpus, 00\.txt among them, and this is"):
        make_runs(out, Share(0, 1), HERE)
    monkeypatch.chdir(corpus)
    assert make_runs(out, Share(0, 1), HERE).documents == 1


def test_a_plan_made_again_stays_and_another_is_refused(corpus: Path, out: Path) -> None:
    planned(corpus, out)
    before = ArrayPlan.read(out)
    make_runs(out, Share(0, 3), HERE)
    assert plan_build([str(corpus)], out, OPTIONS).planned_before
    assert ArrayPlan.read(out) == before
    assert make_runs(out, Share(0, 3), HERE).before > 0
    with pytest.raises(ConfigError, match="is planned with 5 files"):
        plan_build([str(corpus)], out, replace(OPTIONS, resources=replace(HERE, shards=6)))
    with pytest.raises(ConfigError, match="inner_dim differs"):
        plan_build([str(corpus)], out, replace(OPTIONS, inner_dim=128))
    with pytest.raises(ConfigError, match="--preset paper is built in one piece"):
        plan_build([str(corpus)], out, replace(OPTIONS, preset="paper"))


def test_a_task_of_a_plan_that_is_gone_makes_nothing(corpus: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was planned anew, with another tokenizer perhaps, while the task read its text."""
    planned(corpus, out)
    make = RunTasks.make

    def late(self: RunTasks, *values: Any, **named: Any) -> Any:
        shutil.rmtree(workspace_path(out), ignore_errors=True)
        planned(corpus, out)
        monkeypatch.setattr(RunTasks, "make", make)
        return make(self, *values, **named)

    monkeypatch.setattr(RunTasks, "make", late)
    with pytest.raises(FencedError, match="no longer there: the memory is finished, or was planned anew"):
        make_runs(out, Share(0, 1), HERE)
    assert not run_folders(workspace_path(out) / "runs")


def test_a_run_that_is_not_of_the_plan_is_refused(corpus: Path, out: Path) -> None:
    planned(corpus, out)
    make_runs(out, Share(0, 1), HERE)
    runs = workspace_path(out) / "runs"
    first = next(iter(runs.iterdir()))
    shutil.copytree(first, runs / "ff00")
    record = json.loads((runs / "ff00" / "record.json").read_text())
    (runs / "ff00" / "record.json").write_text(json.dumps({**record, "batch_id": "ff00"}))
    with pytest.raises(DamagedMemoryError, match="ff00"):
        merge_runs(out, Share(0, 1), HERE)


@pytest.mark.parametrize(("task", "of"), [(2, 2), (-1, 2), (0, 0)])
def test_tasks_are_numbered_from_zero(task: int, of: int) -> None:
    with pytest.raises(ConfigError, match=r"number an array of .* from 0"):
        Share(task, of)


def test_there_is_no_plan(out: Path) -> None:
    with pytest.raises(InputError, match=r"there is no plan of .* plan-build INPUT"):
        finish(out, HERE)


def test_the_commands_and_their_status(
    corpus: Path, out: Path, truth: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.plan.MIN_SPLIT_BYTES", SPLIT)

    def said(*words: str) -> dict[str, Any]:
        code = main([*words, "--json"])
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        assert code == told.get("exit_code", 0)
        return told

    name = str(out)
    plan = said("plan-build", str(corpus), "--out", name, "--tokenizer", "bytes", "--dim", "64", "--shards", "3")
    assert (plan["files"], plan["planned_before"]) == (3, False)
    assert said("merge-runs", name, "--task", "0", "--of", "2")["exit_code"] == 1
    assert said("make-runs", name, "--task", "2", "--of", "2")["exit_code"] == 2
    assert said("make-runs", name, "--task", "1", "--of", "2")["documents"] > 0
    status = said("status", name)
    assert (status["state"], status["next"]) == ("waiting", "make-runs")
    assert 0 < status["runs"] < status["splits"]
    assert [one["states"] for one in status["tasks"]] == [{"done": 1}, {"failed": 1}]
    assert main(["status", name]) == 0
    shown = capsys.readouterr().out
    assert "of 2 tasks 1 done, 1 not begun" in shown
    assert "task 0" in shown
    said("make-runs", name, "--task", "0", "--of", "2")
    for task in "01":
        said("merge-runs", name, "--task", task, "--of", "2")
    assert said("status", name)["next"] == "finish"
    assert said("finish", name)["digest"] == truth
    assert said("status", name)["state"] == "none"


def test_a_task_that_says_nothing_more_is_lost(corpus: Path, out: Path) -> None:
    planned(corpus, out)
    make_runs(out, Share(0, 2), HERE)
    path = workspace_path(out) / "merged" / "make-runs-0-of-2.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "state": "running"}))
    found = array_status(out)
    assert found is not None
    assert (found.state, found.tasks[0].states) == ("running", {"running": 1})
    found = array_status(out, now=time.time() + 60)
    assert found is not None
    assert (found.state, list(found.tasks[0].ended)) == ("waiting", [0])


@pytest.mark.slow
def test_tasks_that_are_killed_and_run_again_make_the_memory_of_a_build(
    corpus: Path, out: Path, truth: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight tasks, two of each at once here and there, SIGKILL at any moment, until each has ended well once."""
    monkeypatch.setattr("pipelines.plan.MIN_SPLIT_BYTES", SPLIT)
    chosen = random.Random(18)
    words = ["--tokenizer", "bytes", "--dim", "64", "--shards", "5"]
    subprocess.run(
        [sys.executable, DRIVER, "plan-build", str(corpus), "--out", str(out), *words], check=True, capture_output=True
    )
    killed = twice = 0
    for command, of in (("make-runs", 8), ("merge-runs", 3)):
        waiting = list(range(of))
        chosen.shuffle(waiting)
        while waiting:
            tasks = [waiting.pop() for _ in range(min(3, len(waiting)))]
            if chosen.random() < 0.5:
                tasks.append(tasks[0])
                twice += 1
            started = [
                (
                    task,
                    subprocess.Popen(
                        [sys.executable, DRIVER, command, str(out), "--task", str(task), "--of", str(of)],
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                    ),
                )
                for task in tasks
            ]
            if killed < 4:
                time.sleep(chosen.uniform(1.5, 4))
                started[0][1].kill()
            for task, process in started:
                _, said = process.communicate()
                if process.returncode == -signal.SIGKILL:
                    killed += 1
                    waiting.insert(0, task)
                else:
                    assert process.returncode == 0, said
    assert killed >= 3
    assert twice >= 1
    assert finish(out, HERE).digest == truth


@pytest.mark.slow
def test_sigterm_ends_a_task_with_75_and_what_it_made_stays(
    corpus: Path, out: Path, truth: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.plan.MIN_SPLIT_BYTES", SPLIT)
    words = ["--tokenizer", "bytes", "--dim", "64", "--shards", "5"]
    subprocess.run(
        [sys.executable, DRIVER, "plan-build", str(corpus), "--out", str(out), *words], check=True, capture_output=True
    )
    command = [sys.executable, DRIVER, "make-runs", str(out), "--task", "0", "--of", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not run_folders(workspace_path(out) / "runs"):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
    assert (process.returncode, b"stopped as asked" in said) == (75, True)
    found = array_status(out)
    assert found is not None
    assert found.tasks[0].states == {"stopped": 1}
    assert make_runs(out, Share(0, 1), HERE).before > 0
    merge_runs(out, Share(0, 1), HERE)
    assert finish(out, HERE).digest == truth
