"""Room on the disk, before a command begins.

Covers: refusing a plan. Does not cover: what a plan takes (memo_dist/planning), a disk that fills up meanwhile, which
is told when it is written to (memo_dist/durable.py).
"""

import shutil
from pathlib import Path

from memo_dist.errors import StorageError
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.sizes import show_bytes


def require_disk(directory: Path, plan: MemoryPlan) -> None:
    """Refuse a plan that the disk has no room for.

    Raises:
        StorageError: with the numbers.
    """
    free = _free_bytes(directory)
    if free < plan.disk_bytes + plan.run_bytes:
        raise StorageError(
            f"{directory.parent} has {show_bytes(free)} free; the memory will take {show_bytes(plan.disk_bytes)}, and "
            f"{show_bytes(plan.run_bytes)} more until it is written. Make room or choose another --out"
        )


def _free_bytes(directory: Path) -> int:
    return shutil.disk_usage(directory).free
