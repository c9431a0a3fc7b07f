"""Keys of windows are not linear: what found collisions of sums of symbols finds none here.

Covers: windows that collided in the edition before, a search like Wagner's at 24 bits, differences of symbols, what the
seed changes. Does not cover: that keys are those of the equations (models/test_keys.py).

The hash before was a sum, sum_j m_j s(x_j) modulo 2^64, mixed at the end. What one token adds to a sum is the same
whatever the others are, so Wagner's tree of four lists found windows with one hash in a minute.
"""

from collections.abc import Callable

import numpy as np
import pytest

from memo_dist import Memory, TextConfig
from memo_dist.models.text import keys
from memo_dist.models.text.codes import mix64
from memo_dist.models.text.encoder import HashedEncoder

#: Pairs of windows of four tokens, of a vocabulary of 32,000, that had one hash each.
COLLIDED = [
    ((22956, 12068, 14984, 25306), (31776, 24688, 18649, 21301)),
    ((7158, 7141, 26782, 24458), (19594, 20331, 11874, 17326)),
    ((15376, 13595, 18821, 8490), (11088, 11389, 10103, 29786)),
    ((3794, 19627, 18930, 7158), (31180, 29492, 860, 8926)),
    ((24065, 30152, 16430, 22504), (13428, 27636, 9026, 10902)),
    ((621, 11810, 9311, 28269), (2227, 19885, 18933, 10762)),
    ((3000, 25987, 1650, 1092), (18513, 25355, 20113, 15651)),
    ((6865, 27759, 30622, 14596), (6011, 8651, 653, 31746)),
    ((6813, 31520, 6614, 25753), (5063, 27723, 24454, 31645)),
    ((8912, 22721, 18300, 17160), (6895, 15722, 26027, 1941)),
    ((4111, 10033, 13273, 4550), (2561, 7114, 888, 7795)),
    ((19695, 4300, 18666, 26327), (25406, 4772, 21841, 20729)),
    ((27837, 29332, 26492, 15418), (20560, 31513, 6952, 31786)),
    ((28583, 23121, 27275, 3481), (5894, 25660, 28538, 20115)),
    ((11587, 12559, 5202, 15929), (3152, 31756, 14133, 10624)),
    ((23508, 31906, 18150, 9001), (26663, 10813, 13166, 13049)),
]
VOCAB, TOKENS, BITS = 32_000, 64, 24
LOW = np.uint64((1 << BITS) - 1)
Hash = Callable[[np.ndarray], np.ndarray]  # (n, 4) tokens -> (n,) uint64


def config(windows: tuple[int, ...], seed: int = 0) -> TextConfig:
    return TextConfig(num_banks=40, vocab_size=VOCAB, windows=windows, keys="tokens", seed=seed)


def keys_of(rows: np.ndarray, seed: int = 0) -> np.ndarray:
    """Of windows of four tokens."""
    return np.asarray(HashedEncoder(config((4,), seed)).query(list(rows)).values[:, 0])


def unmixed(rows: np.ndarray) -> np.ndarray:
    """Keys before their last step, which anyone can undo: a sum would lie open there."""
    x = keys_of(rows)
    x = _unshifted(x, 31) * np.uint64(pow(0x94D049BB133111EB, -1, 2**64))
    x = _unshifted(x, 27) * np.uint64(pow(0xBF58476D1CE4E5B9, -1, 2**64))
    x = _unshifted(x, 30)
    assert np.array_equal(mix64(x), keys_of(rows))
    return x


def _unshifted(x: np.ndarray, by: int) -> np.ndarray:
    """y with y ^ (y >> by) = x."""
    y = x
    for _ in range(64 // by):
        y = x ^ (y >> np.uint64(by))
    return y


def summed(rows: np.ndarray) -> np.ndarray:
    """What the edition before had: a sum of symbols."""
    symbols = mix64(np.arange(VOCAB, dtype=np.uint64) + np.uint64(77))
    factors = mix64(np.arange(4, dtype=np.uint64) + np.uint64(1000)) | np.uint64(1)
    return np.asarray((symbols[rows] * factors).sum(axis=1, dtype=np.uint64))


def predicted_pairs(hashed: Hash, xor: bool) -> tuple[np.ndarray, np.ndarray]:
    """Windows that collide in BITS bits if what a token adds to a hash, or is XORed into it, does not depend on others.

    As Wagner's lists do: what each token does at each place is taken from one window, and windows are put together
    whose changes add up to the same."""
    base = np.full((1, 4), 5)
    zero = hashed(base)
    effects = np.empty((4, TOKENS), np.uint64)
    for place in range(4):
        rows = base.repeat(TOKENS, axis=0)
        rows[:, place] = np.arange(TOKENS)
        effects[place] = hashed(rows) ^ zero if xor else hashed(rows) - zero
    windows = np.unique(np.random.default_rng(0).integers(0, TOKENS, (1 << 16, 4)), axis=0)
    parts = effects[np.arange(4), windows]
    total = np.bitwise_xor.reduce(parts, axis=1) if xor else parts.sum(axis=1, dtype=np.uint64)
    order = np.argsort(total & LOW, kind="stable")
    ordered = total[order] & LOW
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    return windows[order[same]], windows[order[same + 1]]


@pytest.mark.parametrize("xor", [False, True])
@pytest.mark.parametrize("hashed", [keys_of, unmixed])
def test_what_tokens_do_to_a_key_does_not_add_up(hashed: Hash, xor: bool) -> None:
    """Of some hundred windows that were to collide in 24 bits, none does."""
    one, other = predicted_pairs(hashed, xor)
    assert len(one) > 50
    assert not ((hashed(one) ^ hashed(other)) & LOW == 0).any()


def test_the_search_finds_every_collision_of_a_sum() -> None:
    """It can find: of the hash before, all that it says collide."""
    one, other = predicted_pairs(summed, xor=False)
    assert len(one) > 50
    assert ((summed(one) ^ summed(other)) & LOW == 0).all()


@pytest.mark.parametrize("hashed", [keys_of, pytest.param(unmixed, marks=pytest.mark.slow)])
def test_a_change_of_one_token_changes_a_key_in_its_own_way_beside_others(hashed: Hash) -> None:
    """f(a, c) - f(b, c) of 20,000 c: no difference comes more often than chance has it, in 64 bits or in 24."""
    rng = np.random.default_rng(1)
    others = np.unique(rng.integers(0, VOCAB, (20_000, 4)), axis=0)
    for place in range(4):
        rows = [others.copy(), others.copy()]
        rows[0][:, place], rows[1][:, place] = 7, 8
        rows = [np.unique(one, axis=0) for one in rows]
        one, other = (hashed(row) for row in rows)
        for change in (one - other, one ^ other):
            assert len(np.unique(change)) == len(change)
            # low bits of a product are those of its factors' low bits: only the mixer after it spreads them
            assert hashed is unmixed or repeats(change & LOW) < 40  # 12 by chance
            assert repeats(change >> np.uint64(64 - BITS)) < 40


def repeats(values: np.ndarray) -> int:
    return len(values) - len(np.unique(values))


def test_windows_that_are_alike_collide_no_more_often_than_chance() -> None:
    """All windows of 13 tokens: 28,561 keys, of which 24 of 24 bits are seen again, more or less."""
    few = np.array(np.meshgrid(*[np.arange(13)] * 4)).reshape(4, -1).T
    found = keys_of(few)
    assert len(np.unique(found)) == len(found)
    for part in (found & LOW, found >> np.uint64(64 - BITS), found >> np.uint64(20) & LOW):
        assert 4 < repeats(part) < 55


def test_windows_that_collided_before_do_not() -> None:
    one, other = (np.array([pair[side] for pair in COLLIDED]) for side in (0, 1))
    for seed in (0, 1):
        found = np.concatenate([keys_of(one, seed), keys_of(other, seed)])
        assert len(np.unique(found)) == 2 * len(COLLIDED)


def test_recall_says_nothing_after_a_context_that_was_made_to_collide() -> None:
    """Sixteen pairs make two contexts of 64 tokens, no token alike, that had one hash in every layer."""
    one, two = ([token for pair in COLLIDED for token in pair[side]] for side in (0, 1))
    memory = Memory(config((4, 16, 64)))
    memory.memorize("memorized", [*one, *np.random.default_rng(5).integers(0, VOCAB, 50).tolist()])
    assert memory.followers(memory.encoder.query([np.array(one)]).values[0]).held.all()
    assert not memory.followers(memory.encoder.query([np.array(two)]).values[0]).held.any()


def test_the_seed_changes_every_key_and_which_collide() -> None:
    rows = np.unique(np.random.default_rng(3).integers(0, TOKENS, (1 << 16, 4)), axis=0)
    one, two = keys_of(rows, 1), keys_of(rows, 2)
    assert not np.isin(one, two).any()
    for change in (one ^ two, one - two):
        assert len(np.unique(change)) == len(change)
    order = np.argsort(one & LOW, kind="stable")
    together = np.flatnonzero(np.diff((one & LOW)[order]) == 0)
    assert len(together) > 50
    assert not ((two[order[together]] ^ two[order[together + 1]]) & LOW == 0).any()


def test_every_word_of_the_seed_takes_part() -> None:
    """A key that could do without one could be made to collide whatever the seed."""
    tokenizer_free = np.random.default_rng(0).integers(0, VOCAB, 70)
    asked = [tokenizer_free[:size] for size in (1, 2, 3, 4, 9, 30, 70)]
    windows = (4, 9, 30, 64)

    def keyed(words: np.ndarray) -> np.ndarray:
        encoder = HashedEncoder(config(windows))
        encoder._words = words
        return encoder.query(asked, at_start=True).values

    words = keys.seed_words(0)
    assert len(np.unique(words)) == keys.NUM_WORDS
    before = keyed(words)
    blocks = [keys.BLOCK + level for level in range(5)]  # up to 32 units
    rungs = [keys.RUNG + rung for rung in range(1, 4)] + [keys.KEY + rung for rung in range(4)]
    for place in (keys.BEGIN, keys.TOKEN, keys.SPACE, keys.TAIL, keys.REST, *blocks, *rungs):
        changed = words.copy()
        changed[place] ^= np.uint64(1)
        assert (keyed(changed) != before).any(), place
