"""Batcher: whatever waits is answered together as soon as the one worker is free.

Covers: micro-batching on an asyncio loop, dropping what nobody waits for any more. Does not cover: the work.

Ray Serve's own `serve.batch` closes a batch after a fixed wait, before a worker is free: with no wait a busy replica
answers one at a time, with one every lone request pays it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")
Reply = TypeVar("Reply")


class Batcher(Generic[Question, Reply]):
    """Calls `work` on lists of questions, one list at a time, in a thread.

    Args:
        work: gives one reply for each question, in order; where it raises, each question of that list is tried alone.
        most: the weight of a list of questions; a question that weighs more goes alone.
        weigh: gives the weight of a question.
    """

    def __init__(
        self,
        work: Callable[[list[Question]], list[Reply]],
        most: int,
        weigh: Callable[[Question], int] = lambda question: 1,
    ) -> None:
        self._work, self._most, self._weigh = work, most, weigh
        self._waiting: deque[tuple[Question, asyncio.Future[Reply]]] = deque()
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Reply:
        """The reply; cancelling this drops a question that is still waiting."""
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            batch: list[tuple[Question, asyncio.Future[Reply]]] = []
            left = self._most
            while self._waiting and (not batch or self._weigh(self._waiting[0][0]) <= left):
                question, future = self._waiting.popleft()
                if not future.cancelled():
                    batch.append((question, future))
                    left -= self._weigh(question)
            if batch:
                await self._settle(batch)

    async def _settle(self, batch: list[tuple[Question, "asyncio.Future[Reply]"]]) -> None:
        try:
            replies = await asyncio.to_thread(self._work, [question for question, _ in batch])
        except Exception as error:  # whatever the work raises goes to who asked, never to the loop
            if len(batch) > 1:  # the fault of one is no other's
                for one in batch:
                    if not one[1].done():
                        await self._settle([one])
            elif not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        for (_, future), reply in zip(batch, replies, strict=True):
            if not future.done():
                future.set_result(reply)
