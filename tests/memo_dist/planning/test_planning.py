"""Plans of memory: what fits a budget is found, the faster way first.

Covers: memo_dist/planning/memory_plan.py. Does not cover: whether builds keep to plans (test_cluster.py).
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import PaperConfig, TextConfig
from memo_dist.errors import BudgetError
from memo_dist.models.repetition import TextSize
from memo_dist.planning.memory_plan import MemoryPlan, fit_plan, plan_memory, require_budget
from memo_dist.planning.processes import MAX_BUFFER, MIN_BUFFER

GB = 10**9


def fitted(banks: int, budget: int, shards: int | None = None, cpus: int = 4, tokens: int = 40_000_000) -> MemoryPlan:
    config = TextConfig(num_banks=banks, vocab_size=32_000)
    return fit_plan(config, TextSize(tokens, 10_000), shards=shards, cpus=cpus, unit_bytes=4 << 20, budget=budget)


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


def test_memory_is_taken_first_then_disk_then_fewer_processes() -> None:
    roomy, tight, tighter = fitted(30_000, 20 * GB), fitted(30_000, 3 * GB), fitted(30_000, 1 * GB)
    assert (roomy.out_of_core, roomy.shards, roomy.workers) == (False, 4, 4)
    assert (tight.out_of_core, tight.shards, tight.workers) == (True, 4, 4)
    assert tighter.out_of_core
    assert 1 <= tighter.shards < 4
    assert tighter.peak_bytes <= GB < tight.peak_bytes <= 3 * GB < roomy.peak_bytes


def test_spare_room_goes_to_the_buffer() -> None:
    buffers = [fitted(30_000, budget, shards=1, cpus=1).buffer for budget in (GB, GB + 10**8, 3 * GB)]
    assert MIN_BUFFER <= buffers[0] < buffers[1] < buffers[2] == MAX_BUFFER


def test_a_smaller_buffer_comes_before_banks_on_disk() -> None:
    roomy, close = (fitted(70_000, budget, tokens=100_000_000, shards=2, cpus=2) for budget in (24 * GB, 18 * GB))
    assert not roomy.out_of_core
    assert not close.out_of_core
    assert close.peak_bytes <= 18 * GB < roomy.peak_bytes
    assert close.buffer < roomy.buffer


def test_a_plan_out_of_core_does_not_grow_with_the_banks() -> None:
    small, large = fitted(30_000, 2 * GB), fitted(300_000, 2 * GB, tokens=400_000_000)
    assert small.out_of_core
    assert large.out_of_core
    assert small.shard_bytes == large.shard_bytes
    assert large.scratch_bytes > 5 * small.scratch_bytes


def test_the_papers_matrix_stays_in_memory() -> None:
    config = PaperConfig.of(1000, 4096, num_heads=4, num_layers=1)
    plan = fit_plan(config, TextSize(10**6, 100), shards=None, cpus=2, unit_bytes=4 << 20, budget=GB // 2)
    assert plan == plan_memory(config, TextSize(10**6, 100), shards=2, workers=2, unit_bytes=4 << 20)
    with pytest.raises(BudgetError, match="smaller --dim"):
        require_budget(plan, GB // 2)
