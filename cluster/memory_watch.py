"""MemoryWatch: the measured peak of a local build, all processes together.

Covers: proportional set size (memory shared by processes is counted once), Ray's own processes apart.
Does not cover: other machines of a cluster; there each shard reports its own peak.
"""

import threading
import time
from types import TracebackType

import psutil

from cluster.own_ray import is_rays_own

_PERIOD_SECONDS = 0.25
_SHARE = 0.05  # of a core at most: the kernel walks through all pages to count them


class MemoryWatch:
    """Samples this process and all its descendants until closed, as often as 5% of a core allows.

    Attributes:
        peak_bytes: largest sum over driver, shards and workers that was seen; a sample takes longer, and so is taken
            less often, the more there is: every .9 s at 4 GB.
        ray_bytes: largest sum over Ray's own processes.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.ray_bytes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "MemoryWatch":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0  # a build that is over at once is measured, too
        while True:
            ended = self._stop.wait(pause)
            began = time.thread_time()
            self._sample()
            if ended:
                return
            pause = max(_PERIOD_SECONDS, (time.thread_time() - began) / _SHARE)

    def _sample(self) -> None:
        me, ours, rays = psutil.Process(), 0, 0
        for process in [me, *me.children(recursive=True)]:
            try:
                size = process.memory_full_info().pss
                if process.pid != me.pid and is_rays_own(process):
                    rays += size
                else:
                    ours += size
            except psutil.Error:
                continue
        self.peak_bytes = max(self.peak_bytes, ours)
        self.ray_bytes = max(self.ray_bytes, rays)
