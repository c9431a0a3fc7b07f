"""Packed ledgers: any rows come back bank by bank, as a second reader has them; hostile ones are refused in time.

Covers: ledger_writer.py, ledger_reader.py, their layout. Does not cover: whether rows are the memory's (digests).
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_format import PlainShard

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.extents import Extents
from memo_dist.files.ledger_layout import LedgerLayout, bank_names
from memo_dist.files.ledger_reader import LedgerReader
from memo_dist.files.ledger_writer import LedgerWriter
from memo_dist.files.packing.counts import pack_counts
from memo_dist.files.packing.frames import compress
from memo_dist.files.packing.tokens import pack_tokens
from memo_dist.models.text.bank_assignment import bank_edge
from memo_dist.models.text.ledger import Entries

GROUP = "ledger/next"
BOUNDS = ["rows", "token_bounds", "more_rows", "more_bounds"]
DATASETS = [*BOUNDS, "uppers", "lowers", "tokens", "more"]
COUNTS = [1, 2, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**28 - 1, 2**28, 2**32 - 1]
Rows = list[tuple[int, int, int]]


def entries(rows: Rows) -> Entries:
    names, tokens, counts = zip(*rows, strict=True) if rows else ((), (), ())
    return Entries(np.array(names, np.uint64), np.array(tokens, np.uint32), np.array(counts, np.uint32))


def write(path: Path, rows: Rows, *, banks: range, num_banks: int, largest: int, piece: int = 10_000) -> None:
    parts = in_one_buffer(entries(rows[first : first + piece]) for first in range(0, len(rows), piece))
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["first_bank"], file.attrs["stop_bank"] = banks.start, banks.stop
        layout = LedgerLayout(banks, num_banks, len(rows), largest)
        writer = LedgerWriter(file.create_group(GROUP), layout)
        for part in parts:
            writer.append(part)
        writer.close()


def in_one_buffer(parts: Iterable[Entries]) -> Iterator[Entries]:
    """Parts whose memory holds something else once the next one is asked."""
    for part in parts:
        yield part
        for column in (part.names, part.tokens, part.counts):
            column[:] = 77


def opened(path: Path, *, banks: range, num_banks: int, largest: int) -> LedgerReader:
    with h5py.File(path) as file:
        return LedgerReader(Extents(path, file), GROUP, banks=banks, num_banks=num_banks, largest=largest)


def rows_of(held: Entries) -> Rows:
    return list(zip(held.names.tolist(), held.tokens.tolist(), held.counts.tolist(), strict=True))


@st.composite
def ledgers(draw: st.DrawFn) -> tuple[range, int, int, Rows]:
    """Banks, of how many, the largest token, rows: some alike in their upper half or whole, some at the edges."""
    num_banks = draw(st.sampled_from([1, 2, 3, 7, 1000, 26917]))
    start = draw(st.integers(0, num_banks - 1))
    banks = range(start, draw(st.integers(start + 1, min(num_banks, start + 9))))
    largest = draw(st.sampled_from([1, 255, 256, 50_000, 65_535, 65_536, 2**32 - 1]))
    low, high = bank_edge(banks.start, num_banks), bank_edge(banks.stop, num_banks)
    edges = [bank_edge(bank, num_banks) for bank in banks]
    name = st.one_of(
        st.integers(low, high - 1),
        st.sampled_from([low, low + 1, high - 2, high - 1, *edges, *(edge - 1 for edge in edges[1:])]),
        st.integers(0, 3).map(lambda small: low + small),
    )
    pairs = draw(st.sets(st.tuples(name, st.integers(0, largest) | st.just(largest)), max_size=60))
    rows = [(*pair, draw(st.sampled_from(COUNTS) | st.integers(1, 300))) for pair in sorted(pairs)]
    return banks, num_banks, largest, rows


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ledger=ledgers(), piece=st.sampled_from([1, 3, 1000]))
def test_any_ledger_comes_back_bank_by_bank(ledger: tuple[range, int, int, Rows], piece: int, tmp_path: Path) -> None:
    banks, num_banks, largest, rows = ledger
    of = {"banks": banks, "num_banks": num_banks, "largest": largest}
    write(tmp_path / "l.h5", rows, piece=piece, **of)
    found = opened(tmp_path / "l.h5", **of)
    edges = [bank_edge(bank, num_banks) for bank in range(banks.start, banks.stop + 1)]
    truth = [[row for row in rows if low <= row[0] < high] for low, high in pairwise(edges)]
    assert PlainShard(tmp_path / "l.h5", num_banks, 0).ledger(GROUP, largest) == truth
    assert [rows_of(found.entries(bank, bank + 1)) for bank in range(len(banks))] == truth
    assert rows_of(found.entries(0, len(banks))) == rows
    assert np.diff(found.rows).tolist() == [len(bank) for bank in truth]
    middle = len(banks) // 2
    assert rows_of(found.entries(middle, len(banks))) == [row for bank in truth[middle:] for row in bank]


def test_a_name_takes_two_bits_more_than_it_must() -> None:
    for rows in (1, 1000, 123_456, 10_000_000, 10**9):
        layout = LedgerLayout(range(26917), 26917, rows, 32_000)
        assert (layout.bits["uppers"] + layout.bits["lowers"]) / rows <= 64 - np.log2(rows) + 2.001


def test_bank_names_are_the_edges() -> None:
    for num_banks in (1, 3, 1000, 2**31 - 1):
        banks = range(max(0, num_banks - 5), num_banks)
        firsts, lasts = bank_names(banks, num_banks)
        assert firsts.tolist() == [bank_edge(bank, num_banks) for bank in banks]
        assert lasts.tolist() == [bank_edge(bank + 1, num_banks) - 1 for bank in banks]


def test_a_ledger_of_another_length_than_was_said_is_a_fault_of_the_caller(tmp_path: Path) -> None:
    layout = LedgerLayout(range(1), 1, 2, 9)
    with h5py.File(tmp_path / "l.h5", "w") as file:
        writer = LedgerWriter(file, layout)
        writer.append(entries([(1, 1, 1)]))
        with pytest.raises(ValueError, match="gave 1 rows; expected 2"):
            writer.close()


OF = {"banks": range(2, 8), "num_banks": 9, "largest": 299}


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    rng = np.random.default_rng(0)
    low, high = bank_edge(2, 9), bank_edge(8, 9)
    names = sorted(rng.integers(low, high - 1, 300, dtype=np.uint64, endpoint=True).tolist())
    write(tmp_path / "l.h5", [(name, int(rng.integers(300)), int(rng.choice(COUNTS[:6]))) for name in names], **OF)
    return tmp_path / "l.h5"


def read_all(path: Path) -> None:
    found = opened(path, **OF)
    for bank in range(6):
        held = found.entries(bank, bank + 1)
        firsts, lasts = bank_names(range(bank + 2, bank + 3), 9)
        assert len(held) == found.rows[bank + 1] - found.rows[bank]
        assert ((held.names >= firsts[0]) & (held.names <= lasts[0])).all()
        pairs = list(zip(held.names.tolist(), held.tokens.tolist(), strict=True))
        assert pairs == sorted(set(pairs))
        assert (held.tokens <= 299).all()
        assert (held.counts >= 1).all()
    found.entries(0, 6)


def is_refused(path: Path) -> bool:
    try:
        read_all(path)
    except DamagedMemoryError as error:
        return path.name in str(error)
    return False


@pytest.mark.parametrize("name", DATASETS)
def test_any_bits_are_rows_in_order_or_refused(file: Path, name: str) -> None:
    """No digest is asked: what is damaged here may be what a stranger wrote, and must not be believed either."""
    whole, rng, refused = file.read_bytes(), np.random.default_rng(1), 0
    for turn in range(150):
        with h5py.File(file, "r+") as opened_file:
            data = opened_file[f"{GROUP}/{name}"]
            values = data[:]
            octets = values.view(np.uint8)
            if turn % 3 == 0:
                octets[rng.integers(len(octets))] ^= np.uint8(1 << rng.integers(8))
            elif turn % 3 == 1:
                octets[:] = np.frombuffer(rng.bytes(len(octets)), np.uint8)
            else:
                octets[rng.integers(len(octets)) :] = rng.choice([0, 255])
            data[:] = values
        refused += is_refused(file)
        file.write_bytes(whole)
    assert refused > 30 * (name != "lowers"), refused  # others are mostly rows of other windows
    read_all(file)


FOREIGN = {
    "fewer": lambda frame, load: pack_tokens(np.zeros(load - 1, np.uint32), 2),
    "more": lambda frame, load: pack_tokens(np.zeros(load + 1, np.uint32), 2),
    "more planes": lambda frame, load: pack_tokens(np.zeros(load, np.uint32), 3),
    "far more": lambda frame, load: compress(np.zeros(1 << 24, np.uint8)),
    "garbage": lambda frame, load: bytes(range(100)),
    "none": lambda frame, load: b"",
    "with more behind": lambda frame, load: frame + b"more",
}


def exchange(path: Path, frames: dict[int, bytes], *, column: str = "tokens", bounds: str = "token_bounds") -> None:
    """Put other frames in the places of some banks'."""
    with h5py.File(path, "r+") as file:
        group = file[GROUP]
        edges, whole = group[bounds][:].tolist(), group[column][:].tobytes()
        kept = [frames.get(bank, whole[start:stop]) for bank, (start, stop) in enumerate(pairwise(edges))]
        del group[column], group[bounds]
        group[column] = np.frombuffer(b"".join(kept), np.uint8)
        group[bounds] = np.cumsum([0, *(len(frame) for frame in kept)]).astype("<u8")


def frame_of(path: Path, bank: int, *, column: str, bounds: str) -> bytes:
    with h5py.File(path) as file:
        start, stop = file[f"{GROUP}/{bounds}"][bank : bank + 2].tolist()
        return file[f"{GROUP}/{column}"][start:stop].tobytes()


def bank_is_refused(path: Path, bank: int, what: str) -> None:
    """By file and bank, alone and with others; and no other bank is."""
    found = opened(path, **OF)
    for start, stop in ((bank, bank + 1), (0, 6)):
        with pytest.raises(DamagedMemoryError, match=rf"l\.h5: the {what} of bank {bank + 2} \(ledger/next\) cannot"):
            found.entries(start, stop)
    for other in {*range(6)} - {bank}:
        assert len(found.entries(other, other + 1))


@pytest.mark.parametrize("how", FOREIGN)
@pytest.mark.parametrize("bank", [0, 3, 5])
def test_a_foreign_frame_of_tokens_is_refused_by_file_and_bank(file: Path, bank: int, how: str) -> None:
    frame = frame_of(file, bank, column="tokens", bounds="token_bounds")
    before = opened(file, **OF)
    exchange(file, {bank: FOREIGN[how](frame, int(before.rows[bank + 1] - before.rows[bank]))})
    bank_is_refused(file, bank, "tokens")


def planes(ones: list[int], counts: list[int]) -> bytes:
    """A frame of counts, each less 2, with the number of ones before each."""
    octets = np.array([ones, counts], "<u4").view(np.uint8).reshape(2, -1, 4)
    return compress(octets.transpose(0, 2, 1))


MORE = {
    "fewer": lambda frame, above, load: planes([0] * (above - 1), [0] * (above - 1)),
    "more": lambda frame, above, load: planes([0] * (above + 1), [0] * (above + 1)),
    "far more": lambda frame, above, load: compress(np.zeros(1 << 24, np.uint8)),
    "garbage": lambda frame, above, load: bytes(range(100)),
    "none": lambda frame, above, load: b"",
    "with more behind": lambda frame, above, load: frame + b"more",
    "behind the last row": lambda frame, above, load: planes([load - above + 1, *[0] * (above - 1)], [0] * above),
    "far behind": lambda frame, above, load: planes([2**32 - 1] * above, [0] * above),
    "too large": lambda frame, above, load: planes([0] * above, [*[0] * (above - 1), 2**32 - 2]),
    "largest": lambda frame, above, load: planes([0] * above, [2**32 - 1] * above),
}


@pytest.mark.parametrize("how", MORE)
@pytest.mark.parametrize("bank", [0, 3, 5])
def test_a_foreign_frame_of_counts_is_refused_by_file_and_bank(file: Path, bank: int, how: str) -> None:
    of = {"column": "more", "bounds": "more_bounds"}
    frame, held = frame_of(file, bank, **of), opened(file, **OF).entries(bank, bank + 1)
    above = int((held.counts > 1).sum())
    assert pack_counts(held.counts) == (above, frame)
    last = planes([len(held) - above, *[0] * (above - 1)], [2**32 - 3] * above)  # all that there is room for
    exchange(file, {bank: last}, **of)
    assert opened(file, **OF).entries(bank, bank + 1).counts.tolist()[-above:] == [2**32 - 1] * above
    exchange(file, {bank: MORE[how](frame, above, len(held))}, **of)
    bank_is_refused(file, bank, "counts")


@pytest.mark.parametrize(
    ("column", "bounds", "frame"),
    [("tokens", "token_bounds", pack_tokens(np.zeros(1, np.uint32), 2)), ("more", "more_bounds", planes([0], [0]))],
)
@pytest.mark.parametrize("count", [1, 2])
def test_a_frame_of_a_bank_without_rows_is_refused(
    tmp_path: Path, column: str, bounds: str, frame: bytes, count: int
) -> None:
    low = bank_edge(3, 9)
    write(tmp_path / "l.h5", [(low + row, 7, count) for row in range(20)], **OF)
    assert len(opened(tmp_path / "l.h5", **OF).entries(0, 6)) == 20
    exchange(tmp_path / "l.h5", {4: frame}, column=column, bounds=bounds)
    with pytest.raises(DamagedMemoryError, match=rf"l\.h5: ledger/next/{bounds}"):
        opened(tmp_path / "l.h5", **OF)


@pytest.mark.parametrize("count", [1, 2])
def test_more_counts_than_rows_are_refused(tmp_path: Path, count: int) -> None:
    low = bank_edge(3, 9)
    write(tmp_path / "l.h5", [(low + row, 7, count) for row in range(20)], **OF)
    with h5py.File(tmp_path / "l.h5", "r+") as file:
        file[f"{GROUP}/more_rows"][:] = [0, 0, 21, 21, 21, 21, 21]
    with pytest.raises(DamagedMemoryError, match=r"l\.h5: ledger/next/more_rows"):
        opened(tmp_path / "l.h5", **OF)


def stored(values: np.ndarray, how: str) -> np.ndarray:
    """A dataset's values in another shape, all of them in the file."""
    return {
        "longer": np.concatenate([values, values[:1]]),
        "shorter": values[:-1],
        "square": values[:, None],
        "none": values[:0],
    }[how]


@pytest.mark.parametrize("how", ["longer", "shorter", "square", "none"])
@pytest.mark.parametrize("name", DATASETS)
def test_values_in_another_shape_are_refused(file: Path, name: str, how: str) -> None:
    with h5py.File(file, "r+") as opened_file:
        values = opened_file[f"{GROUP}/{name}"][:]
        del opened_file[f"{GROUP}/{name}"]
        opened_file[f"{GROUP}/{name}"] = stored(values, how)
    with pytest.raises(DamagedMemoryError, match=r"l\.h5"):
        opened(file, **OF)


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 60,), (0,), (7, 2)])
@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_of_another_shape_is_refused_unread(file: Path, name: str, shape: tuple[int, ...]) -> None:
    with h5py.File(file, "r+") as opened_file:
        kind = opened_file[f"{GROUP}/{name}"].dtype
        del opened_file[f"{GROUP}/{name}"]
        opened_file.create_dataset(f"{GROUP}/{name}", shape, kind, chunks=None if 0 in shape else (1, 1)[: len(shape)])
    with pytest.raises(DamagedMemoryError, match=r"l\.h5"):
        opened(file, **OF)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("last", [2**61, 2**62, 2**64 - 1, 10**12])
def test_bounds_beyond_the_file_are_refused_unread(file: Path, name: str, last: int) -> None:
    with h5py.File(file, "r+") as opened_file:
        opened_file[f"{GROUP}/{name}"][-1] = np.uint64(last)
    with pytest.raises(DamagedMemoryError, match=r"l\.h5"):
        opened(file, **OF)


@pytest.mark.parametrize("how", ["chunked", "group", "missing", "compact", "type"])
def test_only_bytes_in_a_row_are_read(file: Path, how: str) -> None:
    with h5py.File(file, "r+") as opened_file:
        values = opened_file[f"{GROUP}/uppers"][:]
        del opened_file[f"{GROUP}/uppers"]
        if how == "chunked":
            opened_file.create_dataset(f"{GROUP}/uppers", data=values, chunks=True)
        elif how == "group":
            opened_file.create_group(f"{GROUP}/uppers")
        elif how == "compact":
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_layout(h5py.h5d.COMPACT)
            space, kind = h5py.h5s.create_simple(values.shape), h5py.h5t.NATIVE_UINT64
            h5py.h5d.create(opened_file[GROUP].id, b"uppers", kind, space, plist).write(
                h5py.h5s.ALL, h5py.h5s.ALL, values
            )
        elif how == "type":
            opened_file[f"{GROUP}/uppers"] = values.astype(">u8")
    with pytest.raises(DamagedMemoryError, match=r"l\.h5"):
        opened(file, **OF)
