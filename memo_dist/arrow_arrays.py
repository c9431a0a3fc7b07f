"""Arrow arrays of what Python and NumPy hold, made without pandas.

Covers: numbers, truths and strings, none of them null. Does not cover: lists (batches.py), schemas. `pa.array` loads
pandas to ask whether it is given a Series, which takes half a second and 40 MB in every process.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def array_of(values: np.ndarray | Sequence[Any], kind: pa.DataType) -> pa.Array:
    """(n,) values as an Arrow array of a type: whole numbers, bool, string or large_string.

    Raises:
        OverflowError: a number does not fit the type. UnicodeEncodeError: a string is no text.
    """
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = [value.encode() for value in values]
        edges = np.zeros(len(texts) + 1, np.int32 if pa.types.is_string(kind) else np.int64)
        np.cumsum([len(text) for text in texts], out=edges[1:])
        return pa.Array.from_buffers(kind, len(texts), [None, pa.py_buffer(edges), pa.py_buffer(b"".join(texts))])
    if pa.types.is_boolean(kind):
        data = np.packbits(np.asarray(values, bool), bitorder="little")
    else:
        data = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(data)])


def numbers_of(values: np.ndarray) -> pa.Array:
    """(n,) numbers or truths of NumPy as an Arrow array of the same type, without a copy of numbers."""
    return array_of(values, pa.from_numpy_dtype(values.dtype))
