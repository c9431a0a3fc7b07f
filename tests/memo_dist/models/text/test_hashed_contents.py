"""HashedContents under any history: cells, ledger and anchors are those of the documents that are left.

Covers: order, cuts, flushes, merging by contents and by entries, forgetting; what digests name. Does not cover: single
steps, other ways of keeping contents (contracts/test_contents.py).
"""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from contracts.configs import CONFIGS, Documents
from contracts.holdings import anchor_counts_of, anchors_of, cells_of, counts_of, ledger_of
from contracts.makers import contents, owner_of, reference_of, segment, segments_of
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import MemoryConfig
from memo_dist.models.contents import Contents
from memo_dist.models.text import contents as text_contents
from memo_dist.models.text.contents import HashedContents
from memo_dist.segments import Segment

PASSAGES = [np.random.default_rng(seed).integers(0, 40, 45).tolist() for seed in range(4)]
#: Of a few passages and single tokens: documents share windows, and repeat them.
lines = st.lists(st.one_of(st.sampled_from(PASSAGES), st.integers(0, 39).map(lambda t: [t])), min_size=1, max_size=5)
texts = lines.map(lambda parts: [*itertools.chain(*parts)])
collections = st.dictionaries(st.sampled_from("abcdef"), texts, max_size=4)


def pieces_of(documents: Documents, data: st.DataObject) -> list[Segment]:
    """Documents cut anywhere, in any order."""
    pieces = []
    for name, tokens in documents.items():
        edges = sorted({0, len(tokens), *data.draw(st.lists(st.integers(0, len(tokens)), max_size=3))})
        pieces += [segment(tokens, a, b, owner=owner_of(name)) for a, b in itertools.pairwise(edges)]
    return data.draw(st.permutations(pieces))


def is_of(held: Contents, config: MemoryConfig, documents: Documents) -> None:
    """Cells, ledger, anchors and counts of tokens are those that the equations give these documents."""
    reference = reference_of(config, documents)
    assert Counter({(w, t): n for w, t, n in counts_of(held)}) == reference.counts
    assert Counter({(w, d): n for w, d, n in anchor_counts_of(held)}) == reference.anchors
    assert np.array_equal(cells_of(held), reference.matrices())
    fresh = contents(config)
    fresh.memorize(segments_of(documents))
    assert np.array_equal(held.bank_digests(), fresh.bank_digests())
    counted = Counter(token for _, token in reference.counts)
    tokens = held.token_counts()
    assert tokens is not None
    assert tokens.tolist() == [counted[token] for token in range(config.vocab_size + 1)]


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(["text", "text with a tokenizer", "text of tokens"]),
    kept=collections,
    gone=collections,
    parts=st.sampled_from([20, 500, 1 << 19]),
    data=st.data(),
)
def test_any_history_of_the_same_documents_gives_the_same_contents(
    name: str, kept: Documents, gone: Documents, parts: int, data: st.DataObject
) -> None:
    config = CONFIGS[name]
    others = {f"gone {n}": tokens for n, tokens in gone.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_contents, "PART_ENTRIES", parts)
        one, two = contents(config), contents(config)
        for piece in pieces_of({**kept, **others}, data):
            held = data.draw(st.sampled_from([one, two]))
            held.memorize([piece])
            if data.draw(st.booleans()):
                assert held.with_ledger is not None
                held.with_ledger.flush()
        merge = data.draw(st.sampled_from(["contents", "entries"]))
        if merge == "contents":
            one.merge(two)
        else:
            assert one.with_ledger is not None
            for part in ledger_of(two):
                one.with_ledger.absorb(part)
            for part in anchors_of(two):
                one.with_ledger.absorb_anchors(part)
        one.forget(pieces_of(others, data))
        is_of(one, config, kept)


def differences(config: MemoryConfig, one: list[Segment], other: list[Segment]) -> np.ndarray:
    """(G, 3) bool, of cells, ledger and anchors: which digests of the banks differ."""
    digests = []
    for segments in (one, other):
        held = contents(config)
        held.memorize(segments)
        digests.append(held.bank_digests())
    return np.asarray((digests[0] != digests[1]).any(axis=2))


def test_the_third_digest_of_a_bank_is_that_of_its_anchors() -> None:
    """A text under another document's name: nothing else differs, and only where it has anchors."""
    config = CONFIGS["text"]
    text = segment(PASSAGES[0] + PASSAGES[1], owner=owner_of("a"))
    changed = differences(config, [text], [replace(text, owner=owner_of("b"))])
    reference = reference_of(config, {"a": text.tokens.tolist()})
    banks = {reference.bank(window) for window, _ in reference.anchors}
    assert len(banks) > 0
    assert set(np.flatnonzero(changed[:, 2]).tolist()) == banks
    assert not changed[:, :2].any()


def test_the_digest_of_anchors_names_how_often_each_stands_there() -> None:
    config = CONFIGS["text"]
    once = segment(PASSAGES[0], owner=7)
    changed = differences(config, [once], [once, once])
    assert changed[:, 2].any()
    assert not changed[:, 0].any()


def test_what_is_asked_between_is_up_to_date() -> None:
    """Counts of tokens are kept until the ledger changes, and no longer."""
    held = contents(CONFIGS["text"])
    assert isinstance(held, HashedContents)
    for count in (1, 2):
        held.memorize([segment(PASSAGES[count], owner=count)])
        assert int(held.token_counts().sum()) == held.num_associations
    other = contents(CONFIGS["text"])
    other.memorize([segment(PASSAGES[3])])
    held.merge(other)
    assert int(held.token_counts().sum()) == held.num_associations
    held.forget([segment(PASSAGES[1], owner=1)])
    assert int(held.token_counts().sum()) == held.num_associations
