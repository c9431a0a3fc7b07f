"""LedgerReader: a packed ledger, read bank by bank.

Covers: one group of a shard file. Does not cover: its layout (ledger_layout.py), writing it (ledger_writer.py), whether
what is read is this memory's, which digests say (shard_reader.py).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.extents import Extents, Items
from memo_dist.files.ledger_layout import LedgerLayout, bank_names
from memo_dist.files.packing.counts import unpack_counts
from memo_dist.files.packing.tokens import unpack_tokens
from memo_dist.models.text.ledger import Entries


class LedgerReader:
    """A ledger in a group of an open file. Safe to share between threads.

    Args:
        extents: of the file.
        group: the name of the group, such as "ledger/next".
        banks, num_banks, largest: see LedgerLayout.

    Attributes:
        path: of the file. group: as given.
        rows: (banks + 1,) int64, where each bank's rows begin, and where the last one's end.

    Raises:
        DamagedMemoryError: datasets are missing, others, or do not go together.
    """

    def __init__(self, extents: Extents, group: str, *, banks: range, num_banks: int, largest: int) -> None:
        self.path, self.group = extents.path, group
        self.rows = extents.bounds(f"{group}/rows", len(banks))
        self._layout = LedgerLayout(banks, num_banks, int(self.rows[-1]), largest)
        # computed once: a query asks for a bank in a few microseconds
        self._lower, self._planes, self._low = self._layout.lower_bits, self._layout.token_planes, self._layout.low
        self._firsts, self._lasts = bank_names(banks, num_banks)
        self._columns = {n: extents.find(f"{group}/{n}", (size,), "<u8") for n, size in self._layout.words.items()}
        self._tokens = extents.items(f"{group}/tokens", f"{group}/token_bounds", len(banks))
        self._above = extents.bounds(f"{group}/more_rows", len(banks))
        loads, above = np.diff(self.rows), np.diff(self._above)
        if (above > loads).any():
            raise DamagedMemoryError(f"{self.path}: {group}/more_rows has more rows than their banks; restore it")
        self._more = extents.items(f"{group}/more", f"{group}/more_bounds", len(banks))
        for name, frames, held in (("token_bounds", self._tokens, loads), ("more_bounds", self._more, above)):
            if ((held == 0) & (np.diff(frames.bounds) > 0)).any():
                raise DamagedMemoryError(f"{self.path}: {group}/{name} has frames of banks without rows; restore it")

    def __len__(self) -> int:
        return self._layout.rows

    def entries(self, start: int, stop: int) -> Entries:
        """The rows of banks start to stop, counted from the range's first; about 5 bytes are read for a name.

        Raises:
            DamagedMemoryError: they are not rows of these banks, in order, each token within the vocabulary.
        """
        from memo_dist.kernels.packing import WHOLE, add_uppers, misplaced_bank, unpack

        first, last = int(self.rows[start]), int(self.rows[stop])
        count = last - first
        held = Entries(np.empty(count, np.uint64), np.zeros(count, np.uint32), np.empty(count, np.uint32))
        if not count:
            return held
        banks, rows = self._layout.banks[start:stop], self.rows[start : stop + 1] - first
        firsts, lasts = self._firsts[start:stop], self._lasts[start:stop]
        words, offset = self._bits("lowers", first * self._lower, last * self._lower)
        unpack(words, offset, self._lower, held.names)
        least = (int(firsts[0]) - self._low) >> self._lower
        most = (int(lasts[-1]) - self._low) >> self._lower
        uppers, offset = self._bits("uppers", least + first, most + last)
        reach = offset + most - least + count
        ones = add_uppers(
            uppers, offset, reach, np.uint64(least), np.uint64(self._lower), np.uint64(self._low), held.names
        )
        if ones != count:
            raise DamagedMemoryError(self._refusal(banks[0], banks[-1]))
        self._read_tokens(start, stop, held.tokens)
        bank = misplaced_bank(held.names, held.tokens, rows, firsts, lasts, self._layout.largest)
        if bank != WHOLE:
            raise DamagedMemoryError(self._refusal(banks[bank], banks[bank]))
        self._read_counts(start, stop, held.counts)
        return held

    def _read_tokens(self, start: int, stop: int, tokens: np.ndarray) -> None:
        """Fill zeros with the tokens of banks start to stop."""
        for bank, part, frame in self._frames(self._tokens, start, stop, column=tokens):
            with self._naming(bank, "tokens"):
                unpack_tokens(frame, self._planes, part)

    def _read_counts(self, start: int, stop: int, counts: np.ndarray) -> None:
        """Fill in the counts of banks start to stop."""
        for bank, part, frame in self._frames(self._more, start, stop, column=counts):
            with self._naming(bank, "counts"):
                unpack_counts(frame, int(self._above[bank + 1] - self._above[bank]), part)

    def _frames(
        self, items: Items, start: int, stop: int, *, column: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Of each of the banks start to stop: which it is, its part of the column, the bytes of its frames."""
        frames, bounds, rows = items.read(start, stop), items.bounds, self.rows
        for bank in range(start, stop):
            part = column[rows[bank] - rows[start] : rows[bank + 1] - rows[start]]
            yield bank, part, frames[bounds[bank] - bounds[start] : bounds[bank + 1] - bounds[start]]

    @contextmanager
    def _naming(self, bank: int, what: str) -> Iterator[None]:
        """What is wrong with one bank's frame, said with file and bank."""
        try:
            yield
        except DamagedMemoryError as error:
            raise DamagedMemoryError(
                f"{self.path}: the {what} of bank {self._layout.banks[bank]} ({self.group}) cannot be unpacked "
                f"({error}); restore the file"
            ) from error

    def _bits(self, name: str, start: int, stop: int) -> tuple[np.ndarray, int]:
        """The words of a column with bits start to stop, and where in them these begin."""
        return self._columns[name].read(start >> 6, -(-stop // 64)), start & 63

    def _refusal(self, first: int, last: int) -> str:
        banks = f"bank {first}" if first == last else f"banks {first} to {last}"
        return f"{self.path}: the ledger of {banks} ({self.group}) has not its rows, in order; restore the file"
