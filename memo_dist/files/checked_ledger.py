"""CheckedLedger: a packed ledger whose rows are known to be this memory's.

Covers: comparing banks with their digests. Does not cover: unpacking (ledger_reader.py).
"""

import itertools

import numpy as np

from memo_dist.digests import array_digest
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.ledger_reader import LedgerReader
from memo_dist.models.text.ledger import Entries


class CheckedLedger:
    """A ledger and the digests of its banks.

    Args:
        ledger: unpacks it. banks: of its file. digests: (banks, 16) uint8, of each bank's names, tokens and counts.

    Raises:
        DamagedMemoryError: a bank does not match its digest; file and bank are named. So do all methods.
    """

    def __init__(self, ledger: LedgerReader, banks: range, digests: np.ndarray) -> None:
        self._ledger, self._banks, self._digests = ledger, banks, digests
        self._checked = np.zeros(len(banks), bool)

    def __len__(self) -> int:
        return len(self._ledger)

    @property
    def bounds(self) -> list[int]:
        """Where each bank's rows begin, and where the last one's end; len(banks) + 1."""
        return [int(row) for row in self._ledger.rows]

    def entries(self, banks: range) -> Entries:
        """The rows of some banks."""
        start, stop = banks.start - self._banks.start, banks.stop - self._banks.start
        held = self._ledger.entries(start, stop)
        bounds = (self._ledger.rows[start : stop + 1] - self._ledger.rows[start]).tolist()
        for bank, (first, last) in zip(banks, itertools.pairwise(bounds), strict=True):
            self._check(bank, held.slice(first, last))
        return held

    def bank_entries(self, bank: int) -> Entries:
        """The rows of one bank, checked when it is first asked: for queries, that ask some banks many times."""
        row = bank - self._banks.start
        held = self._ledger.entries(row, row + 1)
        if not self._checked[row]:  # a digest takes twice the time of unpacking
            self._check(bank, held)
            self._checked[row] = True
        return held

    def _check(self, bank: int, held: Entries) -> None:
        digest = self._digests[bank - self._banks.start]
        if not np.array_equal(array_digest(held.names, held.tokens, held.counts), digest):
            raise DamagedMemoryError(
                f"{self._ledger.path}: the ledger of bank {bank} ({self._ledger.group}) does not match its digest; "
                "restore it"
            )
