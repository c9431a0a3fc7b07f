"""Benchmarks whose claims rest on arithmetic: that what they time gives what it should. No test asserts a time."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def test_the_published_arithmetic_gives_the_matrix_of_the_preset_paper(tmp_path: Path) -> None:
    """Both readings of it, over documents that are shorter and longer than a sequence."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefgh"), 4)) for _ in range(60)]
    for index, count in enumerate((3, 40, 700, 1500)):
        (tmp_path / f"{index}.txt").write_text(" ".join(rng.choice(words, count)))
    command = [sys.executable, str(BENCHMARKS / "published_method.py"), str(tmp_path)]
    numbers = ["--dim", "128", "--tokens", "3000", "--batches", "1", "--sample", "200"]
    done = subprocess.run([*command, *numbers], stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["parameters"] == 128**2
    assert 2000 < found["ways"]["text"]["tokens"] == found["ways"]["identity"]["tokens"] <= 3000
    for way in ("sequences", "positions"):
        assert found["ways"][way]["residual_to_identity"] < 2e-6
