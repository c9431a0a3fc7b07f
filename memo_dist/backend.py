"""The array backend: NumPy, or CuPy where a GPU is asked for. The only file that names cupy.

Covers: choosing a namespace, moving arrays, the two operations that the libraries spell differently.
Does not cover: arithmetic; all other modules write `xp.` and run on both.
"""

from types import ModuleType
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError

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
        raise ConfigError(f"device is 'gpu', but {reason}; use --device cpu or auto")
    return np


def namespace(array: Array) -> ModuleType:
    """The library that `array` belongs to."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    return array_module("gpu")


def to_host(array: Array) -> np.ndarray:
    """The same values as a NumPy array; no copy if it is one already."""
    return array if isinstance(array, np.ndarray) else np.asarray(array.get())


def to_device(array: np.ndarray, xp: ModuleType) -> Array:
    """The same values as an array of `xp`; no copy for NumPy."""
    return xp.asarray(array)


def unpack_bits(words: Array) -> Array:
    """(n, k) uint64 -> (n, 64 k) uint8 of bits, least significant first."""
    xp = namespace(words)
    octets = xp.ascontiguousarray(words).view(xp.uint8)
    if xp is np:
        return np.unpackbits(octets, axis=1, bitorder="little")
    return xp.unpackbits(octets.ravel(), bitorder="little").reshape(words.shape[0], -1)
