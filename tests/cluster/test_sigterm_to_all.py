"""SIGTERM to every process of a job, as batch systems send it: the driver and Ray. Digests prove that it goes on."""

import json
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from memo_dist.files.manifest import Manifest

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 90  # batch systems have 30 between SIGTERM and SIGKILL, on machines that do nothing else
SLOWED = """
import sys, time
import cluster.chunk_job, cluster.publish, cluster.recall_job, cluster.run_maker, cluster.run_state
import cluster.sorted_run, pipelines.plan
def slow(kind, method, said):
    done = getattr(kind, method)
    def slowly(self, *values, **named):
        result = done(self, *values, **named)
        print(said, file=sys.__stdout__, flush=True)
        time.sleep(SECONDS)
        return result
    setattr(kind, method, slowly)
SECONDS = {seconds}
pipelines.plan.MIN_SPLIT_BYTES = 1500
cluster.publish._WINDOWS_OF_A_FILE = 20_000
cluster.recall_job.CHUNK = 4
slow(cluster.run_state.RunState, "count", "runs")
slow(cluster.sorted_run.SortedRun, "_count_file", "merge")
slow(cluster.chunk_job._Job, "_count_answers", "recall")
slow(cluster.run_maker.RunMaker, "_done", "task")
cluster.sorted_run.SortedRun._most_under_way = lambda self: 4
from console.app import entry
entry()
"""
SHAPE = ["--tokenizer", "bytes", "--banks", "40", "--dim", "64", "--shards", "6"]


def command(*words: str, address: str = "local", seconds: float = 0.2) -> list[str]:
    return [sys.executable, "-c", SLOWED.format(seconds=seconds), *words, "--address", address, "--json"]


def finished(*words: str, address: str = "local") -> dict[str, object]:
    done = subprocess.run(command(*words, address=address, seconds=0), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    summary: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return summary


def ended(words: list[str], *, phase: str, victims: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code, and what was said, soon after the signal; it is sent at the second line of a phase.

    Args:
        victims: names of processes that are killed instead, alone.
    """
    with subprocess.Popen(command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as driver:
        family: list[psutil.Process] = []
        try:
            assert driver.stdout is not None
            seen = 0
            for line in iter(driver.stdout.readline, ""):
                seen += line == f"{phase}\n"
                if seen == 2:
                    break
            family = psutil.Process(driver.pid).children(recursive=True)
            assert {"raylet", "gcs_server"} <= {process.name() for process in family}
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    if not victims:
                        process.send_signal(signal.SIGTERM)
                    elif process.name() in victims:
                        process.kill()
            if not victims:
                driver.send_signal(signal.SIGTERM)
            _, said = driver.communicate(timeout=PATIENCE_SECONDS)
            return driver.returncode, said
        finally:
            for process in [driver, *family]:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    process.kill()


@pytest.fixture(scope="module")
def whole(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory of the corpus, made undisturbed."""
    out = tmp_path_factory.mktemp("whole") / "m.memo"
    words = ["build", str(text_corpus), "--out", str(out), *SHAPE, "--address", "none"]
    subprocess.run([sys.executable, "-m", "console", *words], check=True, capture_output=True)
    return out


def require_stopped(words: list[str], *, phase: str) -> None:
    code, said = ended(words, phase=phase)
    assert code == 75, said
    assert "stopped as asked" in said
    assert "the same command goes on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("phase", ["runs", "merge"])
def test_a_build(text_corpus: Path, whole: Path, tmp_path: Path, phase: str) -> None:
    out = tmp_path / "m.memo"
    words = ["build", str(text_corpus), "--out", str(out), *SHAPE]
    require_stopped(words, phase=phase)
    summary = finished(*words)
    assert summary["digest"] == Manifest.read(whole).digest
    assert summary["splits_before"] != 0


def test_adding(text_corpus: Path, whole: Path, tmp_path: Path) -> None:
    """Documents by other names count again."""
    again = Path(shutil.copytree(text_corpus, tmp_path / "again"))
    memory, undisturbed = (Path(shutil.copytree(whole, tmp_path / name)) for name in ("m.memo", "n.memo"))
    truth = finished("add", str(undisturbed), str(again), address="none")["digest"]
    words = ["add", str(memory), str(again)]
    require_stopped(words, phase="runs")
    assert Manifest.read(memory) == Manifest.read(whole)
    assert finished(*words)["digest"] == truth


def test_publishing(whole: Path, tmp_path: Path) -> None:
    out, undisturbed = tmp_path / "p.memo", tmp_path / "q.memo"
    finished("publish", str(whole), "--out", str(undisturbed), address="none")
    words = ["publish", str(whole), "--out", str(out)]
    require_stopped(words, phase="task")
    finished(*words)
    assert Manifest.read(out).digest == Manifest.read(undisturbed).digest


def test_a_recall_job(text_corpus: Path, whole: Path, tmp_path: Path) -> None:
    prompts, out, undisturbed = tmp_path / "prompts.jsonl", tmp_path / "a.parquet", tmp_path / "b.parquet"
    text = (text_corpus / "00.txt").read_text()
    prompts.write_text("".join(json.dumps({"text": text[at : at + 60]}) + "\n" for at in range(0, 1600, 40)))
    words = ["recall", str(whole), "--prompts", str(prompts), "--out"]
    summary = finished(*words, str(undisturbed))
    assert summary["prompts"] == 40
    require_stopped([*words, str(out)], phase="recall")
    assert finished(*words, str(out))["parts_before"] != 0
    assert out.read_bytes() == undisturbed.read_bytes()


@pytest.mark.parametrize("names", [("raylet",), ("gcs_server",)])
def test_a_ray_that_is_lost_alone_is_an_error(text_corpus: Path, tmp_path: Path, names: tuple[str, ...]) -> None:
    """Nothing asked for a stop; the memory's work is kept all the same."""
    out = tmp_path / "m.memo"
    code, said = ended(["build", str(text_corpus), "--out", str(out), *SHAPE], phase="runs", victims=names)
    assert code == 1, said
    assert "Ray's own processes on this machine have ended" in said
    assert "the same command goes on" in said
    assert "Traceback" not in said
