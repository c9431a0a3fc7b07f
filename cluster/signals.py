"""SIGTERM as a request to stop after what is under way, instead of an end in the middle of it; or as Ctrl-C.

Covers: the handlers, for the main thread. Does not cover: what stopping means (build.py, serve/service.py).
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memo_dist.errors import ClusterError, StoppedError

_MOMENT_SECONDS = 1.0


@dataclass
class StopRequest:
    """`requested` becomes True when SIGTERM comes."""

    requested: bool = False

    def comes(self) -> bool:
        """Whether it has come, or comes now: other processes of a job may get theirs a moment before."""
        until = time.monotonic() + _MOMENT_SECONDS
        while not self.requested and time.monotonic() < until:
            time.sleep(0.01)
        return self.requested


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """Take SIGTERM as a request while the block runs; outside the main thread there is nothing to take.

    Raises:
        StoppedError: it came, and the processes of the cluster have ended: batch systems send it to all of a job.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(signum: int, frame: object) -> None:
        request.requested = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield request
    except ClusterError as error:
        if not request.comes():
            raise
        raise StoppedError("stopped as asked; the processes of the cluster ended as well") from error
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C while the block runs, where there is nothing under way that must be finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
