"""Identities: every whole document of a memory as three numbers, to compare what is held with what was read.

Covers: arrays of identities, which of them are held, what differs. Does not cover: the records (documents.py).

24 bytes a document, where a record takes a hundred: a driver holds those of a whole memory.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from memo_dist.document_parts import Identity
from memo_dist.documents import numbers, rows_of
from memo_dist.errors import InputError

IDENTITIES = np.dtype([(name, "<u8") for name in Identity._fields])


def identities_of(tables: Iterable[pa.Table]) -> np.ndarray:
    """(n,) of IDENTITIES, sorted: the whole documents of tables of documents.SCHEMA, as often as they are held.

    Raises:
        InputError: a document is not whole, or was forgotten more often than memorized.
    """
    found = [np.zeros(0, IDENTITIES)]
    for table in tables:
        count = numbers(table, "times")
        whole = (numbers(table, "start") == 0) & numbers(table, "ends")
        if not np.all(whole & (count > 0)):
            row = int(np.flatnonzero(~(whole & (count > 0)))[0])
            _, part = next(rows_of(table.slice(row, 1)))
            raise InputError(
                f"document {part.id!r} of {part.source!r} is held in part only: bytes {part.start} to {part.stop}, "
                f"{part.times:+} times"
            )
        rows = np.empty(table.num_rows, IDENTITIES)
        for name in IDENTITIES.names or ():
            rows[name] = numbers(table, name)
        found.append(np.repeat(rows, count))
    return np.sort(np.concatenate(found))


def are_held(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
    """(n,) bool: which of `asked`, (n,) of IDENTITIES, are among `held`; sorted or not, repeats once for each held."""
    fits = np.isin(asked["key"], held["key"])  # numbers: a hundred times faster than comparing records
    fits[fits] = _are_among(asked[fits], held[np.isin(held["key"], asked["key"])])
    return fits


def _are_among(asked: np.ndarray, held: np.ndarray) -> np.ndarray:
    both = np.concatenate([held, asked])
    order = np.argsort(both, kind="stable")  # of equal ones, those held come first
    line, is_asked = both[order], order >= len(held)
    new = np.concatenate([[True], line[1:] != line[:-1]])[: len(line)]
    first = np.maximum.accumulate(np.where(new, np.arange(len(line)), 0))
    asked_before: np.ndarray = np.cumsum(is_asked) - is_asked  # of all; less those before the first of its kind
    among: np.ndarray = asked_before - asked_before[first]
    copies = np.add.reduceat(~is_asked, np.flatnonzero(new)) if len(line) else np.zeros(0, np.int64)
    fits = np.empty(len(asked), bool)
    fits[order[is_asked] - len(held)] = (among < np.repeat(copies, np.diff([*np.flatnonzero(new), len(line)])))[
        is_asked
    ]
    return fits


def without(held: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """What is left of `held`, sorted, when `taken`, which are among them, are taken off."""
    left: np.ndarray = held[~are_held(held, taken)]
    return left


def repeated_ids(identities: np.ndarray) -> int:
    """How many keys more than one document has."""
    keys = np.sort(identities["key"])
    again = keys[1:] == keys[:-1]
    return len(np.unique(keys[1:][again]))
