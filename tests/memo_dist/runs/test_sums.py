"""Sums of runs: one pass adds up sorted, counted runs as sorts and sums do, and as a Counter.

Covers: kernels.runs.sum_runs, ledger.summed. Does not cover: counting and merging in memory (test_ledger.py),
runs in files (test_run_file.py).
"""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memo_dist.errors import CountOverflowError, NotMemorizedError
from memo_dist.kernels.runs import sum_runs
from memo_dist.models.text.ledger import _MAX_COUNT, NO_ENTRIES, Entries, _grouped, summed

Counts = dict[tuple[int, int], int]
TOP = 2**64
#: A few names, so that most are repeated; those of one upper half; names at either end.
name = st.one_of(
    st.sampled_from([0, 1, 2**32, 2**63, TOP - 1]),
    st.integers(0, 40).map(lambda low: (7 << 40) + low),
    st.integers(0, TOP - 1),
)
count = st.one_of(st.integers(-3, 3), st.sampled_from([_MAX_COUNT, -_MAX_COUNT]))


def one_token(of: int) -> int:
    """The token of a name, so that no two share one."""
    return of % 1000


runs_without_clash = st.lists(
    st.dictionaries(name.map(lambda n: (n, one_token(n))), count.filter(bool), max_size=30), max_size=6
)
runs_with_clashes = st.lists(
    st.dictionaries(st.tuples(name, st.integers(0, 2)), count.filter(bool), max_size=30), max_size=6
)


def entries(counts: Counts) -> Entries:
    """A run: sorted, with signed counts."""
    rows = sorted(counts)
    names, tokens = zip(*rows, strict=True) if rows else ((), ())
    return Entries(
        np.array(names, np.uint64), np.array(tokens, np.uint32), np.array([counts[row] for row in rows], np.int64)
    )


def joined(runs: list[Entries]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = [NO_ENTRIES, *runs]
    names, tokens = (np.concatenate([getattr(run, name) for run in columns]) for name in ("names", "tokens"))
    return names, tokens, np.concatenate([np.zeros(0, np.int64), *(run.counts for run in runs)])


def room(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.empty(size, np.uint64), np.empty(size, np.uint32), np.empty(size, np.int64)


def plain(names: np.ndarray, tokens: np.ndarray, counts: np.ndarray) -> list[list[int]]:
    """The sum by sorts, without what comes to 0."""
    whole = _grouped(names, tokens, counts, presorted=False)
    stays = whole.counts != 0
    return [column[stays].tolist() for column in (whole.names, whole.tokens, whole.counts)]


def true_sum(runs: list[Counts]) -> Counts:
    total = Counter[tuple[int, int]]()
    for run in runs:
        for row, times in run.items():
            total[row] += times
    return {row: times for row, times in total.items() if times}


@settings(deadline=None, max_examples=200)
@given(runs_without_clash)
def test_one_pass_adds_up_like_sorts_and_sums(runs: list[Counts]) -> None:
    columns = joined([entries(run) for run in runs])
    to = room(len(columns[0]))
    distinct = sum_runs(*columns, *to)
    assert distinct >= 0
    found = [column[:distinct].tolist() for column in to]
    truth = true_sum(runs)
    assert found == plain(*columns)
    assert dict(zip(zip(*found[:2], strict=True), found[2], strict=True)) == truth
    assert list(zip(*found[:2], strict=True)) == sorted(truth)


@settings(deadline=None, max_examples=200)
@given(runs_with_clashes)
@example([{(5, 0): 1}, {(5, 1): 1}])
@example([{(5, 0): 1, (5, 1): 2}, {(5, 0): -1, (5, 1): 1}])
@example([{(5, 0): 1}, {(5, 0): -1}])
@example([{(5, 0): 1}, {(5, 0): -2}])
@example([{(5, 0): _MAX_COUNT}, {(5, 0): 1}])
def test_runs_are_summed_whatever_shares_a_name(runs: list[Counts]) -> None:
    """The kernel says where two tokens share one, and sorts are asked instead; counts out of range are refused."""
    parts, truth = [entries(run) for run in runs], true_sum(runs)
    columns = joined(parts)
    rows = {row for run in runs for row in run}
    shared = len({name for name, _ in rows}) < len(rows)
    assert (sum_runs(*columns, *room(len(columns[0]))) < 0) == shared
    if any(times < 0 for times in truth.values()):
        with pytest.raises(NotMemorizedError):
            summed(parts)
        return
    if any(times > _MAX_COUNT for times in truth.values()):
        with pytest.raises(CountOverflowError):
            summed(parts)
        return
    found = summed(parts)
    assert (found.names.dtype, found.tokens.dtype, found.counts.dtype) == (np.uint64, np.uint32, np.uint32)
    held = list(zip(found.names.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True))
    assert held == [(*row, truth[row]) for row in sorted(truth)]


def test_nothing_is_nothing() -> None:
    assert len(summed([])) == len(summed([entries({})])) == len(summed([entries({}), entries({})])) == 0


def test_many_rows_of_all_kinds_of_buckets() -> None:
    """Spread names; one that is in many runs, more than are sorted by insertion; many that share their high bits."""
    rng = np.random.default_rng(0)
    spread = rng.integers(0, TOP, 3000, dtype=np.uint64)
    close = (spread[0] >> np.uint64(32) << np.uint64(32)) + rng.integers(0, 2**32, 2000, dtype=np.uint64)
    runs: list[Entries] = []
    for turn in range(100):
        names = np.unique(np.concatenate([rng.choice(spread, 200), rng.choice(close, 100), spread[7:8]]))
        counts = rng.integers(-2, 3, len(names))
        counts[names == spread[7]] = 1 if turn else -3
        runs.append(Entries(names, (names % np.uint64(100_000)).astype(np.uint32), counts))
    columns = joined(runs)
    to = room(len(columns[0]))
    distinct = sum_runs(*columns, *to)
    found = [column[:distinct].tolist() for column in to]
    assert found == plain(*columns)
    assert found[2][found[0].index(int(spread[7]))] == 96
    assert 1000 < distinct < len(np.unique(columns[0]))  # some came to 0
