"""OwnRay: the processes of Ray's own that this process has started, and whether they are still there.

Covers: which they are, an end that came from elsewhere. Does not cover: Ray's start and end (ray_session.py), the
workers that run tasks.

Whoever ends a job, as batch systems do, sends SIGTERM to each of its processes. Of Ray's some would end at once, then
others after a minute in which they answer nothing, and with them this process, without a word. So none of them gets it:
they begin with SIGTERM blocked, and the end of this process is their end.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from memo_dist.errors import ClusterEndedError

_WORDS = ("raylet", "gcs_server", "dashboard", "runtime_env", "log_monitor", "monitor.py", "Agent")
_NEEDED = ("raylet", "gcs_server")


@contextmanager
def without_sigterm() -> Iterator[None]:
    """Around the start of processes: neither they nor those that they start get it; this thread gets it later."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def is_rays_own(process: psutil.Process) -> bool:
    """Whether a process is one of Ray's own, not a worker.

    Raises:
        psutil.Error: the process has ended.
    """
    return any(word in " ".join(process.cmdline()) for word in _WORDS)


class OwnRay:
    """Those that are there now; none where this process has joined a cluster, or uses no Ray."""

    def __init__(self) -> None:
        self._names = dict[psutil.Process, str]()
        for process in psutil.Process().children():
            try:
                if is_rays_own(process):
                    self._names[process] = process.name()
            except psutil.Error:
                continue

    @property
    def ended(self) -> list[str]:
        """Names of those without which there is no Ray and that have ended."""
        return [name for process, name in self._names.items() if name in _NEEDED and _has_ended(process)]

    def require(self) -> None:
        """Refuse to go on with a Ray that has ended.

        Raises:
            ClusterEndedError: with the names of its processes that have.
        """
        if ended := self.ended:
            raise ClusterEndedError(f"Ray's own processes on this machine have ended ({', '.join(sorted(set(ended)))})")

    def end(self, *, all_of_them: bool) -> None:
        """End them, or those that Ray can be without, which it would wait for before it kills them."""
        for process, name in self._names.items():
            if all_of_them or name not in _NEEDED:
                with suppress(psutil.Error):
                    process.kill()


def _has_ended(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
