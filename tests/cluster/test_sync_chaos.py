"""sync and compact killed between two steps that make something durable, 40 seeded runs.

After the kill the memory is whole: what it was, or what it was to become. The same command brings it there.
"""

import shutil
from pathlib import Path

import forked
import numpy as np
import pytest
import sync_driver
from test_histories import BUILD, NAMES, digest_of, text

from cluster.build import build
from cluster.workspace import workspace_path
from memo_dist.files.generations import PREVIOUS_FILE, shard_files
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import open_memory

pytestmark = pytest.mark.slow
RUNS = 40
MEMORY = Path("m.memo")


def run(action: str, step: int) -> int | None:
    """How many steps there were; None if the process was killed."""
    code, printed = forked.run(forked.server(), sync_driver.main, action, str(MEMORY), "corpus", str(step))
    if code == -9:
        return None
    assert code == 0, printed
    return int(printed)


def held() -> Manifest:
    with open_memory(MEMORY) as stored:
        stored.verify()
        return stored.manifest


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory with a segment, and texts that have changed since."""
    place = tmp_path_factory.mktemp("chaos")
    (place / "corpus").mkdir()
    for name in NAMES[:6]:
        (place / "corpus" / name).write_text(text(name, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        build(["corpus"], MEMORY, BUILD)
        (place / "corpus" / NAMES[0]).write_text(text(NAMES[0], 1))
        assert run("sync", 0)
    (place / "corpus" / NAMES[1]).write_text(text(NAMES[1], 1))
    (place / "corpus" / NAMES[2]).unlink()
    (place / "corpus" / NAMES[6]).write_text(text(NAMES[6], 1))
    return place


@pytest.fixture(scope="module")
def steps(original: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Of either action, that is let live."""
    found: dict[str, int] = {}
    for action in ("sync", "compact"):
        place = tmp_path_factory.mktemp(action)
        shutil.copytree(original, place, dirs_exist_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            found[action] = run(action, 0) or 0
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(RUNS))
def test_a_killed_change_leaves_a_whole_memory_and_goes_on(
    seed: int, original: Path, steps: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    draws, action = np.random.default_rng(seed), ("sync", "compact")[seed % 4 == 3]
    before = held().digest
    truth = before if action == "compact" else digest_of({str(p): p.read_text() for p in Path("corpus").iterdir()})
    for _ in range(1 + seed % 2):
        step = 1 + int(draws.integers(steps[action]))
        if run(action, step) is None:
            assert held().digest in (before, truth), f"killed at step {step} of {action}"
    run(action, 0)
    manifest = held()
    assert manifest.digest == truth
    assert manifest.is_segmented == (action == "sync")
    names = {MANIFEST_FILE, PREVIOUS_FILE, "tokenizer.json"}
    for one in (manifest, Manifest.read(MEMORY, PREVIOUS_FILE)):
        names |= {*shard_files(one), *(batch.file for batch in one.batches)}
    assert {path.name for path in MEMORY.rglob("*") if path.is_file()} == names
    assert not workspace_path(MEMORY).exists()
