"""Merging memories and giving them other numbers of banks: equal to what one build would have made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.combine import CombineOptions, merge, rebank
from cluster.resources import Resources
from cluster.workspace import workspace_path
from console.app import main
from memo_dist import Memory, MemoryConfig, PaperConfig, TextConfig, Tokenizer
from memo_dist.errors import BudgetError, ConfigError, OutputExistsError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory

pytestmark = pytest.mark.usefixtures("ray_local")
CONFIG = TextConfig(num_banks=20, vocab_size=500, inner_dim=64)
Documents = dict[str, list[int]]


def built(documents: Documents, config: MemoryConfig = CONFIG) -> Memory:
    memory = Memory(config)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


def saved(folder: Path, name: str, memory: Memory) -> Path:
    memory.save(folder / name)
    return folder / name


def part(documents: Documents, number: int) -> Documents:
    return {name: tokens for i, (name, tokens) in enumerate(documents.items()) if i % 3 == number}


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 3])
def test_merge_is_one_build_of_everything(documents: Documents, tmp_path: Path, shards: int) -> None:
    """The three parts share a passage, which counts once in the matrices and thrice in the ledger."""
    parts = [saved(tmp_path, f"{i}.memo", built(part(documents, i))) for i in range(3)]
    before = [Memory.open(path).digest() for path in parts]
    summary = merge(parts, tmp_path / "all.memo", CombineOptions(resources=Resources(shards=shards)))
    assert summary.digest == built(documents).digest()
    assert (summary.documents, summary.tokens) == (30, sum(map(len, documents.values())))
    assert Manifest.read(tmp_path / "all.memo").sources[-1].action == "merge"
    merged = Memory.open(tmp_path / "all.memo")
    for name, tokens in part(documents, 0).items():
        merged.forget(name, tokens)
    assert merged.digest() == built({**part(documents, 1), **part(documents, 2)}).digest()
    assert [Memory.open(path).digest() for path in parts] == before


@pytest.mark.parametrize("banks", [(20, 21, 5), (3, 1, 20)])
def test_memories_of_different_numbers_of_banks_become_one_of_the_most(
    documents: Documents, tmp_path: Path, banks: tuple[int, ...]
) -> None:
    shapes = [TextConfig(num_banks=count, vocab_size=500, inner_dim=64) for count in banks]
    parts = [saved(tmp_path, f"{i}.memo", built(part(documents, i), shapes[i])) for i in range(3)]
    summary = merge(parts, tmp_path / "all.memo", CombineOptions(resources=Resources(shards=2, address="none")))
    most = TextConfig(num_banks=max(banks), vocab_size=500, inner_dim=64)
    assert (summary.banks, summary.digest) == (max(banks), built(documents, most).digest())


@pytest.mark.slow
@pytest.mark.parametrize(("banks", "shards"), [(7, 2), (1, 1), (63, 3)])
def test_rebank_is_a_build_with_that_many_banks(documents: Documents, tmp_path: Path, banks: int, shards: int) -> None:
    memory = saved(tmp_path, "m.memo", built(documents))
    summary = rebank(memory, banks, tmp_path / "n.memo", options=CombineOptions(resources=Resources(shards=shards)))
    assert summary.digest == built(documents, TextConfig(num_banks=banks, vocab_size=500, inner_dim=64)).digest()
    with open_memory(tmp_path / "n.memo") as stored:
        stored.verify()


def test_paper_memories_are_added(tmp_path: Path) -> None:
    config = PaperConfig.of(300, 64, num_heads=4, num_layers=2)
    rng = np.random.default_rng(0)
    halves = [{f"{i}-{j}": rng.integers(0, 300, 100).tolist() for j in range(3)} for i in range(2)]
    paths = [saved(tmp_path, f"{i}.memo", built(half, config)) for i, half in enumerate(halves)]
    merge(paths, tmp_path / "m.memo", CombineOptions(resources=Resources(shards=2)))
    ours = Memory.open(tmp_path / "m.memo").shard.contents.cells
    theirs = built(halves[0] | halves[1], config).shard.contents.cells
    assert np.linalg.norm(ours - theirs) / np.linalg.norm(theirs) < 2e-6
    with pytest.raises(ConfigError, match="one matrix"):
        rebank(paths[0], 7, tmp_path / "n.memo", options=CombineOptions())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seed": 1}, "seed is 0 in the first and 1 in the second"),
        ({"windows": (4, 8)}, r"windows is .*32, 64.* in the first and .*4, 8.* in the second"),
    ],
)
def test_memories_that_differ_are_refused_by_what_differs(
    documents: Documents, tmp_path: Path, other: dict[str, Any], message: str
) -> None:
    values = {"num_banks": 20, "vocab_size": 500, "inner_dim": 64, **other}
    paths = [
        saved(tmp_path, "a.memo", built(part(documents, 0))),
        saved(tmp_path, "b.memo", built(part(documents, 1), TextConfig(**values))),
    ]
    with pytest.raises(ConfigError, match=message):
        merge(paths, tmp_path / "c.memo", CombineOptions())
    assert not (tmp_path / "c.memo").exists()


def test_refusals_leave_nothing(documents: Documents, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = saved(tmp_path, "a.memo", built(documents))
    text = Memory(TextConfig(num_banks=20, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    two = saved(tmp_path, "b.memo", text)
    with pytest.raises(ConfigError, match="30 documents of the same id"):
        merge([one, one], tmp_path / "c.memo", CombineOptions())
    with pytest.raises(ConfigError, match=r"tokenizer is|vocab_size is"):
        merge([one, two], tmp_path / "c.memo", CombineOptions())
    with pytest.raises(ConfigError, match="two memories or more"):
        merge([one], tmp_path / "c.memo", CombineOptions())
    with pytest.raises(BudgetError, match="would need"):
        rebank(one, 40, tmp_path / "c.memo", options=CombineOptions(resources=Resources(memory_budget=1000)))
    with pytest.raises(OutputExistsError):
        rebank(one, 40, one, options=CombineOptions())
    assert main(["merge", str(one), str(tmp_path / "none.memo"), "--out", str(tmp_path / "c.memo"), "--json"]) == 2
    assert "none.memo does not exist" in json.loads(capsys.readouterr().out)["error"]
    assert not (tmp_path / "c.memo").exists()
    assert not workspace_path(tmp_path / "c.memo").exists()
