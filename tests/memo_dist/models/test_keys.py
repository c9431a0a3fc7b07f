"""Keys of text: the compiled pass against the plain form, which reads the text itself anew for every place.

Covers: real and made text, tokenizers of several kinds, cuts, long words and long white space. Does not cover: what is
memorized under the keys (test_contents.py).
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ReferenceKeys, ReferenceMemory

from memo_dist import TextConfig, Tokenizer
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.segments import Segment
from memo_dist.token_texts import token_texts

WINDOWS = [(4, 8, 16, 32, 64), (1,), (1, 2, 3), (3, 7, 12), (4, 6, 8, 12, 16, 24)]
ALPHABET = "aBcdeéÉßİ_09 \n\t\u00a0\u2003.,;'’\"-()…½ﬁ日本語\u0301´"


def bpe() -> Tokenizer:
    """A byte-level BPE that knows some words, so that characters of several bytes come in parts."""
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers, trainers

    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    model.train_from_iterator(["the dead end, abcde  deed \n\n  a bad 語 deed’s end "] * 50, trainer)
    return Tokenizer(model.to_str())


TOKENIZERS = {"bytes": Tokenizer.bytes(), "bpe": bpe()}


def config_of(tokenizer: Tokenizer, windows: tuple[int, ...]) -> TextConfig:
    return TextConfig(num_banks=3, vocab_size=tokenizer.vocab_size, windows=windows, seed=5)


def compiled(tokenizer: Tokenizer, windows: tuple[int, ...], segments: list[Segment]) -> list[list[int]]:
    """Keys before every position of segments."""
    found = []
    for cues, _ in HashedEncoder(config_of(tokenizer, windows), tokenizer).targets(segments):
        found += [row[full].tolist() for row, full in zip(cues.values, cues.filled, strict=True)]
    return found


def plain(tokenizer: Tokenizer, windows: tuple[int, ...], tokens: list[int]) -> list[list[int]]:
    reference = ReferenceMemory(3, tokenizer.vocab_size, windows=windows, seed=5, texts=token_texts(tokenizer))
    keys = ReferenceKeys(windows, 5)
    return [keys.keys(reference.text(tokens[:place]), begins=True) for place in range(len(tokens) + 1)]


def whole(tokens: np.ndarray) -> Segment:
    return Segment(0, tokens[:0], tokens, True)


texts = st.one_of(
    st.text(st.sampled_from(ALPHABET), max_size=120),
    st.lists(
        st.sampled_from(["the", "dead", " ", "  ", "\n", ".", "deed", "x" * 70, " " * 70, "end"]), max_size=60
    ).map("".join),
)


@settings(max_examples=30, deadline=None)
@given(text=texts, windows=st.sampled_from(WINDOWS), name=st.sampled_from(sorted(TOKENIZERS)))
def test_keys_are_those_of_the_text(text: str, windows: tuple[int, ...], name: str) -> None:
    tokenizer = TOKENIZERS[name]
    tokens = tokenizer.encode([text])[0]
    assert compiled(tokenizer, windows, [whole(tokens)]) == plain(tokenizer, windows, tokens.tolist())


@settings(max_examples=25, deadline=None)
@given(text=texts, windows=st.sampled_from(WINDOWS), data=st.data())
def test_cuts_anywhere_change_nothing(text: str, windows: tuple[int, ...], data: st.DataObject) -> None:
    tokenizer = TOKENIZERS["bpe"]
    tokens = tokenizer.encode([text])[0]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(tokens)), max_size=4)))
    edges = [0, *cuts, len(tokens)]
    parts = [
        Segment(start, tokens[max(0, start - 4096) : start], tokens[start:stop], stop == len(tokens) and last)
        for last, start, stop in zip([False] * len(cuts) + [True], edges[:-1], edges[1:], strict=True)
    ]
    assert compiled(tokenizer, windows, parts) == compiled(tokenizer, windows, [whole(tokens)])


@pytest.mark.parametrize(
    "text",
    [
        "one two three four five" + " " * 4200 + "six seven eight nine ten eleven",
        pytest.param("a b c d e " + "x" * 5000 + " f g h i j", marks=pytest.mark.slow),
        pytest.param("one. two. " * 900, marks=pytest.mark.slow),
        ("word " * 30 + " " * 300) * 15,
        pytest.param("".join(chr(0x4E00 + i % 900) for i in range(1700)), marks=pytest.mark.slow),
    ],
    ids=["long white space", "long word", "prose", "gaps", "han"],
)
def test_keys_know_nothing_of_what_is_out_of_reach(text: str) -> None:
    """Against the plain form at places around every edge, and cut there with no more context than a segment has."""
    tokenizer, windows = TOKENIZERS["bytes"], (4, 8, 16, 32, 64)
    tokens = tokenizer.encode([text])[0]
    found = compiled(tokenizer, windows, [whole(tokens)])
    reference = ReferenceMemory(3, tokenizer.vocab_size, windows=windows, seed=5, texts=token_texts(tokenizer))
    places = [
        p for edge in (0, 64, 4096, 4160, 4200, 4223, 5010, 5074, len(tokens) - 40) for p in range(edge, edge + 20)
    ]
    for place in [p for p in places if p <= len(tokens)]:
        before = reference.text(tokens[:place].tolist())
        assert found[place] == ReferenceKeys(windows, 5).keys(before, begins=True), place
        cut = Segment(place, tokens[max(0, place - 4096) : place], tokens[place:], True)
        assert compiled(tokenizer, windows, [cut])[:3] == found[place : place + 3], place


def test_case_line_breaks_and_what_stands_before_a_prompt_change_no_key() -> None:
    tokenizer, windows = TOKENIZERS["bpe"], (4, 8)
    encoder = HashedEncoder(config_of(tokenizer, windows), tokenizer)
    asked = ["it is a dead end: a deed", "IT\nis a  DEAD\nEnd: a\tdeed", "before it is a dead end : a deed"]
    cues = encoder.query([tokens.astype(np.int64) for tokens in tokenizer.encode(asked)])
    assert cues.filled[:, 0].all()
    assert len({row.tolist()[0] for row in cues.values}) == 1
    assert len({row.tolist()[1] for row in cues.values[cues.filled[:, 1]]}) == 1


def test_the_seed_and_every_unit_and_its_place_make_a_key() -> None:
    tokenizer, windows = TOKENIZERS["bytes"], (4,)
    asked = ["a b c d", "b a c d", "a c b d", "a b d c", "a b c e", "a b c d ", "a b c d\n", "a b cd e"]
    rows = [tokens.astype(np.int64) for tokens in tokenizer.encode(asked)]
    keys = HashedEncoder(config_of(tokenizer, windows), tokenizer).query(rows).values[:, 0].tolist()
    other = TextConfig(num_banks=3, vocab_size=256, windows=windows, seed=6)
    keys += HashedEncoder(other, tokenizer).query(rows).values[:, 0].tolist()
    assert len(set(keys)) == len(keys)
