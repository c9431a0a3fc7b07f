"""Conveyor: host arrays, one after the other, to a device and back while the device works on the one before.

Covers: two page-locked buffers each way and two on the device, and who may touch which when. Does not cover: how copies
are made (lanes.py), what they are (stores/banks.py, models/text/encoder.py).

While the caller works on item i, item i + 1 is uploaded and item i - 1 downloaded. A buffer serves every other item:
    inbox    host, page-locked   free once the upload from it is done
    device   device              free once the work on it and the download from it are done
    outbox   host, page-locked   free once its content was handed back
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array
from memo_dist.device.lanes import Done, Lane, Mark, lanes, pinned_bytes

Back = Callable[[int, np.ndarray], None]
_NOTHING = np.empty(0, np.uint8)


@dataclass
class _Slot:
    """Buffers of one size, and marks after which they are free."""

    inbox: np.ndarray
    device: Array
    outbox: np.ndarray
    uploaded: Mark
    released: Mark

    @classmethod
    def empty(cls, xp: ModuleType) -> "_Slot":
        """Without room for anything yet."""
        device = xp.empty(0, np.uint8)
        return cls(inbox=_NOTHING, device=device, outbox=_NOTHING, uploaded=Done(), released=Done())


class Conveyor:
    """Carries items in order; one `carry` at a time.

    Args:
        xp: numpy or cupy.
        make_lanes: gives lanes for arithmetic, uploads and downloads.
    """

    def __init__(self, xp: ModuleType, make_lanes: Callable[[ModuleType], tuple[Lane, Lane, Lane]] = lanes) -> None:
        self._xp, self._make_lanes = xp, make_lanes
        self._slots = [_Slot.empty(xp) for _ in range(2)]
        self._lanes: tuple[Lane, Lane, Lane] | None = None

    def carry(self, items: Iterable[np.ndarray], back: Back | None = None) -> Iterator[Array]:
        """Each item on the device, in order, to be worked on until the next is asked for. Must be exhausted.

        Args:
            items: host arrays; the next one is taken before the one in work comes back.
            back: called for each item, in order, with its number and the item as it was left on the device, a host
                array that is valid only during the call; None if nothing has to come back.
        """
        if self._lanes is None:
            self._lanes = self._make_lanes(self._xp)
        work, _, down = self._lanes
        numbered = enumerate(items)
        ahead = self._send(next(numbered, None))
        behind: tuple[int, np.ndarray, Mark] | None = None
        while ahead is not None:
            index, slot, device = ahead
            ahead = self._send(next(numbered, None))
            work.wait(slot.uploaded)
            yield device
            slot.released = work.mark()
            if back is not None:
                coming = self._fetch(slot, device, down)
                self._hand(behind, back)
                behind = (index, coming, slot.released)
        if back is not None:
            self._hand(behind, back)

    def _send(self, item: tuple[int, np.ndarray] | None) -> tuple[int, _Slot, Array] | None:
        """Begin to upload an item; (number, slot, the item's view of the device)."""
        if item is None or self._lanes is None:
            return None
        index, host = item
        slot, up = self._slots[index % 2], self._lanes[1]
        slot.uploaded.finish()
        if slot.inbox.nbytes < host.nbytes:
            self._grow(slot, host.nbytes)
        inbox, device = slot.inbox[: host.nbytes], slot.device[: host.nbytes]
        inbox.view(host.dtype).reshape(host.shape)[...] = host
        up.wait(slot.released)
        up.upload(inbox, device)
        slot.uploaded = up.mark()
        return index, slot, device.view(host.dtype).reshape(host.shape)

    def _grow(self, slot: _Slot, count: int) -> None:
        # a freed buffer may be given out again at once, so nothing may be under way in it
        slot.released.finish()
        slot.inbox, slot.device = pinned_bytes(count, self._xp), self._xp.empty(count, np.uint8)
        slot.outbox = _NOTHING
        if self._lanes is not None:
            # the allocator may have taken the memory from arithmetic that is still to run
            slot.released = self._lanes[0].mark()

    def _fetch(self, slot: _Slot, device: Array, down: Lane) -> np.ndarray:
        """Begin to download an item; where it will be."""
        if slot.outbox.nbytes < device.nbytes:
            slot.outbox = pinned_bytes(slot.inbox.nbytes, self._xp)
        outbox = slot.outbox[: device.nbytes]
        down.wait(slot.released)
        down.download(device.reshape(-1).view(np.uint8), outbox)
        slot.released = down.mark()
        return np.asarray(outbox.view(device.dtype).reshape(device.shape))

    @staticmethod
    def _hand(coming: tuple[int, np.ndarray, Mark] | None, back: Back) -> None:
        if coming is not None:
            index, host, arrived = coming
            arrived.finish()
            back(index, host)
