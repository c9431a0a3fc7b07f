"""Builds on a cluster of three nodes whose processes and nodes are killed at random moments, 40 seeded runs, 16
of them by `make test-thorough` alone.

Every run ends with the digest of a memory that was never disturbed. A run is named by its seed: what is killed (an
actor, a worker, the driver, a node), when, and whether twice follow from it. The first ones are killed when all runs
are made: during the merge, between a shard file and its record, between the files and the manifest.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from cluster.workspace import workspace_path
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.files.opened import open_memory

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("chaos_driver.py")
VICTIMS = ("actor", "worker", "driver", "node")
RUNS, LATE = 40, 16
SPLITS = 36
ATTEMPTS = 5  # of the same command, for a run with at most two kills


class Nodes:
    """A Ray cluster of a head, where drivers run, and two nodes that come and go."""

    def __init__(self) -> None:
        from ray._private.services import node_ip_address_from_perspective
        from ray.cluster_utils import Cluster

        # else the nodes are where the Ray of this process is, if it has one: at 127.0.0.1, where no driver finds them
        self._place = {"node_ip_address": node_ip_address_from_perspective(), "object_store_memory": 10**8}
        head = {"num_cpus": 1, "memory": 4 * 10**9, "include_dashboard": False, **self._place}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._others: list[Any] = []
        self.replenish()

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def replenish(self) -> None:
        """Bring lost nodes back."""
        while len(self._others) < 2:
            self._others.append(self._cluster.add_node(num_cpus=1, memory=4 * 10**9, **self._place))

    def lose_one(self) -> None:
        self._cluster.remove_node(self._others.pop(), allow_graceful=False)

    def kill_process(self, words: tuple[str, ...]) -> bool:
        """Kill -9 one process of the cluster whose name begins with any of the words."""
        for process in psutil.Process().children(recursive=True):
            try:
                if process.name().startswith(words):
                    os.kill(process.pid, signal.SIGKILL)
                    return True
            except (psutil.Error, ProcessLookupError):  # it ended meanwhile
                continue
        return False

    def shut_down(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    nodes = Nodes()
    yield nodes
    nodes.shut_down()


@pytest.fixture(scope="module")
def truth(text_corpus: Path) -> str:
    memory = Memory(TextConfig(num_banks=40, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    for path in text_corpus.iterdir():
        memory.memorize(str(path), np.frombuffer(path.read_bytes(), np.uint8))
    return memory.digest()


def kill(victim: str, driver: subprocess.Popen[str], nodes: Nodes) -> None:
    if victim == "driver":
        driver.kill()
    elif victim == "node":
        nodes.lose_one()
    else:
        nodes.kill_process(("ray::MergeActor",) if victim == "actor" else ("ray::dask", "ray::IDLE"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[pytest.mark.thorough] * (seed // 4 % 4 > 1)) for seed in range(RUNS)]
)
def test_a_disturbed_build_ends_as_an_undisturbed_one(
    seed: int, nodes: Nodes, text_corpus: Path, truth: str, tmp_path: Path
) -> None:
    draws = np.random.default_rng(seed)
    out = tmp_path / "m.memo"
    # after so many steps, and a moment more; the splits are 40 steps, or more, then come files
    first, last = (SPLITS, SPLITS + 8) if seed < LATE else (0, SPLITS)
    plan = [
        (VICTIMS[(seed + turn) % 4], int(draws.integers(first, last)), float(draws.uniform(0, 0.3)))
        for turn in range(1 + seed // 4 % 2)
    ]
    print(f"seed {seed}: kill {plan}")
    for _ in range(ATTEMPTS):
        shards, slices = int(draws.integers(1, 4)), "small" if seed < LATE else str(draws.choice(["small", "large"]))
        command = [sys.executable, str(DRIVER), nodes.address, str(text_corpus), str(out), str(shards), slices]
        errors = tmp_path / "errors"
        with (
            errors.open("w") as stream,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True) as driver,
        ):
            assert driver.stdout is not None
            output = ""
            while plan and driver.poll() is None:
                victim, splits, delay = plan.pop(0)
                output += "".join(driver.stdout.readline() for _ in range(splits))
                time.sleep(delay)
                kill(victim, driver, nodes)
            output += driver.stdout.read()
        nodes.replenish()
        if driver.returncode == 0 or out.exists():  # it may be killed when all is done
            break
        print(f"seed {seed}: exit {driver.returncode} {errors.read_text()[-2000:]}")
    assert out.exists(), f"seed {seed} never finished"
    print(f"seed {seed}: {output.splitlines()[-1]}: digest, losses met in the last attempt, splits done before it")
    assert not workspace_path(out).exists()
    with open_memory(out) as stored:
        stored.verify()
        assert stored.manifest.digest == truth
