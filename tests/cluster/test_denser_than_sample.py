"""A corpus far denser than its sample: every split begins with text that hardly takes a token."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SPLIT, SPLITS = 1 << 18, 10
SAMPLED = SPLIT * 7 // 8  # of each split
BUDGET = 1_000_000_000
CODE = f"""
import pipelines.plan, pipelines.tokenizing
pipelines.plan.MIN_SPLIT_BYTES, pipelines.plan.SPLITS_WANTED = {SPLIT}, 1_000_000
pipelines.tokenizing.SAMPLE_BYTES = {SAMPLED * SPLITS}
from console.app import entry
entry()
"""


def dense_corpus(path: Path) -> None:
    """Rows of one letter, which are sampled, then random words, which are not."""
    draws = random.Random(1)

    def row(text: str) -> bytes:
        return (json.dumps({"text": text}) + "\n").encode()

    with open(path, "wb") as out:
        for split in range(1, SPLITS + 1):
            while out.tell() < split * SPLIT - SPLIT + SAMPLED + 8000:
                out.write(row("a" * 4000))
            while out.tell() < split * SPLIT - 700:
                out.write(row(" ".join(f"{draws.getrandbits(40):x}" for _ in range(40))))
            out.write(b" " * (split * SPLIT - out.tell() - 1) + b"\n")


def test_it_is_built_within_its_budget_and_told(tmp_path: Path) -> None:
    dense_corpus(tmp_path / "rows.jsonl")
    words = ["build", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "m.memo"), "--address", "none"]
    command = [sys.executable, "-c", CODE, *words, "--memory-budget", str(BUDGET)]
    built = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    summary = json.loads(built.stdout)
    assert summary["associations"] > 20 * summary["planned_associations"]
    assert summary["banks"] * 256**2 < 100 * summary["tokens"]  # as many as they need, not as many as keep a tiny load
    assert summary["peak_bytes"] < min(BUDGET, summary["planned_peak_bytes"])
    shutil.rmtree(tmp_path / "m.memo")
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    planned = summary["planned_associations"]
    off = f"{summary['associations'] / planned:,.1f} times the {planned:,} of the plan"
    assert off in " ".join(told.stdout.split())
