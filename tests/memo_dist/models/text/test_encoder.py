"""Windows and associations: against the plain reference, and independent of cuts, chunks and shards."""

import functools
import itertools
import operator
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ReferenceMemory

from memo_dist import TextConfig
from memo_dist.models.text import encoder as hashed
from memo_dist.models.text.associations import DOCUMENT_SALT, Associations, associate
from memo_dist.models.text.bank_assignment import bank_edge, bank_of
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.segments import Segment

CONFIG = TextConfig(num_banks=5, vocab_size=50, inner_dim=64)
NOTHING = np.zeros(0, np.uint32)


def segment(tokens: list[int], start: int = 0, stop: int | None = None, *, owner: int = 0) -> Segment:
    """Tokens [start, stop) of a document as a segment with its context."""
    stop = len(tokens) if stop is None else stop
    ids = np.array(tokens, np.uint32)
    return Segment(start, ids[max(0, start - 4096) : start], ids[start:stop], stop == len(tokens), owner)


def pairs(found: Iterable[Associations]) -> list[tuple[int, int]]:
    return sorted(pair for chunk in found for pair in zip(chunk.hashes.tolist(), chunk.tokens.tolist(), strict=True))


def encode(segments: list[Segment], config: TextConfig = CONFIG) -> list[tuple[int, int]]:
    return pairs(HashedEncoder(config).associations(segments, range(config.num_banks)))


def reference_of(config: TextConfig) -> ReferenceMemory:
    return ReferenceMemory(
        config.num_banks, config.vocab_size, dim=config.inner_dim, windows=config.windows, seed=config.seed
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 49), min_size=1, max_size=150),
    st.sampled_from([(4, 16, 64), (2, 4, 8), (3, 9), (4,), (1, 2, 3, 5, 7), (4, 8, 16, 32, 64)]),
    st.integers(0, 3),
    st.sampled_from(["text", "tokens"]),  # without a tokenizer there is no text: alike
)
def test_associations_equal_the_reference(tokens: list[int], windows: tuple[int, ...], seed: int, keys: str) -> None:
    config = TextConfig(num_banks=5, vocab_size=50, inner_dim=64, windows=windows, keys=keys, seed=seed)
    assert encode([segment(tokens)], config) == sorted(reference_of(config).associations(tokens))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1000),
    st.integers(2, 300),
    st.lists(st.integers(1, 299), max_size=5),
    st.sampled_from([1, 7, 64, 100]),
)
def test_cuts_and_chunks_neither_lose_nor_double_a_window(seed: int, size: int, cuts: list[int], chunk: int) -> None:
    tokens = np.random.default_rng(seed).integers(0, 50, size).tolist()
    edges = sorted({0, size, *(c for c in cuts if c < size)})
    parts = [segment(tokens, a, b) for a, b in itertools.pairwise(edges)]
    whole = encode([segment(tokens)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashed, "_CHUNK", chunk)
        assert encode(parts) == whole


@pytest.mark.parametrize("banks", [range(5), range(1), range(1, 3), range(4, 5)])
def test_long_lines_give_the_plain_associations(banks: range) -> None:
    """Longer than chunks, with documents that begin and end anywhere in them, against every place by itself."""
    rng, reference = np.random.default_rng(1), reference_of(CONFIG)
    documents = [rng.integers(0, 50, size).tolist() for size in (600, 1, 255, 70, 400)]
    plain = [
        (key, token)
        for document in documents
        for place, token in enumerate([*document, 50])
        for key in reference.keys.keys(reference.text(document[max(0, place - 64) : place]), begins=True)
        if reference.bank(key) in banks
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashed, "_CHUNK", 256)
        chunks = list(HashedEncoder(CONFIG).associations([segment(document) for document in documents], banks))
    assert len(chunks) > 4
    assert pairs(chunks) == sorted(plain)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([(4, 16, 64), (2, 20, 30), (3, 9)]), st.sampled_from([1, 50, 1 << 18]))
def test_anchors_are_every_eighth_window_of_their_rung(seed: int, windows: tuple[int, ...], chunk: int) -> None:
    """Of documents with names, for the banks that are asked."""
    rng, config = np.random.default_rng(seed), TextConfig(num_banks=5, vocab_size=50, inner_dim=64, windows=windows)
    documents = {owner: rng.integers(0, 50, int(rng.integers(1, 120))).tolist() for owner in (7, 2**32 - 1, 0)}
    segments = [segment(tokens, owner=owner) for owner, tokens in documents.items()]
    reference = reference_of(config)
    truth = [pair for owner, tokens in documents.items() for pair in reference.anchors_of(tokens, owner)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashed, "_CHUNK", chunk)
        for banks in (range(5), range(1, 3)):
            found = [anchors for _, anchors in HashedEncoder(config).kinds(segments, banks)]
            got = sorted(
                pair
                for one in found
                for pair in zip(one.hashes_with(DOCUMENT_SALT).tolist(), one.tokens.tolist(), strict=True)
            )
            assert got == sorted((key, owner) for key, owner in truth if reference.bank(key) in banks)


def test_no_banks_have_no_associations() -> None:
    text = [segment(list(range(50)))]
    for nothing in (range(0), range(5, 5)):
        assert not pairs(HashedEncoder(CONFIG).associations(text, nothing))


def test_windows_never_cross_documents() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.integers(0, 50, 100).tolist(), rng.integers(0, 50, 100).tolist()
    assert encode([segment(one), segment(two)]) == sorted(encode([segment(one)]) + encode([segment(two)]))


def test_shards_divide_the_associations() -> None:
    tokens = np.random.default_rng(0).integers(0, 50, 500).tolist()
    encoder = HashedEncoder(CONFIG)
    parts = [pairs(encoder.associations([segment(tokens)], range(a, b))) for a, b in ((0, 1), (1, 4), (4, 5))]
    assert sorted(functools.reduce(operator.iadd, parts, [])) == encode([segment(tokens)])


@given(st.lists(st.integers(0, 49), max_size=130), st.booleans())
def test_query_names_the_same_windows_as_memorizing(tokens: list[int], at_start: bool) -> None:
    cues = HashedEncoder(CONFIG).query([np.array(tokens, np.int64)], at_start)
    hashes, filled = cues.values, cues.filled
    known = [len(tokens) >= window for window in CONFIG.windows]
    assert filled[0].tolist() == [known[0] or at_start, *known[1:]]
    assert hashes[0, filled[0]].tolist() == reference_of(CONFIG).keys.keys(list(tokens), begins=at_start)


def test_names_keep_bank_order_and_give_the_hash_back() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 5000, dtype=np.uint64)
    found = associate(hashes, rng.integers(0, 1000, 5000).astype(np.uint32))
    assert np.array_equal(found.hashes, hashes)
    for banks in (1, 3, 1000):
        bank = bank_of(hashes, banks)
        assert np.array_equal(bank, ((hashes >> np.uint64(32)).astype(object) * banks // 2**32).astype(np.int64))
        assert (np.diff(bank_of(np.sort(found.names), banks)) >= 0).all()
        for edge in range(banks):
            inside = (found.names >= bank_edge(edge, banks)) & (found.names.astype(object) < bank_edge(edge + 1, banks))
            assert np.array_equal(np.flatnonzero(inside), np.flatnonzero(bank == edge))
            if edge > 5:
                break
