"""What numba compiles for the CPU, each beside a plain form that it must equal to the bit.

Covers: windows, associations and their codes (hashes.py), sorted runs of the ledger (runs.py), products of banks
(banks.py), bit planes (planes.py), tables of cleanup (tables.py). Does not cover: other devices, which run the plain
forms.

These modules are imported where they are first used: numba takes a third of a second to load. What it compiles, it
keeps on disk, but only for functions of modules: one that another encloses is compiled again in every process.
"""

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call; kept beside its file, else in the user's cache, else compiled anew by
    every process, where neither may be written."""
    try:
        return numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:  # "no locator available"
        return numba.njit(nogil=True, boundscheck=False)(function)
