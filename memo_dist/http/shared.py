"""Shared: what takes a while to find is found once for all who ask at about the same time.

Covers: finding in a thread, keeping it for a second. Does not cover: what is found.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")
_KEPT_SECONDS = 1.0


class Shared(Generic[Found]):
    """Calls a function in a thread, at most once a second, whoever asks how often.

    Args:
        find: gives what is asked for; where it raises, whoever asked meanwhile gets that.
    """

    def __init__(self, find: Callable[[], Found]) -> None:
        self._find = find
        self._task: asyncio.Task[Found] | None = None
        self._begun = 0.0

    async def __call__(self) -> Found:
        task = self._task
        failed = task is not None and task.done() and (task.cancelled() or task.exception() is not None)
        if task is None or failed or (task.done() and time.monotonic() - self._begun > _KEPT_SECONDS):
            self._begun = time.monotonic()
            task = self._task = asyncio.create_task(asyncio.to_thread(self._find))
        return await asyncio.shield(task)
