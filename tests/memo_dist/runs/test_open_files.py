"""Open files: each is opened once until all are closed, no more are open than may be, and none that is bad stays open.

Covers: open_files.py. Does not cover: what is read (test_run_file.py), merges (cluster/test_merge_actor.py).
"""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from memo_dist.errors import DamagedMemoryError
from memo_dist.models.text.ledger import Entries
from memo_dist.runs.open_files import OpenFiles
from memo_dist.runs.run_file import read_run_file, write_run_file

TOP = 1 << 64


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{index}.arrow" for index in range(5)]
    for index, path in enumerate(found):
        one = np.ones(1, np.uint32)
        write_run_file(path, Entries(np.array([index], np.uint64), one, one))
    return found


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened."""
    counts, real = Counter[str](), pa.OSFile

    def counting(path: str, *mode: str) -> pa.OSFile:
        counts[Path(path).name] += 1
        return real(path, *mode)

    monkeypatch.setattr(pa, "OSFile", counting)
    return counts


def are_open(folder: Path) -> list[str]:
    found = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return sorted(path.name for path in found if path.parent == folder)


def read(paths: list[Path], files: OpenFiles) -> list[int]:
    return [int(read_run_file(path, 0, TOP, files=files).names[0]) for path in paths]


@pytest.mark.parametrize("most", [0, 1, 3, 5, 100])
def test_the_first_files_stay_open_until_all_are_closed(
    paths: list[Path], most: int, tmp_path: Path, opened: Counter[str]
) -> None:
    files = OpenFiles(most)
    for _ in range(3):
        assert read(paths, files) == [0, 1, 2, 3, 4]
        assert are_open(tmp_path) == [path.name for path in paths[:most]]
    assert [opened[path.name] for path in paths] == [1 if index < most else 3 for index in range(5)]
    files.close()
    assert are_open(tmp_path) == []
    files.close()
    assert read(paths[::-1], files) == [4, 3, 2, 1, 0]  # opened anew, as if it were the first time
    assert are_open(tmp_path) == sorted(path.name for path in paths[::-1][:most])
    files.close()


@pytest.mark.parametrize("most", [0, 5])
def test_a_file_that_is_none_or_damaged_does_not_stay_open(paths: list[Path], most: int, tmp_path: Path) -> None:
    files, whole = OpenFiles(most), paths[0].read_bytes()
    for content in (b"", whole[:-1], bytes(len(whole))):
        paths[0].write_bytes(content)
        with pytest.raises(DamagedMemoryError, match=r"0\.arrow"):
            read(paths[:1], files)
        assert are_open(tmp_path) == []
    paths[0].unlink()
    with pytest.raises(DamagedMemoryError, match=r"0\.arrow"):
        read(paths[:1], files)
    paths[0].write_bytes(whole)
    assert read(paths[:1], files) == [0]
    files.close()
    assert are_open(tmp_path) == []
