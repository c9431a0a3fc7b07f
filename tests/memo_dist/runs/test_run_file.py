"""Run files: any rows come back, whole or of any range of names; what is damaged is refused by the file's name.

Covers: run_file.py. Does not cover: what of a batch is in which file (test_run_folder.py), sums (test_sums.py).
"""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from memo_dist.errors import DamagedMemoryError
from memo_dist.models.text.ledger import Entries
from memo_dist.planning.processes import STORED_RUN_BYTES
from memo_dist.runs import run_file
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_file import read_run_file, write_run_file

TOP = 1 << 64
Rows = list[tuple[int, int, int]]
#: Names anywhere; at the edges of the parts of a file; close to each other; two tokens may share one.
name = st.one_of(
    st.integers(0, TOP - 1),
    st.sampled_from([edge + more for edge in (0, 1 << 62, 1 << 63, 3 << 62) for more in (0, 1)] + [2**63 - 1, TOP - 1]),
    st.integers(0, 20).map(lambda low: (5 << 59) + low),
)
token = st.integers(0, 70_000) | st.sampled_from([65_535, 65_536, 2**32 - 1])
rows = st.dictionaries(st.tuples(name, token), st.integers(1, 2**32 - 1), max_size=60).map(
    lambda counts: [(*row, counts[row]) for row in sorted(counts)]
)
edge = st.one_of(st.sampled_from([0, TOP]), name, st.integers(0, 64).map(lambda part: part << 58))
WHOLE: Rows = [(index * (TOP // 300), index % 70_000, 1 + index % 3) for index in range(300)]


def entries(given_rows: Rows) -> Entries:
    names, tokens, counts = zip(*given_rows, strict=True) if given_rows else ((), (), ())
    return Entries(np.array(names, np.uint64), np.array(tokens, np.uint32), np.array(counts, np.uint32))


def rows_of(found: Entries) -> Rows:
    return list(zip(found.names.tolist(), found.tokens.tolist(), found.counts.tolist(), strict=True))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_rows=rows, edges=st.lists(st.tuples(edge, edge), max_size=4), part=st.sampled_from([1, 4, 1 << 12]))
@example(given_rows=[], edges=[(0, TOP)], part=1)
@example(given_rows=[(TOP - 1, 65_536, 2**32 - 1)], edges=[(0, TOP), (TOP - 1, TOP), (0, TOP - 1)], part=1)
@example(given_rows=[(5 << 59, token, 1) for token in range(40)], edges=[(5 << 59, (5 << 59) + 1)], part=1)
def test_any_rows_come_back_whole_and_in_any_range(
    given_rows: Rows, edges: list[tuple[int, int]], part: int, tmp_path: Path
) -> None:
    path = tmp_path / "run.arrow"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_file, "_ROWS", part)  # so that few rows are many parts
        write_run_file(path, entries(given_rows))
    found = read_run_file(path, 0, TOP, files=OpenFiles())
    assert (found.names.dtype, found.tokens.dtype, found.counts.dtype) == (np.uint64, np.uint32, np.int64)
    assert rows_of(found) == given_rows
    for one, other in edges:
        low, high = sorted((one, other))
        if low < high:
            assert rows_of(read_run_file(path, low, high, files=OpenFiles())) == [
                row for row in given_rows if low <= row[0] < high
            ]


def test_neighbouring_ranges_are_a_file(tmp_path: Path) -> None:
    """As slices ask: nothing twice, nothing left out."""
    rng = np.random.default_rng(0)
    names = np.unique(rng.integers(0, TOP, 50_000, dtype=np.uint64))
    held = Entries(names, rng.integers(0, 50_000, len(names)).astype(np.uint32), np.ones(len(names), np.uint32))
    write_run_file(tmp_path / "run.arrow", held)
    with ipc.open_file(str(tmp_path / "run.arrow")) as file:
        assert file.num_record_batches == 16
    for slices in (1, 3, 7, 100):
        edges = [TOP * index // slices for index in range(slices + 1)]
        parts = [
            read_run_file(tmp_path / "run.arrow", low, high, files=OpenFiles())
            for low, high in itertools.pairwise(edges)
        ]
        assert np.array_equal(np.concatenate([part.names for part in parts]), names)
        assert np.array_equal(np.concatenate([part.tokens for part in parts]), held.tokens)


def test_a_row_takes_what_is_planned(tmp_path: Path) -> None:
    """Tokens that are all alike frequent are the worst."""
    rng = np.random.default_rng(0)
    names = np.unique(rng.integers(0, TOP, 200_000, dtype=np.uint64))
    tokens = rng.integers(0, 32_000, len(names)).astype(np.uint32)
    write_run_file(tmp_path / "run.arrow", Entries(names, tokens, np.ones(len(names), np.uint32)))
    size = (tmp_path / "run.arrow").stat().st_size
    assert size == pytest.approx(STORED_RUN_BYTES * len(names), rel=0.05)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_file, "_ROWS", 32)
    write_run_file(tmp_path / "run.arrow", entries(WHOLE))
    return tmp_path / "run.arrow"


def assert_refused(path: Path, low: int = 0, high: int = TOP) -> None:
    with pytest.raises(DamagedMemoryError, match=rf"{path.name} is no whole run of a build"):
        read_run_file(path, low, high, files=OpenFiles())


def test_a_file_that_was_cut_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    for size in {0, 1, 8, len(whole) - 1, *range(0, len(whole), 97)}:
        written.write_bytes(whole[:size])
        assert_refused(written)


def test_a_file_that_is_missing_or_is_none_is_refused(written: Path, tmp_path: Path) -> None:
    written.unlink()
    assert_refused(written)
    written.mkdir()
    assert_refused(written)
    written.rmdir()
    for table in (pa.table({"a": [1]}), pa.table({name: ["x"] for name in ("step", "low", "token", "count")})):
        with ipc.new_file(str(written), table.schema) as writer:
            writer.write_table(table)
        assert_refused(written)
    with ipc.new_file(str(written), pa.schema([("step", pa.uint32())])):
        pass  # no part at all
    assert_refused(written)


def test_any_bit_that_matters_is_noticed(written: Path) -> None:
    """What is read is what was written, or the file is refused: there is no digest behind a run that would tell."""
    whole, rng, refused = written.read_bytes(), np.random.default_rng(1), 0
    for turn in range(400):
        data = np.frombuffer(whole, np.uint8).copy()
        place = int(rng.integers(len(data)))
        if turn % 4:
            data[place] ^= np.uint8(1 << rng.integers(8))
        else:
            data[place : place + 64] = rng.choice([0, 255])
        written.write_bytes(data.tobytes())
        try:
            found = read_run_file(written, 0, TOP, files=OpenFiles())
        except DamagedMemoryError as error:
            refused += written.name in str(error)
        else:
            assert rows_of(found) == WHOLE
    assert refused > 200


def test_a_part_in_the_place_of_another_is_noticed(written: Path) -> None:
    """Its rows would be sorted, and of other names."""
    with ipc.open_file(str(written)) as file:
        parts = [file.get_batch(index) for index in range(file.num_record_batches)]
    with ipc.new_file(str(written), parts[0].schema) as writer:
        for part in parts:
            writer.write_batch(part)  # without what is said of it
    assert_refused(written)
