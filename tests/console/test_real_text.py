"""The main job on real text that every machine has: 2 million tokens of the standard library, end to end."""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.tokenizing import choose_tokenizer

LIBRARY = Path(sysconfig.get_path("stdlib"))

# of prompts of so many tokens, how many go on for 30 tokens as the text does: of 1,500, with 41 parameters a token
EXACTLY = {"32": 0.952, "64": 0.966}
SAMPLE = 5000  # of the places: one standard error is .0008, so they are drawn by names that are the same everywhere
FROM_MATRICES = {"32": 0.781, "64": 0.888}  # 64 tokens of code are 45 units: no matrix window is longer than 32 of them


def least_of(share: float, prompts: int) -> float:
    """Four standard errors below a share, when only so many prompts are drawn: other prompts on every other Python."""
    return share - 4 * (share * (1 - share) / prompts) ** 0.5


def memo_dist(*words: str, at: Path) -> dict[str, Any]:
    """Run in a directory: documents are named by the paths given, and what is sampled follows from their names."""
    command = [sys.executable, "-m", "console", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=at)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 2.2 M tokens: modules in name order, without the part kept as unseen text."""
    folder = tmp_path_factory.mktemp("library") / "seen"
    folder.mkdir()
    size = 0
    for path in sorted(LIBRARY.rglob("*.py")):
        if {"site-packages", "dist-packages", "test", "tests", "idlelib"} & set(path.parts) or size > 9_500_000:
            continue
        data = path.read_bytes()
        size += len(data)
        (folder / "_".join(path.relative_to(LIBRARY).parts)).write_bytes(data)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("parameters_per_token", "least"), [(111, 0.995), pytest.param(60, 0.985, marks=pytest.mark.thorough)]
)
def test_recall_of_the_standard_library(corpus: Path, tmp_path: Path, parameters_per_token: int, least: float) -> None:
    tokens = choose_tokenizer(plan_corpus([str(corpus)], CorpusOptions())).tokens
    assert tokens > 2_000_000
    memory = str(tmp_path / "m.memo")
    built = memo_dist(
        "build", corpus.name, "--out", memory, "--banks", str(parameters_per_token * tokens // 256**2), at=corpus.parent
    )
    assert built["peak_bytes"] <= built["planned_peak_bytes"]
    found = memo_dist(
        "evaluate", memory, corpus.name, "--unseen", str(LIBRARY / "idlelib"), "--sample", str(SAMPLE), at=corpus.parent
    )
    assert found["positions"] == SAMPLE
    assert found["parameters_per_token"] <= parameters_per_token
    assert found["recall"] >= min(least, found["ceiling"] - 0.002)
    assert found["verbatim_prompts"] == {"8": 200, "16": 200, "32": 200, "64": 200}
    assert found["exact"] == found["ceiling"]
    for length, share in EXACTLY.items():
        assert found["verbatim_exact"][length] >= least_of(share, 200)
    for length, share in FROM_MATRICES.items():
        assert found["verbatim"][length] >= least_of(share, 200)
    assert found["unseen_abstained"] >= 0.99
    assert found["confidence_auc"] >= 0.99
