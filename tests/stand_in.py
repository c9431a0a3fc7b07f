"""A stand-in for CuPy, made of NumPy: the code for a GPU runs on it where there is none.

It is stricter than CuPy, so what runs here makes no use of what CuPy lacks: arrays are a class of their own, which no
NumPy function takes, turn into NumPy's by `get` alone, and mix with nothing but scalars; functions are the few that are
listed here, with CuPy's arguments; new memory holds rubbish; equal keys are sorted in any order; assigning through an
index that names a place twice fails. What it cannot show: CUDA's own arithmetic, memory and timing.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

_SCALARS = (int, float, bool, np.generic)
FREE = 1 << 40  # bytes of the device


class DeviceArray:
    """An array that lives elsewhere."""

    __array_ufunc__ = None  # NumPy leaves operators to this class

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __array_function__(self, function: Callable[..., object], *_: object) -> object:
        raise TypeError(f"numpy.{function.__name__} was given an array of the device")

    def get(self) -> np.ndarray:
        return self._host.copy()

    @property
    def data(self) -> "Pointer":
        assert self._host.flags.c_contiguous
        return Pointer(self._host)

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    T = property(lambda self: DeviceArray(self._host.T))

    def __len__(self) -> int:
        return len(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __iter__(self) -> Iterator["DeviceArray"]:
        return (DeviceArray(np.asarray(row)) for row in self._host)

    def tolist(self) -> Any:
        return self._host.tolist()

    def __getitem__(self, key: object) -> "DeviceArray":
        return DeviceArray(np.asarray(self._host[_index(key)]))

    def __setitem__(self, key: object, value: object) -> None:
        where = _index(key)
        parts = where if isinstance(where, tuple) else (where,)
        listed = [part for part in parts if isinstance(part, np.ndarray) and part.dtype != bool and part.ndim]
        if listed:
            places = np.stack([place.ravel() for place in np.broadcast_arrays(*listed)])
            assert np.unique(places, axis=1).shape == places.shape, "a place is named twice"
        self._host[where] = _operand(value)

    def view(self, dtype: Any) -> "DeviceArray":
        return DeviceArray(self._host.view(dtype))

    def reshape(self, *shape: Any) -> "DeviceArray":
        return DeviceArray(self._host.reshape(*shape))

    def astype(self, dtype: Any, copy: bool = True) -> "DeviceArray":
        return DeviceArray(self._host.astype(dtype, copy=copy))

    def ravel(self) -> "DeviceArray":
        return DeviceArray(self._host.ravel())

    def copy(self) -> "DeviceArray":
        return DeviceArray(self._host.copy())

    def transpose(self, *axes: int) -> "DeviceArray":
        return DeviceArray(self._host.transpose(*axes))


class Pointer:
    """Where an array's memory begins."""

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def copy_from_host_async(self, mem: ctypes.c_void_p, size: int, stream: "Stream") -> None:
        assert size <= self._host.nbytes
        assert isinstance(stream, Stream)
        ctypes.memmove(self._host.ctypes.data, mem, size)

    def copy_to_host_async(self, mem: ctypes.c_void_p, size: int, stream: "Stream") -> None:
        assert size <= self._host.nbytes
        assert isinstance(stream, Stream)
        ctypes.memmove(mem, self._host.ctypes.data, size)


class Stream:
    def __init__(self, non_blocking: bool = False) -> None:
        self.non_blocking = non_blocking

    def wait_event(self, event: "Event") -> None:
        assert isinstance(event, Event)

    def synchronize(self) -> None:
        pass


class Event:
    def __init__(self, disable_timing: bool = False) -> None:
        self.disable_timing = disable_timing

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, Stream)

    def synchronize(self) -> None:
        pass


def _operand(value: object) -> Any:
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, _SCALARS):
        return value
    raise TypeError(f"unsupported type {type(value)}")


def _index(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(_index(part) for part in key)
    if key is None or key is Ellipsis or isinstance(key, slice | int | np.integer):
        return key
    return _operand(key)


def _operators() -> None:
    def binary(name: str) -> None:
        def method(self: DeviceArray, other: object) -> Any:
            if other is not self and not isinstance(other, (DeviceArray, *_SCALARS)):
                return NotImplemented
            found = getattr(self._host, name)(_operand(other))
            if found is NotImplemented:
                raise TypeError(f"{name} of {self.dtype} and {other!r}")
            if name.startswith("__i") and name != "__invert__":
                return self
            return DeviceArray(np.asarray(found))

        setattr(DeviceArray, name, method)

    for name in ("add", "sub", "mul", "truediv", "and", "or", "xor", "lshift", "rshift", "matmul"):
        binary(f"__{name}__")
        if name != "matmul":
            binary(f"__r{name}__")
            binary(f"__i{name}__")
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        binary(f"__{name}__")
    DeviceArray.__invert__ = lambda self: DeviceArray(~self._host)  # type: ignore[attr-defined]
    DeviceArray.__neg__ = lambda self: DeviceArray(-self._host)  # type: ignore[attr-defined]
    for name in ("sum", "max", "min", "any", "all"):

        def reduction(self: DeviceArray, name: str = name, **given: Any) -> DeviceArray:
            return DeviceArray(np.asarray(getattr(self._host, name)(**given)))

        setattr(DeviceArray, name, reduction)


_operators()


def _lifted(function: Callable[..., Any]) -> Callable[..., DeviceArray]:
    """A function of NumPy on arrays of the device; keyword arguments pass as they are."""

    def lifted(*arguments: object, **given: Any) -> DeviceArray:
        plain = [[_operand(a) for a in x] if isinstance(x, list | tuple) else _operand(x) for x in arguments]
        return DeviceArray(np.asarray(function(*plain, **given)))

    return lifted


def _created(function: Callable[..., Any]) -> Callable[..., DeviceArray]:
    return lambda *arguments, **given: DeviceArray(function(*arguments, **given))


def _empty(shape: Any, dtype: Any = float) -> DeviceArray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    rubbish = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    return DeviceArray(rubbish.view(dtype).reshape(shape))


def _asarray(values: object, dtype: Any = None) -> DeviceArray:
    if isinstance(values, DeviceArray):
        return values if dtype is None else values.astype(dtype, copy=False)
    return DeviceArray(np.array(values, dtype))  # a copy: it crosses a bus


def _argsort(array: DeviceArray) -> DeviceArray:
    shuffled = np.random.default_rng(len(array)).permutation(len(array))
    return DeviceArray(shuffled[np.argsort(array._host[shuffled], kind="stable")])


def _searchsorted(array: DeviceArray, values: DeviceArray) -> DeviceArray:
    assert isinstance(values, DeviceArray)
    assert array.dtype == values.dtype, "CuPy compares them as they are"
    return DeviceArray(np.searchsorted(array._host, values._host))


def _lexsort(keys: DeviceArray) -> DeviceArray:
    assert isinstance(keys, DeviceArray)
    assert keys.ndim == 2
    return DeviceArray(np.lexsort(keys._host))


def _bincount(array: DeviceArray, minlength: int = 0) -> DeviceArray:
    if not len(array._host):
        raise ValueError("zero-size array to reduction operation cupy_max which has no identity")
    return DeviceArray(np.bincount(array._host, minlength=minlength))


def _unpackbits(octets: DeviceArray, bitorder: str = "big") -> DeviceArray:
    return DeviceArray(np.unpackbits(octets._host.ravel(), bitorder="little" if bitorder == "little" else "big"))


def stand_in() -> ModuleType:
    """The module."""
    module: Any = ModuleType("cupy")
    for name in ("zeros", "ones", "full", "arange"):
        setattr(module, name, _created(getattr(np, name)))
    for name in ("concatenate", "stack", "where", "maximum", "abs", "rint", "matmul", "sort", "flatnonzero", "cumsum"):
        setattr(module, name, _lifted(getattr(np, name)))
    for name in ("minimum", "take_along_axis", "ascontiguousarray", "zeros_like"):
        setattr(module, name, _lifted(getattr(np, name)))
    for name in ("uint8", "uint32", "uint64", "int16", "int32", "int64", "float32", "float64"):
        setattr(module, name, getattr(np, name))
    module.empty, module.asarray, module.argsort, module.searchsorted = _empty, _asarray, _argsort, _searchsorted
    module.lexsort, module.unpackbits, module.bincount = _lexsort, _unpackbits, _bincount
    module.argpartition = _lifted(np.argpartition)
    module.linalg = SimpleNamespace(norm=_lifted(np.linalg.norm))
    pool = SimpleNamespace(
        free_bytes=lambda: 0,
        used_bytes=lambda: 0,
        total_bytes=lambda: 0,
        get_limit=lambda: 0,
        set_limit=lambda size: None,
        free_all_blocks=lambda: None,
    )
    module.__version__ = "stand-in"
    module.get_default_memory_pool = lambda: pool
    current = Stream()
    module.cuda = SimpleNamespace(
        Stream=Stream,
        Event=Event,
        get_current_stream=lambda: current,
        alloc_pinned_memory=bytearray,
        Device=lambda: SimpleNamespace(synchronize=lambda: None),
        runtime=SimpleNamespace(
            getDeviceCount=lambda: 1,
            getDeviceProperties=lambda number: {"name": b"stand-in"},
            memGetInfo=lambda: (FREE, FREE),
        ),
    )
    return module  # type: ignore[no-any-return]


@contextmanager
def installed() -> Iterator[ModuleType]:
    """While it lasts, `import cupy` gives the stand-in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", stand_in())
        yield sys.modules["cupy"]
