"""Publishing that is killed (kill -9) at seeded moments, up to three times: the same bits in the end.

A run is named by its seed; when it is killed follows from it. The first run of each kind is killed where all pieces are
solved: while files are written, before the manifest, before the memory has its name.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.resources import Resources
from cluster.workspace import workspace_path
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("publish_driver.py")
NONE = Resources(shards=2, address="none")
WINDOWS = (2, 4, 8)
SEEDS = 6


@pytest.fixture(scope="module")
def memory(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("memory") / "m.memo"
    options = BuildOptions(
        tokenizer="bytes", num_banks=8, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=20_000)
    )
    build([str(text_corpus)], out, options)
    return out


@pytest.fixture(scope="module")
def truth(memory: Path) -> tuple[Path, int]:
    """The memory that was published undisturbed, and how many steps that took."""
    out, steps = memory.with_name("p.memo"), 0

    def count(progress: PublishProgress) -> None:
        nonlocal steps
        steps += 1

    publish_solved(memory, out, PublishOptions(resources=NONE, windows=WINDOWS), on_progress=count)
    return out, steps


def killed_and_resumed(seed: int, address: str, memory: Path, tmp_path: Path, lines: int) -> int:
    """Kill the driver as the seed says, until it ends; how often it was killed before it had.

    Args:
        lines: that an undisturbed driver prints before its digest.
    """
    draws, out, kills = np.random.default_rng(seed), tmp_path / "p.memo", 0
    command = [sys.executable, str(DRIVER), address, str(memory), str(out), ",".join(map(str, WINDOWS))]
    moments = [int(draws.integers(0, lines)) for _ in range(1 + seed % 3)] if seed else [lines, 1]
    for moment in (*moments, None):
        with (
            (tmp_path / "errors").open("w") as errors,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as driver,
        ):
            assert driver.stdout is not None
            if moment is not None:
                for _ in range(moment):
                    driver.stdout.readline()
                time.sleep(float(draws.uniform(0, 0.02)))
                kills += driver.poll() is None
                driver.kill()
            driver.stdout.read()
        if out.exists():  # it may be killed when all is done
            break
        assert moment is not None, (tmp_path / "errors").read_text()
    return kills


def require_alike(out: Path, truth: Path) -> None:
    """The digest, and every byte but the time in the manifest."""
    with open_memory(out) as opened:
        opened.verify()
        assert opened.manifest.digest == Manifest.read(truth).digest
    assert {path.name for path in out.iterdir()} - {"attempt", "build.json"} == {path.name for path in truth.iterdir()}
    for path in truth.iterdir():
        if path.name != "manifest.json":
            assert (out / path.name).read_bytes() == path.read_bytes()
    assert not workspace_path(out).exists()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_publishing_gives_the_same_bits(
    seed: int, memory: Path, truth: tuple[Path, int], tmp_path: Path
) -> None:
    kills = killed_and_resumed(seed, "none", memory, tmp_path, truth[1] + 3 + 2 * len(WINDOWS) + 1)
    print(f"seed {seed}: {kills} kills")
    assert kills
    require_alike(tmp_path / "p.memo", truth[0])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
def test_killed_publishing_on_ray_gives_the_same_bits(
    seed: int, memory: Path, truth: tuple[Path, int], tmp_path: Path, ray_local: None
) -> None:
    import ray

    address = str(ray.get_runtime_context().gcs_address)
    kills = killed_and_resumed(seed, address, memory, tmp_path, truth[1] + 3 + len(WINDOWS))
    print(f"seed {seed}: {kills} kills")
    assert kills
    require_alike(tmp_path / "p.memo", truth[0])
