"""Plans of memory: what fits a budget is found, the faster way first.

Covers: memo_dist/planning/{memory_plan,fit}.py. Does not cover: whether builds keep to plans (test_cluster.py).
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import PaperConfig, TextConfig
from memo_dist.errors import BudgetError, ConfigError
from memo_dist.models.repetition import TextSize
from memo_dist.planning.fit import fit_plan, require_budget
from memo_dist.planning.memory_plan import MemoryPlan, plan_memory
from memo_dist.planning.processes import MAX_SLICE, MIN_SLICE, SHARD_BYTES, WORKER_BYTES

GB = 10**9


def fitted(banks: int, budget: int, shards: int | None = None, cpus: int = 4, tokens: int = 40_000_000) -> MemoryPlan:
    config = TextConfig(num_banks=banks, vocab_size=32_000, windows=(4, 16, 64))
    return fit_plan(config, TextSize(tokens, 10_000), shards=shards, cpus=cpus, split_bytes=4 << 20, budget=budget)


@settings(deadline=None)  # a busy machine is no error
@given(
    st.integers(1, 200_000),
    st.integers(1, 64 * GB),
    st.one_of(st.none(), st.integers(1, 8)),
    st.integers(1, 16),
    st.integers(1, 10**9),
)
def test_a_plan_keeps_to_the_budget_or_is_the_smallest(
    banks: int, budget: int, shards: int | None, cpus: int, tokens: int
) -> None:
    shards = None if shards is None else min(shards, banks)
    plan = fitted(banks, budget, shards, cpus, tokens)
    assert shards is None or plan.shards == shards
    assert 1 <= plan.workers <= cpus
    if plan.peak_bytes > budget:
        assert plan == fitted(banks, 1, shards, cpus, tokens)
        with pytest.raises(BudgetError):
            require_budget(plan, budget)
        require_budget(plan, plan.peak_bytes)
    else:
        require_budget(plan, budget)


def test_large_slices_are_taken_first_then_small_ones_then_fewer_processes() -> None:
    roomy, tight, tighter = (fitted(30_000, budget) for budget in (20 * GB, 5 * GB // 2, GB))
    assert (roomy.slice_rows, roomy.mergers, roomy.workers) == (MAX_SLICE, 4, 4)
    assert (tight.mergers, tight.workers) == (4, 4)
    assert MIN_SLICE <= tight.slice_rows < MAX_SLICE
    assert 1 <= tighter.mergers == tighter.workers < 4
    assert tighter.peak_bytes <= GB < tight.peak_bytes <= 5 * GB // 2 < roomy.peak_bytes


def test_slices_are_no_smaller_for_a_text_that_seems_small() -> None:
    """It may be hundreds of times as dense as its sample; slices of what was planned would then be as many."""
    assert fitted(1, GB, tokens=5_000).slice_rows == MIN_SLICE


def test_spare_room_goes_to_the_slices() -> None:
    slices = [fitted(30_000, budget, shards=1, cpus=1).slice_rows for budget in (GB * 9 // 10, GB, 3 * GB)]
    assert slices == sorted(slices)
    assert slices[0] < slices[1] < slices[2] == MAX_SLICE


def test_the_object_store_is_large_where_there_is_room() -> None:
    assert fitted(30_000, 20 * GB).store_bytes > fitted(30_000, 4 * GB).store_bytes
    assert fitted(30_000, 4 * GB).slice_rows == MAX_SLICE  # a smaller store comes before smaller slices


def test_a_plan_does_not_grow_with_the_banks() -> None:
    """Only what waits on disk does."""
    small, large = fitted(30_000, 2 * GB), fitted(300_000, 2 * GB, tokens=400_000_000)
    assert small.peak_bytes == large.peak_bytes
    assert small.shard_bytes == large.shard_bytes
    assert large.run_bytes > 5 * small.run_bytes


def test_runs_are_made_before_they_are_merged() -> None:
    """So the two are not added up: but what workers are before they work stays."""
    config = TextConfig(num_banks=30_000, vocab_size=32_000)
    plan = plan_memory(config, TextSize(40_000_000, 1000), shards=8, mergers=3, workers=5, split_bytes=4 << 20)
    assert (plan.mergers, plan.workers, plan.shards) == (3, 5, 8)
    beside = plan.driver_bytes + plan.store_bytes
    merging = 5 * WORKER_BYTES + 3 * plan.shard_bytes
    assert plan.peak_bytes == beside + max(5 * plan.worker_bytes, merging)


def test_threads_take_what_they_hold_alone() -> None:
    config, text = TextConfig(num_banks=300, vocab_size=32_000), TextSize(400_000, 100)
    sizes = {"shards": 2, "workers": 2, "split_bytes": 1 << 20}
    threads, processes = (plan_memory(config, text, **sizes, in_process=one) for one in (True, False))
    assert processes.worker_bytes - threads.worker_bytes == WORKER_BYTES
    assert processes.shard_bytes - threads.shard_bytes == SHARD_BYTES
    assert threads.peak_bytes < processes.peak_bytes


@pytest.mark.parametrize("shards", [0, 31])
def test_more_files_than_banks_are_refused(shards: int) -> None:
    with pytest.raises(ConfigError, match=f"--shards is {shards}; expected 1 to 30"):
        plan_memory(TextConfig(num_banks=30, vocab_size=9), TextSize(9, 1), shards=shards, workers=1, split_bytes=9)


def test_the_papers_matrix_stays_in_memory() -> None:
    config = PaperConfig.of(1000, 4096, num_heads=4, num_layers=1)
    text, split = TextSize(10**6, 100), 4 << 20
    roomy = fit_plan(config, text, shards=2, cpus=2, split_bytes=split, budget=GB * 64)
    assert roomy == plan_memory(config, text, shards=2, workers=2, split_bytes=split)
    assert (roomy.mergers, roomy.run_bytes) == (2, 0)
    assert roomy.shard_bytes > config.num_banks * config.bank_bytes // 2
    plan = fit_plan(config, text, shards=None, cpus=2, split_bytes=split, budget=GB // 2)
    with pytest.raises(BudgetError, match="smaller --dim"):
        require_budget(plan, GB // 2)
