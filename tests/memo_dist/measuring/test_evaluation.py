"""Sampling, ceiling and rank statistics against brute force; prompts that stop inside a token."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.errors import ConfigError
from memo_dist.measuring.evaluation import area_under_curve, evaluate
from memo_dist.measuring.sampling import sample_positions
from memo_dist.measuring.verbatim import verbatim
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from memo_dist.segments import Segment

CONFIG = TextConfig(num_banks=30, vocab_size=6)


def table(documents: dict[str, list[int]], step: int = 10**6) -> pa.Table:
    """Documents as one batch, cut into segments of `step` tokens."""
    segments = []
    for name, tokens in documents.items():
        ids = np.array(tokens, np.uint32)
        for at in range(0, len(ids), step):
            context, run = ids[max(0, at - CONFIG.context_length) : at], ids[at : at + step]
            segments.append((name, Segment(at, context, run, at + step >= len(ids))))
    return make_batch(segments, BatchInfo("b", "b", "", ""))


@pytest.fixture
def few_words() -> dict[str, list[int]]:
    """Documents of six token ids that share a passage of 70, after which they go on differently."""
    rng = np.random.default_rng(0)
    shared = rng.integers(0, 6, 70).tolist()
    return {f"d{i}": rng.integers(0, 6, 60).tolist() + shared + rng.integers(0, 6, 99).tolist() for i in range(10)}


def windows_of(tokens: list[int], place: int) -> list[tuple[int, ...]]:
    """The windows that are full before a place; where none is, what the document begins by, marked as that."""
    full = [tuple(tokens[place - window : place]) for window in CONFIG.windows if window <= place]
    return full or [(-1, *tokens[:place])]


def test_ceiling_and_recall_equal_brute_force(few_words: dict[str, list[int]]) -> None:
    """All positions are sampled, so the ceiling is that of the best table of what keys read.

    Keys read the longest window that is full; it answers with what follows it anywhere, also inside a longer one."""
    memory = Memory(CONFIG)
    following: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    asked = []
    for name, tokens in few_words.items():
        memory.memorize(name, tokens)
        for place, token in enumerate([*tokens, CONFIG.end_of_document]):
            full = [w for w in CONFIG.windows if w <= place]
            for window in full or [CONFIG.windows[0]]:
                key = (*([-1] * (window - place)), *tokens[max(0, place - window) : place])
                following[key][token] += 1
            asked.append(key)
    asked = [key for at, key in enumerate(asked) if (at + 1) % 230]  # the ends of documents are not sampled
    positions = sum(map(len, few_words.values()))
    best = float(np.mean([max(following[key].values()) / following[key].total() for key in asked]))
    found = evaluate(
        memory,
        lambda: [table(few_words, 37)],
        tokens=positions,
        associations=memory.num_associations,
        sample=10**5,
        prompts=0,
    )
    assert found.positions == positions
    assert found.ceiling == pytest.approx(best)
    assert best < 1
    assert found.exact == pytest.approx(best)
    assert found.exact_full_context == pytest.approx(found.ceiling_full_context)
    assert best - 0.03 < found.recall <= best + 1e-9
    assert found.recall_full_context > 0.97


def test_unseen_text_that_was_seen_tells_nothing(few_words: dict[str, list[int]]) -> None:
    memory = Memory(CONFIG)
    for name, tokens in few_words.items():
        memory.memorize(name, tokens)
    short = {"short": [1, 2]}
    for unseen in (few_words, short):
        found = evaluate(
            memory,
            lambda: [table(few_words, 37)],
            tokens=100,
            associations=100,
            unseen=lambda unseen=unseen: [table(unseen, 37)],
            sample=50,
            prompts=0,
        )
        assert (found.unseen_positions, found.unseen_abstained, found.confidence_auc) == (0, None, None)
        assert found.recall > 0.9


def test_a_sample_does_not_depend_on_the_batches(few_words: dict[str, list[int]]) -> None:
    whole = sample_positions([table(few_words)], CONFIG, 50, before=64)
    assert len(whole) == 50
    backwards = dict(reversed(few_words.items()))
    parts = [table({name: tokens}) for name, tokens in backwards.items()]
    assert np.array_equal(whole.lines, sample_positions(parts, CONFIG, 50, before=64).lines)
    full = sample_positions([table(few_words)], CONFIG, 10**5, before=64, after=5, full=True)
    assert len(full) == sum(len(t) - 64 - 5 + 1 for t in few_words.values())
    assert (full.lines >= 0).all()


def test_area_under_curve_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    high, low = rng.integers(0, 10, 50), rng.integers(0, 8, 70)
    pairs = [(a > b) + 0.5 * (a == b) for a in high for b in low]
    assert area_under_curve(high, low) == pytest.approx(np.mean(pairs))


def merging_tokenizer() -> Tokenizer:
    """Bytes, and one merge: " b" is a token, so a prompt that stops after the space is cut inside it."""
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers

    model = Model.from_str(Tokenizer.bytes().definition)
    vocabulary = {**model.get_vocab(), "\u0120b": 256}
    model.model = models.BPE(vocab=vocabulary, merges=[("\u0120", "b")])
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    return Tokenizer(model.to_str())


def test_a_prompt_that_stops_inside_a_token_is_healed() -> None:
    tokenizer = merging_tokenizer()
    memory = Memory(TextConfig(num_banks=8, vocab_size=257), tokenizer)
    text = "the quick fox, and then the quick badger, and nothing else in the world to be told"
    memory.memorize("a", tokenizer.encode([text])[0])
    prompts = [text[:34], text[:35], text[:33]]  # "... quick ", "... quick b", "... quick"
    assert prompts[0].endswith("quick ")
    answers = Session(memory, tokenizer).recall(prompts, RecallOptions(max_tokens=10))
    for prompt, answer in zip(prompts, answers, strict=True):
        assert answer.text
        assert text.startswith(prompt + answer.text)
    assert [a.healed for a in answers] == [1, 0, 0]


def test_healing_never_contradicts_the_prompt() -> None:
    tokenizer = merging_tokenizer()
    memory = Memory(TextConfig(num_banks=8, vocab_size=257), tokenizer)
    memory.memorize("a", tokenizer.encode(["the quick fox, and then the quick badger, and nothing else"])[0])
    (answer,) = Session(memory, tokenizer).recall(["fox, and then the quick z"], RecallOptions(max_tokens=10))
    assert answer.text == ""
    assert answer.stop == "abstained"


def test_verbatim_takes_the_lengths_given(few_words: dict[str, list[int]]) -> None:
    memory = Memory(CONFIG)
    for name, tokens in few_words.items():
        memory.memorize(name, tokens)
    session = Session(memory)
    asked = [5, 16, 5, CONFIG.context_length + 1]
    found = verbatim(session, lambda: [table(few_words)], prompts=20, lengths=asked)
    assert list(found.prompts) == list(found.exact) == list(found.matrices) == [5, 16]
    assert found.prompts[16] == 20
    assert found.exact[16] == 1.0
    assert verbatim(session, lambda: [table(few_words)], prompts=0, lengths=asked).prompts == {}
    with pytest.raises(ConfigError, match=r"\[0, 8\]"):
        verbatim(session, lambda: [table(few_words)], prompts=20, lengths=[0, 8])
