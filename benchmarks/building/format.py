"""The packed files: bytes a row and a token by part, and how fast they are written and read beside plain columns.

    python benchmarks/building/format.py M.memo [--banks 1000] [--json FILE]

Adds up the datasets of all shard files of a memory of the preset text. Then takes the first banks of its first shard
and, in the same run, writes and reads them packed and plain: int16 cells, uint64 names, uint32 tokens and counts, in
HDF5 chunks with checksums, as format 2 did. Rates are of plain bytes, 2 a cell and 16 a row, on one core, from and to
files that the system keeps in memory; digests are left out. Medians of five.
"""

import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist.files.cells_file import CellsReader, CellsWriter
from memo_dist.files.extents import Extents
from memo_dist.files.format import DOCUMENT
from memo_dist.files.ledger_layout import LedgerLayout
from memo_dist.files.ledger_reader import LedgerReader
from memo_dist.files.ledger_writer import LedgerWriter
from memo_dist.files.opened import open_memory
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.text.ledger import Entries

_TIMES = 5
_PIECE, _BANKS = 1 << 17, 64  # rows and banks handed to a writer at a time, as a merge does
_INDEXES = ("rows", "more_rows", "more_bounds", "token_bounds", "low_bounds", "rest_bounds", "forms")
_NAMES = dict.fromkeys(_INDEXES, "indexes") | {"uppers": "names", "lowers": "names"}
_NAMES |= {"low": "cells", "rest": "cells", "more": "counts"}


def sizes(memory: Path) -> Counter[str]:
    """Bytes of every part over all shard files; headers and padding are what is left."""
    found: Counter[str] = Counter()

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            last = name.rsplit("/", 1)[-1].split(".")[0]  # of all pieces
            part = "anchors" if name.startswith(DOCUMENT) else _NAMES.get(last, last)
            found[part] += item.id.get_storage_size()

    for path in memory.glob("shard-*.h5"):
        with h5py.File(path) as file:
            file.visititems(add)
        found["headers"] += path.stat().st_size
    found["headers"] -= sum(found.values()) - found["headers"]
    return found


def seconds(act: Callable[[], object]) -> float:
    """The median time of an act."""
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def parts(held: Entries) -> Iterator[Entries]:
    for first in range(0, len(held), _PIECE):
        yield held.slice(first, first + _PIECE)


class Packed:
    """A file of the first banks as this format has it."""

    def __init__(self, folder: Path, config: MemoryConfig, cells: np.ndarray, *, held: Entries) -> None:
        self._path, self._config, self._values, self._held = folder / "packed.h5", config, cells, held
        self.banks = range(len(cells))
        self._layout = LedgerLayout(self.banks, config.num_banks, len(held), config.vocab_size)
        self.write_cells()
        self.write_ledger()

    def write_cells(self) -> None:
        with h5py.File(self._path, "a", libver="latest") as file:
            file.pop("cells", None)
            writer = CellsWriter(file, self._config, len(self.banks))
            for first in range(0, len(self.banks), _BANKS):
                writer.put(first, self._values[first : first + _BANKS])
            writer.close()

    def write_ledger(self) -> None:
        with h5py.File(self._path, "a", libver="latest") as file:
            file.pop("ledger", None)
            writer = LedgerWriter(file.create_group("ledger"), self._layout)
            for part in parts(self._held):
                writer.append(part)
            writer.close()

    def readers(self) -> tuple[CellsReader, LedgerReader]:
        with h5py.File(self._path) as file:
            extents, layout = Extents(self._path, file), self._layout
            numbers = {"num_banks": layout.num_banks, "largest": layout.largest}
            ledger = LedgerReader(extents, "ledger", banks=self.banks, **numbers)
            return CellsReader(extents, self._config, len(self.banks)), ledger


class Plain:
    """The same as format 2 had it."""

    def __init__(self, folder: Path, cells: np.ndarray, held: Entries, *, bounds: np.ndarray) -> None:
        self._path, self._values, self._held, self._bounds = folder / "plain.h5", cells, held, bounds.tolist()
        self.write_cells()
        self.write_ledger()

    def write_cells(self) -> None:
        with h5py.File(self._path, "a", libver="latest") as file:
            file.pop("cells", None)
            chunk = (1, *self._values.shape[1:])
            cells = file.create_dataset("cells", self._values.shape, "<i2", chunks=chunk, fletcher32=True)
            for first in range(0, len(self._values), 64):
                cells[first : first + 64] = self._values[first : first + 64]

    def write_ledger(self) -> None:
        with h5py.File(self._path, "a", libver="latest") as file:
            file.pop("ledger", None)
            group, count = file.create_group("ledger"), len(self._held)
            kinds = {"names": "<u8", "tokens": "<u4", "counts": "<u4"}
            columns = {
                name: group.create_dataset(name, (count,), kind, chunks=(min(count, 1 << 19),), fletcher32=True)
                for name, kind in kinds.items()
            }
            at = 0
            for part in parts(self._held):
                for name, column in columns.items():
                    column[at : at + len(part)] = getattr(part, name)
                at += len(part)

    def read_cells(self) -> None:
        with h5py.File(self._path) as file:
            for row in range(len(self._values)):
                file["cells"][row]

    def read_ledger(self) -> None:
        """A piece at a time: a bank at a time reads 4 MB for each."""
        with h5py.File(self._path) as file:
            for first in range(0, self._bounds[-1], _PIECE):
                for name in ("names", "tokens", "counts"):
                    file["ledger"][name][first : first + _PIECE]


def measured(memory: Path, banks: int) -> dict[str, Any]:
    """Sizes, rates of plain bytes, and microseconds a bank."""
    with open_memory(memory) as opened, tempfile.TemporaryDirectory(dir=memory.parent) as folder:
        config, manifest, shard = opened.config, opened.manifest, opened.require_working().files[0]
        count = min(banks, len(shard.banks))
        cells = np.stack([shard.cells(bank) for bank in range(count)])
        held = shard.entries(range(count))
        packed = Packed(Path(folder), config, cells, held=held)
        plain = Plain(Path(folder), cells, held, bounds=np.array(shard.bounds[: count + 1]))

        def read_cells() -> None:
            reader = packed.readers()[0]
            for row in range(count):
                reader.read(row)

        def read_ledger() -> None:
            reader = packed.readers()[1]
            for row in range(count):
                reader.entries(row, row + 1)

        acts = {
            "write cells": (packed.write_cells, plain.write_cells, cells.nbytes),
            "write ledger": (packed.write_ledger, plain.write_ledger, 16 * len(held)),
            "read cells": (read_cells, plain.read_cells, cells.nbytes),
            "read ledger": (read_ledger, plain.read_ledger, 16 * len(held)),
        }
        rates = {
            name: {"packed": round(size / seconds(ours) / 1e6), "plain": round(size / seconds(theirs) / 1e6)}
            for name, (ours, theirs, size) in acts.items()
        }
        return {
            "tokens": manifest.tokens,
            "rows": manifest.associations,
            "banks": config.num_banks,
            "bytes": dict(sizes(memory)),
            "mb_per_s": rates,
            "rows_a_bank": round(len(held) / count),
            "bank_us": {"cells": 1e6 * seconds(read_cells) / count, "ledger": 1e6 * seconds(read_ledger) / count},
        }


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--banks", type=int, default=1000)
    add_json(parser)
    asked = parser.parse_args()
    found = measured(asked.memory, asked.banks)
    table = Table(title=f"{found['tokens']:,} tokens, {found['rows']:,} rows in {found['banks']:,} banks")
    for name in ("part", "bytes", "a row", "a token"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for part, size in [*sorted(found["bytes"].items()), ("all", sum(found["bytes"].values()))]:
        table.add_row(part, f"{size:,}", f"{size / found['rows']:.3f}", f"{size / found['tokens']:.2f}")
    Console().print(table)
    rates = Table(title="MB/s of plain bytes: 2 a cell, 16 a row")
    for name in ("", "packed", "plain"):
        rates.add_column(name, justify="right")
    for name, rate in found["mb_per_s"].items():
        rates.add_row(name, f"{rate['packed']:,}", f"{rate['plain']:,}")
    Console().print(rates)
    us = found["bank_us"]
    print(f"a bank of {found['rows_a_bank']:,} rows: cells {us['cells']:.0f} us, ledger {us['ledger']:.0f} us")
    write_json(asked.json, found)


if __name__ == "__main__":
    main()
