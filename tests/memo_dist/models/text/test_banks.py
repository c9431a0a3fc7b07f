"""Banks against int64 outer products; exactness at the edges of int16 and beyond; forgetting."""

import numpy as np
import pytest
from reference import ReferenceMemory

from memo_dist import TextConfig
from memo_dist.kernels.banks import add_products
from memo_dist.models.text import banks as cmm
from memo_dist.models.text.associations import Associations, associate
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words


def some(count: int, vocab: int = 100, seed: int = 0) -> Associations:
    rng = np.random.default_rng(seed)
    found = associate(rng.integers(0, 2**64, count, dtype=np.uint64), rng.integers(0, vocab, count).astype(np.uint32))
    order = np.argsort(found.names)
    return Associations(found.names[order], found.tokens[order])


def banks(count: int, dim: int, *, plain: bool = False) -> BankRange:
    config = TextConfig(num_banks=count, vocab_size=100, inner_dim=dim)
    return BankRange(config, range(count), value_words(100, dim, 0), plain=plain)


@pytest.mark.parametrize("dim", [64, 128, 256])
@pytest.mark.parametrize("plain", [False, True])
def test_matrices_equal_sums_of_outer_products(dim: int, plain: bool) -> None:
    found, memory = some(300), banks(3, dim, plain=plain)
    memory.memorize(found)
    reference = ReferenceMemory(3, 100, dim=dim)
    reference.counts.update(zip(found.hashes.tolist(), found.tokens.tolist(), strict=True))
    expected = reference.matrices()
    assert np.array_equal(memory.cells, expected)
    assert memory.loads.sum() == 300
    hashes = np.concatenate([found.hashes, some(50, seed=9).hashes])
    reads = memory.retrieve(hashes)
    for name, read in zip(hashes.tolist(), reads, strict=True):
        truth = (reference.signs(name, 0) @ expected[reference.bank(name)]) * reference.signs(name, 1)
        assert np.array_equal(read, truth)


def test_groups_of_any_size_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    found, whole, pieces = some(2000), banks(7, 64), banks(7, 64)
    whole.memorize(found)
    monkeypatch.setattr(cmm, "_EXPAND", 33)
    pieces.memorize(found)
    assert np.array_equal(whole.cells, pieces.cells)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 95, 96, 97, 99, 1000])
def test_the_kernel_equals_the_plain_product_at_every_group_size(count: int) -> None:
    kernel, plain = banks(1, 256), banks(1, 256, plain=True)
    for memory in (kernel, plain):
        memory.memorize(some(count))
        memory.forget(some(count // 2, seed=1))
    assert np.array_equal(kernel.cells, plain.cells)
    assert kernel.cells.any()


@pytest.mark.parametrize("count", [96, 97, 128, 300])
def test_the_kernel_does_not_overflow_where_all_signs_agree(count: int) -> None:
    """Equal rows: the sums that it keeps in int8 grow as fast as they can."""
    words = np.random.default_rng(0).integers(0, 2**64, (1, 4), dtype=np.uint64).repeat(count, axis=0)
    cells = np.zeros((256, 256), np.int16)
    add_products(cells, words, words, 1)
    sign = cmm.signs(words[:1])[0].astype(np.int64)
    assert np.array_equal(cells, count * np.outer(sign, sign))


def test_forget_is_the_exact_inverse() -> None:
    memory = banks(2, 64)
    memory.memorize(some(500))
    before = memory.cells.copy()
    other = some(400, seed=1)
    memory.memorize(other)
    memory.forget(other)
    assert np.array_equal(memory.cells, before)
    assert memory.loads.sum() == 500


@pytest.mark.slow
def test_a_bank_beyond_int16_counts_is_still_exact() -> None:
    found, memory = some(40_000), banks(1, 64)
    memory.memorize(found)
    assert memory.loads[0] > 2**15 - 1
    keys = cmm.signs(cmm.key_words(found.hashes, 64)).astype(np.int64)
    values = cmm.signs(cmm.mask_words(found.hashes, 64) ^ value_words(100, 64, 0)[found.tokens]).astype(np.int64)
    assert np.array_equal(memory.cells[0], keys.T @ values)


def alike(count: int) -> Associations:
    """Associations of one token whose key and masked value agree with one another's in cell (0, 0), as a hostile
    document's may: +1 there for each."""
    found = some(4 * count + 400, vocab=1, seed=3)
    keys = cmm.signs(cmm.key_words(found.hashes, 64))[:, 0]
    values = cmm.signs(cmm.mask_words(found.hashes, 64) ^ value_words(100, 64, 0)[found.tokens])[:, 0]
    chosen = np.flatnonzero(keys * values > 0)[:count]
    assert len(chosen) == count
    return Associations(found.names[chosen], found.tokens[chosen])


def true_cells(found: Associations) -> np.ndarray:
    """(64, 64) int64, however large."""
    keys = cmm.signs(cmm.key_words(found.hashes, 64)).astype(np.int64)
    values = cmm.signs(cmm.mask_words(found.hashes, 64) ^ value_words(100, 64, 0)[found.tokens]).astype(np.int64)
    return np.asarray(keys.T @ values)


@pytest.mark.parametrize("plain", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_cells_beyond_int16_wrap_around_and_forgetting_undoes_it(plain: bool) -> None:
    hostile, other = alike(33_500), some(2000, seed=4)
    memory, without = (banks(1, 64, plain=plain) for _ in range(2))
    for held in (memory, without):
        held.memorize(other)
    memory.memorize(hostile)
    truth = true_cells(hostile) + true_cells(other)
    assert truth.max() > 2**15 - 1
    assert np.array_equal(memory.cells[0], ((truth + 2**15) % 2**16 - 2**15).astype(np.int16))
    assert memory.loads.tolist() == [35_500]
    memory.forget(hostile)
    assert np.array_equal(memory.cells, without.cells)
    assert memory.loads.tolist() == [2000]


@pytest.mark.parametrize("dim", [64, 512, 576])
def test_reads_of_the_largest_cells_are_exact(dim: int) -> None:
    """Each cell -32,768 with the sign of the key, as cells that wrapped may be: 2^24 and more in all."""
    config = TextConfig(num_banks=1, vocab_size=100, inner_dim=dim)
    hashes = some(3).hashes
    keys, masks = cmm.signs(cmm.key_words(hashes, dim)), cmm.signs(cmm.mask_words(hashes, dim))
    cells = np.where(keys[0] < 0, -(2**15), 2**15 - 1).astype(np.int16)[:, None].repeat(dim, axis=1)
    truth = (keys.astype(np.int64) @ cells.astype(np.int64)) * masks.astype(np.int64)
    assert abs(truth).max() > dim * (2**15 - 1)
    for plain in (False, True):
        memory = BankRange(config, range(1), value_words(100, dim, 0), plain=plain)
        memory.store.fill(0, cells)
        memory.loads[0] = 40_000
        assert np.array_equal(memory.retrieve(hashes), truth)
