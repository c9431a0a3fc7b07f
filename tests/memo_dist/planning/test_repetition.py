"""How a text repeats itself, measured, against counting everything.

Covers: repetition.py. Does not cover: what follows from it for recall (test_capacity.py).
"""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest

from memo_dist import Memory, TextConfig
from memo_dist.models.repetition import Repetition, unrepeated
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.planning.repetition import _distinct_of, _part, _targets, measure_repetition
from memo_dist.planning.typical import TYPICAL
from memo_dist.segments import NO_TOKENS, Segment

CONFIG = TextConfig(num_banks=1, vocab_size=200, windows=(2, 4, 8))
ENCODER = HashedEncoder(CONFIG)


def loops(documents: int, seed: int = 0) -> list[np.ndarray]:
    """Documents of phrases from one small stock, so that windows go on in several ways."""
    rng = np.random.default_rng(seed)
    stock = [rng.integers(0, 200, rng.integers(2, 9)) for _ in range(120)]
    return [np.concatenate([stock[i] for i in rng.integers(0, len(stock), 60)]) for _ in range(documents)]


def memory_of(pieces: list[np.ndarray]) -> Memory:
    memory = Memory(CONFIG)
    for index, piece in enumerate(pieces):
        memory.memorize(str(index), piece)
    return memory


def test_associations_are_those_that_a_memory_holds() -> None:
    pieces = loops(40)
    found = measure_repetition(pieces, ENCODER)
    assert found.tokens == sum(map(len, pieces))
    assert found.associations(found.tokens) == pytest.approx(memory_of(pieces).num_associations, rel=1e-3)


def test_distinct_names_are_counted() -> None:
    rng = np.random.default_rng(0)
    for size in (0, 1, 2, 7, 5000):
        names = rng.integers(0, 1 + size // 2, size).astype(np.uint64)
        assert _distinct_of(names).tolist() == sorted(set(names.tolist()))


def test_contexts_are_counted_as_by_hand() -> None:
    pieces = loops(20)
    follows: list[dict[tuple[int, ...], Counter[int]]] = [defaultdict(Counter) for _ in CONFIG.windows]
    places = []
    for piece in pieces:
        line = [*piece.tolist(), 200]
        for at in range(1, len(line)):
            for layer, window in enumerate(CONFIG.windows):
                if at >= window:
                    follows[layer][tuple(line[at - window : at])][line[at]] += 1
            if at >= 8:
                places.append(tuple(line[at - 8 : at]))
    counts = np.array([[len(follows[i][p[-w:]]) for i, w in enumerate(CONFIG.windows)] for p in places])
    whole = [follows[2][p] for p in places]
    chance = np.mean([c.total() / max(c.values()) / len(c) for c in whole])
    found = measure_repetition(pieces, ENCODER)
    tolerance = 4 * np.log(counts).std(axis=0) / np.sqrt(2500)
    assert np.all(
        np.abs(found.shares @ np.log(found.following(found.tokens)) - np.log(counts).mean(axis=0)) < tolerance
    )
    assert found.shares @ found.chances == pytest.approx(chance, abs=0.02)
    asked = [[follows[i][p[-w:]] for i, w in enumerate(CONFIG.windows)] for p in places]
    decided = np.mean([[max(c.values()) / c.total() for c in row] for row in asked], axis=0)
    assert found.decided(found.tokens) == pytest.approx(decided, abs=0.02)


def test_likelihoods_are_those_of_the_associations_held() -> None:
    """Of which a memory's prior is made."""
    pieces = loops(40)
    found, memory = measure_repetition(pieces, ENCODER), memory_of(pieces)
    counts = memory.token_counts()
    assert counts is not None
    p = np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum()
    shares, relative = np.array(found.vocabulary).T
    assert shares.sum() == pytest.approx(1)
    assert shares @ np.exp(relative) == pytest.approx(1, abs=1e-3)
    assert shares @ np.exp(2 * relative) == pytest.approx((201 * p**2).sum(), rel=0.2)  # classes are a factor 4 wide
    line = np.concatenate(pieces)
    assert found.shares @ found.likely == pytest.approx(np.log(201 * p[line]).mean(), abs=0.2)


def test_more_text_decides_less() -> None:
    part, whole = measure_repetition(loops(60), ENCODER), measure_repetition(loops(400), ENCODER)
    told = part.decided(whole.tokens)
    assert np.all(told <= part.decided(part.tokens))
    assert told == pytest.approx(whole.decided(whole.tokens), abs=0.1)


def test_a_part_says_what_the_whole_will_be() -> None:
    pieces = loops(400)
    part, whole = measure_repetition(pieces[::8], ENCODER), measure_repetition(pieces, ENCODER)
    told = part.associations(whole.tokens)
    exact = whole.associations(whole.tokens)
    assert 0.95 * exact < told < 1.5 * exact  # rather too many
    assert told < 0.9 * whole.tokens * sum(part.distinct)  # without Heaps' law it would be far off
    logs = [found.shares @ np.log(found.following(whole.tokens)) for found in (part, whole)]
    assert logs[0][0] == pytest.approx(logs[1][0], abs=0.5)


def test_random_tokens_do_not_repeat_themselves() -> None:
    config = TextConfig(num_banks=1, vocab_size=30_000)
    rng = np.random.default_rng(0)
    found = measure_repetition([rng.integers(0, 30_000, 5000) for _ in range(20)], HashedEncoder(config))
    assert found.associations(100_000) > 0.98 * 500_000
    assert found.following(100_000).max() < 1.1
    assert found.associations(10**12) <= 5e12


@pytest.mark.parametrize("pieces", [[], [[]], [[1]], [[1, 2, 3]], [[5] * 100]])
def test_tiny_texts_have_an_answer(pieces: list[list[int]]) -> None:
    found = measure_repetition([np.array(piece) for piece in pieces], ENCODER)
    assert 0 < found.associations(1000) <= 3000
    assert np.all(found.following(1000) >= 1)
    assert found.shares.sum() == pytest.approx(1)


def test_a_limit_looks_at_pieces_from_all_over() -> None:
    pieces = loops(100)
    tokens = sum(map(len, pieces))
    assert measure_repetition(pieces, ENCODER, limit=tokens // 4).tokens < tokens // 3
    assert measure_repetition(pieces, ENCODER, limit=2 * tokens) == measure_repetition(pieces, ENCODER)


def test_it_survives_json() -> None:
    found = measure_repetition(loops(5), ENCODER)
    again = Repetition.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert isinstance(again, Repetition)


def test_what_is_typical_lies_between_bounds() -> None:
    for tokens in (10**6, 10**9, 10**12):
        assert tokens < TYPICAL.associations(tokens) < unrepeated(5).associations(tokens) == 5 * tokens
        assert np.all(np.diff(TYPICAL.following(tokens), axis=1) <= 0)


def test_a_part_of_the_targets_is_those_of_a_part_of_the_pieces() -> None:
    rng = np.random.default_rng(3)
    segments = [Segment(0, NO_TOKENS, rng.integers(0, 200, n).astype(np.uint32), True) for n in (1, 70, 3, 9, 40, 2, 8)]
    shares = _targets(segments[:3], ENCODER) + _targets(segments[3:], ENCODER)
    part, plain = _part(shares, segments), _targets(segments[::4], ENCODER)
    for found, expected in zip(zip(*part, strict=True), zip(*plain, strict=True), strict=True):
        assert np.array_equal(np.concatenate(found), np.concatenate(expected))
