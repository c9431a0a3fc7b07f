"""Scores of given tokens, against asking the memory place by place."""

import numpy as np
import pytest

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.scoring import score_tokens


def test_every_token_is_scored_as_if_asked_alone() -> None:
    rng = np.random.default_rng(0)
    text = rng.integers(0, 300, 900)
    memory = Memory(TextConfig(num_banks=6, vocab_size=300, inner_dim=128))
    memory.memorize("a", text)
    given = np.concatenate([text[100:230], rng.integers(0, 300, 30), text[400:450]])
    found = score_tokens(Lookup(memory), given, 3)
    assert [one.token for one in found] == given.tolist()
    assert [one.score for one in found[:4]] == [None] * 4
    for place in range(4, len(given)):
        alone = memory.retrieve([given[:place]])
        ranked = dict(zip(alone.tokens[0].tolist(), alone.log_odds[0].tolist(), strict=True))
        assert [other.token for other in found[place].alternatives][:1] == alone.tokens[0, :1].tolist()
        if given[place] in ranked:
            assert found[place].score == pytest.approx(ranked[int(given[place])])


def test_known_text_scores_high_and_foreign_text_low() -> None:
    rng = np.random.default_rng(1)
    text = rng.integers(0, 300, 900)
    memory = Memory(TextConfig(num_banks=12, vocab_size=300, inner_dim=128))
    memory.memorize("a", text)
    known = score_tokens(Lookup(memory), text[100:250], 0)
    foreign = score_tokens(Lookup(memory), rng.integers(0, 300, 150), 0)
    assert min(one.score for one in known[64:] if one.score is not None) > 0
    assert max(one.score for one in foreign[4:] if one.score is not None) < 0
    assert all(one.alternatives == [] for one in known)


def test_texts_shorter_than_a_window_have_no_scores() -> None:
    memory = Memory(TextConfig(num_banks=2, vocab_size=50, inner_dim=128))
    for count in range(5):
        found = score_tokens(Lookup(memory), np.arange(count), 2)
        assert [one.score for one in found] == [None] * count


def test_a_text_is_scored_from_where_it_fills_the_shortest_window() -> None:
    """Four words, not four bytes."""
    text = "a tale of two cities and of the people that lived in them"
    memory = Memory(TextConfig(num_banks=8, vocab_size=256), Tokenizer.bytes())
    memory.memorize("a", list(text.encode()))
    given = text[7:]  # "of two cities and of ..."
    found = score_tokens(Lookup(memory), np.array(list(given.encode())), 0)
    whole = given.index("nd of")  # the fourth word has begun
    assert [one.score is None for one in found] == [place < whole for place in range(len(found))]
    assert min(one.score for one in found[whole:] if one.score is not None) > 0
