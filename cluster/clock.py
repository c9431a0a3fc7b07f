"""Clock: the seconds that each stage of a command took.

Covers: laps by name. Does not cover: what the stages are (build.py, change.py, sorted_run.py).
"""

import time


class Clock:
    """Seconds by stage, in the order in which stages end; a stage that is entered again adds up.

    Attributes:
        seconds: stage -> seconds so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap for `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def rounded(self) -> dict[str, float]:
        """Seconds by stage, to the millisecond."""
        return {stage: round(seconds, 3) for stage, seconds in self.seconds.items()}
