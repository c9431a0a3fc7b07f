"""Joining: the tokens of a long text are those of the text tokenized as a whole, whatever tokenizer and text.

Covers: pipelines/joining.py, seams.py, long_text.py. Truth: `Tokenizer.encode` of the whole text. Pieces are made
small, so that texts of some ten thousand characters have many cuts.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers_of_all_makes import MAKES, make, mixed_text

from memo_dist import Tokenizer
from pipelines import pieces, seams
from pipelines.joining import JoinedTokens
from pipelines.long_text import LongText, bytes_of
from pipelines.seams import find_seam
from pipelines.sources import Source

PIECE, SLACK = 4096, 128


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", PIECE)
        patch.setattr(pieces, "SLACK", SLACK)
        patch.setattr(seams, "LOOKOUTS", (211, 421, 2521, 15121))  # the ends of two probes: more than a BERT word apart
        yield


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    return {name: make(name) for name in MAKES}


def joined(text: str, tokenizer: Tokenizer) -> np.ndarray:
    long = LongText.of(text)
    return JoinedTokens(long, tokenizer).tokens(0, pieces.piece_count(long.size))


def ideographs(seed: int, count: int) -> str:
    return "".join(map(chr, np.random.default_rng(seed).integers(0x4E00, 0x9000, count)))


@pytest.mark.parametrize("name", MAKES)
@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), breaks=st.booleans())
def test_long_texts_have_the_tokens_of_the_whole(
    tokenizers: dict[str, Tokenizer], name: str, seed: int, breaks: bool
) -> None:
    # rounding decides on Unigram's spelling of a long word; whole words must end near a cut
    text = mixed_text(seed, 6 * PIECE, 20 if name in ("Metaspace, Unigram", "words") else 200)
    text = text if breaks else text.replace("\r", "").replace("\n", " ")
    assert np.array_equal(joined(text, tokenizers[name]), tokenizers[name].encode([text])[0])


RNG = np.random.default_rng(4)
HARD = {
    "ideographs": ideographs(1, 9000),
    "indented code": "".join(" " * (i % 9 * 4) + f"value_{i} = [{i}]\n" + "\n" * (i % 4) for i in range(1500)),
    "a run of spaces over two cuts": "some words " * 300 + " " * 9000 + "and after it " * 900,
    "runs of spaces": "".join("word" + " " * int(n) for n in RNG.integers(1, 900, 60)),
    "blank lines": "line\n" * 700 + "\n" * 3000 + "    line\n" * 700,
    "digits": "".join(RNG.choice(list("0123456789"), 14000)),
    "one word of two letters in turn": "x" + "ab" * 8000,
    "one letter": "a " + "a" * 15000,
    "one word of four letters": "".join(RNG.choice(list("acgt"), 15000)),
    "characters of four bytes": "\N{GRINNING FACE}" * 4000 + "é" * 3000,
    "carriage returns": "one\r\ntwo\r\n\r\n    three\r\n" * 900,
}
# texts that are one unknown word to a tokenizer are cut, and their spelling is lost anyway; which of the equally good
# spellings of a run Unigram takes follows from rounding
BYTES_KEPT = [name for name in MAKES if name not in ("Metaspace, Unigram", "WordPiece", "words")]


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("name", BYTES_KEPT)
def test_texts_in_which_tokenizers_are_slow_to_fall_into_step(
    tokenizers: dict[str, Tokenizer], name: str, kind: str
) -> None:
    assert np.array_equal(joined(HARD[kind], tokenizers[name]), tokenizers[name].encode([HARD[kind]])[0])


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("name", MAKES)
def test_the_tokens_before_a_piece_are_those_of_the_piece_before(
    tokenizers: dict[str, Tokenizer], name: str, kind: str
) -> None:
    """Whether they are made from a seam within it, or from all of it."""
    long = LongText.of(HARD[kind])
    whole = JoinedTokens(long, tokenizers[name])
    for piece in range(1, pieces.piece_count(long.size), 3):
        tokens = whole.tokens(piece - 1, piece)
        before = JoinedTokens(long, tokenizers[name]).before(piece, 20)
        assert before[-len(tokens) :].tolist() == tokens[-20:].tolist()


def test_cutting_alone_gives_other_tokens(tokenizers: dict[str, Tokenizer]) -> None:
    """The tests above can fail."""
    for name in MAKES:
        text, tokenizer = mixed_text(5, 6 * PIECE), tokenizers[name]
        long = LongText.of(text)
        edges = [long.edge(piece) for piece in range(pieces.piece_count(long.size) + 1)]
        parts = tokenizer.encode([long.text(a, b) for a, b in itertools.pairwise(edges)])
        same = np.array_equal(np.concatenate(parts), tokenizer.encode([text])[0])
        assert not same or name == "WordPiece", name  # to which white space is nothing


@pytest.mark.parametrize("name", ["byte-level BPE", "byte fallback", "byte-level BPE, one word"])
def test_a_piece_begins_at_the_byte_that_is_said_and_has_the_tokens_of_the_text_before_it(
    tokenizers: dict[str, Tokenizer], name: str
) -> None:
    text, tokenizer = mixed_text(7, 8 * PIECE), tokenizers[name]
    ids, places = tokenizer.encode_with_places(text)
    long = LongText.of(text)
    count = pieces.piece_count(long.size)
    taken = 0
    for piece in range(count):
        alone = JoinedTokens(LongText.of(text), tokenizer)  # as another split would see it
        start = len(text[: places[taken - 1][1]].encode()) if taken else 0
        assert alone.start(piece) == start
        assert abs(start - long.edge(piece)) <= PIECE // 4
        for length in (1, 64, 3000, 10**9):
            assert alone.before(piece, length).tolist() == ids[max(0, taken - length) : taken].tolist()
        taken += len(alone.tokens(piece, piece + 1))
    assert taken == len(ids)


def test_a_context_may_reach_back_over_several_pieces(tokenizers: dict[str, Tokenizer]) -> None:
    text, tokenizer = "word " * 20 + " " * (3 * PIECE) + mixed_text(2, 2 * PIECE), tokenizers["byte-level BPE"]
    long = LongText.of(text)
    ids = tokenizer.encode([text])[0]
    join = JoinedTokens(long, tokenizer)
    own = len(join.tokens(3, pieces.piece_count(long.size)))
    reach = len(join.tokens(1, 3)) + 30
    assert reach < PIECE // 10
    assert np.array_equal(join.before(3, reach), ids[: len(ids) - own][-reach:])


def test_a_run_longer_than_any_look_out_is_cut_where_the_rule_says(tokenizers: dict[str, Tokenizer]) -> None:
    text, tokenizer = "words " + " " * 90_000 + "and after", tokenizers["byte-level BPE"]
    long = LongText.of(text)
    piece = pieces.piece_count(long.size) // 2
    assert find_seam(long, long.edge(piece), tokenizer) == seams.cut_at(long.edge(piece))
    assert tokenizer.decode(joined(text, tokenizer).tolist()) == text


def test_a_file_is_read_on_as_far_as_its_tokens_need(tmp_path: Path, tokenizers: dict[str, Tokenizer]) -> None:
    text, tokenizer = HARD["a run of spaces over two cuts"], tokenizers["byte-level BPE"]
    (tmp_path / "a.txt").write_bytes(text.encode())
    source = Source("a.txt", str(tmp_path / "a.txt"), "text", None, len(text.encode()))
    whole = JoinedTokens(LongText.of(text), tokenizer)
    for piece in range(pieces.piece_count(source.size)):
        start = piece * PIECE
        part = LongText(source.size, source.read(start, min(source.size, start + PIECE)), start, source)
        assert np.array_equal(JoinedTokens(part, tokenizer).tokens(piece, piece + 1), whole.tokens(piece, piece + 1))


fragments = [b"word ", "é".encode(), b"\xff", b"\xe2\x82", "漢".encode(), b"\xf0\x9f\x98"]
broken = st.lists(st.sampled_from(fragments), max_size=9)


@given(broken.map(b"".join))
def test_characters_that_were_replaced_are_as_many_bytes_as_they_were(data: bytes) -> None:
    text = data.decode(errors="replace")
    places = [bytes_of(data, count) for count in range(len(text) + 1)]
    assert places == sorted(places)
    assert places[-1] == len(data)
    for count, place in enumerate(places):
        assert data[:place].decode(errors="replace") == text[:count]
        assert data[place:].decode(errors="replace") == text[count:]
