"""LedgerWriter: a ledger, packed, into a group of an HDF5 file, in one pass over it.

Covers: one group, of whatever a window is associated with. Does not cover: its layout (ledger_layout.py), reading it
(ledger_reader.py). Memory is that of one part of the ledger, the tokens and counts of one bank and the indexes of all.
"""

from itertools import pairwise

import h5py
import numpy as np

from memo_dist.device.backend import to_host
from memo_dist.files.ledger_layout import LedgerLayout
from memo_dist.files.packing.counts import pack_counts
from memo_dist.files.packing.tokens import pack_tokens
from memo_dist.files.packing.words import BitWriter, Write
from memo_dist.files.pieces import PiecesWriter
from memo_dist.models.text.bank_assignment import bank_of
from memo_dist.models.text.ledger import Entries


class LedgerWriter:
    """A ledger while it is written.

    Args:
        group: an empty one.
        layout: for as many rows as there will be.
    """

    def __init__(self, group: h5py.Group, layout: LedgerLayout) -> None:
        self._group, self._layout, self._written = group, layout, 0
        columns = {name: group.create_dataset(name, (count,), "<u8") for name, count in layout.words.items()}
        self._tokens, self._more = (PiecesWriter(group, name, len(layout.banks)) for name in ("tokens", "more"))
        self._rows = _Rows(layout, tokens=self._tokens, more=self._more)
        self._writers = {name: BitWriter(_into(column)) for name, column in columns.items()}

    def append(self, entries: Entries) -> None:
        """Write rows that follow those before in order of (name, token); NumPy or CuPy ones.

        Raises:
            OSError: the file cannot be written.
        """
        if not len(entries):
            return
        part = Entries(*(to_host(column) for column in (entries.names, entries.tokens, entries.counts)))
        layout, writers, count = self._layout, self._writers, len(part)
        lower = np.uint64(layout.lower_bits)
        offsets = part.names - np.uint64(layout.low)
        places = (offsets >> lower).astype(np.int64) + np.arange(self._written, self._written + count)
        writers["uppers"].ones(places)
        writers["lowers"].values(offsets & ((np.uint64(1) << lower) - np.uint64(1)), layout.lower_bits)
        self._rows.append(bank_of(part.names, layout.num_banks) - layout.banks.start, part.tokens, part.counts)
        self._written += count

    def close(self) -> None:
        """Write what waits.

        Raises:
            ValueError: there were not as many rows as was said. OSError: as for `append`.
        """
        if self._written != self._layout.rows:
            raise ValueError(f"the ledger gave {self._written:,} rows; expected {self._layout.rows:,}")
        for name, bits in self._layout.bits.items():
            self._writers[name].close(bits)
        self._rows.close()
        self._group["rows"], self._group["more_rows"] = _bounds(self._rows.loads), _bounds(self._rows.above)
        self._group["token_bounds"], self._group["more_bounds"] = self._tokens.bounds, self._more.bounds
        self._tokens.close()
        self._more.close()


class _Rows:
    """Tokens and counts of a ledger while it is written: they wait until all of a bank are there.

    Attributes:
        loads, above: how many rows each bank has, and how many of them have counts above 1.
    """

    def __init__(self, layout: LedgerLayout, *, tokens: PiecesWriter, more: PiecesWriter) -> None:
        self._tokens, self._more, self._planes, self._bank = tokens, more, layout.token_planes, 0
        self._waiting: list[np.ndarray] = []
        self.loads, self.above = (np.zeros(len(layout.banks), np.int64) for _ in range(2))

    def append(self, bank: np.ndarray, tokens: np.ndarray, counts: np.ndarray) -> None:
        """Rows that follow those before: the bank, token and count of each."""
        edges = np.flatnonzero(np.diff(bank)) + 1
        for first, last in pairwise([0, *edges.tolist(), len(bank)]):
            if (one := int(bank[first])) != self._bank:
                self.close()
                self._bank = one
            # a copy: whose memory the rows are may use it again
            self._waiting.append(np.stack([tokens[first:last], counts[first:last]]))

    def close(self) -> None:
        """Hand on the bank that waits."""
        if self._waiting:
            tokens, counts = np.concatenate(self._waiting, axis=1)
            self._waiting.clear()
            self.above[self._bank], more = pack_counts(counts)
            self.loads[self._bank] = len(tokens)
            self._tokens.put(self._bank, pack_tokens(tokens, self._planes))
            self._more.put(self._bank, more)


def _into(column: h5py.Dataset) -> Write:
    def write(first: int, words: np.ndarray) -> None:
        column[first : first + len(words)] = words

    return write


def _bounds(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)]).astype("<u8")
