"""Lanes: orders of work on a device beside each other, so that copies overlap with arithmetic.

Covers: page-locked memory, copies that do not wait, marks that one lane can wait for in another. Does not cover: what
is copied when (conveyor.py). With NumPy there is one order of work; a copy is done when it is asked for.
"""

import ctypes
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from memo_dist.device.backend import Array


class Mark(Protocol):
    """A place in the order of a lane."""

    def finish(self) -> None:
        """Wait on the host until everything before it is done."""
        ...


class Lane(Protocol):
    """Copies and waits, done one after the other; what a copy touches must stay alone until a mark after it is done."""

    def upload(self, host: np.ndarray, device: Array) -> None:
        """Copy page-locked bytes (n,) uint8 to the device."""
        ...

    def download(self, device: Array, host: np.ndarray) -> None:
        """Copy bytes of the device to page-locked ones."""
        ...

    def wait(self, mark: Mark) -> None:
        """Do nothing that comes later before `mark` is done; the host goes on."""
        ...

    def mark(self) -> Mark:
        """A mark after everything so far."""
        ...


def lanes(xp: ModuleType) -> tuple[Lane, Lane, Lane]:
    """(where arithmetic runs, one for uploads, one for downloads)."""
    if xp is np:
        return HostLane(), HostLane(), HostLane()
    current = xp.cuda.get_current_stream()
    return DeviceLane(xp, current), DeviceLane(xp), DeviceLane(xp)


def pinned_bytes(count: int, xp: ModuleType) -> np.ndarray:
    """(count,) uint8 in host memory, page-locked where a device copies from it."""
    if xp is np:
        return np.empty(count, np.uint8)
    # the array keeps the memory alive, which is longer than asked for
    return np.frombuffer(xp.cuda.alloc_pinned_memory(count), np.uint8, count)


class Done:
    """The mark of work that is done already."""

    def finish(self) -> None:
        """Nothing to wait for."""


class HostLane:
    """The only order of work that NumPy has."""

    def upload(self, host: np.ndarray, device: Array) -> None:
        device[:] = host

    def download(self, device: Array, host: np.ndarray) -> None:
        host[:] = device

    def wait(self, mark: Mark) -> None:
        mark.finish()

    def mark(self) -> Mark:
        return Done()


class DeviceLane:
    """A CUDA stream.

    Args:
        xp: cupy.
        stream: whose order it is; a new one, that waits for no other, if None.
    """

    def __init__(self, xp: ModuleType, stream: Any = None) -> None:
        self._xp = xp
        self._stream: Any = xp.cuda.Stream(non_blocking=True) if stream is None else stream

    def upload(self, host: np.ndarray, device: Array) -> None:
        device.data.copy_from_host_async(ctypes.c_void_p(host.ctypes.data), host.nbytes, self._stream)

    def download(self, device: Array, host: np.ndarray) -> None:
        device.data.copy_to_host_async(ctypes.c_void_p(host.ctypes.data), host.nbytes, self._stream)

    def wait(self, mark: Mark) -> None:
        if isinstance(mark, DeviceMark):
            self._stream.wait_event(mark.event)
        else:
            mark.finish()

    def mark(self) -> Mark:
        event = self._xp.cuda.Event(disable_timing=True)
        event.record(self._stream)
        return DeviceMark(event)


class DeviceMark:
    """A CUDA event."""

    def __init__(self, event: Array) -> None:
        self.event = event

    def finish(self) -> None:
        self.event.synchronize()
