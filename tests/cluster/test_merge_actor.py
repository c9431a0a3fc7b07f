"""MergeActor: runs are opened once a merge, and no file is open between two merges, or after one that failed.

Covers: files of merge_actor.py. Does not cover: what is merged (runs/test_merging.py), phases (test_resume.py).
"""

from collections import Counter
from concurrent.futures import Future
from pathlib import Path
from threading import Event, Timer
from typing import Any

import pyarrow as pa
import pytest
from cut_batches import CONFIG, PASSAGES, run_of, whole_batch

from cluster.merge_actor import MergeActor, MergeSpec, Sources
from cluster.thread_executor import ActorThread
from memo_dist.errors import DamagedMemoryError, StoppedError
from memo_dist.files.format import documents_file
from memo_dist.models.text.ledger import Entries
from memo_dist.runs.run_folder import RunFolder


def are_open(folder: Path) -> list[str]:
    found = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [path.name for path in found if path.is_relative_to(folder)]


def actor_of(folder: Path, open_files: int = 100) -> MergeActor:
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
    merging, opened, real = actor_of(tmp_path, most), Counter[str](), pa.OSFile

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
    merging = actor_of(tmp_path)
    (path,) = (tmp_path / "runs").glob(f"*/{name}")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedMemoryError, match=name):
        merging.merge(str(tmp_path / "m.h5"), range(CONFIG.num_banks))
    assert are_open(tmp_path) == []


def test_a_merge_in_a_thread_ends_at_its_next_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop does not wait for a file that takes minutes."""
    began, goes_on, slices, read = Event(), Event(), [], RunFolder.next

    def next_of(self: RunFolder, low: int, high: int) -> list[Entries]:
        slices.append(low)
        began.set()
        goes_on.wait(60)
        return read(self, low, high)

    monkeypatch.setattr(RunFolder, "next", next_of)
    thread = ActorThread(actor_of, tmp_path)
    (tmp_path / "out").mkdir()
    merging: Future[Any] = thread.call("merge", [str(tmp_path / "out" / "shard.h5"), range(CONFIG.num_banks)])
    assert began.wait(60)
    Timer(0.2, goes_on.set).start()  # while it is being ended
    thread.end()
    with pytest.raises(StoppedError, match="before its file was whole"):
        merging.result(0)
    assert len(slices) == 1
    assert not list((tmp_path / "out").iterdir())
