"""Cleanup and the capacity law against formulas written out and against simulation."""

from dataclasses import replace

import numpy as np
import pytest
from reference import ReferenceMemory

from memo_dist import Memory, MemoryConfig, TextConfig
from memo_dist.measuring.sampling import context_names
from memo_dist.models.candidates import joined
from memo_dist.models.repetition import TextSize
from memo_dist.models.text import cleanup as hashed
from memo_dist.models.text.capacity import with_banks_for
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.law import first_probability
from memo_dist.planning.capacity import predicted_recall
from memo_dist.sizes import parse_bytes

CONFIG = TextConfig(num_banks=4, vocab_size=60, inner_dim=128, windows=(4, 16, 64))


def naive_log_odds(reads: np.ndarray, depth: int, config: MemoryConfig, p: np.ndarray) -> np.ndarray:
    """The formula of models/text/cleanup.py for one query, token by token; p of the tokens."""
    reference = ReferenceMemory(1, config.vocab_size, dim=config.inner_dim)
    size, d = config.vocab_size + 1, config.inner_dim
    result = []
    for token in range(size):
        evidence = [0.0]
        for layer in range(depth):
            read = reads[layer].astype(float)
            score = read @ reference.value(token) / d**2
            evidence.append(evidence[-1] + (score - 0.5) / (read @ read / d**4))
        rivals = 1 + sum(np.exp(e) * p[token] for e in evidence[1:-1])
        result.append(evidence[-1] + np.log(p[token]) - np.log(rivals))
    return np.array(result)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("known", [False, True])
def test_log_odds_equal_the_formula(depth: int, known: bool) -> None:
    rng = np.random.default_rng(depth)
    reads = rng.integers(-2000, 2000, (5, 3, 128)).astype(np.int32)
    filled = np.zeros((5, 3), bool)
    filled[:, :depth] = True
    reads[~filled] = 0
    counts = np.arange(61) ** 2 if known else None
    p = np.ones(61) / 61 if counts is None else np.maximum(counts, 0.5) / (counts.sum() + 0.5)  # token 0 is not held
    found = HashedCleanup(CONFIG, HashedEncoder(CONFIG), shortlist=61, prior=counts).rank(reads, filled, top_k=61)
    for row in range(5):
        expected = naive_log_odds(reads[row], depth, CONFIG, p)
        order = np.argsort(-expected, kind="stable")
        assert np.allclose(found.log_odds[row], expected[order])
        assert found.tokens[row, 0] == order[0]


@pytest.mark.slow
def test_shortlist_finds_what_a_full_search_finds() -> None:
    rng = np.random.default_rng(0)
    memory = Memory(TextConfig(num_banks=20, vocab_size=3000))
    tokens = rng.integers(0, 3000, 20_000)
    memory.memorize("a", tokens)
    places = rng.integers(64, 20_000, 200)
    cues = memory.shard.contents.encoder.query([tokens[p - 64 : p] for p in places])
    reads, filled = memory.shard.contents.encoder.retrieve(memory, cues), cues.filled
    short = HashedCleanup(memory.config, memory.encoder, shortlist=16).rank(reads, filled)
    full = HashedCleanup(memory.config, memory.encoder, shortlist=3001).rank(reads, filled)
    assert np.array_equal(short.tokens, full.tokens)
    assert np.allclose(short.log_odds, full.log_odds)


@pytest.mark.parametrize("load", [1500, 4000, 7000])
def test_capacity_law_agrees_with_a_real_memory(load: int) -> None:
    """Random tokens, so every association is distinct and the ceiling is 1: the law's own assumptions."""
    rng = np.random.default_rng(load)
    vocab, tokens = 2000, load * 2 // 3
    config = TextConfig(num_banks=2, vocab_size=vocab, windows=(4, 16, 64))
    document = rng.integers(0, vocab, tokens)
    memory = Memory(config)
    memory.memorize("a", document)
    places = rng.integers(64, tokens, 1500)
    answers = memory.retrieve([document[p - 64 : p] for p in places])
    measured = (answers.tokens[:, 0] == document[places]).mean()
    assert abs(measured - first_probability(load, (1.0, 1.0, 1.0), inner_dim=256, vocab_size=vocab)) < 0.03


def test_law_reproduces_the_published_capacity() -> None:
    """Design 2.3: at V = 100k one layer reaches 90% at .0308 associations a parameter."""
    assert abs(first_probability(0.0308 * 4096**2, (1.0,), inner_dim=4096, vocab_size=100_000) - 0.90) < 0.005


def test_banks_follow_from_the_target() -> None:
    few = with_banks_for(CONFIG, 0.9, TextSize(100_000, 10))
    many = with_banks_for(CONFIG, 0.99, TextSize(100_000, 10))
    assert few.num_banks < many.num_banks
    assert predicted_recall(many, TextSize(100_000, 10), 300_000) >= 0.99
    one_less = replace(many, num_banks=many.num_banks - 1)
    assert predicted_recall(one_less, TextSize(100_000, 10), 300_000) < 0.99


def test_sizes_are_read_as_people_write_them() -> None:
    assert parse_bytes("4GB") == 4_000_000_000
    assert parse_bytes("1.5 gib") == 1.5 * 2**30
    assert parse_bytes("123") == 123


def test_context_names_depend_on_exactly_the_window() -> None:
    rng = np.random.default_rng(0)
    line = rng.integers(0, 9, 300)
    for length in (1, 3, 27, 32, 64):
        names = context_names(line, length)
        assert len(names) == 300 - length + 1
        windows = [tuple(line[i : i + length]) for i in range(len(names))]
        by_window: dict[tuple[int, ...], int] = {}
        for window, name in zip(windows, names.tolist(), strict=True):
            assert by_window.setdefault(window, name) == name
        assert len(set(by_window.values())) == len(by_window)


@pytest.mark.parametrize("vocab_size", [50, 1000, 40_000])
@pytest.mark.parametrize("known", [False, True])
def test_few_queries_are_answered_as_many_are(vocab_size: int, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search in packed codes finds what the matrix product finds, in the same order, whatever the load."""
    config = TextConfig(num_banks=1, vocab_size=vocab_size, inner_dim=256, windows=(4, 16, 64))
    counts = 10_000 // np.arange(1, vocab_size + 2) if known else None
    cleanup, rng = HashedCleanup(config, HashedEncoder(config), prior=counts), np.random.default_rng(0)
    codes = cleanup.codebook[rng.integers(0, vocab_size, (40, 3))] * 256
    reads = (codes + rng.standard_normal((40, 3, 256)) * np.linspace(1, 900, 40)[:, None, None]).astype(np.int32)
    filled = np.arange(3)[None, :] < rng.integers(1, 4, (40, 1))
    many = cleanup.rank(reads, filled, top_k=4)
    few = [cleanup.rank(reads[i : i + 1], filled[i : i + 1], top_k=4) for i in range(40)]
    monkeypatch.setattr(hashed, "_FEW", 64)
    together = cleanup.rank(reads, filled, top_k=4)
    for found in (together, joined(few, 3, 4)):
        assert np.array_equal(found.tokens, many.tokens)
        assert np.array_equal(found.log_odds, many.log_odds)
