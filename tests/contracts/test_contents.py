"""Contents, a contract: what a range of banks holds is a function of the texts in it, whatever was done in what order.

Covers: contents of both models, in memory and behind a device; cells, ledger and answers against
tests/reference.py. Does not cover: documents and batches (test_memory.py), files (files/test_shard_files.py).
"""

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from contracts.configs import CONFIGS, documents_of, is_text
from contracts.holdings import anchor_counts_of, anchors_of, cells_of, counts_of, in_one, ledger_of
from contracts.makers import behind_a_device, contents, flush, owner_of, portion, reference_of, segment, segments_of
from reference import reference_matrix

from memo_dist import MemoryConfig
from memo_dist.device.backend import to_host
from memo_dist.errors import NotMemorizedError
from memo_dist.models.contents import Contents

ROUNDING = 2e-6  # of float32 sums of the model paper: |left - right| / |right|
FIRST = documents_of(seed=1, count=5)
SECOND = {**documents_of(seed=2, count=3), "shared": [7, *FIRST["1-1"]]}
Make = Callable[[range | None], Contents]
CASES = [(m, where) for m in CONFIGS for where in ("memory", "host") if where == "memory" or m[:4] == "text"]


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]} in {case[1]}")
def made(request: pytest.FixtureRequest) -> tuple[MemoryConfig, Make]:
    """A config, and how empty contents of its banks are made."""
    model, where = request.param
    config = CONFIGS[model]

    def make(banks: range | None = None) -> Contents:
        return behind_a_device(config, banks) if where == "host" else contents(config, banks)

    return config, make


def filled(make: Make, documents: dict[str, list[int]], banks: range | None = None) -> Contents:
    held = make(banks)
    for one in segments_of(documents):
        held.memorize([one])
    return held


def true_cells(config: MemoryConfig, documents: dict[str, list[int]]) -> np.ndarray:
    """(num_banks, *bank_shape) of all banks by the equations."""
    if is_text(config):
        return reference_of(config, documents).matrices()
    return reference_matrix(config, documents).reshape(config.num_banks, *config.bank_shape)


def close(config: MemoryConfig, cells: np.ndarray, truth: np.ndarray) -> bool:
    if is_text(config):
        return np.array_equal(cells, truth)
    return float(np.linalg.norm(cells - truth)) < ROUNDING * float(np.linalg.norm(true_cells(config, FIRST)))


def same(config: MemoryConfig, left: Contents, right: Contents) -> bool:
    """Equal to the bit for the model text, within rounding for paper."""
    if is_text(config):
        return np.array_equal(left.bank_digests(), right.bank_digests())
    return close(config, cells_of(left), cells_of(right).astype(float))


def test_cells_are_those_of_the_equations(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held = filled(make, FIRST)
    cells = cells_of(held)
    assert (cells.shape, cells.dtype.str) == ((config.num_banks, *config.bank_shape), config.cell_type)
    assert close(config, cells, true_cells(config, FIRST))
    assert not close(config, cells, true_cells(config, {**FIRST, "more": [1, 2, 3, 4, 5]}))


def test_the_ledger_counts_what_occurs(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held, truth = filled(make, FIRST), reference_of(config, FIRST).counts
    rows = counts_of(held)
    if is_text(config):
        assert Counter({(name, token): count for name, token, count in rows}) == truth
        anchors, known = anchor_counts_of(held), reference_of(config, FIRST).anchors
        assert len(known) > 5
        assert {(name, document): count for name, document, count in anchors} == known
        banks = [name * config.num_banks >> 64 for name, _, _ in rows]
        assert banks == sorted(banks)
        assert held.num_associations == len(rows) == len(truth)
    else:
        assert rows == []
        assert held.with_ledger is None
        assert held.num_associations == truth.total()


def test_a_range_of_banks_holds_its_share(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    whole, truth = filled(make, FIRST), true_cells(config, FIRST)
    edges = [0, 1, config.num_banks]
    parts = [filled(make, FIRST, range(*edge)) for edge in itertools.pairwise(edges)]
    for part in parts:
        assert close(config, cells_of(part), truth[part.banks.start : part.banks.stop])
    assert sum(part.num_associations for part in parts) == whole.num_associations
    assert sorted(itertools.chain(*map(counts_of, parts))) == sorted(counts_of(whole))
    assert sorted(itertools.chain(*map(anchor_counts_of, parts))) == sorted(anchor_counts_of(whole))


def test_what_was_memorized_and_forgotten_leaves_nothing(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held = filled(make, FIRST)
    for one in reversed(segments_of(FIRST)):
        held.forget([one])
    assert same(config, held, make(None))
    assert (held.num_associations, counts_of(held), anchor_counts_of(held)) == (0, [], [])


def test_forgetting_one_text_leaves_what_others_share_with_it(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held = filled(make, {**FIRST, **SECOND})
    for one in segments_of(SECOND):
        held.forget([one])
    assert same(config, held, filled(make, FIRST))
    assert close(config, cells_of(held), true_cells(config, FIRST))
    assert held.num_associations == filled(make, FIRST).num_associations


@pytest.mark.parametrize("seed", range(3))
def test_order_and_cuts_of_segments_change_nothing(made: tuple[MemoryConfig, Make], seed: int) -> None:
    config, make = made
    rng, segments = np.random.default_rng(seed), []
    for name, tokens in FIRST.items():
        edges = sorted({0, len(tokens), *rng.integers(0, len(tokens) + 1, 3).tolist()})
        owner = owner_of(name)
        segments += [segment(tokens, start, stop, owner=owner) for start, stop in itertools.pairwise(edges)]
    held = make(None)
    for some in np.array_split(rng.permutation(len(segments)), 4):
        held.memorize([segments[index] for index in some.tolist()])
        if rng.integers(2):
            flush(held)
    assert same(config, held, filled(make, FIRST))


def test_merging_is_memorizing_both(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held, other = filled(make, FIRST), filled(make, SECOND)
    before = other.bank_digests()
    held.merge(other)
    both = filled(make, {**FIRST, **SECOND})
    assert same(config, held, both)
    assert held.num_associations == both.num_associations
    assert counts_of(held) == counts_of(both)
    assert anchor_counts_of(held) == anchor_counts_of(both)
    assert np.array_equal(other.bank_digests(), before)


def test_parts_merge_into_the_whole(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held = make(None)
    for banks in (range(1, config.num_banks), range(1)):
        held.merge(filled(make, FIRST, banks))
    assert same(config, held, filled(make, FIRST))
    assert held.num_associations == filled(make, FIRST).num_associations


def test_a_ledger_is_absorbed_as_if_its_texts_were_memorized(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held, other = filled(make, FIRST), filled(make, SECOND)
    if held.with_ledger is None:
        pytest.skip("the model paper keeps no ledger")
    for part in ledger_of(other):
        held.with_ledger.absorb(part)
    for part in anchors_of(other):
        held.with_ledger.absorb_anchors(part)
    assert same(config, held, filled(make, {**FIRST, **SECOND}))


def test_what_was_read_is_restored(made: tuple[MemoryConfig, Make]) -> None:
    """In two pieces, as from two files, and it goes on afterwards."""
    config, make = made
    held, fresh = filled(make, FIRST), make(None)
    ledger = in_one(ledger_of(held))
    banks_of = [name * config.num_banks >> 64 for name in ledger.names.tolist()]
    for banks in (range(1), range(1, config.num_banks)):
        bounds = [sum(one < edge for one in banks_of) for edge in (*banks, banks.stop)]
        cells = (to_host(held.read_banks(bank, bank + 1))[0].copy() for bank in banks)
        fresh.restore(
            banks,
            bounds=[bound - bounds[0] for bound in bounds],
            held=ledger.slice(bounds[0], bounds[-1]),
            cells=cells,
            associations=held.num_associations if 0 in banks else 0,
        )
    for part in anchors_of(held):  # files give them by themselves
        assert fresh.with_ledger is not None
        fresh.with_ledger.absorb_anchors(part)
    assert np.array_equal(fresh.bank_digests(), held.bank_digests())
    assert (fresh.num_associations, counts_of(fresh)) == (held.num_associations, counts_of(held))
    for one in (held, fresh):
        one.forget(segments_of(FIRST)[:1])
        one.memorize(segments_of(SECOND))
    assert np.array_equal(fresh.bank_digests(), held.bank_digests())


def test_answers_are_plain_arithmetic(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    truth, rng = true_cells(config, FIRST), np.random.default_rng(0)
    if is_text(config):
        held_names = np.array(sorted({name for name, _ in reference_of(config, FIRST).counts}), np.uint64)
        cues = np.concatenate([held_names[::7], rng.integers(0, 2**64, 30, dtype=np.uint64)])
        reference = reference_of(config)
        expected = np.array(
            [(reference.signs(c, 0) @ truth[reference.bank(c)]) * reference.signs(c, 1) for c in cues.tolist()], float
        )
    else:
        cues = rng.standard_normal((30, config.bank_shape[0] * config.num_heads)).astype(np.float32)
        expected = cues.astype(float) @ truth.reshape(-1, config.inner_dim)
    for edges in ([0, config.num_banks], [0, 1, config.num_banks]):
        total = np.zeros((len(cues), config.inner_dim))
        for start, stop in itertools.pairwise(edges):
            rows, part = portion(config, cues, range(start, stop))
            answers = filled(make, FIRST, range(start, stop)).retrieve(part)
            assert (answers.shape, answers.dtype.str) == ((len(rows), config.inner_dim), config.vector_type)
            total[rows] += answers
        assert np.abs(total - expected).max() <= (0 if is_text(config) else 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("look", ["answer", "cells", "digests", "count"])
def test_whoever_looks_sees_what_was_deferred(made: tuple[MemoryConfig, Make], look: str) -> None:
    """Nobody need flush first."""
    config, make = made
    held, flushed = make(None), make(None)
    tokens = max(FIRST.values(), key=len)
    for one in (held, flushed):
        one.memorize([segment(tokens)])
    flush(flushed)
    flush(flushed)
    cues = held.encoder.query([np.array(tokens[:4])], at_start=True)
    asked = cues.values[:, 0] if is_text(config) else cues.values

    def seen(one: Contents) -> np.ndarray:
        if look == "answer":
            return one.retrieve(asked)
        if look == "cells":
            return cells_of(one)
        return one.bank_digests() if look == "digests" else np.array([one.num_associations])

    assert np.array_equal(seen(held), seen(flushed))
    assert not np.array_equal(seen(held), seen(make(None)))


def test_digests_name_cells_ledger_and_anchors_of_each_bank(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    held, again = filled(make, FIRST), filled(make, FIRST)
    digests = held.bank_digests()
    assert (digests.shape, digests.dtype) == ((config.num_banks, 3 if is_text(config) else 2, 16), np.uint8)
    assert np.array_equal(digests, again.bank_digests())
    again.memorize([segment([1, 2, 3])])
    changed = (again.bank_digests() != digests).any(axis=2)
    if is_text(config):
        touched = {reference_of(config).bank(name) for name, _ in reference_of(config, {"one": [1, 2, 3]}).counts}
        assert set(np.flatnonzero(changed[:, 1]).tolist()) == touched
        assert set(np.flatnonzero(changed[:, 0]).tolist()) <= touched
        assert not changed[:, 2].any()
    else:
        assert changed[:, 0].all()
        assert not changed[:, 1].any()


def test_the_ledger_refuses_to_forget_what_is_not_held(made: tuple[MemoryConfig, Make]) -> None:
    config, make = made
    if not is_text(config):
        pytest.skip("the model paper keeps no ledger and cannot know")
    held = filled(make, FIRST)

    def forget_a_stranger() -> None:
        held.forget([segment([7, 7, 7, 7, 7, 7])])
        flush(held)

    with pytest.raises(NotMemorizedError):
        forget_a_stranger()
