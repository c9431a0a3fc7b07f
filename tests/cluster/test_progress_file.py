"""A run's progress as it is seen from elsewhere: in a file while it works, after it was stopped, for Prometheus."""

import json
import os
import re
import socket
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.array_build import make_runs, merge_runs, plan_build
from cluster.array_plan import Share
from cluster.build import build
from cluster.build_status import status_of
from cluster.prepare import BuildOptions
from cluster.progress_file import PROGRESS_FILE, ProgressFile
from cluster.progress_metrics import PREFIX, watched
from cluster.resources import Resources
from cluster.run_state import Held, Progress, RunState
from cluster.workspace import STATEMENT_FILE, workspace_path
from console.app import main
from memo_dist.errors import ConfigError, InputError, StoppedError
from pipelines.plan import CorpusOptions


def state(done: int = 4) -> RunState:
    run = RunState(10, forgets=False, checkpoint_every=60)
    run.begin(Held(splits_done=2, tokens=200))
    run.progress = replace(run.progress, splits_done=done, tokens=100 * done)
    return run


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    """A memory that is being made."""
    workspace_path(tmp_path / "m.memo").mkdir()
    return tmp_path / "m.memo"


def test_nothing_is_left_of_a_run_that_ended(memory: Path) -> None:
    place = workspace_path(memory)
    with ProgressFile(place, "build", state()).kept():
        status = status_of(memory)
        assert (status.state, status.phase, status.splits, status.splits_done) == ("running", "splits", 10, 4)
        assert not status.there
    assert list(place.iterdir()) == []


def test_a_stopped_run_says_so_and_a_killed_one_is_missed(memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(StoppedError), ProgressFile(workspace_path(memory), "add", state()).kept():
        raise StoppedError("stopped as asked, with 4 of 10 splits done")
    status = status_of(memory)
    assert (status.state, status.action, status.error) == (
        "stopped",
        "add",
        "stopped as asked, with 4 of 10 splits done",
    )
    with pytest.raises(OSError, match="disk"), ProgressFile(workspace_path(memory), "build", state()).kept():
        raise OSError("the disk is full")
    assert status_of(memory).state == "failed"
    file = workspace_path(memory) / PROGRESS_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), "state": "running"}))
    assert status_of(memory).state == "running"
    assert status_of(memory, now=time.time() + 300).state == "lost"
    file.write_text("{")
    assert status_of(memory).state == "lost"
    assert main(["status", str(memory)]) == 0
    assert "no record was left" in capsys.readouterr().out


def test_an_attempt_that_starts_is_not_taken_for_the_one_before(memory: Path) -> None:
    place = workspace_path(memory)
    with pytest.raises(StoppedError), ProgressFile(place, "add", state()).kept():
        raise StoppedError("stopped")
    (place / STATEMENT_FILE).write_text('{"action": "add"}')
    later = time.time() + 10
    os.utime(place / STATEMENT_FILE, (later, later))
    assert (status_of(memory, now=later + 1).state, status_of(memory).action) == ("starting", "add")
    assert status_of(memory, now=later + 3600).state == "lost"


def test_pace_and_time_left_are_those_of_this_attempt(memory: Path) -> None:
    run = state(done=2)
    progress = ProgressFile(workspace_path(memory), "build", run)
    first = progress.record()
    run.progress = replace(run.progress, splits_done=6, tokens=600)
    record = replace(progress.record(), began=first.updated - 20, phase_began=first.updated - 20, updated=first.updated)
    progress._write(record)
    status = status_of(memory)
    assert status.tokens_per_second == pytest.approx(400 / 20)
    assert status.seconds_left == pytest.approx(20 / 4 * 4)
    run.progress = replace(run.progress, splits_done=10, files=8, files_done=2)
    assert progress.record().phase == "merge"


def test_a_memory_without_a_build_and_neither(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.memo").mkdir()
    assert status_of(tmp_path / "m.memo").state == "none"
    with pytest.raises(InputError, match=r"other\.memo is not there"):
        status_of(tmp_path / "other.memo")
    assert main(["status", str(tmp_path / "other.memo")]) == 2


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return int(free.getsockname()[1])


def asked_at(host: str, port: int) -> bool:
    """Whether a run tells of itself at an address."""
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as answer:
            return f"{PREFIX}splits_done" in answer.read().decode()
    except urllib.error.URLError:
        return False


@pytest.mark.parametrize(
    ("host", "told_at", "silent_at"),
    [(None, "127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.2", "127.0.0.1"), ("0.0.0.0", "127.0.0.2", "[::1]")],
)
def test_metrics_are_told_at_the_address_that_is_named_and_at_no_other(
    memory: Path, host: str | None, told_at: str, silent_at: str
) -> None:
    port, progress = free_port(), ProgressFile(workspace_path(memory), "build", state(done=2))
    asked = Resources(metrics_port=port)
    with watched(progress, asked if host is None else replace(asked, metrics_host=host)):
        assert asked_at(told_at, port)
        assert not asked_at(silent_at, port)
    assert not asked_at(told_at, port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "."])
def test_an_address_that_cannot_be_listened_on_is_named(memory: Path, host: str) -> None:
    progress = ProgressFile(workspace_path(memory), "build", state(done=2))
    with (
        pytest.raises(ConfigError, match=f"--metrics-host {re.escape(host)}"),
        watched(progress, Resources(metrics_port=free_port(), metrics_host=host)),
    ):
        pass


def test_tasks_of_an_array_tell_of_themselves(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("it was the best of times, it was the worst of times " * 4)
    resources, out, told = Resources(shards=1, address="none"), tmp_path / "m.memo", []
    plan_build([str(tmp_path / "corpus")], out, BuildOptions(tokenizer="bytes", num_banks=2, resources=resources))
    for task in (make_runs, merge_runs):
        port = free_port()
        asked = replace(resources, metrics_port=port)

        def look(progress: Progress, port: int = port) -> None:
            told.append(asked_at("127.0.0.1", port))

        task(out, Share(), asked, on_progress=look)
    assert len(told) > 1
    assert all(told)


@pytest.mark.slow
def test_a_build_is_seen_from_elsewhere(tmp_path: Path, text_corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, out, seen, metrics = free_port(), tmp_path / "m.memo", [], []

    def look(progress: Progress) -> None:
        seen.append(status_of(out))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            metrics.append(answer.read().decode())
        if len(seen) == 1:
            assert main(["status", str(out), "--json"]) == 0

    options = BuildOptions(
        tokenizer="bytes",
        num_banks=4,
        resources=Resources(shards=2, address="none", metrics_port=port),
        corpus=CorpusOptions(split_bytes=10_000),
    )
    summary = build([str(text_corpus)], out, options, on_progress=look)
    assert {one.state for one in seen} == {"running"}
    assert json.loads(capsys.readouterr().out)["phase"] == "splits"
    assert f"{PREFIX}splits_done 1\n" in metrics[0]
    assert f"{PREFIX}tokens {summary.tokens}\n" in metrics[-1]
    assert f'{PREFIX}phase{{phase="merge"}} 1' in metrics[-1]
    assert not (out / PROGRESS_FILE).exists()
    assert status_of(out).state == "none"
