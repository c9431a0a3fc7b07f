"""The array backend: NumPy, or CuPy where a GPU is asked for. The only file that names cupy.

Covers: choosing a namespace, moving arrays, the three operations that the libraries spell differently.
Does not cover: arithmetic; all other modules write `xp.` and run on both.
"""

from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError
from memo_dist.extras import extra

# An array of either library. NumPy's and CuPy's types share no base class, so this is all that can be said statically.
Array = Any


def array_module(device: str = "cpu") -> ModuleType:
    """The array library for `device`: "cpu" -> numpy, "gpu" -> cupy, "auto" -> cupy if a GPU answers, else numpy.

    Raises:
        ConfigError: "gpu" was asked for and CuPy or a device is missing, or the name is unknown.
    """
    if device == "cpu":
        return np
    if device not in ("auto", "gpu"):
        raise ConfigError(f"device is {device!r}; expected auto, cpu or gpu")
    try:
        import cupy

        if cupy.cuda.runtime.getDeviceCount() > 0:
            return cupy  # type: ignore[no-any-return]  # cupy ships no types
        reason = "CuPy finds no CUDA device"
    except ImportError:
        reason = "CuPy is not installed (pip install 'memo-dist[cuda12]' or 'memo-dist[cuda13]')"
    except Exception as error:  # cupy raises CUDARuntimeError, whose class cannot be named without importing cupy
        reason = f"CUDA does not answer: {error}"
    if device == "gpu":
        raise ConfigError(f"device is 'gpu', but {reason}; use cpu or auto")
    return np


def namespace(array: Array) -> ModuleType:
    """The library that `array` belongs to."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    import cupy

    return cupy  # type: ignore[no-any-return]  # cupy ships no types


def to_host(array: Array) -> np.ndarray:
    """The same values as a NumPy array; no copy if it is one already."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get())


def to_device(array: Array, xp: ModuleType) -> Array:
    """The same values as an array of `xp`; no copy if it is one already. CuPy copies through page-locked memory."""
    return to_host(array) if xp is np else xp.asarray(array)


def room_on_device(xp: ModuleType) -> float:
    """Bytes that one array may take in the library's memory; a GPU keeps a third for work. NumPy: no limit.

    What CuPy's pool has freed but not given back counts as free, and a limit set on the pool is kept.
    """
    if xp is np:
        return float("inf")
    pool = xp.get_default_memory_pool()
    free = xp.cuda.runtime.memGetInfo()[0] + pool.free_bytes()
    limit = pool.get_limit()  # 0 for none
    return float(min(free, limit - pool.used_bytes()) if limit else free) * 2 / 3


def largest(keys: Array, count: int) -> Array:
    """(n, m) -> (n, count): the largest of each row, in no order. CuPy's `partition` sorts anyway."""
    xp = namespace(keys)
    ordered = np.partition(keys, -count, axis=1) if xp is np else xp.sort(keys, axis=1)
    return ordered[:, -count:]


def unpack_bits(words: Array) -> Array:
    """(n, k) uint64 -> (n, 64 k) uint8 of bits, least significant first."""
    xp = namespace(words)
    octets = xp.ascontiguousarray(words).view(xp.uint8)
    if xp is np:
        return np.unpackbits(octets, axis=1, bitorder="little")
    return xp.unpackbits(octets.ravel(), bitorder="little").reshape(words.shape[0], -1)


def add_product(out: Array, left: Array, right: Array, *, scale: float = 1.0, transpose: bool = False) -> None:
    """out += scale * left right, or scale * left^T right; all float32, C-contiguous, `out` changed in place.

    On the CPU BLAS adds to `out` itself (beta = 1): no temporary, and 178 GFLOP/s where `+=` reaches 56 at 64 rows.
    """
    if namespace(out) is not np:
        out += scale * ((left.T if transpose else left) @ right)
        return
    # BLAS counts columns first, so it is given the transposes of row-major arrays: out^T += right^T left
    result = _sgemm()(scale, right.T, left.T, beta=1.0, c=out.T, trans_b=transpose, overwrite_c=True)
    if not np.shares_memory(result, out):
        raise ValueError("BLAS copied its output: `out` must be C-contiguous float32")


@cache
def _sgemm() -> Any:
    """BLAS's product; SciPy takes longer to load than a short recall, and only the preset paper multiplies with it."""
    with extra():
        from scipy.linalg.blas import sgemm
    return sgemm


def sum_by_group(rows: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    """(n, k) float32 rows summed by their group number, (count, k); NumPy only."""
    with extra():
        from scipy.sparse import csr_matrix
    n = len(rows)
    return np.asarray(csr_matrix((np.ones(n, np.float32), (group, np.arange(n))), shape=(count, n)) @ rows)
