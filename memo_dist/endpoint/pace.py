"""Pace: so many requests a minute, evenly spaced.

Covers: waiting for one's turn. Does not cover: how many run at once (endpoint.py).
"""

import asyncio
import time


class Pace:
    """Turns that are at least 60 / `per_minute` seconds apart; None: no waiting.

    Args:
        per_minute: requests a minute.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._step = 60 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until the next request may be sent."""
        now = time.monotonic()
        at = max(now, self._next)
        self._next = at + self._step  # no await between reading and writing it, so no two have one turn
        if at > now:
            await asyncio.sleep(at - now)
