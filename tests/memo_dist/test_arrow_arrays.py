"""Arrays made without pandas are those of pa.array."""

import numpy as np
import pyarrow as pa
import pytest

from memo_dist.arrow_arrays import array_of, numbers_of


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], pa.string()),
        (["", "words", "\u00e9\U0001f600", "\0"], pa.string()),
        (("a", "bc"), pa.large_string()),
        ((), pa.uint64()),
        ((0, 2**64 - 1), pa.uint64()),
        ([-1, 1], pa.int32()),
        ([], pa.bool_()),
        ([True, False, False] * 7, pa.bool_()),
        (np.arange(9, dtype=np.uint16), pa.uint16()),
    ],
)
def test_equals_arrows_own(values: list[object], kind: pa.DataType) -> None:
    made = array_of(values, kind)
    made.validate(full=True)
    assert made.equals(pa.array(values, kind))
    assert made.to_pylist() == list(values)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64, np.int32, np.int64, bool])
def test_numbers_keep_their_type(dtype: type) -> None:
    values = np.arange(40)[::3].astype(dtype)
    assert numbers_of(values).equals(pa.array(values))
    assert numbers_of(values[:0]).equals(pa.array(values[:0]))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OverflowError):
        array_of([2**32], pa.uint32())
    with pytest.raises(UnicodeEncodeError):
        array_of(["\ud800"], pa.string())
