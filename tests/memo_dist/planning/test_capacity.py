"""The capacity law against brute force: banks filled with random associations, every token ranked.

Covers: models/text/law.py and planning/capacity.py. Does not cover: what a text is like (test_repetition.py).
"""

import numpy as np
import pytest
from reference import expanded

from memo_dist import Memory, TextConfig
from memo_dist.models.repetition import Repetition, TextSize, unrepeated
from memo_dist.models.text.associations import Associations, associate
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.bit_planes import noise_factor, quantize
from memo_dist.models.text.capacity import with_banks_for
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.law import first_probability, noise_covariance
from memo_dist.planning.capacity import predicted_recall

VOCAB, BANKS = 2000, 24
QUERIES = 3000


def brute_force(load: int, following: tuple[int, ...], bits: int = 16, dim: int = 256) -> tuple[float, float]:
    """Share of contexts whose first candidate is the one that follows all windows, and its standard error.

    Each context has a window of its own in every layer; what follows a longer one follows the shorter ones.
    """
    rng = np.random.default_rng(load + sum(following) + bits)
    config = TextConfig(num_banks=BANKS, vocab_size=VOCAB, inner_dim=dim, num_layers=len(following))
    asked = min(QUERIES, BANKS * load // (2 * sum(following)))
    windows = rng.integers(0, 2**64, (asked, len(following)), dtype=np.uint64)
    tokens = np.argsort(rng.random((asked, VOCAB)), axis=1)[:, : following[0]]  # of each, the first n_l in layer l
    own = [(np.repeat(windows[:, i], n), tokens[:, :n].ravel()) for i, n in enumerate(following)]
    rest = BANKS * load - sum(len(t) for _, t in own)
    own.append((rng.integers(0, 2**64, rest, dtype=np.uint64), rng.integers(0, VOCAB, rest)))
    made = associate(np.concatenate([w for w, _ in own]), np.concatenate([t for _, t in own]).astype(np.uint32))
    order = np.argsort(made.names)
    banks = BankRange(config, range(BANKS), value_words(VOCAB, dim, 0))
    banks.memorize(Associations(made.names[order], made.tokens[order]))
    if bits < 16:
        for bank in range(BANKS):
            planes, scale = quantize(banks.store.read(bank, bank + 1)[0], bits)
            banks.store.fill(bank, np.rint(expanded(planes) * scale).astype(np.int16))
    reads = banks.retrieve(windows.ravel()).reshape(asked, len(following), dim)
    best = HashedCleanup(config).rank(reads, np.ones((asked, len(following)), bool)).tokens
    share = float((best[:, 0] == tokens[:, 0]).mean())
    return share, float(np.sqrt(share * (1 - share) / asked))


CASES = [
    (3000, (1,), 16),
    (3500, (1, 1), 16),
    (6500, (1, 1, 1), 16),
    (9000, (1, 1, 1), 16),
    (6500, (30, 1, 1), 16),  # its own cross-talk
    (5000, (300, 1, 1), 16),
    (6500, (5, 5, 1), 16),  # rivals that only the longest window tells
    (4000, (1, 1, 1), 1),
    (5500, (10, 2, 1), 2),
]


@pytest.mark.parametrize(("load", "following", "bits"), CASES)
def test_the_law_is_what_brute_force_finds(load: int, following: tuple[int, ...], bits: int) -> None:
    measured, error = brute_force(load, following, bits)
    law = first_probability(
        load, tuple(map(float, following)), inner_dim=256, vocab_size=VOCAB, noise=noise_factor(bits)
    )
    assert 0.3 < measured < 0.999  # else the case says nothing
    assert abs(law - measured) < 3 * error + 0.004


def test_other_dimensions() -> None:
    measured, error = brute_force(1500, (1, 1, 1), dim=128)
    assert abs(first_probability(1500, (1.0, 1.0, 1.0), inner_dim=128, vocab_size=VOCAB) - measured) < 3 * error + 0.01


def test_noise_of_a_window_without_company_is_that_of_random_keys() -> None:
    spread = noise_covariance(1000, np.array([1.0, 1.0]), 256)
    assert spread[0, 0] == pytest.approx(999 / 256**2 + 1 / 256)
    assert spread[0, 1] == pytest.approx(1 / 256)  # the token's own value, in both layers
    few_bits = noise_covariance(1000, np.array([1.0, 1.0]), 256, noise=1.5)
    assert few_bits[0, 0] - spread[0, 0] == pytest.approx(500 / 256**2)


def test_recall_falls_with_load_with_rivals_and_with_company() -> None:
    def at(load: float, *following: float) -> float:
        return first_probability(load, following, inner_dim=256, vocab_size=32_000)

    assert at(3000, 1, 1, 1) > at(4000, 1, 1, 1) > at(5000, 1, 1, 1)
    assert at(4000, 1, 1, 1) > at(4000, 10, 1, 1) > at(4000, 1000, 1, 1)
    assert at(4000, 10, 1, 1) > at(4000, 10, 10, 1)
    assert at(4000, 1) < at(4000, 1, 1) < at(4000, 1, 1, 1)


def test_a_real_memory_of_random_tokens() -> None:
    rng = np.random.default_rng(0)
    vocab, tokens, load = 2000, 16_000, 6000
    document = rng.integers(0, vocab, tokens)
    memory = Memory(TextConfig(num_banks=3 * tokens // load, vocab_size=vocab))
    memory.memorize("a", document)
    places = rng.integers(64, tokens, 4000)
    answers = memory.retrieve([document[p - 64 : p] for p in places])
    measured = (answers.tokens[:, 0] == document[places]).mean()
    law = predicted_recall(memory.config, TextSize(tokens, 1), memory.num_associations)
    assert abs(law - measured) < 0.012


def test_beginnings_of_documents_count() -> None:
    config = TextConfig(num_banks=100, vocab_size=32_000)
    long, short = (predicted_recall(config, TextSize(133_333, documents), 400_000) for documents in (1, 2000))
    only_first = first_probability(4000, (1.0,), inner_dim=256, vocab_size=32_000)
    two = first_probability(4000, (1.0, 1.0), inner_dim=256, vocab_size=32_000)
    all_short = predicted_recall(config, TextSize(133_333, 133_333), 400_000)
    assert long > short > all_short == pytest.approx(only_first)
    share = (64 - 16) * 2000 / 133_333
    first = 16 * 2000 / 133_333
    whole = first_probability(4000, (1.0, 1.0, 1.0), inner_dim=256, vocab_size=32_000)
    assert short == pytest.approx(first * only_first + share * two + (1 - first - share) * whole)


def test_banks_are_the_fewest_that_reach_the_target() -> None:
    text = Repetition(
        10_000, (0.6, 0.8, 0.9), (0.9, 1.0, 1.0), (0.1, 0.0, 0.0), ((0.9, 1, 1, 1, 1), (0.1, 0.8, 9, 3, 2))
    )
    for repetition, noise in ((text, 1.0), (unrepeated(3), 1.0), (text, noise_factor(1))):
        config = TextConfig(num_banks=1, vocab_size=1000)
        found = with_banks_for(config, 0.98, TextSize(50_000, 10, repetition), noise=noise)
        associations = repetition.associations(50_000)
        most = predicted_recall(config, TextSize(50_000, 10, repetition), 0.0)

        def recall(banks: int, held: float = associations, text: Repetition = repetition, f: float = noise) -> float:
            return predicted_recall(
                TextConfig(num_banks=banks, vocab_size=1000), TextSize(50_000, 10, text), held, noise=f
            )

        assert recall(found.num_banks) >= 0.98 * most > recall(found.num_banks - 1)
