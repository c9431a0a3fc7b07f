"""The paper's memory over shard actors: row blocks against `Memory`, the same layout twice, forget and merge."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import ray

from cluster.build import build
from cluster.change import add, forget
from cluster.change_prepare import ChangeOptions
from cluster.placement import Placed, place_shards
from cluster.prepare import BuildOptions
from cluster.ray_executor import RayExecutor
from cluster.reader import ClusterReader
from cluster.resources import Resources
from memo_dist import Memory, PaperConfig
from memo_dist.experiments.random_tokens import random_batch, sequence_segments, sequences_with_decoys
from memo_dist.files.opened import open_memory
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.usefixtures("ray_local")
ROUNDING = 2e-6  # of the norm, as in test_paper.py
CONFIG = PaperConfig.of(300, 64, num_heads=4, num_layers=3)
DOCUMENTS = [np.random.default_rng(i).integers(0, 300, 150 + i).tolist() for i in range(40)]


def distance(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.linalg.norm(left - right) / np.linalg.norm(right))


def cells(path: Path) -> np.ndarray:
    with open_memory(path) as stored:
        stored.verify()
        return np.concatenate([shard.cells(bank) for shard in stored.require_working().files for bank in shard.banks])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ids") / "ids.parquet"
    table = pa.table({"tokens": DOCUMENTS, "id": [f"d{i}" for i in range(len(DOCUMENTS))]})
    pyarrow.parquet.write_table(table, path)
    return path


@pytest.fixture(scope="module")
def truth() -> Memory:
    memory = Memory(CONFIG)
    for index, tokens in enumerate(DOCUMENTS):
        memory.memorize(f"d{index}", tokens)
    return memory


def started(shards: int, path: Path | None = None) -> list[Placed]:
    return place_shards(CONFIG, shards, None, executor=RayExecutor(), path=None if path is None else str(path))


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2, pytest.param(4, marks=pytest.mark.slow)])
def test_row_blocks_over_actors(shards: int, corpus: Path, truth: Memory, tmp_path: Path) -> None:
    options = BuildOptions(
        corpus=CorpusOptions(split_bytes=2000),
        preset="paper",
        token_ids=True,
        vocab_size=300,
        inner_dim=64,
        resources=Resources(shards=shards),
    )
    first, second = (build([str(corpus)], tmp_path / name, options) for name in ("a.memo", "b.memo"))
    assert first.digest == second.digest  # splits reach a shard in the order of the corpus, whoever made them first
    assert distance(cells(tmp_path / "a.memo"), truth.shard.contents.cells.reshape(-1, 64)) < ROUNDING
    assert (first.documents, first.tokens) == (40, sum(map(len, DOCUMENTS)))
    assert first.associations == truth.num_associations
    placed = started(3, tmp_path / "a.memo")
    keys = np.random.default_rng(0).standard_normal((50, 64), np.float32)
    reads = [ClusterReader(CONFIG, placed).read(keys) for _ in range(2)]
    assert np.array_equal(*reads)
    assert distance(reads[0], truth.read(keys)) < ROUNDING
    for one in placed:
        ray.kill(one.actor)


@pytest.mark.slow
def test_add_and_forget_change_a_memory_within_rounding(corpus: Path, truth: Memory, tmp_path: Path) -> None:
    half = tmp_path / "half.parquet"
    table = pa.table({"tokens": DOCUMENTS[:20], "id": [f"d{i}" for i in range(20)]})
    pyarrow.parquet.write_table(table, half)
    splits = CorpusOptions(split_bytes=2000)
    options = BuildOptions(
        corpus=splits, preset="paper", token_ids=True, vocab_size=300, inner_dim=64, resources=Resources(shards=2)
    )
    out = tmp_path / "m.memo"
    build([str(half)], out, options)
    before = cells(out)
    summary = add(out, [str(corpus)], ChangeOptions(corpus=splits, token_ids=True, resources=Resources(shards=1)))
    assert (summary.changed, summary.unchanged, summary.associations) == (20, 20, truth.num_associations)
    assert distance(cells(out), truth.shard.contents.cells.reshape(-1, 64)) < ROUNDING
    named = tuple(f"d{i}" for i in range(20, 40))
    summary = forget(
        out, [str(corpus)], ChangeOptions(corpus=splits, token_ids=True, documents=named, resources=Resources(shards=3))
    )
    assert (summary.changed, summary.documents) == (20, 20)
    assert distance(cells(out), before) < ROUNDING


def test_actors_forget_and_merge(truth: Memory, tmp_path: Path) -> None:
    segments = [sequence_segments(sequences_with_decoys(300, 3, 0, iteration=i)[:3], i) for i in range(2)]
    batches = [random_batch(each, f"b {i}") for i, each in enumerate(segments)]
    kept = Memory(CONFIG)
    kept.memorize_batch(batches[1])
    placed = started(2)
    for batch in batches:
        ray.get([one.actor.memorize.remote(batch) for one in placed])
    ray.get([one.actor.forget.remote(random_batch(segments[0], "taken out")) for one in placed])
    keys = np.random.default_rng(0).standard_normal((50, 64), np.float32)
    assert distance(ClusterReader(CONFIG, placed).read(keys), kept.read(keys)) < ROUNDING
    truth.save(tmp_path / "t.memo")
    ray.get([one.actor.merge.remote(str(tmp_path / "t.memo")) for one in placed])
    kept.merge(truth)
    assert distance(ClusterReader(CONFIG, placed).read(keys), kept.read(keys)) < ROUNDING
    for one in placed:
        ray.kill(one.actor)
