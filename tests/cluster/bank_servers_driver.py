"""A cluster of three small nodes, bank servers on it, what is asked of them: python bank_servers_driver.py FOLDER.

FOLDER has working.memo, solved.memo and prompts.json. What was found is printed as one JSON object, for
test_bank_servers.py: a Ray of its own beside the one of the test run.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster.bank_servers.following import FollowedServers
from cluster.bank_servers.keeper import KeeperState, RangeKeeper
from cluster.bank_servers.owners import BankServers
from cluster.bank_servers.server import BankServer
from cluster.bank_servers.servers import bank_servers
from console.app import main
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.ranges.plan import RangePlan
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from memo_dist.recalling.trace import trace_text
from memo_dist.recalling.where import Finder

_NODE = {"num_cpus": 1, "memory": 2 * 10**9, "object_store_memory": 8 * 10**7}
_PATIENCE = 120.0
EXACT, MATRICES = RecallOptions(max_tokens=12), RecallOptions(max_tokens=3, read="matrices")


def answers(memory: OpenMemory, prompts: list[str], options: RecallOptions) -> list[Any]:
    return Session(memory, memory.tokenizer).recall_several(prompts, options)


def told(memory: OpenMemory, text: str) -> list[Any]:
    """Where a text stands and what of it is held."""
    assert memory.tokenizer is not None
    return [Finder(memory).where(text).to_dict(), trace_text(Lookup(memory), memory.tokenizer, text).to_dict()]


def open_files(pid: int, folder: Path) -> list[str]:
    """Names of a memory's files that a process has mapped or open."""
    mapped = {line.split(maxsplit=5)[5] for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "/" in line}
    opened = {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir() if file.exists()}
    return sorted(Path(name).name for name in mapped | opened if name.startswith(f"{folder}/"))


def until(true: Callable[[], bool]) -> bool:
    """Wait for something; whether it came."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.2)
    return False


def settled(state: KeeperState) -> bool:
    """Every owner has open what it owns."""
    has = {one.number: set(one.owned.get(state.map.generation, ())) for one in state.states}
    return all(owners for owners in state.map.owners) and all(
        index in has.get(number, ()) for index, owners in enumerate(state.map.owners) for number in owners
    )


def under_load(servers: BankServers, ask: Callable[[], None], kills: int) -> int:
    """Kill servers, one after the other, while something is asked again and again; how often that was."""
    done, asked = threading.Event(), 0

    def kill() -> None:
        try:
            for turn in range(kills):
                states = []
                while not states:  # of the moment between two rounds of the keeper there may be none
                    states = servers.state().states
                with suppress(ProcessLookupError):  # the keeper has not yet seen that it was killed
                    os.kill(states[turn % len(states)].pid, signal.SIGKILL)
                time.sleep(1.0)
        finally:
            done.set()

    thread = threading.Thread(target=kill)
    thread.start()
    while not done.is_set() or not asked:
        ask()
        asked += 1
    thread.join()
    return asked


def of_working(cluster: Cluster, nodes: list[Any], folder: Path, prompts: list[str]) -> dict[str, Any]:
    path, found = folder / "working.memo", dict[str, Any]()
    with open_memory(path) as here, bank_servers(path, 3) as servers:
        true, text = answers(here, prompts, EXACT), prompts[0] + prompts[1]
        far = servers.open()
        found["exact"] = answers(far, prompts, EXACT) == true
        found["said"] = sum(bool(several[0].tokens) for several in true)
        found["matrices"] = answers(far, prompts[:4], MATRICES) == answers(here, prompts[:4], MATRICES)
        found["trace and where"] = told(far, text) == told(here, text)
        state, plan = servers.state(memory=True), RangePlan.of(here.manifest)
        found["nodes"] = len({one.node for one in state.states})
        found["files"] = {
            one.number: [
                open_files(one.pid, path),
                sorted(record.file for index in state.map.owned_by(one.number) for record in plan.files(index)[:1]),
            ]
            for one in state.states
        }
        found["owners"] = [len(owners) for owners in state.map.owners]
        found["pss"] = [one.pss_bytes for one in state.states]
        wrong: list[int] = []
        found["asked"] = under_load(
            servers, lambda: wrong.append(int(answers(far, prompts[:8], EXACT) != true[:8])), kills=3
        )
        found["wrong"] = sum(wrong)
        until(lambda: len(servers.state().states) == 3 and settled(servers.state()))
        before = servers.state()
        lost = next(one.number for one in before.states if any(one.node == node.node_id for node in nodes))
        gone = next(one.node for one in before.states if one.number == lost)
        cluster.remove_node(next(node for node in nodes if node.node_id == gone), allow_graceful=False)
        found["after node loss"] = answers(far, prompts, EXACT) == true
        found["settled"] = until(lambda: lost not in {one.number for one in servers.state().states}) and until(
            lambda: settled(servers.state())
        )
        after = servers.state()
        found["epoch rose"] = after.map.epoch > before.map.epoch
        found["owners after"] = [len(owners) for owners in after.map.owners]
        found["lost owns nothing"] = not after.map.owned_by(lost)
        far.verify()
    return found


def of_solved(folder: Path, prompts: list[str]) -> dict[str, Any]:
    """One owner of each range: what a killed server has is answered once Ray has started it again."""
    path, found = folder / "solved.memo", dict[str, Any]()
    with open_memory(path) as here, bank_servers(path, 2, replicas=1) as servers:
        true, text, far = answers(here, prompts, EXACT), prompts[0] + prompts[1], servers.open()
        found["solved"] = answers(far, prompts, EXACT) == true
        found["trace and where"] = told(far, text) == told(here, text)
        for one in servers.state().states:
            os.kill(one.pid, signal.SIGKILL)
        found["after kills"] = answers(far, prompts, EXACT) == true
        found["files"] = [
            len([name for name in open_files(one.pid, path) if name.endswith(".h5")]) for one in servers.state().states
        ]
    return found


def of_copies(folder: Path, prompts: list[str]) -> dict[str, Any]:
    """A server whose node does not see the memory's directory."""
    path = folder / "solved.memo"
    # on this node: Ray may not have noticed yet that the one that was lost is gone
    here_alone = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    shape: dict[str, Any] = {"num_cpus": 0, "max_concurrency": 4, "scheduling_strategy": here_alone}
    kind: Any = ray.remote(BankServer)
    server = kind.options(name="afar", **shape).remote(
        0, "/nowhere/solved.memo", place=f"memo-dist-test-{os.getpid()}", cache_bytes=1 << 26
    )
    keeper: Any = ray.remote(RangeKeeper)
    kept = keeper.options(**shape).remote(str(path), ["afar"], replicas=1, follows=False)
    ray.get(kept.start.remote())
    far = BankServers(str(path), kept, [server]).open()
    with open_memory(path) as here:
        equal = answers(far, prompts[:6], EXACT) == answers(here, prompts[:6], EXACT)
    copies = Path(f"/tmp/memo-dist-test-{os.getpid()}")
    there = sorted(file.name for file in copies.rglob("*") if file.is_file())
    ray.get(server.close.remote())
    ray.kill(kept)
    ray.kill(server)
    return {"equal": equal, "copied": there, "removed": not copies.exists()}


def of_changes(folder: Path, prompts: list[str]) -> dict[str, Any]:
    """A memory that changes while it is served."""
    path = folder / "working.memo"
    before = Manifest.read(path).digest
    with bank_servers(path, 2, follows=True) as servers:
        follow = FollowedServers(servers)
        first = follow()
        known = answers(first, prompts[:1], EXACT)[0][0]
        assert known.documents, known
        assert main(["forget", str(path), "--document", known.documents[0], "--address", "none"]) == 0
        noticed = until(lambda: follow() is not first)
        late = answers(first, prompts[:1], EXACT)[0][0]  # who has not noticed yet is answered as before
        after = answers(follow(), prompts[:1], EXACT)[0][0]
        return {
            "noticed": noticed,
            "beside": follow().manifest.is_segmented,
            "digest": follow().manifest.digest == Manifest.read(path).digest != before,
            "late": late == known,
            "forgotten": known.documents[0] not in after.documents,
        }


def run(folder: Path) -> dict[str, Any]:
    prompts = json.loads((folder / "prompts.json").read_text())
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    nodes = [cluster.add_node(**_NODE) for _ in range(2)]
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        return {
            "working": of_working(cluster, nodes, folder, prompts),
            "solved": of_solved(folder, prompts),
            "copies": of_copies(folder, prompts),
            "changes": of_changes(folder, prompts),
        }
    finally:
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    stdout, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(run(Path(sys.argv[1]))), file=stdout)
