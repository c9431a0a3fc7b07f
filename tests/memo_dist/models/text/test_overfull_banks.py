"""A bank that a hostile document overfills: read exactly, written, moved and forgotten as any other.

Covers: a memory whose cells wrapped around. Does not cover: the arithmetic of one bank (test_banks.py).
"""

import itertools
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memo_dist import Memory, TextConfig
from memo_dist.models.text.codes import key_words, mask_words, value_words
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.shard import Shard

VOCAB, DIM, LENGTH = 600, 64, 33_500
CONFIG = TextConfig(num_banks=1, vocab_size=VOCAB, inner_dim=DIM, windows=(1,), keys="tokens")
OTHERS = {f"other {n}": np.random.default_rng(n).integers(0, VOCAB, 300).tolist() for n in range(3)}


@pytest.fixture(scope="module")
def hostile() -> list[int]:
    """Tokens of which each, after the one before, adds 1 to the cell (0, 0), and is no association made before."""
    windows = HashedEncoder(CONFIG).query([np.array([token]) for token in range(VOCAB)]).values[:, 0]
    before = (key_words(windows, DIM) ^ mask_words(windows, DIM))[:, 0] & np.uint64(1)
    values = value_words(VOCAB, DIM, CONFIG.seed)[:VOCAB, 0] & np.uint64(1)
    rng = np.random.default_rng(0)
    free = [rng.permutation(np.flatnonzero(values == sign)).tolist() for sign in before]
    found = [0]
    while len(found) < LENGTH:
        found.append(free[found[-1]].pop())
    return found


def memory_of(documents: dict[str, list[int]]) -> Memory:
    memory = Memory(CONFIG)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


@pytest.fixture(scope="module")
def spoiled(hostile: list[int]) -> Memory:
    memory = memory_of({**OTHERS, "hostile": hostile})
    cell = int(memory.shard.contents.read_banks(0, 1)[0, 0, 0])
    reference = memory_of(OTHERS).shard.contents.read_banks(0, 1)
    assert LENGTH - 1500 < cell + 2**16 - int(reference[0, 0, 0]) < LENGTH + 1500  # it wrapped
    return memory


def test_it_is_read_exactly(spoiled: Memory, hostile: list[int]) -> None:
    truth: dict[int, Counter[int]] = defaultdict(Counter)
    for tokens in (*OTHERS.values(), hostile):
        for before, after in itertools.pairwise([*tokens, VOCAB]):
            truth[before][after] += 1
    found = spoiled.followers(spoiled.encoder.query([np.array([token]) for token in range(VOCAB)]).values[:, 0])
    for token in range(VOCAB):
        expected = sorted(truth[token].items(), key=lambda pair: (-pair[1], pair[0]))
        after, counts = found.of(token)
        assert list(zip(after.tolist(), counts.tolist(), strict=True)) == expected


def test_it_forgets_to_the_bit(hostile: list[int]) -> None:
    memory = memory_of({"hostile": hostile, **OTHERS})
    memory.forget("hostile", hostile)
    without = memory_of(OTHERS)
    assert memory.digest() == without.digest()
    assert np.array_equal(memory.shard.contents.read_banks(0, 1), without.shard.contents.read_banks(0, 1))


def test_it_is_written_and_opened(spoiled: Memory, tmp_path: Path) -> None:
    spoiled.save(tmp_path / "spoiled.memo")
    opened = Memory.open(tmp_path / "spoiled.memo")
    assert opened.digest() == spoiled.digest()
    cues = spoiled.encoder.query([np.array([token]) for token in range(50)]).values[:, 0]
    assert np.array_equal(opened.read(cues), spoiled.read(cues))


def test_it_merges_in_any_order_and_takes_more_banks(spoiled: Memory, hostile: list[int]) -> None:
    merged = memory_of(OTHERS)
    merged.merge(memory_of({"hostile": hostile}))
    assert merged.digest() == spoiled.digest()
    more = replace(CONFIG, num_banks=3)
    shard, made = Shard(more, range(3)), Memory(more)
    held, absorbed = spoiled.shard.contents.with_ledger, shard.contents.with_ledger
    assert held is not None
    assert absorbed is not None
    for part in held.entries():
        absorbed.absorb(part)
    for part in held.anchor_entries():
        absorbed.absorb_anchors(part)
    for name, tokens in {"hostile": hostile, **OTHERS}.items():
        made.memorize(name, tokens)
    assert np.array_equal(absorbed.bank_digests(), made.shard.bank_digests())
