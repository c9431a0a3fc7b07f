"""Encoder, a contract: the cue after a context names what was memorized there, however the text was cut.

Covers: encoders of both models, of text with a tokenizer and without, and every composition, against
tests/reference.py. Does not cover: what the cues are answered by (test_readers.py, test_contents.py), tokenizers and
texts of many kinds (memo_dist/models/test_keys.py).
"""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from contracts.configs import BLANK, CONFIGS, OPAQUE, is_text
from contracts.makers import encoders, reference_of, segment
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import reference_key

from memo_dist import MemoryConfig
from memo_dist.models import encoder_for
from memo_dist.models.cues import Cues, Encoder, Reader
from memo_dist.models.paper import encoder as paper_encoder
from memo_dist.models.text import encoder as text_encoder
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.followers import Followers
from memo_dist.segments import Segment

CASES = [(model, name) for model, config in CONFIGS.items() for name in encoders(config)]
ROUNDING = 1e-5  # of float32 keys, whose entries are about 1 / sqrt(d)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}, {case[1]}")
def encoder(request: pytest.FixtureRequest) -> Encoder:
    model, name = request.param
    return encoders(CONFIGS[model])[name]


def tokens_of(size: int, seed: int = 0) -> list[int]:
    return np.random.default_rng(seed).integers(0, 40, size).tolist()


def all_targets(encoder: Encoder, segments: list[Segment]) -> tuple[Cues, list[int]]:
    """The cues and next tokens of every position, put together."""
    chunks = list(encoder.targets(segments))
    values = np.concatenate([np.asarray(cues.values) for cues, _ in chunks])
    return Cues(values, np.concatenate([cues.filled for cues, _ in chunks])), [
        int(token) for _, following in chunks for token in following
    ]


def full_windows(config: MemoryConfig, line: list[int], at_start: bool) -> list[bool]:
    """Which windows are full after some tokens."""
    if is_text(config):
        reference = reference_of(config)
        full = len(reference.keys.keys(reference.text(line), begins=at_start))
        return [rung < full for rung in range(config.num_layers)]
    return [len(line) >= window or (layer == 0 and at_start) for layer, window in enumerate(config.windows)]


def agree(config: MemoryConfig, left: Cues, right: Cues) -> bool:
    """Whether cues ask the same: equal hashes of filled windows, or keys within rounding."""
    if not np.array_equal(left.filled, right.filled):
        return False
    if is_text(config):
        return np.array_equal(left.values[left.filled], right.values[right.filled])
    return bool(np.allclose(left.values, right.values, rtol=0, atol=ROUNDING))


def same_as_reference(config: MemoryConfig, cue: Cues, line: Sequence[int]) -> bool:
    """One cue against the equations, after a document that begins by `line`."""
    filled = np.flatnonzero(cue.filled[0]).tolist()
    if not is_text(config):
        return bool(np.allclose(cue.values[0], reference_key(config, list(line), filled), rtol=0, atol=ROUNDING))
    reference = reference_of(config)
    keys = reference.keys.keys(reference.text(list(line)), begins=True)
    return cue.values[0, filled].tolist() == keys


def test_a_query_asks_what_was_memorized_after_every_prefix(encoder: Encoder) -> None:
    tokens = tokens_of(75)
    memorized, following = all_targets(encoder, [segment(tokens)])
    asked = encoder.query([np.array(tokens[:end]) for end in range(len(tokens) + 1)], at_start=True)
    assert following == [*tokens, encoder.config.end_of_document]
    assert len(memorized) == len(asked) == 76
    assert agree(encoder.config, memorized, asked)


def test_cues_are_those_of_the_equations(encoder: Encoder) -> None:
    tokens = tokens_of(70, seed=1)
    memorized, _ = all_targets(encoder, [segment(tokens)])
    for end in (0, 1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 40, 63, 64, 65, 70):
        assert same_as_reference(encoder.config, memorized[end : end + 1], tokens[:end]), end
        assert not same_as_reference(encoder.config, memorized[end : end + 1], [*tokens[:end], 1])


def test_windows_are_full_once_the_document_is_long_enough(encoder: Encoder) -> None:
    config, sizes = encoder.config, (0, 1, 2, 3, 4, 8, 9, 15, 16, 63, 64, 65, 200)
    contexts = [np.array(tokens_of(size), np.int64) for size in sizes]
    for at_start in (False, True):
        asked = encoder.query(contexts, at_start)
        assert asked.filled.dtype == bool
        assert asked.filled.tolist() == [full_windows(config, tokens_of(size), at_start) for size in sizes]
        for row in asked.filled.tolist():
            assert row == sorted(row, reverse=True)  # a prefix of the windows
    tokens = tokens_of(70)
    memorized, _ = all_targets(encoder, [segment(tokens)])
    assert memorized.filled.tolist() == [full_windows(config, tokens[:size], True) for size in range(71)]
    assert memorized.filled.any(axis=0).all()


def test_each_context_of_a_query_may_begin_a_document_or_not(encoder: Encoder) -> None:
    contexts = [np.array([1, 2]), np.array([1, 2]), np.array(tokens_of(20))]
    at_start = np.array([True, False, False])
    together = encoder.query(contexts, at_start)
    for row, context in enumerate(contexts):
        alone = encoder.query([context], bool(at_start[row]))
        assert agree(encoder.config, together[row : row + 1], alone)


def longest_window(config: MemoryConfig) -> list[int]:
    """Tokens that fill the longest window, and no more; with a tokenizer the first is a unit by itself."""
    tail = tokens_of(400, seed=4)
    reference = reference_of(config)
    if not is_text(config) or not reference.texts:
        return tail[: config.windows[-1]]
    lines = ([OPAQUE[0], *tail[:size]] for size in range(400))
    return next(line for line in lines if len(reference.keys.keys(reference.text(line), False)) == config.num_layers)


def test_only_the_longest_window_of_a_context_counts(encoder: Encoder) -> None:
    """Tokens before it change nothing, whatever they are; one inside it does."""
    tail = longest_window(encoder.config)
    plain = encoder.query([np.array(tail)])
    longer = encoder.query([np.array(tokens_of(50, seed=5) + tail)])
    other = encoder.query([np.array([OPAQUE[1] if tail[0] == OPAQUE[0] else (tail[0] + 1) % 40, *tail[1:]])])
    assert plain.filled.all()
    assert agree(encoder.config, plain, longer)
    assert not agree(encoder.config, plain, other)


def test_the_last_tokens_fill_fewer_windows_with_the_same(encoder: Encoder) -> None:
    if not isinstance(encoder, HashedEncoder):
        pytest.skip("a cue of the model paper is the sum of all its windows")
    rng = np.random.default_rng(3)
    contexts = [rng.integers(0, 40, size).astype(np.int64) for size in (*range(8), 20, 90, *[60] * 40)]
    contexts += [np.array([*tokens_of(90), *[BLANK] * blank, 3, 1, 2], np.int64) for blank in (1, 70, 4200)]
    starts = rng.integers(0, 2, len(contexts)).astype(bool)
    whole, most = encoder.query(contexts, starts), 0
    for near in (1, 2, 3, 5, 12, 30, 4300):
        some = encoder.query_near(contexts, near, starts)
        assert (some.filled <= whole.filled).all()
        assert np.array_equal(some.values[some.filled], whole.values[some.filled])
        short = np.array([len(context) <= near for context in contexts])
        assert np.array_equal(some.filled[short], whole.filled[short])
        assert some.filled.sum() >= most
        most = some.filled.sum()
    assert most == whole.filled.sum()


def test_order_within_a_window_matters(encoder: Encoder) -> None:
    tokens = list(range(encoder.config.windows[0]))
    one, two = (encoder.query([np.array(line)]) for line in (tokens, tokens[::-1]))
    assert not agree(encoder.config, one, two)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_cuts_into_segments_and_chunks_change_nothing(encoder: Encoder, data: st.DataObject) -> None:
    tokens = tokens_of(data.draw(st.integers(1, 150)), seed=data.draw(st.integers(0, 99)))
    cuts = data.draw(st.lists(st.integers(0, len(tokens)), max_size=5))
    edges = sorted({0, len(tokens), *cuts})
    parts = [segment(tokens, start, stop) for start, stop in itertools.pairwise(edges)]  # inside words, too
    whole, following = all_targets(encoder, [segment(tokens)])
    with pytest.MonkeyPatch.context() as patch:
        chunk = data.draw(st.sampled_from([1, 7, 64]))
        patch.setattr(text_encoder, "_CHUNK", chunk)
        patch.setattr(paper_encoder, "ENCODED_AT_ONCE", chunk)
        cut, cut_following = all_targets(encoder, parts)
    assert cut_following == following
    assert agree(encoder.config, cut, whole)


def test_windows_never_cross_documents(encoder: Encoder) -> None:
    one, two = tokens_of(70, seed=6), tokens_of(30, seed=7)
    together, following = all_targets(encoder, [segment(one), segment(two)])
    for rows, tokens in ((slice(0, 71), one), (slice(71, 102), two)):
        alone, alone_following = all_targets(encoder, [segment(tokens)])
        assert following[rows] == alone_following
        assert agree(encoder.config, together[rows], alone)


def test_a_segment_that_does_not_end_its_document_has_no_end(encoder: Encoder) -> None:
    tokens = tokens_of(20)
    _, following = all_targets(encoder, [segment(tokens, 5, 12)])
    assert following == tokens[5:12]
    _, last = all_targets(encoder, [segment(tokens, 20, 20)])
    assert last == [encoder.config.end_of_document]


def test_nothing_asked_is_no_cue(encoder: Encoder) -> None:
    assert list(encoder.targets([])) == []
    asked = encoder.query([])
    assert len(asked) == 0
    assert asked.filled.shape == (0, encoder.config.num_layers)
    assert encoder.query([np.array([1, 2, 3, 4])]).values.shape[1:] == asked.values.shape[1:]


@pytest.mark.parametrize("blank", [60, 64, 65, 4090, 4100, 9000])
def test_long_white_space_is_read_no_further_than_anyone_reads(encoder: Encoder, blank: int) -> None:
    """Cut anywhere around it, a segment's context says all that its keys know."""
    if not is_text(encoder.config):
        pytest.skip("white space means nothing to the model paper")
    config, reference, reach = encoder.config, reference_of(encoder.config), encoder.config.context_length
    tokens = [*tokens_of(90), *[BLANK] * blank, *tokens_of(90, seed=1)]
    whole, _ = all_targets(encoder, [segment(tokens)])
    for edge in {0, 60, 64, 65, 90, 4090, 4096, 4186, blank + 90, blank + 91, blank + 120}:
        for place in range(edge, min(edge + 4, len(tokens))):
            ids = np.array(tokens, np.uint32)
            cut = Segment(place, ids[max(0, place - reach) : place], ids[place:], True)
            found = next(iter(encoder.targets([cut])))[0][:1]
            assert agree(config, found, whole[place : place + 1]), place
            if reference.texts is None:  # read for every place anew, which takes a while
                continue
            assert whole.values[place, whole.filled[place]].tolist() == reference.keys.keys(
                reference.text(tokens[:place]), begins=True
            )


class Echo:
    """A reader that answers each cue by a vector that tells it, and remembers what it was asked."""

    def __init__(self, config: MemoryConfig) -> None:
        self.config, self.asked = config, np.zeros(0)
        self.encoder, self.has_ledger = encoder_for(config), False

    def read(self, cues: np.ndarray) -> np.ndarray:
        self.asked = cues.copy()
        return np.array([[self.tell(cue)] * self.config.inner_dim for cue in cues]).astype(self.config.vector_type)

    def followers(self, hashes: np.ndarray) -> Followers:
        raise AssertionError(f"{len(hashes)} windows were asked what follows them")

    def documents_at(self, hashes: np.ndarray) -> Followers:
        raise AssertionError(f"{len(hashes)} windows were asked which documents they stand in")

    def token_counts(self) -> None:
        pass

    @staticmethod
    def tell(cue: np.ndarray) -> float:
        return float(int(cue) % 1009 + 1 if cue.ndim == 0 else cue.sum())


def test_retrieve_asks_each_filled_window_once_and_puts_answers_in_place(encoder: Encoder) -> None:
    config = encoder.config
    contexts = [np.array(tokens_of(size, seed=size)) for size in (70, 4, 20, 64, 9)]
    cues, reader = encoder.query(contexts), Echo(config)
    checked: Reader = reader
    reads = encoder.retrieve(checked, cues)
    if not is_text(config):
        assert np.array_equal(reader.asked, cues.values)
        assert reads.shape == (5, 1, config.inner_dim)
        assert np.allclose(reads[:, 0, 0], cues.values.sum(axis=1))
        return
    assert (reads.shape, reads.dtype) == ((5, config.num_layers, config.inner_dim), np.int32)
    assert sorted(reader.asked.tolist()) == sorted(cues.values[cues.filled].tolist())
    for row, layer in np.ndindex(*cues.filled.shape):
        expected = Echo.tell(cues.values[row, layer]) if cues.filled[row, layer] else 0
        assert (reads[row, layer] == expected).all()
