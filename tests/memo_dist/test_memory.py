"""Memory: equal to the plain reference, and promises 1, 2, 3 and 4 of the design on one process."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ReferenceMemory

from memo_dist import Memory, MemoryConfig, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.document_parts import document_key
from memo_dist.errors import ConfigError, InputError, NotMemorizedError, TokenizerError
from memo_dist.models.protocol import ShardRoom
from memo_dist.segments import Segment
from memo_dist.shard import Shard

CONFIG = TextConfig(num_banks=3, vocab_size=500, inner_dim=64)
Documents = dict[str, list[int]]

# few tokens and copied passages, so that documents share windows of every length
passages = st.lists(st.integers(0, 3), min_size=1, max_size=80)
collections = st.lists(passages, min_size=1, max_size=5).map(
    lambda p: {f"d{i}": p[i] + p[(i * 2) % len(p)] for i in range(len(p))}
)


def built(documents: Documents, config: MemoryConfig = CONFIG) -> Memory:
    memory = Memory(config)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


def batch(name: str, segments: list[tuple[str, Segment]]) -> object:
    return make_batch(segments, BatchInfo(name, name, "", ""))


def whole(tokens: list[int]) -> Segment:
    return Segment(0, np.zeros(0, np.uint32), np.array(tokens, np.uint32), True)


def test_matrices_and_ledger_equal_the_reference(documents: Documents) -> None:
    memory, reference = built(documents), ReferenceMemory(3, 500, windows=CONFIG.windows)
    for name, tokens in documents.items():
        reference.memorize(tokens, document_key(name) & 0xFFFFFFFF)
    assert memory.num_associations == len(reference.counts)
    assert np.array_equal(memory.shard.contents.matrices.cells, reference.matrices())
    for part in memory.shard.contents.ledger.parts():
        for name, token, count in zip(part.associations.hashes, part.tokens, part.counts, strict=True):
            assert reference.counts[int(name), int(token)] == count
    windows = np.array(sorted({name for name, _ in reference.anchors}), np.uint64)
    found = memory.shard.documents_at(windows)
    held = {(w, d): n for i, w in enumerate(windows.tolist()) for d, n in zip(*map(list, found.of(i)), strict=True)}
    assert held == reference.anchors


@settings(max_examples=40, deadline=None)
@given(collections, st.randoms(), st.integers(1, 200))
def test_order_and_buffering_do_not_change_a_bit(documents: Documents, random: object, buffer: int) -> None:
    expected = built(documents).digest()
    names = list(documents)
    random.shuffle(names)  # type: ignore[attr-defined]
    other = Memory(CONFIG)
    other.shard = Shard(CONFIG, range(CONFIG.num_banks), room=ShardRoom(buffer=buffer))
    for name in names:
        other.memorize(name, documents[name])
    assert other.digest() == expected


@settings(max_examples=40, deadline=None)
@given(collections, collections)
def test_forget_leaves_what_others_share(kept: Documents, gone: Documents) -> None:
    memory = built(kept)
    for name, tokens in gone.items():
        memory.memorize("x" + name, tokens)
    for name, tokens in gone.items():
        memory.forget("x" + name, tokens)
    assert memory.digest() == built(kept).digest()
    assert memory.shard.registry.num_tokens == sum(map(len, kept.values()))


@settings(max_examples=40, deadline=None)
@given(collections, collections)
def test_merge_equals_building_together(one: Documents, two: Documents) -> None:
    two = {"x" + name: tokens for name, tokens in two.items()}
    merged, other = built(one), built(two)
    before = other.digest()
    merged.merge(other)
    assert merged.digest() == built({**one, **two}).digest()
    assert other.digest() == before
    assert len(merged.shard.registry) == len(one) + len(two)


def test_digest_tells_memories_apart(documents: Documents) -> None:
    digest = built(documents).digest()
    fewer = dict(list(documents.items())[1:])
    changed = {**documents, "doc-0": [*documents["doc-0"][:-1], 499]}
    again = {**documents, "copy": documents["doc-1"]}  # the same associations, counted twice
    digests = {built(d).digest() for d in (documents, fewer, changed, again)}
    assert len(digests) == 4
    seeded = TextConfig(num_banks=3, vocab_size=500, inner_dim=64, seed=1)
    assert built(documents, seeded).digest() != digest


def test_a_batch_applied_twice_counts_once(documents: Documents) -> None:
    table = batch("b1", [(name, whole(tokens)) for name, tokens in documents.items()])
    memory = Memory(CONFIG)
    first, second = memory.memorize_batch(table), memory.memorize_batch(table)
    assert (first.fresh, second.fresh) == (True, False)
    assert first.tokens == sum(map(len, documents.values()))
    assert memory.digest() == built(documents).digest()


def test_segments_in_any_order_equal_the_document() -> None:
    tokens = np.random.default_rng(0).integers(0, 500, 400).tolist()
    ids = np.array(tokens, np.uint32)
    cuts = [0, 3, 70, 200, 400]
    segments = [Segment(a, ids[max(0, a - 64) : a], ids[a:b], b == 400) for a, b in itertools.pairwise(cuts)]
    memory = Memory(CONFIG)
    for index in (2, 0, 3, 1):
        memory.memorize_batch(batch(f"b{index}", [("a", segments[index])]))
    assert memory.digest() == built({"a": tokens}).digest()
    memory.forget("a", tokens)  # the fingerprint of the parts is that of the whole
    assert memory.digest() == Memory(CONFIG).digest()


def test_forgetting_the_unknown_changes_nothing_and_says_so(documents: Documents) -> None:
    memory = built(documents)
    digest = memory.digest()
    for name, tokens in (("unknown", [1, 2, 3]), ("doc-1", [1, 2, 3]), ("doc-2", documents["doc-1"])):
        with pytest.raises(NotMemorizedError, match=name):
            memory.forget(name, tokens)
    memory.forget("doc-1", documents["doc-1"])
    with pytest.raises(NotMemorizedError):
        memory.forget("doc-1", documents["doc-1"])
    memory.memorize("doc-1", documents["doc-1"])
    assert memory.digest() == digest


def test_merge_refuses_what_does_not_fit(documents: Documents) -> None:
    memory = built(documents)
    with pytest.raises(ConfigError, match="seed=1"):
        memory.merge(Memory(TextConfig(num_banks=3, vocab_size=500, inner_dim=64, seed=1)))
    with pytest.raises(ConfigError, match="equal documents"):
        memory.merge(built({"doc-1": [1, 2]}))


def test_bad_documents_are_refused_by_name() -> None:
    memory = built({"a": [1, 2, 3]})
    for name, tokens, says in (("a", [5], "already"), ("b", [], "empty"), ("c", [500], "500"), ("d", [-1], "-1")):
        with pytest.raises(InputError, match=says):
            memory.memorize(name, tokens)
    wrong = make_batch([("e", whole([1]))], BatchInfo("b", "b", "", "another tokenizer"))
    reading = Memory(TextConfig(num_banks=3, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    with pytest.raises(TokenizerError, match="another tokenizer"):
        reading.memorize_batch(wrong)


@pytest.mark.parametrize(
    "changes",
    [
        *({"inner_dim": 100}, {"num_banks": 0}, {"seed": -1}, {"keys": "letters"}, {"keys": None}),
        *({"windows": wrong} for wrong in ((), (0, 4), (4, 4), (8, 4), (4, 4097), [4, 8], 4, (4.0,), (True, 4))),
        {"windows": tuple(range(1, 18))},
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        TextConfig(**{"num_banks": 2, "vocab_size": 10, **changes})


@pytest.mark.parametrize("tokens", ["a text", [1.5, 2.5], [[1, 2], [3, 4]], ["1", "2"]])
def test_what_is_no_row_of_whole_numbers_is_no_document(tokens: object) -> None:
    memory = Memory(TextConfig(num_banks=2, vocab_size=50))
    digest = memory.digest()
    with pytest.raises(InputError, match=r"'x' is .*expected token ids"):
        memory.memorize("x", tokens)  # type: ignore[arg-type]  # the mistake that is tested
    assert memory.digest() == digest
