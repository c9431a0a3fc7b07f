"""The preset paper against its equations written out, against itself under other layouts, and against chance.

Sums are float32, so equality is within rounding: two ways of adding the same products differ by less than ROUNDING of
the matrix's norm. One layout run twice agrees to the bit.
"""

import itertools
from pathlib import Path

import numpy as np
import pytest
from reference import reference_matrix

from memo_dist import Memory, MemoryConfig, PaperConfig
from memo_dist.errors import ConfigError, DamagedMemoryError, NotMemorizedError
from memo_dist.experiments.layers import LayersRun, run_layers, scored_positions, share_recalled
from memo_dist.experiments.random_tokens import random_batch, sequence_segments, sequences_with_decoys
from memo_dist.files.opened import open_memory
from memo_dist.models import cleanup_for, encoder_for, model_of
from memo_dist.models.paper.contents import ProjectedContents
from memo_dist.models.paper.encoder import ProjectedEncoder
from memo_dist.models.paper.law import with_dim_for
from memo_dist.models.repetition import TextSize
from memo_dist.planning.capacity import predicted_recall
from memo_dist.segments import Segment
from memo_dist.shard import Shard

ROUNDING = 2e-6
NOTHING = np.zeros(0, np.uint32)
Documents = dict[str, list[int]]


def random_documents(vocab: int, lengths: tuple[int, ...] = (90, 3, 41, 64, 1), seed: int = 0) -> Documents:
    rng = np.random.default_rng(seed)
    return {f"{seed}-{i}": rng.integers(0, vocab, n).tolist() for i, n in enumerate(lengths)}


def built(config: MemoryConfig, documents: Documents) -> Memory:
    memory = Memory(config)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


def matrix(memory: Memory) -> np.ndarray:
    cells: np.ndarray = memory.shard.contents.cells
    return cells.reshape(-1, memory.config.inner_dim)


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """|left - right| / |right|, Frobenius."""
    return float(np.linalg.norm(left - right) / np.linalg.norm(right))


CONFIGS = [
    PaperConfig.of(50, 32, num_heads=heads, num_layers=layers, composition=composition)
    for composition in ("jlt", "product")
    for heads, layers in ((4, 1), (4, 2), (4, 3), (2, 4), (8, 2))
] + [
    PaperConfig.of(5, 32, num_heads=4, num_layers=2),
    PaperConfig.of(2000, 48, num_heads=4, num_layers=1, composition="direct", key_dim=20),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_matrix_is_that_of_the_equations(config: MemoryConfig) -> None:
    documents = random_documents(config.vocab_size)
    assert distance(matrix(built(config, documents)), reference_matrix(config, documents)) < ROUNDING


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_query_has_the_key_that_was_memorized(config: MemoryConfig) -> None:
    tokens = random_documents(config.vocab_size)["0-0"]
    encoder = ProjectedEncoder(config)
    segment = Segment(0, NOTHING, np.array(tokens, np.uint32), True)
    keys = np.concatenate([cues.values for cues, _ in encoder.targets([segment])])
    asked = encoder.query([np.array(tokens[:end], np.int64) for end in range(len(tokens) + 1)], at_start=True)
    assert keys.shape == asked.values.shape == (len(tokens) + 1, config.key_dim)
    assert np.allclose(keys, asked.values, atol=1e-5)


def test_a_segment_continues_its_document() -> None:
    config = PaperConfig.of(50, 32, num_heads=4, num_layers=3)
    tokens = np.array(random_documents(50, (200,))["0-0"], np.uint32)
    whole, parts = Memory(config), Memory(config)
    whole.shard.memorize_segments([("a", Segment(0, NOTHING, tokens, True))])
    cuts = [0, 1, 70, 71, 200]
    for start, stop in itertools.pairwise(cuts):
        segment = Segment(start, tokens[max(0, start - 64) : start], tokens[start:stop], stop == 200)
        parts.shard.memorize_segments([("a", segment)])
    assert distance(matrix(parts), matrix(whole)) < ROUNDING


@pytest.mark.parametrize("heads", [8, 16])
def test_products_of_many_factors_keep_their_norm(heads: int) -> None:
    """The published product underflows: norm .22 at h = 8, 0 at 16, d = 4096."""
    config = PaperConfig.of(50, 4096, num_heads=heads, num_layers=2, composition="product")
    line = np.arange(heads * heads) % 50
    encoder = ProjectedEncoder(config)
    children = encoder.vectors[line]
    norms = np.linalg.norm(encoder._composed(children, 1, 1)[heads - 1 :], axis=1)
    assert np.allclose(norms, 1, atol=1e-4)


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_row_blocks_agree_with_one_memory(shards: int) -> None:
    config = PaperConfig.of(300, 64, num_heads=4, num_layers=3)
    tokens = sequences_with_decoys(300, 5, 0, iteration=0)[:4]
    segments = sequence_segments(tokens, 0)
    memory = Memory(config)
    memory.shard.memorize_segments(segments)
    blocks = [Shard(config, range(4 * i // shards, 4 * (i + 1) // shards)) for i in range(shards)]
    twins = [Shard(config, block.banks) for block in blocks]
    for shard in (*blocks, *twins):
        shard.memorize_segments(segments)
    cells = np.concatenate([block.contents.cells for block in blocks])
    assert distance(cells, memory.shard.contents.cells) < ROUNDING
    for block, twin in zip(blocks, twins, strict=True):
        assert np.array_equal(block.bank_digests(), twin.bank_digests())
    cues, _ = scored_positions(memory.cleanup, segments)
    parts = [block.retrieve(model_of(config).portion(config, cues.values, block.banks)[1]) for block in blocks]
    assert distance(np.sum(parts, axis=0), memory.read(cues.values)) < ROUNDING
    assert sum(block.num_associations for block in blocks) == memory.num_associations


def test_merge_adds() -> None:
    config = PaperConfig.of(300, 64, num_heads=4, num_layers=3)
    one, other = random_documents(300), random_documents(300, seed=1)
    merged, both = built(config, one), built(config, one | other)
    merged.merge(built(config, other))
    assert distance(matrix(merged), matrix(both)) < ROUNDING
    assert merged.num_associations == both.num_associations
    with pytest.raises(ConfigError, match="count them twice"):
        merged.merge(built(config, other))


def test_forgetting_leaves_rounding_and_only_what_was_memorized_is_forgotten() -> None:
    config = PaperConfig.of(300, 64, num_heads=4, num_layers=3)
    one, other = random_documents(300), random_documents(300, seed=1)
    memory, kept = built(config, one | other), built(config, other)
    for name, tokens in one.items():
        memory.forget(name, tokens)
    assert distance(matrix(memory), matrix(kept)) < ROUNDING
    assert memory.num_associations == kept.num_associations
    before = memory.digest()
    with pytest.raises(NotMemorizedError):  # the published method would write a negative memory
        memory.forget("0-0", one["0-0"])
    assert memory.digest() == before


def test_a_batch_counts_once_and_is_forgotten_once() -> None:
    config = PaperConfig.of(300, 64, num_heads=4, num_layers=2)
    batches = [
        random_batch(sequence_segments(sequences_with_decoys(300, 0, 0, iteration=i), i), f"batch {i}")
        for i in range(2)
    ]
    memory, one = Memory(config), Memory(config)
    one.memorize_batch(batches[1])
    assert [memory.memorize_batch(batch).fresh for batch in (*batches, batches[0])] == [True, True, False]
    assert memory.forget_batch(batches[0]).tokens == 30 * 1024
    assert distance(matrix(memory), matrix(one)) < ROUNDING
    with pytest.raises(NotMemorizedError, match="batch 0"):
        memory.forget_batch(batches[0])


def test_round_trip(tmp_path: Path) -> None:
    config = PaperConfig.of(300, 64, num_heads=4, num_layers=3, composition="product")
    memory = built(config, random_documents(300))
    memory.save(tmp_path / "m.memo")
    loaded = Memory.open(tmp_path / "m.memo")
    assert loaded.digest() == memory.digest()
    assert loaded.num_associations == memory.num_associations
    keys = np.random.default_rng(0).standard_normal((7, 64), np.float32)
    with open_memory(tmp_path / "m.memo") as stored:
        stored.verify()
        assert stored.config == config
        assert np.allclose(stored.read(keys), memory.read(keys), rtol=1e-4, atol=1e-5)


def test_other_random_codes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built(PaperConfig.of(300, 64), random_documents(300)).save(tmp_path / "m.memo")
    monkeypatch.setattr(
        "memo_dist.models.paper.gaussians.codes_digest", lambda seed: "0" * 32
    )  # as if NumPy drew otherwise
    with pytest.raises(DamagedMemoryError, match="codes"):
        Memory.open(tmp_path / "m.memo")


def test_random_tokens_are_continued() -> None:
    document = random_documents(300, (300,))["0-0"]
    memory = built(PaperConfig.of(300, 512, num_heads=4, num_layers=2), {"a": document})
    answer = memory.recall([document[100:130]], max_tokens=40)[0]
    assert answer.tokens == document[130:170]
    ending = memory.recall([document[-30:]])[0]
    assert (ending.tokens, ending.stop) == ([], "end_of_document")
    unseen = memory.recall([random_documents(300, (40,), seed=9)["9-0"]])[0]
    assert (unseen.tokens, unseen.stop) == ([], "abstained")


@pytest.mark.parametrize(("layers", "composition"), [(1, "jlt"), (1, "direct"), (3, "jlt")])
def test_capacity_law_agrees_with_a_real_memory(layers: int, composition: str) -> None:
    """Layers write into one matrix, so more of them hold no more random tokens. (`product` recalls .05 more.)"""
    vocab, tokens = 20_000, 3000
    config = PaperConfig.of(vocab, 320, num_heads=4, num_layers=layers, composition=composition)
    rng = np.random.default_rng(layers)
    segments = [("a", Segment(0, NOTHING, rng.integers(0, vocab, tokens, dtype=np.uint32), False))]
    memory = Memory(config)
    memory.shard.memorize_segments(segments)
    cues, following = next(memory.cleanup.encoder.targets([s for _, s in segments]))
    measured = share_recalled(memory, memory.cleanup, (cues, following))
    assert abs(measured - predicted_recall(config, TextSize(tokens, 1), 0)) < 0.04


def test_dim_follows_from_the_law_and_too_large_a_corpus_is_refused() -> None:
    config = PaperConfig.of(50_254, 64)
    chosen = with_dim_for(config, 0.78, 30_720)
    assert chosen.inner_dim == chosen.key_dim == 1024  # published: .80 with so many tokens
    with pytest.raises(ConfigError, match="preset 'text'"):
        with_dim_for(config, 0.99, 10**9)


@pytest.mark.parametrize(("dim", "tokens", "published"), [(1024, 30_720, 0.8005), (2048, 122_880, 0.79)])
def test_the_law_foretells_published_recall(dim: int, tokens: int, published: float) -> None:
    config = PaperConfig.of(50_254, dim, num_heads=4, num_layers=1)
    assert abs(predicted_recall(config, TextSize(tokens, 1), 0) - published) < 0.03


def test_is_best_is_what_ranks_first() -> None:
    config = PaperConfig.of(5000, 64, num_heads=4, num_layers=1)
    cleanup = cleanup_for(config, encoder_for(config))
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 5001, 500)
    reads = cleanup.encoder.vectors[tokens] + 0.25 * rng.standard_normal((500, 64), np.float32)  # type: ignore[attr-defined]
    filled = np.ones((500, 1), bool)
    first = cleanup.rank(reads[:, None], filled, top_k=3).tokens[:, 0]
    assert 0.2 < np.mean(first == tokens) < 0.9
    assert np.array_equal(first, np.argmax(reads @ cleanup.encoder.vectors[:5001].T, axis=1))  # type: ignore[attr-defined]
    assert np.array_equal(cleanup.is_best(reads[:, None], filled, tokens), first == tokens)


def test_contents_take_only_their_rows() -> None:
    contents = ProjectedContents(PaperConfig.of(100, 64, num_heads=4, num_layers=2), range(1, 3))
    contents.memorize([Segment(0, NOTHING, np.arange(50, dtype=np.uint32), True)])
    assert contents.cells.shape == (2, 16, 64)
    assert contents.num_associations == 0  # whoever owns bank 0 counts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "decoys", "published", "bound"),
    [(1, 0, 0.8005, 0.02), (2, 0, 0.8372, 0.02), (1, 20, 0.1536, 0.05), (3, 20, 0.5008, 0.05)],
)
def test_published_recall_is_reproduced(layers: int, decoys: int, published: float, bound: float) -> None:
    """d = 1024, the first batch, one seed; the whole table is in docs/explanation/paper.md."""
    row = next(run_layers(LayersRun("paper", 1024, layers, decoys, 0), iterations=1, sequences=4, done=frozenset()))
    assert abs(row.recall_first - published) < bound


@pytest.mark.slow
def test_forgetting_a_batch_of_five() -> None:
    """What is left recalls as if the first batch had never been; the first is recalled by chance."""
    config = PaperConfig.of(2000, 512, num_heads=4, num_layers=3)
    segments = [sequence_segments(sequences_with_decoys(2000, 0, 0, iteration=i)[:1], i) for i in range(5)]
    batches = [random_batch(s, f"batch {i}") for i, s in enumerate(segments)]
    memory, never = Memory(config), Memory(config)
    for batch in batches:
        memory.memorize_batch(batch)
    for batch in batches[1:]:
        never.memorize_batch(batch)
    memory.forget_batch(batches[0])
    assert distance(matrix(memory), matrix(never)) < ROUNDING
    cleanup = memory.cleanup
    for index, batch_segments in enumerate(segments):
        asked = scored_positions(cleanup, batch_segments)
        recalls = [share_recalled(m, cleanup, asked) for m in (memory, never)]
        assert abs(recalls[0] - recalls[1]) <= 0.005
        assert recalls[0] < 0.005 if index == 0 else recalls[0] > 0.9
