"""Fit: the fastest plan that a budget of memory allows, and refusal where there is none.

Covers: choosing a plan, refusing one. Does not cover: what a plan takes (memory_plan.py).
"""

from memo_dist.errors import BudgetError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.planning.memory_plan import MemoryPlan, plan_memory
from memo_dist.planning.processes import (
    MAX_SLICE,
    MIN_SLICE,
    SCORING_BYTES,
    SHARD_BYTES,
    SHARED_BYTES,
    SMALL_STORE_BYTES,
    STORE_BYTES,
)
from memo_dist.sizes import show_bytes

_MORE = "give more with --memory-budget, or build on more machines with --address"


def fit_plan(
    config: MemoryConfig,
    text: TextSize,
    *,
    shards: int | None,
    cpus: int,
    split_bytes: int | None,
    budget: int,
    in_process: bool = False,
    cluster: bool = True,
    tokenizer_bytes: int = 0,
    records_bytes: int = 0,
) -> MemoryPlan:
    """The fastest plan within `budget` bytes: large slices; else small ones; else with fewer processes.

    Args:
        text: what is memorized.
        shards: as asked for; None: one for each processor.
        cpus: processors; the most workers and actors and, unless `shards` says more, shards.
        split_bytes: text of the largest split; None if nothing is tokenized.
        in_process: by threads of one process, if that is within the budget.
        cluster: whether processes may be started where it is not.
        tokenizer_bytes, records_bytes: see plan_memory.

    Returns:
        The plan; the smallest of them if none fits.
    """

    def plan(processes: int, slice_rows: int, *, store: int = SMALL_STORE_BYTES, threads: bool = False) -> MemoryPlan:
        return plan_memory(
            config,
            text,
            shards=min(processes, config.num_banks) if shards is None else shards,
            mergers=processes,
            workers=0 if split_bytes is None else processes,
            split_bytes=split_bytes or 0,
            store_bytes=store,
            slice_rows=slice_rows,
            in_process=threads,
            tokenizer_bytes=tokenizer_bytes,
            records_bytes=records_bytes,
        )

    fewer = [(n, rows) for n in range(cpus, 0, -1) for rows in (MAX_SLICE, MAX_SLICE // 4, MIN_SLICE)]
    plans = [plan(*one, threads=True) for one in fewer] if in_process else []
    if cluster or not in_process:
        plans += [plan(cpus, MAX_SLICE, store=STORE_BYTES), *(plan(*one) for one in fewer)]
    return next((plan for plan in plans if plan.peak_bytes <= budget), plans[-1])


def require_experiment(config: MemoryConfig, available: int) -> None:
    """Refuse an experiment in one process that would not fit.

    Raises:
        BudgetError: with the numbers.
    """
    codes = model_of(config).recall_bytes(config)
    needed = SHARD_BYTES + SHARED_BYTES + config.num_banks * config.bank_bytes + codes + SCORING_BYTES
    if needed > available:
        raise BudgetError(
            f"the experiment would need {show_bytes(needed)}, and {show_bytes(available)} are free; take smaller "
            "dimensions, fewer layers or a smaller vocabulary"
        )


def require_budget(plan: MemoryPlan, budget: int) -> None:
    """Refuse a plan whose peak is beyond `budget` bytes.

    Raises:
        BudgetError: with the numbers, and what would fit.
    """
    if plan.peak_bytes <= budget:
        return
    smaller = "" if model_of(plan.config).has_ledger else "take a smaller --dim, or "
    raise BudgetError(f"{_needs(plan)}. The memory budget is {show_bytes(budget)}; {smaller}{_MORE}")


def _needs(plan: MemoryPlan) -> str:
    return (
        f"the build would need {show_bytes(plan.peak_bytes)}: driver {show_bytes(plan.driver_bytes)}, "
        f"{plan.workers} workers of {show_bytes(plan.worker_bytes)}, {plan.mergers} shards at a time of "
        f"{show_bytes(plan.shard_bytes)}, object store {show_bytes(plan.store_bytes)}"
    )
