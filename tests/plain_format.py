"""A shard file read in the plainest way, from docs/reference/format.md alone: whole integers, one row after the other.

Covers: cells, ledgers and token counts of one file. Does not cover: checks; it believes what it reads. Nothing of
memo_dist is used, so that what the program writes and reads is held against a second reader.
"""

from itertools import count, takewhile

import h5py
import numpy as np
import pyarrow as pa

Row = tuple[int, int, int]  # name, token, count


class PlainShard:
    """One shard file of a memory of `num_banks` banks of `dim` x `dim` cells and a vocabulary of `vocab_size`."""

    def __init__(self, path, num_banks: int, vocab_size: int, *, dim: int = 64) -> None:
        with h5py.File(path) as file:
            self.arrays: dict[str, np.ndarray] = {}
            file.visititems(lambda name, found: self._keep(name, found))
            self.banks = range(int(file.attrs["first_bank"]), int(file.attrs["stop_bank"]))
        self.num_banks, self.vocab_size, self.dim = num_banks, vocab_size, dim

    def _keep(self, name: str, found: object) -> None:
        if isinstance(found, h5py.Dataset):
            self.arrays[name] = found[:]

    def cells(self, bank: int) -> np.ndarray:
        """One bank."""
        row = bank - self.banks.start
        frame = self.frame("cells/low", "cells/low_bounds", row, size=self.dim**2)
        low = np.frombuffer(frame, np.int8).reshape(self.dim, self.dim)
        form, bounds = int(self.arrays["cells/forms"][row]), self.arrays["cells/rest_bounds"].tolist()
        rest = self.joined("cells/rest")[bounds[row] : bounds[row + 1]].tobytes()
        values = low.ravel().tolist()
        if form == 2:
            high = np.frombuffer(rest, np.int8).tolist()
            return np.array([256 * h + value % 256 for h, value in zip(high, values, strict=True)]).reshape(low.shape)
        cells = [2 * value + form for value in values]
        width = 2 if low.size <= 65536 else 4
        few = len(rest) // (width + 2)
        for index in range(few):
            place = int.from_bytes(rest[width * index :][:width], "little")
            cells[place] = int.from_bytes(rest[width * few + 2 * index :][:2], "little", signed=True)
        return np.array(cells).reshape(low.shape)

    def ledger(self, group: str, largest: int) -> list[list[Row]]:
        """The rows of every bank."""
        column = {name.removeprefix(f"{group}/"): values for name, values in self.arrays.items() if group in name}
        rows = column["rows"].tolist()
        names = self._names(column, rows[-1])
        width = next(width for width in range(5) if largest < 256**width)
        found: list[list[Row]] = []
        for bank in range(len(self.banks)):
            found.append([])
            load = rows[bank + 1] - rows[bank]
            counts = self._counts(group, bank, load)
            tokens = self.frame(f"{group}/tokens", f"{group}/token_bounds", bank, size=width * load)
            for row in range(rows[bank], rows[bank + 1]):
                octets = tokens[row - rows[bank] :: load]
                found[-1].append((names[row], int.from_bytes(octets, "little"), counts[row - rows[bank]]))
        return found

    def _counts(self, group: str, bank: int, load: int) -> list[int]:
        first, last = self.arrays[f"{group}/more_rows"][bank : bank + 2].tolist()
        above = last - first
        frame = self.frame(f"{group}/more", f"{group}/more_bounds", bank, size=8 * above)
        counts: list[int] = []
        for index in range(above):
            octets = frame[index::above]
            ones, count = int.from_bytes(octets[:4], "little"), int.from_bytes(octets[4:], "little") + 2
            counts += [1] * ones + [count]
        return counts + [1] * (load - len(counts))

    def frame(self, name: str, bounds: str, row: int, *, size: int) -> bytes:
        """What one bank's frame holds."""
        start, stop = self.arrays[bounds][row : row + 2].tolist()
        return pa.decompress(self.joined(name)[start:stop], size, "zstd", asbytes=True) if stop > start else b""

    def joined(self, name: str) -> np.ndarray:
        """All pieces of a dataset."""
        names = (f"{name}.{index}" for index in count(1))
        return np.concatenate([self.arrays[name], *map(self.arrays.get, takewhile(self.arrays.__contains__, names))])

    def _names(self, column: dict[str, np.ndarray], rows: int) -> list[int]:
        if not rows:
            return []
        low, high = (-(-bank * 2**32 // self.num_banks) << 32 for bank in (self.banks.start, self.banks.stop))
        lower = min(63, ((high - low) // rows).bit_length() - 1)
        assert len(column["uppers"]) == -(-(rows + (high - low - 1 >> lower) + 1) // 64)
        assert len(column["lowers"]) == -(-rows * lower // 64)
        uppers, lowers = stream(column["uppers"]), stream(column["lowers"])
        places = [place for place in range(uppers.bit_length()) if uppers >> place & 1]
        return [
            low + ((place - row) << lower) + (lowers >> lower * row & (1 << lower) - 1)
            for row, place in enumerate(places)
        ]


def stream(words: np.ndarray) -> int:
    """64-bit words as one number, whose i-th bit is the stream's."""
    return int.from_bytes(words.astype("<u8").tobytes(), "little")
