"""A memory on bank servers against the same memory in one process: answers, latency, throughput, losses, memory.

    python benchmarks/serving/bank_servers.py P.memo --prompts PROMPTS.jsonl --count 10000 --json FILE.json

Starts a cluster of as many small nodes as there are servers, on this machine, and answers the prompts (rows with
`text`) in this process and through 1, 2 and 4 servers: prompts a second in batches, p50 and p99 of one prompt at a
time, calls a prompt, the share of the memory's files that each server has mapped. Then three servers, of which two have
each range, and one of which is killed every few seconds meanwhile. All answers are compared. Last, from the cost of a
call, of a row and of a byte, how 1 to 100 nodes would do. Prints one JSON object.
"""

import json
import logging
import os
import pickle
import signal
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.cluster_utils import Cluster

from benchmarks.common.script import add_json, script_parser
from cluster.bank_servers.owners import BankServers, RayOwners
from cluster.bank_servers.servers import bank_servers
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.ranges.memory import RangedMemory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session

TOKENS = 30
BATCH = 64
ALONE = 100  # prompts that are asked one at a time
_NODE: dict[str, Any] = {"num_cpus": 1, "memory": 2 * 10**9, "object_store_memory": 10**8}
_WARM = 16  # prompts before the clock runs
NETWORK_BYTES_A_SECOND = 1.25e9  # 10 Gbit/s, of the simulation
NETWORK_SECONDS = 100e-6  # there and back, beside what a call takes on one machine


class Asked:
    """One memory, asked the same prompts.

    Args:
        memory: however it is read. prompts: all.
    """

    def __init__(self, memory: OpenMemory, prompts: list[str]) -> None:
        self._session, self._prompts = Session(memory, memory.tokenizer), prompts
        self._options = RecallOptions(max_tokens=TOKENS)

    def all(self) -> tuple[list[Continuation], dict[str, float]]:
        """The answers, in batches, and how long they took."""
        self._session.recall(self._prompts[:_WARM], self._options)
        answers, longest, begun = list[Continuation](), 0.0, time.perf_counter()
        for first in range(0, len(self._prompts), BATCH):
            at = time.perf_counter()
            answers += self._session.recall(self._prompts[first : first + BATCH], self._options)
            longest = max(longest, time.perf_counter() - at)
        seconds = time.perf_counter() - begun
        return answers, {"prompts_per_s": len(answers) / seconds, "longest_batch_s": longest}

    def alone(self) -> dict[str, float]:
        """Milliseconds of one prompt at a time."""
        seconds = []
        for prompt in self._prompts[:ALONE]:
            at = time.perf_counter()
            self._session.recall([prompt], self._options)
            seconds.append(time.perf_counter() - at)
        p50, p99 = np.percentile(seconds, [50, 99])
        return {"p50_ms": 1000 * float(p50), "p99_ms": 1000 * float(p99)}


def read_prompts(path: Path, count: int) -> list[str]:
    """The texts of a file of prompts, again from its beginning if there are fewer."""
    texts = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [texts[index % len(texts)] for index in range(count)]


def held_of(servers: BankServers, memory: Path) -> list[dict[str, Any]]:
    """Of each server the bytes of its process, and of the memory's files that it has mapped."""
    found, state = [], servers.state(memory=True)
    for one in state.states:
        owned = sum(state.sizes[index] for index in state.map.owned_by(one.number))
        mapped = mapped_bytes(one.pid, memory)
        found.append({"server": one.number, "owned": owned, "pss": one.pss_bytes, "pss_of_the_memory": mapped})
    return found


def mapped_bytes(pid: int, memory: Path) -> int:
    """Proportional set size of a memory's files in a process."""
    total, mine = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if "-" in line.partition(" ")[0]:
            mine = f" {memory}/" in line
        elif mine and line.startswith("Pss:"):
            total += int(line.split()[1]) << 10
    return total


def with_servers(path: Path, count: int, prompts: list[str], true: list[Continuation]) -> dict[str, Any]:
    """So many servers, each range on one of them."""
    with bank_servers(path, count, replicas=1) as servers:
        memory, owners = servers.opened()
        asked, before = Asked(memory, prompts), owners.calls
        answers, told = asked.all()
        calls = (owners.calls - before) / (len(prompts) + _WARM)
        return {
            "servers": count,
            "equal": answers == true,
            **told,
            **asked.alone(),
            "calls_per_prompt": calls,
            "held": held_of(servers, path.absolute()),
            "costs": costs_of(memory, owners),
        }


def with_kills(path: Path, prompts: list[str], true: list[Continuation], every: float) -> dict[str, Any]:
    """Three servers, two for each range, one of which is killed every so many seconds."""
    with bank_servers(path, 3, replicas=2) as servers, killing(servers, every) as kills:
        memory, owners = servers.opened()
        answers, told = Asked(memory, prompts).all()
        wrong = sum(one != other for one, other in zip(answers, true, strict=True))
        return {"kills": len(kills), "wrong": wrong, "retries": owners.retries, **told}


@contextmanager
def killing(servers: BankServers, every: float) -> Iterator[list[int]]:
    """Kill one server after the other, until the block ends; those that were."""
    done, killed = threading.Event(), list[int]()

    def kill() -> None:
        while not done.wait(every):
            states = servers.state().states
            if len(states) > 1:
                one = states[len(killed) % len(states)]
                os.kill(one.pid, signal.SIGKILL)
                killed.append(one.number)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        done.set()
        thread.join()


def costs_of(memory: RangedMemory, owners: RayOwners) -> dict[str, float]:
    """What asking costs: of a call, of a row, and the bytes of a row.

    A question of one row to one range is a call there and back; many at once, to all servers, show what each more
    takes of whoever asks.
    """
    plan, rng = memory.plan, np.random.default_rng(1)
    question, columns = _question(memory, rng.integers(0, 2**64, 1 << 14, dtype=np.uint64))
    ranges = (
        plan.of_rungs(columns["rungs"], columns["hashes"]) if memory.is_solved else plan.of_windows(columns["hashes"])
    )

    def seconds(rows: np.ndarray, turns: int) -> float:
        some = {name: column[rows] for name, column in columns.items()}
        found = []
        for _ in range(turns):
            at = time.perf_counter()
            answer = owners.ask(question, ranges[rows], **some)
            found.append(time.perf_counter() - at)
        sizes.append(len(pickle.dumps((some, answer))) / max(1, len(rows)))
        return float(np.median(found))

    sizes: list[float] = []
    one, first = np.array([0]), np.unique(ranges, return_index=True)[1]
    call, all_calls = seconds(one, 200), seconds(first, 100)
    owned = len({owners.map.owners[index][0] for index in ranges[first].tolist()})
    many = seconds(np.arange(len(ranges)), 5)
    return {
        "call_s": call,
        "further_call_s": max(0.0, (all_calls - call) / max(1, owned - 1)),
        "row_s": max(0.0, many - all_calls) / len(ranges),
        "bytes_per_row": sizes[-1],
    }


def _question(memory: RangedMemory, hashes: np.ndarray) -> tuple[str, dict[str, np.ndarray]]:
    rungs = np.zeros(len(hashes), np.int64)
    if memory.is_solved:
        return "tell", {"rungs": rungs, "hashes": hashes}
    if memory.has_ledger:
        return "longest", {"places": np.arange(len(hashes)), "rungs": rungs, "hashes": hashes}
    return "read", {"hashes": hashes}


def simulated(
    costs: dict[str, float], alone: dict[str, float], rungs: int, nodes: Sequence[int]
) -> list[dict[str, float]]:
    """How so many nodes would do, each with a server and an answerer.

    A step asks every filled window of a batch: so many rows, which fall to d of n owners. Whoever asks pays for d
    calls one after the other, and for what it does itself; rows are answered beside each other by n servers; bytes
    cross a network.

    Args:
        costs: see costs_of. alone: what one process does: "prompts_per_s" in batches.
    """
    steps, found = TOKENS + 8, []
    own = BATCH / alone["prompts_per_s"] / steps  # of a batch's step: keys, paths, texts, and reading
    for count in nodes:

        def step(prompts: int, servers: int = count) -> float:
            rows = prompts * rungs
            owners = servers * (1 - (1 - 1 / servers) ** rows)
            asking = costs["call_s"] + NETWORK_SECONDS + (owners - 1) * costs["further_call_s"]
            moved = rows * costs["bytes_per_row"] / NETWORK_BYTES_A_SECOND
            return asking + moved + rows * costs["row_s"] / owners + own * prompts / BATCH

        answerer = BATCH / (steps * step(BATCH))
        servers = count / (steps * rungs * costs["row_s"]) if costs["row_s"] else float("inf")
        found.append(
            {
                "nodes": count,
                "one_prompt_ms": 1000 * steps * step(1),
                "prompts_per_s_of_an_answerer": answerer,
                "prompts_per_s_of_all": min(count * answerer, servers),
            }
        )
    return found


def run(words: Namespace) -> dict[str, Any]:
    prompts = read_prompts(words.prompts, words.count)
    counts = [int(count) for count in words.servers.split(",")]
    with open_memory(words.memory) as memory:
        here = Asked(memory, prompts)
        true, told = here.all()
        alone, rungs = {**told, **here.alone()}, memory.config.num_layers
        size = memory.bytes_on_disk
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    try:
        for _ in range(max(*counts, 3) - 1):
            cluster.add_node(**_NODE)
        ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        rows = [with_servers(words.memory, count, prompts, true) for count in counts]
        losses = with_kills(words.memory, prompts, true, words.every)
    finally:
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]  # Ray gives it no types
    return {
        "memory_bytes": size,
        "prompts": len(prompts),
        "tokens": TOKENS,
        "batch": BATCH,
        "said": sum(bool(one.tokens) for one in true),
        "one_process": alone,
        "bank_servers": rows,
        "kills": losses,
        "simulated": simulated(rows[-1]["costs"], alone, rungs, (1, 2, 4, 10, 30, 100)),
    }


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--prompts", type=Path, required=True, help="rows with a field `text`")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--servers", default="1,2,4")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between kills")
    add_json(parser)
    words = parser.parse_args()
    text = json.dumps(run(words), indent=1)
    if words.json is not None:
        words.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
