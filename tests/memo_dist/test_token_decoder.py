"""TokenDecoder: a continuation is exactly what stands in the text, for tokenizers of every make.

Covers: memo_dist/token_decoder.py through Tokenizer. Truth: where the characters of each token lie in the text that was
encoded, as `tokenizers` tells it.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of_all_makes import MAKES, make, mixed_text

from memo_dist import Tokenizer

LOSSLESS = ("byte-level BPE", "byte-level BPE, one word", "byte-level BPE, holes in the ids", "byte fallback")
SMILE = "\N{GRINNING FACE}"


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: make(name) for name in MAKES}


def whole_characters(places: list[tuple[int, int]], count: int) -> int:
    """How many characters of the text the first `count` tokens hold whole."""
    if not count:
        return 0
    end = places[count - 1][1]
    return min(end, places[count][0]) if count < len(places) else end


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), ends=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_continuation_is_the_text_that_follows_up_to_its_last_whole_character(
    tokenizers: dict[str, Tokenizer], name: str, seed: int, ends: tuple[float, float]
) -> None:
    tokenizer = tokenizers[name]
    text = mixed_text(seed, 150) + SMILE * 3 + " 漢字 é"
    ids, places = tokenizer.encode_with_places(text)
    first, last = sorted(round(end * len(ids)) for end in ends)
    begin, stop = whole_characters(places, first), whole_characters(places, last)
    before, tokens = ids[:first].tolist(), ids[first:last].tolist()
    assert tokenizer.continuation(before, tokens) == text[begin:stop]
    assert "".join(tokenizer.pieces(tokens, before)) == text[begin:stop]


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_character_of_several_tokens_comes_whole_with_the_last_of_them(
    tokenizers: dict[str, Tokenizer], name: str
) -> None:
    tokenizer = tokenizers[name]
    text = f"a {SMILE}{SMILE} b"
    ids, places = tokenizer.encode_with_places(text)
    pieces = tokenizer.pieces(ids.tolist())
    assert "".join(pieces) == text
    said = 0
    for count, piece in enumerate(pieces, start=1):
        assert piece == text[said : whole_characters(places, count)]
        said += len(piece)
    assert pieces.count("") >= 6  # two characters of four bytes, each a token


@pytest.mark.parametrize("name", MAKES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_pieces_of_any_ids_never_raise_and_join_to_the_decoded_text(
    tokenizers: dict[str, Tokenizer], name: str, data: st.DataObject
) -> None:
    tokenizer = tokenizers[name]
    highest = tokenizer.vocab_size - 1
    bytes_mostly = st.one_of(st.integers(0, min(300, highest)), st.integers(0, highest))
    ids = data.draw(st.lists(bytes_mostly, max_size=12))
    cut = data.draw(st.integers(0, len(ids)))
    pieces = tokenizer.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == tokenizer.decode(ids)
    following = tokenizer.pieces(ids[cut:], ids[:cut])
    assert len(following) == len(ids) - cut
    assert "".join(following) == tokenizer.continuation(ids[:cut], ids[cut:])


@pytest.mark.parametrize("name", ["Metaspace, Unigram", "byte fallback", "WordPiece", "words"])
def test_the_space_before_the_first_word_of_a_continuation_is_there(
    tokenizers: dict[str, Tokenizer], name: str
) -> None:
    tokenizer = tokenizers[name]
    ids = tokenizer.encode(["the quick fox jumps over lazy dogs"])[0].tolist()
    whole = tokenizer.decode(ids)
    for cut in range(1, len(ids)):
        before = tokenizer.decode(ids[:cut])
        assert before + tokenizer.continuation(ids[:cut], ids[cut:]) == whole


def test_ids_beyond_the_tail_do_not_matter(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["byte fallback"]
    ids = tokenizer.encode(["words " * 50 + SMILE * 200 + " and so on"])[0].tolist()
    for cut in range(400, len(ids), 7):
        assert tokenizer.continuation(ids[:cut], ids[cut:]) == tokenizer.continuation(ids[cut - 200 : cut], ids[cut:])


def test_a_tail_of_ids_without_text_is_no_beginning(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["byte fallback"]
    holes = [tokenizer.vocab_size + 1] * 10
    assert tokenizer.decode(holes) == ""
    word = tokenizer.encode(["and then"])[0].tolist()
    assert tokenizer.decode([*word, *word]) == "and then and then"
    assert tokenizer.continuation([*word, *holes], word) == " and then"


def test_the_vocabulary_reaches_to_the_highest_id(tokenizers: dict[str, Tokenizer]) -> None:
    tokenizer = tokenizers["byte-level BPE, holes in the ids"]
    ids = tokenizer.encode([mixed_text(3, 5000)])[0]
    assert int(ids.max()) >= 1000 > 600
    assert tokenizer.vocab_size > int(ids.max())
    assert tokenizer.decode([tokenizer.vocab_size - 1])
    assert np.array_equal(tokenizer.encode([tokenizer.decode(ids.tolist())])[0], ids)
