"""Cells in a shard file: int16 ones packed in a byte each at most, others as they are; bank by bank.

Covers: datasets of cells. Does not cover: the packed form of a bank (packing/cells.py, packing/frames.py), digests
(shard_reader.py).
"""

import math

import h5py
import numpy as np

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.extents import Extents
from memo_dist.files.packing.cells import pack_cells, unpack_cells
from memo_dist.files.packing.frames import compress, decompress
from memo_dist.files.pieces import PiecesWriter
from memo_dist.memory_config import MemoryConfig

_PACKED = np.dtype(np.int16)


class CellsWriter:
    """The cells of a shard file while it is written.

    Args:
        file: open for writing. config: of the memory. banks: how many the file has.
    """

    def __init__(self, file: h5py.File, config: MemoryConfig, banks: int) -> None:
        self._packed = np.dtype(config.cell_type) == _PACKED
        if not self._packed:
            self._cells = file.create_dataset("cells", (banks, *config.bank_shape), config.cell_type)
            return
        self._group, self._forms = file.create_group("cells"), np.empty(banks, np.uint8)
        self._low, self._rest = (PiecesWriter(self._group, name, banks) for name in ("low", "rest"))

    def put(self, first: int, cells: np.ndarray) -> None:
        """The cells of banks from the file's `first`-th on, (k, *config.bank_shape); banks rise.

        Raises:
            OSError: the file cannot be written.
        """
        if not self._packed:
            self._cells[first : first + len(cells)] = cells
            return
        for bank, one in enumerate(cells, first):
            low, self._forms[bank], left = pack_cells(one)
            self._low.put(bank, compress(low))
            self._rest.put(bank, left)

    def close(self) -> None:
        """Write what waits; errors as for `put`."""
        if not self._packed:
            return
        group = self._group
        group["forms"], group["low_bounds"], group["rest_bounds"] = self._forms, self._low.bounds, self._rest.bounds
        self._low.close()
        self._rest.close()


class CellsReader:
    """The cells of an open shard file. Safe to share between threads.

    Args:
        extents: of the file. config: of the memory. banks: how many the file has.

    Raises:
        DamagedMemoryError: datasets are missing, others, or do not go together.
    """

    def __init__(self, extents: Extents, config: MemoryConfig, banks: int) -> None:
        self._path, self._shape = extents.path, config.bank_shape
        self._packed = np.dtype(config.cell_type) == _PACKED
        if not self._packed:
            self._cells = extents.find("cells", (banks, *config.bank_shape), config.cell_type)
            return
        self._forms = extents.find("cells/forms", (banks,), "|u1").all()
        self._low, self._rest = (
            extents.items(f"cells/{name}", f"cells/{name}_bounds", banks) for name in ("low", "rest")
        )

    def read(self, row: int) -> np.ndarray:
        """The row-th bank, config.bank_shape of config.cell_type.

        Raises:
            DamagedMemoryError: its parts do not go together.
        """
        if not self._packed:
            cells: np.ndarray = self._cells.read(row, row + 1)[0]
            return cells
        try:
            low = decompress(self._low.read(row, row + 1), math.prod(self._shape)).view(np.int8).reshape(self._shape)
            return unpack_cells(low, int(self._forms[row]), self._rest.read(row, row + 1))
        except DamagedMemoryError as error:
            raise DamagedMemoryError(
                f"{self._path}: the cells of the file's bank {row} cannot be unpacked ({error}); restore the file"
            ) from error
