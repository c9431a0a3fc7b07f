"""MergeActor: runs are opened once a merge, and no file is open between two merges, or after one that failed.

Covers: files of merge_actor.py. Does not cover: what is merged (runs/test_merging.py), phases (test_resume.py).
"""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from cut_batches import CONFIG, PASSAGES, run_of, whole_batch

from cluster.merge_actor import MergeActor, MergeSpec, Sources
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.format import documents_file


def are_open(folder: Path) -> list[str]:
    found = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [path.name for path in found if path.is_relative_to(folder)]


def actor(folder: Path, open_files: int = 100) -> MergeActor:
    run_of(whole_batch({"a": PASSAGES[0] + PASSAGES[1], "b": PASSAGES[2]}), folder / "runs")
    return MergeActor(
        MergeSpec(
            sources=Sources(runs=str(folder / "runs")),
            applied=frozenset(),
            config=CONFIG,
            tokenizer_hash="",
            rows=1000,
            slice_rows=1,  # so that each bank is a slice, and all of them are added up twice
            open_files=open_files,
        )
    )


@pytest.mark.parametrize("most", [0, 2, 100])
def test_a_merge_opens_each_file_once_and_closes_it(tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    merging, opened, real = actor(tmp_path, most), Counter[str](), pa.OSFile

    def counting(path: str, *mode: str) -> pa.OSFile:
        opened[Path(path).name] += 1
        return real(path, *mode)

    monkeypatch.setattr(pa, "OSFile", counting)
    for turn in (1, 2):
        merging.merge(str(tmp_path / f"{turn}.h5"), range(CONFIG.num_banks))
        assert are_open(tmp_path) == []
    often = 2 * 2 * CONFIG.num_banks  # turns, passes, slices
    anchors, following = (2 if most > kept else often for kept in (1, 0))
    assert opened == {"next-00000.arrow": following, "anchors.arrow": anchors, "documents.arrow": 2}
    for name in ("h5", "documents.parquet"):
        one, two = (documents_file(f"{turn}.h5") if name != "h5" else f"{turn}.h5" for turn in (1, 2))
        assert (tmp_path / one).read_bytes() == (tmp_path / two).read_bytes()


@pytest.mark.parametrize("name", ["next-00000.arrow", "anchors.arrow", "documents.arrow"])
def test_a_merge_that_fails_leaves_no_file_open(tmp_path: Path, name: str) -> None:
    merging = actor(tmp_path)
    (path,) = (tmp_path / "runs").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedMemoryError, match=name):
        merging.merge(str(tmp_path / "m.h5"), range(CONFIG.num_banks))
    assert are_open(tmp_path) == []
