"""Micro-batching: what waits goes together, one call at a time, errors reach only those they concern."""

import asyncio
import threading
import time

import pytest

from memo_dist.http.batcher import Batcher


def test_what_waits_is_answered_together_and_each_gets_its_own() -> None:
    batches: list[list[int]] = []
    busy = threading.Lock()

    def work(questions: list[int]) -> list[int]:
        assert busy.acquire(blocking=False)  # never two calls at a time
        batches.append(questions)
        time.sleep(0.02)
        busy.release()
        return [q * q for q in questions]

    async def everyone() -> list[int]:
        batcher: Batcher[int, int] = Batcher(work, 40)
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0.005)
        return [await first, *await asyncio.gather(*(batcher.ask(q) for q in range(1, 100)))]

    assert asyncio.run(everyone()) == [q * q for q in range(100)]
    assert [len(batch) for batch in batches] == [1, 40, 40, 19]


def test_a_lone_question_does_not_wait_for_others() -> None:
    async def lone() -> int:
        return await Batcher(lambda questions: questions, 64).ask(7)

    assert asyncio.run(lone()) == 7


def test_an_error_reaches_its_question_alone_and_the_next_is_answered() -> None:
    def work(questions: list[int]) -> list[int]:
        if 3 in questions:
            raise ValueError("three")
        return questions

    async def some() -> None:
        batcher: Batcher[int, int] = Batcher(work, 2)
        found = await asyncio.gather(*(batcher.ask(q) for q in (2, 3, 4)), return_exceptions=True)
        assert [type(one) for one in found] == [int, ValueError, int]
        assert await batcher.ask(5) == 5

    asyncio.run(some())


def test_what_nobody_waits_for_is_not_worked_on() -> None:
    seen: list[int] = []

    def work(questions: list[int]) -> list[int]:
        time.sleep(0.02)
        seen.extend(questions)
        return questions

    async def some() -> None:
        batcher: Batcher[int, int] = Batcher(work, 64)
        tasks = [asyncio.create_task(batcher.ask(q)) for q in range(5)]
        await asyncio.sleep(0.005)  # the first batch is under way
        late = [asyncio.create_task(batcher.ask(q)) for q in (10, 11, 12)]
        await asyncio.sleep(0)
        late[1].cancel()
        await asyncio.gather(*tasks, late[0], late[2])
        with pytest.raises(asyncio.CancelledError):
            await late[1]

    asyncio.run(some())
    assert seen == [0, 1, 2, 3, 4, 10, 12]


def test_lists_are_as_heavy_as_allowed_and_one_that_is_heavier_goes_alone() -> None:
    batches: list[list[int]] = []

    def work(questions: list[int]) -> list[int]:
        batches.append(questions)
        time.sleep(0.01)
        return questions

    async def everyone() -> None:
        batcher: Batcher[int, int] = Batcher(work, 10, lambda question: question)
        await asyncio.gather(*(batcher.ask(q) for q in (4, 5, 3, 50, 1, 9, 1)))

    asyncio.run(everyone())
    assert batches == [[4, 5], [3], [50], [1, 9], [1]]
