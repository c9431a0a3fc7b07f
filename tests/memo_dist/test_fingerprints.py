"""Fingerprints: the kernel equals the plain form, any cut gives the whole, any other order gives another."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.document_parts import document_key
from memo_dist.fingerprints import PRIME, base_of, fingerprints, joined, plain_fingerprint

tokens = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 2**32 - 1)), max_size=60)
keys = st.integers(0, 2**64 - 1)


def fingerprint(text: list[int], key: int = 7) -> int:
    return fingerprints([np.array(text, np.uint32)], [key])[0]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(tokens, keys), max_size=5))
def test_the_kernel_is_the_plain_form(runs: list[tuple[list[int], int]]) -> None:
    found = fingerprints([np.array(run, np.uint32) for run, _ in runs], [key for _, key in runs])
    assert found == [plain_fingerprint(run, key) for run, key in runs]
    assert all(value < PRIME for value in found)


def test_the_kernel_reduces_the_largest_numbers() -> None:
    """Long runs, where every step's value is anywhere below the prime."""
    rng = np.random.default_rng(0)
    run = rng.integers(0, 2**32, 50_000, dtype=np.uint32)
    for key in (0, 1, 2**64 - 1, *rng.integers(0, 2**64, 5, dtype=np.uint64).tolist()):
        assert fingerprints([run], [key]) == [plain_fingerprint(run.tolist(), key)]


@settings(max_examples=300, deadline=None)
@given(tokens, keys, st.lists(st.integers(0, 60), max_size=6))
def test_runs_join_to_the_whole_wherever_it_is_cut(text: list[int], key: int, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    value = 0
    for start, stop in itertools.pairwise(edges):
        value = joined(value, fingerprint(text[start:stop], key), tokens=stop - start, key=key)
    assert value == fingerprint(text, key)


def test_bases_are_the_documents_own() -> None:
    bases = [base_of(document_key(f"document {i}")) for i in range(1000)]
    assert len(set(bases)) == 1000
    assert all(2 <= base <= PRIME - 2 for base in bases)
    assert fingerprint([1, 2, 3], 1) != fingerprint([1, 2, 3], 2)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_another_order_of_the_same_blocks_is_another_text(data: st.DataObject) -> None:
    """Blocks exchanged, the whole reversed, one token moved: also between equal surroundings."""
    around = data.draw(st.lists(st.integers(0, 2), max_size=5))
    blocks = data.draw(st.lists(st.lists(st.integers(0, 3), max_size=8), min_size=2, max_size=5))
    order = data.draw(st.permutations(range(len(blocks))))
    text = [token for block in blocks for token in [*around, *block]]
    others = [
        [token for index in order for token in [*around, *blocks[index]]],
        text[::-1],
        _moved(text, data.draw(st.integers(0, 60)), data.draw(st.integers(0, 60))),
    ]
    for other in others:
        assert (fingerprint(other) == fingerprint(text)) == (other == text)


def _moved(text: list[int], start: int, end: int) -> list[int]:
    if not text:
        return []
    left = [*text]
    token = left.pop(start % len(text))
    left.insert(end % len(text), token)
    return left


def test_texts_of_equal_counts_of_every_run_of_four_differ() -> None:
    """What a sum over runs of tokens cannot tell apart: loops at one place, walked in every order."""
    hub, loops = [9, 9, 9, 9], [[1, 2], [3, 4, 5], [6], [7, 8, 1, 2]]
    texts = [
        [*itertools.chain.from_iterable([*hub, *loops[index]] for index in order), *hub]
        for order in itertools.permutations(range(4))
    ]
    grams = {tuple(sorted(zip(*(text[i:] for i in range(4)), strict=False))) for text in texts}
    assert len(grams) == 1
    assert len({fingerprint(text) for text in texts}) == len(texts) == 24
