"""SIGTERM and Ctrl-C as requests to stop after what is under way, instead of an end in the middle of it.

Covers: the handlers, for the main thread. Does not cover: what stopping means (build.py, serve/service.py).
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from memo_dist.errors import ClusterError, StoppedError

_MOMENT_SECONDS = 1.0


@dataclass
class StopRequest:
    """`requested` becomes True when SIGTERM or Ctrl-C comes."""

    requested: bool = False

    def comes(self) -> bool:
        """Whether it has come, or comes now: other processes of a job may get theirs a moment before."""
        until = time.monotonic() + _MOMENT_SECONDS
        while not self.requested and time.monotonic() < until:
            time.sleep(0.01)
        return self.requested


@contextmanager
def stop_on_sigterm(*, says: bool = True) -> Iterator[StopRequest]:
    """Take SIGTERM and Ctrl-C as requests while the block runs; outside the main thread there is nothing to take.

    Ctrl-C says what happens now, to whoever waits before the terminal, unless `says` is false; a second one ends the
    block at once.

    Raises:
        StoppedError: one came, and the processes of the cluster have ended: batch systems send it to all of a job.
        KeyboardInterrupt: Ctrl-C came a second time.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(signum: int, frame: object) -> None:
        request.requested = True

    def note_ctrl_c(signum: int, frame: object) -> None:
        if request.requested:
            raise KeyboardInterrupt
        request.requested = True
        with suppress(OSError):  # not print, which this may have interrupted
            if says:
                os.write(2, b"\nmemo-dist: stopping after what is under way; Ctrl-C again ends at once\n")

    before = signal.signal(signal.SIGTERM, note), signal.signal(signal.SIGINT, note_ctrl_c)
    try:
        yield request
    except ClusterError as error:
        if not request.comes():
            raise
        raise StoppedError("stopped as asked; the processes of the cluster ended as well") from error
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])


@contextmanager
def end_on_sigterm() -> Iterator[None]:
    """End the block at SIGTERM with the error of a stop, where nothing is under way that must be finished: whoever
    requeues a job does so by its exit code.

    Raises:
        StoppedError: it came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(signum: int, frame: object) -> None:
        raise StoppedError("stopped as asked, before there was anything to keep")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def interrupt_on_sigterm() -> Iterator[None]:
    """Take both as an interrupt while the block runs, where there is nothing under way that must be finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
