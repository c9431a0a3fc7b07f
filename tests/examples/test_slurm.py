"""The scripts of examples/slurm, run by a real Slurm of one node, where it is installed: digests of a build here."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.workspace import workspace_path
from memo_dist.files.manifest import Manifest
from memo_dist.runs.run_folder import run_folders
from pipelines.plan import CorpusOptions
from tests.examples.slurm import Slurm, missing, running

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "examples" / "slurm"
SPLIT = 8000  # bytes; see tests/cluster/array_driver.py


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """Jobs find a memo-dist whose splits are small, and take a while each."""
    if absent := missing():
        pytest.skip(f"SLURM'S SCRIPTS NOT TESTED: {', '.join(absent)} not installed (Debian: slurm-wlm, munge)")
    place = tmp_path_factory.mktemp("slurm")
    programs = place / "bin"
    programs.mkdir()
    driver = ROOT / "tests" / "cluster" / "array_driver.py"
    settings = "--tokenizer bytes --dim 64 --shards 5"  # of what is built, which the scripts leave as it is
    (programs / "memo-dist").write_text(
        f'#!/bin/bash\nexport SECONDS_OF_A_THING=0\n[ "$1" = build ] && SECONDS_OF_A_THING=0.3\n'
        f'case "$1" in build|plan-build) set -- "$@" {settings};; esac\n'
        f'exec "{sys.executable}" "{driver}" "$@"\n'
    )
    for name, command in (("python", ""), ("ray", "-m ray.scripts.scripts")):
        (programs / name).write_text(f'#!/bin/bash\nexec "{sys.executable}" {command} "$@"\n')
    for path in programs.iterdir():
        path.chmod(0o755)
    more = {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    try:
        with running(place / "cluster", more) as made:
            yield made
    except RuntimeError as error:
        pytest.skip(f"SLURM'S SCRIPTS NOT TESTED: it does not come up here: {error}")


@pytest.fixture(scope="module")
def truth(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    options = BuildOptions(
        tokenizer="bytes",
        inner_dim=64,
        resources=Resources(address="none"),
        corpus=CorpusOptions(split_bytes=SPLIT),
    )
    return build([str(text_corpus)], tmp_path_factory.mktemp("truth") / "m.memo", options).digest


def running_job(slurm: Slurm, job: str, out: Path) -> None:
    """Wait until a job has made a run or two."""
    until = time.monotonic() + 200
    while len(run_folders(workspace_path(out) / "runs")) < 2:
        assert time.monotonic() < until, slurm.state(job)
        assert slurm.state(job)["JobState"] in ("PENDING", "CONFIGURING", "RUNNING")
        time.sleep(0.1)


def said(slurm: Slurm, job: str) -> str:
    return "".join(path.read_text() for path in slurm.place.glob(f"*-{job}*.log"))


def test_an_array_makes_the_memory_of_a_build(slurm: Slurm, text_corpus: Path, truth: str, tmp_path: Path) -> None:
    out = tmp_path / "m.memo"
    last = slurm.run("bash", str(SCRIPTS / "array.sh"), str(out), "4", str(text_corpus))
    assert slurm.ended(last)["JobState"] == "COMPLETED", said(slurm, last)
    assert Manifest.read(out).digest == truth


def test_a_job_whose_time_is_over_is_queued_again_and_goes_on(
    slurm: Slurm, text_corpus: Path, truth: str, tmp_path: Path
) -> None:
    """SIGTERM to the script, as --signal=B:TERM@120 sends it: 75, and the second attempt finds what was done."""
    out = tmp_path / "m.memo"
    job = slurm.run(
        "sbatch", "--parsable", "--mem=0", "--cpus-per-task=2", str(SCRIPTS / "one-node.sh"), str(text_corpus), str(out)
    )
    running_job(slurm, job, out)
    slurm.run("scancel", "--batch", "--signal=TERM", job)
    state = slurm.ended(job)
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), said(slurm, job)
    assert "stopped as asked" in said(slurm, job)
    assert Manifest.read(out).digest == truth


def test_a_job_that_is_cancelled_is_not_queued_again(slurm: Slurm, text_corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.memo"
    words = ("memo-dist", "build", str(text_corpus), "--out", str(out))
    job = slurm.run("sbatch", "--parsable", str(SCRIPTS / "retry.sh"), *words)
    running_job(slurm, job, out)
    slurm.run("scancel", job)
    state = slurm.ended(job)
    assert (state["JobState"], state["Restarts"]) == ("CANCELLED", "0"), said(slurm, job)
    assert not out.exists()


def test_a_ray_of_its_own_is_stopped_and_gone_on_with(
    slurm: Slurm, text_corpus: Path, truth: str, tmp_path: Path
) -> None:
    out = tmp_path / "m.memo"
    words = ("--parsable", "--nodes=1", "--mem=0", "--cpus-per-task=2")
    job = slurm.run("sbatch", *words, str(SCRIPTS / "ray.sh"), str(text_corpus), str(out))
    running_job(slurm, job, out)
    token = slurm.place / f".ray-token-{job}"
    assert token.stat().st_mode & 0o777 == 0o600
    secret = token.read_text()
    slurm.run("scancel", "--batch", "--signal=TERM", job)
    state = slurm.ended(job)
    assert (state["JobState"], state["Restarts"]) == ("COMPLETED", "1"), said(slurm, job)
    assert Manifest.read(out).digest == truth
    assert not token.exists()
    assert not Path(f"/tmp/ray_{job}").exists()
    assert secret not in said(slurm, job)
    assert secret not in json.dumps(Manifest.read(out).to_json())
