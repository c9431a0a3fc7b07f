"""Hashing and codes: published vectors, fixed vectors of our own, agreement with plain Python, balance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import GOLDEN, ReferenceMemory, mix64

from memo_dist.device.backend import array_module
from memo_dist.errors import ConfigError
from memo_dist.models.text import codes

KEY_VECTORS = [
    "0xe220a8397b1dcdaf",
    "0x6e789e6aa1b965f4",
    "0x910a2dec89025cc1",
    "0xbeeb8da1658eec67",
    "0xe4d971771b652c20",
    "0xe99ff867dbf682c9",
    "0x157a3807a48faa9d",
    "0xd573529b34a1d093",
]
MASK_VECTORS = ["0x6e789e6aa1b965f4", "0xbeeb8da1658eec67", "0xe99ff867dbf682c9", "0xd573529b34a1d093"]
VALUE_VECTORS = ["0x260eb7331072494e", "0x51ec4b0e6e914646", "0x3ccba824979299d6", "0xdfdb4ad2645e3475"]

words = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40)


def test_mixer_gives_the_published_splitmix64_sequence() -> None:
    # the sequence of SplitMix64 seeded with 1234567, as published with the reference implementation
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    states = np.array([(1234567 + (i + 1) * GOLDEN) % 2**64 for i in range(4)], np.uint64)
    assert codes.mix64(states).tolist() == published


@given(words)
def test_mixer_agrees_with_integer_arithmetic(values: list[int]) -> None:
    expected = [mix64(v) for v in values]
    assert codes.mix64(np.array(values, np.uint64)).tolist() == expected
    assert [codes.mix64_int(v) for v in values] == expected


@given(words, st.sampled_from([64, 128, 256]))
def test_key_and_mask_agree_with_the_reference_sign_by_sign(values: list[int], dim: int) -> None:
    reference = ReferenceMemory(1, 10, dim=dim)
    hashes = np.array(values, np.uint64)
    keys, masks = codes.signs(codes.key_words(hashes, dim)), codes.signs(codes.mask_words(hashes, dim))
    for row, value in enumerate(values):
        assert keys[row].tolist() == reference.signs(value, 0).tolist()
        assert masks[row].tolist() == reference.signs(value, 1).tolist()


def test_codes_are_what_they_have_always_been() -> None:
    """Files on disk depend on these: a change here is a change of format."""
    hashes = np.array([0, 1, 2**64 - 1, 0x0123456789ABCDEF], np.uint64)
    assert [hex(w) for w in codes.key_words(hashes, 128).ravel().tolist()] == KEY_VECTORS
    assert [hex(w) for w in codes.mask_words(hashes, 64).ravel().tolist()] == MASK_VECTORS
    assert [hex(w) for w in codes.value_words(3, 64, seed=7).ravel().tolist()] == VALUE_VECTORS


def test_batch_size_does_not_change_codes() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 1000, dtype=np.uint64)
    whole = codes.key_words(hashes, 256)
    parts = np.concatenate([codes.key_words(hashes[i : i + 7], 256) for i in range(0, 1000, 7)])
    assert np.array_equal(whole, parts)


def test_product_of_codes_is_xor_of_their_words() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 50, dtype=np.uint64)
    left, right = codes.key_words(hashes, 256), codes.mask_words(hashes, 256)
    assert np.array_equal(codes.signs(left) * codes.signs(right), codes.signs(left ^ right))


def test_codes_are_balanced_and_independent() -> None:
    n, dim = 4000, 256
    hashes = np.arange(n, dtype=np.uint64)  # the worst case: consecutive
    keys = codes.signs(codes.key_words(hashes, dim))
    masks = codes.signs(codes.mask_words(hashes, dim))
    bound = 6 / np.sqrt(n)  # six standard errors
    assert np.abs(keys.mean(axis=0)).max() < bound
    assert np.abs((keys * masks).mean(axis=0)).max() < bound
    overlaps = (keys[:500] @ keys[500:1000].T) / dim
    assert abs(overlaps.std() - 1 / np.sqrt(dim)) < 0.002


@pytest.mark.gpu
def test_gpu_codes_equal_cpu_codes() -> None:
    try:
        xp = array_module("gpu")
    except ConfigError as error:
        pytest.skip(f"NO GPU, NOT TESTED: {error}")
    hashes = np.random.default_rng(0).integers(0, 2**63, 1000, dtype=np.uint64)
    on_gpu = codes.signs(codes.key_words(xp.asarray(hashes), 256))
    assert np.array_equal(on_gpu.get(), codes.signs(codes.key_words(hashes, 256)))
