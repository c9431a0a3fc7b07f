"""The capacity law against brute force: banks filled with random associations, every token ranked.

Covers: models/text/law.py and planning/capacity.py. Does not cover: what a text is like (test_repetition.py).
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reference import expanded
from tokenizers import Tokenizer as Model
from tokenizers import decoders, models, pre_tokenizers, trainers

from memo_dist import Memory, TextConfig
from memo_dist.models import encoder_for
from memo_dist.models.repetition import Answered, Repetition, TextSize, unrepeated
from memo_dist.models.text.associations import Associations, associate
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.bit_planes import noise_factor, quantize
from memo_dist.models.text.capacity import _least, with_banks_for
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.law import Likelihoods, first_probabilities, first_probability, noise_covariance
from memo_dist.planning.capacity import answered_lengths, lengths_told, predicted_recall
from memo_dist.planning.repetition import measure_repetition
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer

VOCAB, BANKS = 2000, 24
QUERIES = 3000


def brute_force(
    load: int, following: tuple[int, ...], bits: int = 16, dim: int = 256, *, p: np.ndarray | None = None
) -> tuple[float, float]:
    """Share of contexts whose first candidate is the one that follows all windows, and its standard error.

    Each context has a window of its own in every layer; what follows a longer one follows the shorter ones. Tokens are
    drawn by p, (V,), of which cleanup knows; None: evenly, and it does not.
    """
    rng = np.random.default_rng(load + sum(following) + bits)
    config = TextConfig(num_banks=BANKS, vocab_size=VOCAB, inner_dim=dim, windows=(4, 8, 16)[: len(following)])
    asked = min(QUERIES, BANKS * load // (2 * sum(following)))
    windows = rng.integers(0, 2**64, (asked, len(following)), dtype=np.uint64)
    # of each, the first n_l in layer l: drawn without replacement, by exponential races
    tokens = np.argsort(rng.exponential(size=(asked, VOCAB)) / (1 if p is None else p), axis=1)[:, : following[0]]
    own = [(np.repeat(windows[:, i], n), tokens[:, :n].ravel()) for i, n in enumerate(following)]
    rest = BANKS * load - sum(len(t) for _, t in own)
    own.append((rng.integers(0, 2**64, rest, dtype=np.uint64), rng.choice(VOCAB, rest, p=p)))
    made = associate(np.concatenate([w for w, _ in own]), np.concatenate([t for _, t in own]).astype(np.uint32))
    order = np.argsort(made.names)
    banks = BankRange(config, range(BANKS), value_words(VOCAB, dim, 0))
    banks.memorize(Associations(made.names[order], made.tokens[order]))
    if bits < 16:
        for bank in range(BANKS):
            planes, scale = quantize(banks.store.read(bank, bank + 1)[0], bits)
            banks.store.fill(bank, np.rint(expanded(planes) * scale).astype(np.int16))
    reads = banks.retrieve(windows.ravel()).reshape(asked, len(following), dim)
    prior = None if p is None else np.bincount(np.concatenate([t for _, t in own]), minlength=VOCAB + 1)
    best = (
        HashedCleanup(config, HashedEncoder(config), prior=prior)
        .rank(reads, np.ones((asked, len(following)), bool))
        .tokens
    )
    share = float((best[:, 0] == tokens[:, 0]).mean())
    return share, float(np.sqrt(share * (1 - share) / asked))


CASES = [
    (3000, (1,), 16),
    pytest.param(3500, (1, 1), 16, marks=pytest.mark.slow),
    pytest.param(6500, (1, 1, 1), 16, marks=pytest.mark.slow),
    (9000, (1, 1, 1), 16),
    (6500, (30, 1, 1), 16),  # its own cross-talk
    pytest.param(5000, (300, 1, 1), 16, marks=pytest.mark.slow),
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


@pytest.mark.parametrize(
    ("load", "following"),
    [
        (2500, (1,)),
        pytest.param(6000, (1, 1), marks=pytest.mark.slow),
        pytest.param(9000, (1, 1, 1), marks=pytest.mark.slow),
        (16_000, (1, 1, 1, 1, 1)),
        pytest.param(
            8000,
            (30, 1, 1),
            marks=pytest.mark.xfail(
                strict=True, reason="where 29 others share a short window the law is .03 too low: .846, measured .877"
            ),
        ),
        (7000, (6, 5, 1)),
    ],
)
def test_the_law_knows_how_likely_tokens_are(load: int, following: tuple[int, ...]) -> None:
    p = 1 / np.arange(1, VOCAB + 1)
    p /= p.sum()
    measured, error = brute_force(load, following, p=p)
    classes = np.round(np.log2(p))
    kinds, count = np.unique(classes, return_counts=True)
    log_p = tuple(float(np.log(p[classes == kind].mean())) for kind in kinds)
    tokens = Likelihoods(tuple(count.tolist()), log_p)
    found = first_probabilities(load, tuple(map(float, following)), inner_dim=256, tokens=tokens, own=log_p)
    law = sum(p[classes == kind].sum() * first for kind, first in zip(kinds, found, strict=True))
    blind = first_probability(load, tuple(map(float, following)), inner_dim=256, vocab_size=VOCAB)
    assert 0.3 < measured < 0.999
    assert abs(law - measured) < 3 * error + 0.006
    assert measured > blind + 0.02  # what the prior is worth


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
    memory = Memory(TextConfig(num_banks=3 * tokens // load, vocab_size=vocab, windows=(4, 16, 64)))
    memory.memorize("a", document)
    places = rng.integers(64, tokens, 4000)
    answers = memory.retrieve([document[p - 64 : p] for p in places])
    measured = (answers.tokens[:, 0] == document[places]).mean()
    law = predicted_recall(memory.config, TextSize(tokens, 1), memory.num_associations)
    assert abs(law - measured) < 0.012


def zipf_text(tokens: int, vocab: int, seed: int = 0) -> list[np.ndarray]:
    """Documents of made phrases, whose tokens have Zipf's frequencies; phrases come again, so that windows go on in
    several ways."""
    rng, p = np.random.default_rng(seed), 1 / np.arange(1, vocab + 1)
    line = rng.choice(vocab, 2 * tokens, p=p / p.sum())
    starts, sizes = rng.integers(0, tokens, tokens // 20), rng.integers(5, 40, tokens // 20)
    phrases = [line[a : a + n] for a, n in zip(starts, sizes, strict=True)]
    return np.array_split(np.concatenate(phrases), 8)


@pytest.mark.parametrize("parameters", [30, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("windows", [(2, 4, 8), pytest.param((2, 3, 4, 8, 16), marks=pytest.mark.slow)])
def test_the_law_says_what_each_length_of_prompt_is_answered(parameters: int, windows: tuple[int, ...]) -> None:
    """A memory of made text, from its repetition as it is measured, for every number of windows that a prompt fills."""
    pieces, vocab = zipf_text(60_000, 4000), 4000
    tokens = sum(map(len, pieces))
    memory = Memory(TextConfig(num_banks=parameters * tokens // 256**2, vocab_size=vocab, windows=windows))
    for index, piece in enumerate(pieces):
        memory.memorize(str(index), piece)
    text = TextSize(tokens, len(pieces), measure_repetition(pieces, memory.encoder))
    told = answered_lengths(memory.config, text, memory.num_associations)
    rng, largest = np.random.default_rng(1), windows[-1]
    places = [(piece, at) for piece in pieces for at in rng.integers(largest, len(piece), 400)]
    truth = np.array([piece[at] for piece, at in places])
    for one in told:
        best = memory.retrieve([piece[at - one.window : at] for piece, at in places]).tokens[:, 0]
        measured, error = (best == truth).mean(), np.sqrt(0.25 / len(truth))
        assert abs(one.matrices - measured) < 3 * error + 0.03
        assert one.matrices <= one.exact
    assert predicted_recall(memory.config, text, memory.num_associations) >= told[-1].matrices


@pytest.mark.slow
def test_the_law_holds_for_real_text() -> None:
    """Sources of the standard library, keys of text, as a build measures and sizes them."""
    texts = [path.read_text() for path in sorted(Path(argparse.__file__).parent.glob("*.py"))[:60]]
    tokenizer = trained(texts)
    documents = tokenizer.encode(texts)
    tokens = sum(map(len, documents))
    shape = TextConfig(num_banks=1, vocab_size=tokenizer.vocab_size)
    text = TextSize(tokens, len(documents), measure_repetition(documents, encoder_for(shape, tokenizer)))
    for target in (0.95, 0.99):
        memory = Memory(with_banks_for(shape, target, text), tokenizer)
        for index, document in enumerate(documents):
            memory.memorize(str(index), document)
        segments = [Segment(0, NO_TOKENS, document.astype(np.uint32), True) for document in documents]
        cues, truth = zip(*memory.encoder.targets(segments), strict=True)
        filled = np.concatenate([c.filled for c in cues])
        whole = np.random.default_rng(0).permutation(np.flatnonzero(filled.all(axis=1)))[:4000]
        values, following = np.concatenate([c.values for c in cues])[whole], np.concatenate(truth)[whole]
        reads = memory.read(values.ravel()).reshape(*values.shape, -1)
        right = (memory.cleanup.rank(reads, filled[whole]).tokens[:, 0] == following).mean()
        told = answered_lengths(memory.config, text, memory.num_associations)[-1]
        assert abs(right - told.matrices) < 0.012


def trained(texts: list[str]) -> Tokenizer:
    """A byte-level BPE of 4,000 tokens."""
    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    model.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=4000, initial_alphabet=alphabet))
    return Tokenizer(model.to_str())


def test_prompts_are_told_in_words() -> None:
    lengths = [Answered(4, 0.613, 0.4), Answered(8, 0.93, 0.8049), Answered(16, 1.0, 0.9934)]
    assert lengths_told(lengths) == (
        "the next token after 4 / 8 / 16 units is right in .61 / .93 / 1 exactly, .40 / .80 / .993 from its matrices"
    )
    assert "exactly" not in lengths_told(lengths, exactly=False)


def test_banks_are_the_fewest_that_reach_the_target() -> None:
    text = Repetition(
        tokens=10_000,
        distinct=(0.6, 0.8, 0.9),
        growth=(0.9, 1.0, 1.0),
        spread=(0.1, 0.0, 0.0),
        missed=(0.2, 0.1, 0.0),
        missing=(0.1, 0.0, 0.0),
        vocabulary=((0.99, -0.5), (0.01, 3.0)),
        contexts=((0.5, 1, -0.5, 1, 1, 1), (0.4, 1, 3, 1, 1, 1), (0.1, 0.8, 3, 9, 3, 2)),
    )
    config = TextConfig(num_banks=1, vocab_size=1000, windows=(4, 16, 64))
    for repetition, noise in ((text, 1.0), (unrepeated(3), 1.0), (text, noise_factor(1))):
        found = with_banks_for(config, 0.98, TextSize(50_000, 10, repetition), noise=noise)
        associations = repetition.associations(50_000)
        most = predicted_recall(config, TextSize(50_000, 10, repetition), 0.0)

        def recall(banks: int, held: float = associations, text: Repetition = repetition, f: float = noise) -> float:
            return predicted_recall(replace(config, num_banks=banks), TextSize(50_000, 10, text), held, noise=f)

        assert recall(found.num_banks) >= 0.98 * most > recall(found.num_banks - 1)


@pytest.mark.parametrize("most", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize("guess", [1, 7, 44, 10**6])
def test_the_search_finds_what_looking_at_each_finds(guess: int, most: int) -> None:
    """Whatever the shape of what falls, and wherever the search begins."""
    falling = [lambda n, k=k: math.log(k / n) for k in (0.5, 1, 1.5, 44, 45.1, 999, 5000)]
    falling += [lambda n: 40 - 0.9 * n, lambda n: 1.0, lambda n: -1.0, lambda n: 27.0 if n < 700 else -1e-9 * n]
    for lacking in falling:
        plain = next((n for n in range(1, most) if lacking(n) <= 0), most)
        assert _least(lacking, guess, most) == plain
