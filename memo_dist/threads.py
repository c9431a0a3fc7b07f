"""Threads: the same question of several things, answered on all processors of this process.

Covers: work of NumPy and of compiled kernels, which let other threads run meanwhile. Does not cover: work of many
processes (cluster).
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_MOST = 4  # each takes memory for what it is at
Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_threads(function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """function(item) of each, in order.

    Raises:
        Whatever the function raises; of several, what the first item's raised.
    """
    with ThreadPoolExecutor(min(_MOST, len(os.sched_getaffinity(0)))) as pool:
        return list(pool.map(function, items))
