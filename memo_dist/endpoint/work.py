"""Work: many things asked of an endpoint, some at once, each done once.

Covers: items in order, their rows in a journal, failures beside successes. Does not cover: what an item asks.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from memo_dist.endpoint.journal import Journal
from memo_dist.endpoint.options import Sampling
from memo_dist.errors import EndpointError

MOST_FAILED = 25  # in a row, of an endpoint that is down or refuses everything

Ask = Callable[[str, Sampling], Awaitable[str]]  # a message -> the reply


@dataclass(frozen=True)
class Item:
    """A thing to be asked.

    Attributes:
        key: of its row; see content_key. about: what its row says besides. run: asks, and returns what the row holds as
            "result". It raises ValueError for a reply that cannot be used, EndpointError where there is none.
    """

    key: str
    run: Callable[[Ask], Awaitable[Any]]
    about: dict[str, Any] = field(default_factory=dict)


def content_key(parts: Sequence[Any]) -> str:
    """32 digits that name what is asked, by its content: step, version of the prompt, inputs."""
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


async def work_off(
    items: Sequence[Item],
    journal: Journal,
    ask: Ask,
    *,
    at_once: int,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> list[Any]:
    """The results of items, in order; None of one that failed, whose row says why, and which is asked again next time.

    Args:
        at_once: how many are under way. on_done: called with how many are done, of how many.

    Raises:
        EndpointError: many failed in a row; what is done is kept.
    """
    different = {item.key: item for item in items}
    left = [item for key, item in different.items() if not journal.done(key)]
    waiting, total = iter(left), len(different)
    done, failed = total - len(left), 0
    on_done(done, total)

    async def worker() -> None:
        nonlocal done, failed
        for item in waiting:
            row = {"key": item.key, **item.about}
            try:
                row["result"] = await item.run(ask)
                failed = 0
            except (EndpointError, ValueError) as error:
                row["error"] = str(error)
                failed += isinstance(error, EndpointError)
            journal.add(row)
            done += 1
            on_done(done, total)
            if failed >= MOST_FAILED:
                raise EndpointError(
                    f"{failed} items failed one after another, the last one so: {row['error']}. What is done is kept "
                    f"in {journal.path}; the same command goes on with it"
                )

    tasks = [asyncio.ensure_future(worker()) for _ in range(max(1, at_once))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    journal.finish(item.key for item in items)
    return [journal.rows[item.key].get("result") for item in items]
