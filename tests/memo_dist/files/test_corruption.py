"""Damage: 343 seeded cases, of every region of every file; none crashes a reader, none is read as good.

Covers: memories of both presets and one that was changed, damaged as damage.py can. Every reader must refuse by name
or answer as if nothing had happened, and `verify` must refuse. Damage of the generation before the last change is
`undo`'s to find: `verify` does not look there. Does not cover: readers with Ray, changes other than undo.

Readers run in a child process, because a damaged HDF5 file may kill or hang one; either fails the case.
"""

import hashlib
import io
import itertools
import json
import multiprocessing
import re
import shutil
import traceback
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from damage import (
    EDGES,
    KINDS,
    PLACES,
    REGIONS,
    SCENARIOS,
    TEXT_DATA,
    Scenario,
    damage,
    make_originals,
    places,
    regions,
)

from console.app import main
from memo_dist import Memory, MemoryConfig
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.generations import PREVIOUS_FILE, undo
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE
from memo_dist.files.opened import open_memory
from memo_dist.models.text.bank_assignment import bank_edge

SECONDS = 60
Answer = tuple[str, str]
CASES = [
    pytest.param(seed, s, id=f"{seed}-{'-'.join(s).replace(' ', '_')}", marks=[pytest.mark.slow] * (seed % 3 > 0))
    for seed, s in enumerate(SCENARIOS)  # a third is quick: of every region at least one style, as styles are four
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("originals")
    make_originals(root)
    return root


def cues(config: MemoryConfig, bank: int) -> np.ndarray:
    if config.preset == "paper":
        return np.random.default_rng(bank).standard_normal((4, config.key_dim), np.float32)
    return np.arange(8, dtype=np.uint64) + np.uint64(bank_edge(bank, config.num_banks))


def opened(path: Path) -> list[object]:
    memory = Memory.open(path)
    held, asked = memory.shard, [cues(memory.config, bank) for bank in range(memory.config.num_banks)]
    counts = (memory.tokenizer.hash, memory.num_associations, sorted(held.applied))
    return [memory.digest(), held.registry.table().to_pylist(), memory.read(np.concatenate(asked)), counts]


def told(path: Path) -> str:
    """What the program says; as an error if it says so in the way promised."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as stderr:
        code = main(["verify", str(path)])
    said = stderr.getvalue()
    if code == 2 and said.startswith("memo-dist: ") and "Traceback" not in said:
        raise DamagedMemoryError(said)
    assert (code, said) == (0, ""), f"exit code {code}: {said}"
    return "whole"


def outcome(act: Callable[[], object]) -> Answer:
    """(returned, a digest), (refused, the message) or (broken, the traceback)."""
    try:
        value = act()
    except DamagedMemoryError as error:
        return "refused", str(error)
    except BaseException:  # what Rust calls a panic is no Exception
        return "broken", traceback.format_exc()
    state = hashlib.blake2b()
    for part in value if isinstance(value, (list, tuple)) else [value]:
        state.update(
            part.tobytes() + repr(part.shape).encode() if isinstance(part, np.ndarray) else repr(part).encode()
        )
    return "returned", state.hexdigest()


def answers(path: Path) -> dict[str, Answer]:
    """What every reader says of a memory; `undo` comes last, since it changes it."""
    found, kept = {}, []
    found["constructor"] = outcome(lambda: kept.append(open_memory(path)))
    if found["constructor"][0] == "returned":
        with kept[0] as stored:
            files = stored.require_working().files
            acts: dict[str, Callable[[], object]] = {
                "tokenizer": lambda: stored.tokenizer.hash,
                "documents": lambda: [table.to_pylist() for table in stored.require_working().documents()],
                "named": lambda: stored.documents_named(range(1)),
                "batches": lambda: [stored.kept.read(record).to_pylist() for record in stored.kept.records],
                "applied": lambda: sorted(stored.require_working().applied()),
                **{f"bank {b}": lambda b=b: stored.read(cues(stored.config, b)) for b in range(EDGES[-1])},
                "token counts": stored.token_counts,
                **{
                    f"ledger {s.banks}": lambda s=s: [
                        *vars(s.entries(s.banks)).values(),
                        *vars(s.anchors(s.banks)).values(),
                    ]
                    for s in files
                },
                "verify": stored.verify,
            }
            found |= {name: outcome(act) for name, act in acts.items()}
    found |= {"open": outcome(lambda: opened(path)), "program": outcome(lambda: told(path))}
    if (path / PREVIOUS_FILE).exists():
        found["undo"] = outcome(lambda: undo(path).digest)
    return found


def serve(pipe: Connection) -> None:
    while True:
        pipe.send(answers(pipe.recv()))


class Worker:
    """A child process that gives `answers`; a fresh one after a crash or a hang."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other,), daemon=True)
        self.process.start()
        other.close()

    def ask(self, path: Path) -> dict[str, Answer]:
        self.pipe.send(path)
        hangs = not self.pipe.poll(SECONDS)
        try:
            if not hangs:
                return dict(self.pipe.recv())
        except EOFError:
            pass
        self.stop()
        code = self.process.exitcode
        self.start()
        pytest.fail(f"the readers hung for {SECONDS} s" if hangs else f"the readers' process died, exit code {code}")

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    started = Worker()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def undamaged(worker: Worker, originals: Path) -> dict[str, dict[str, Answer]]:
    copies = {kind: shutil.copytree(originals / kind, originals / f"{kind}.copy") for kind in KINDS}
    return {kind: worker.ask(copy) for kind, copy in copies.items()}


def test_undamaged_memories_are_read_by_all(undamaged: dict[str, dict[str, Answer]]) -> None:
    for kind, found in undamaged.items():
        assert {answer[0] for answer in found.values()} == {"returned"}, found
        assert len(found) == 19 + (kind == "changed")
    assert undamaged["text"]["bank 0"] != undamaged["text"]["bank 1"]
    assert undamaged["text"]["open"] != undamaged["changed"]["open"]


def test_the_regions_are_those_of_the_files(originals: Path) -> None:
    """All are there, and together they are whole files: no byte is left out of the draw."""
    assert len(CASES) == 343
    for kind in KINDS:
        for path in (originals / kind).glob("shard-*.h5"):
            found = regions(path)
            assert set(found) == set(REGIONS) - ({*TEXT_DATA} if kind == "paper" else {"cells"})
            named = [span for name, spans in found.items() if name != "end" for span in spans]
            assert sorted(itertools.chain(*named))[1:-1:2] == sorted(itertools.chain(*named))[2::2]
            assert (min(named)[0], max(named)[1]) == (0, path.stat().st_size)
            twin = originals / f"{kind}-twin" / path.name
            if kind != "changed":
                assert twin.stat().st_size == path.stat().st_size
                assert twin.read_bytes() != path.read_bytes()
    assert {*places(originals / "text" / MANIFEST_FILE)} == {*PLACES}
    assert {*places(originals / "text" / TOKENIZER_FILE)} == {p for p in PLACES if p != "white space"}
    assert json.loads((originals / "changed" / PREVIOUS_FILE).read_text())["documents"] == 9


@pytest.mark.parametrize(("seed", "scenario"), CASES)
def test_damage_is_refused_by_name(
    seed: int,
    scenario: Scenario,
    worker: Worker,
    originals: Path,
    undamaged: dict[str, dict[str, Answer]],
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(KINDS))
    if "previous" in scenario[0]:
        kind = "changed"
    elif scenario[1] in (*TEXT_DATA, "cells"):
        kind = "paper" if scenario[1] == "cells" else "text"
    memory = tmp_path / "m.memo"
    shutil.copytree(originals / kind, memory)
    named = damage(memory, originals / kind, scenario, rng)
    found = worker.ask(memory)
    for reader, (says, text) in found.items():
        assert says != "broken", f"{reader}: {text}"
        if says == "refused":
            files = set(re.findall(r"[\w.-]+\.(?:json|h5|parquet)\b", text))
            assert files, f"{reader} names no file: {text}"
            assert files <= named, f"{reader} names {files}, damaged is one of {named}: {text}"
        else:
            assert (says, text) == undamaged[kind][reader], f"{reader} read what is not there"
    if "previous" in scenario[0]:
        assert {reader for reader, answer in found.items() if answer[0] == "refused"} == {"undo", "program"}
    else:
        refused = ("constructor", "verify", "program")[1:] if "verify" in found else ("constructor", "program")
        assert {found[reader][0] for reader in refused} == {"refused"}
