"""Benchmarks whose claims rest on arithmetic: that what they time gives what it should. No test asserts a time."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

SCRIPTS = sorted(
    str(path.relative_to(BENCHMARKS))
    for path in BENCHMARKS.rglob("*.py")
    if path.name != "__init__.py" and path.parent.name != "common"
)


def test_the_table_names_every_script() -> None:
    """Each once, and no other; result files that are named are there."""
    lines = [line for line in (BENCHMARKS / "README.md").read_text().splitlines() if line.startswith("| `")]
    assert sorted(line.split("`")[1] for line in lines) == SCRIPTS
    results = BENCHMARKS.parent / "docs" / "results"
    for line in lines:
        *_, page, files, _, _ = (cell.strip() for cell in line.split("|"))
        assert page == "-" or (BENCHMARKS / page.split("(")[1].rstrip(")")).is_file()
        assert all(list(results.glob(name)) for name in re.findall("`([^`]+)`", files)), line


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_starts(script: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)}
    command = [sys.executable, str(BENCHMARKS / script), "--help"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    assert f"benchmarks/{script}" in done.stdout


@pytest.mark.slow
def test_the_published_arithmetic_gives_the_matrix_of_the_preset_paper(tmp_path: Path) -> None:
    """Both readings of it, over documents that are shorter and longer than a sequence."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 4)) for _ in range(60)]
    for index, count in enumerate((3, 40, 700, 1500)):
        (tmp_path / f"{index}.txt").write_text(" ".join(rng.choice(words, count)))
    command = [sys.executable, str(BENCHMARKS / "paper" / "published_method.py"), str(tmp_path)]
    numbers = ["--dim", "128", "--tokens", "3000", "--batches", "1", "--sample", "200"]
    done = subprocess.run([*command, *numbers], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["parameters"] == 128**2
    assert 2000 < found["ways"]["text"]["tokens"] == found["ways"]["identity"]["tokens"] <= 3000
    for way in ("sequences", "positions"):
        assert found["ways"][way]["residual_to_identity"] < 2e-6


ABSENT = ("ray", "dask", "pandas", "tokenizers", "typer", "rich", "psutil", "fsspec", "yaml", "matplotlib")
# a module whose entry is None cannot be imported
BARE = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
sys.path.insert(0, {str(BENCHMARKS.parent)!r})
sys.argv = sys.argv[1:]
"""
RUN = "runpy.run_path(sys.argv[0], run_name='__main__')"
ON_STAND_IN = f"""
sys.path.insert(0, {str(BENCHMARKS.parent / "tests")!r})
import stand_in
with stand_in.installed():
    {RUN}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("device", "script"), [("cpu", BARE + RUN), ("gpu", BARE + ON_STAND_IN)])
def test_the_gpu_benchmark_runs_on_a_bare_machine(device: str, script: str) -> None:
    """Without Ray, Dask, pandas, a tokenizer or the command line's libraries; as for a GPU on the stand-in for CuPy."""
    numbers = ["--tokens", "3000", "--compared", "2000", "--queries", "20", "--repeat", "1", "--gemm", "64"]
    numbers += ["--limited-tokens", "1000", "--limited-banks", "30", "--allowed", "1000000", "--copied", "10000"]
    command = [sys.executable, "-c", script, str(BENCHMARKS / "gpu" / "gpu.py"), "--device", device, *numbers]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["device"] == ("cpu" if device == "cpu" else "stand-in")
    assert found["unequal"] == []
    assert found["limited"]["banks_live_in"] == "HostBanks"
    assert found["limited"]["digest_equal"]
    assert found["stages"]["ask (queries)"]["recall"] > 0.9
