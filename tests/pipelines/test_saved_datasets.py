"""Directories of saved datasets: what lies beside the rows is no part of the corpus; rows that are missing are named.

Covers: directories here and behind a URL, of one split and of several. Does not cover: reading rows (formats/).
"""

import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest

from memo_dist.errors import InputError
from pipelines.find import list_sources
from pipelines.saved_datasets import not_rows

FILES = ["train/data-00000-of-00001.arrow", "test/data-00000-of-00001.arrow"]


def save(folder: Path) -> None:
    """As `DatasetDict.save_to_disk` does."""
    for file in FILES:
        split = (folder / file).parent
        split.mkdir(parents=True)
        table = pa.table({"text": ["one"]})
        with pa.OSFile(str(folder / file), "wb") as handle, pa.ipc.new_stream(handle, table.schema) as writer:
            writer.write_table(table)
        (split / "cache-1.arrow").write_bytes((folder / file).read_bytes())
        (split / "state.json").write_text(json.dumps({"_data_files": [{"filename": Path(file).name}]}, indent=1))
        (split / "dataset_info.json").write_text(json.dumps({"features": {}}, indent=1))
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))


def test_only_the_rows_are_read(tmp_path: Path) -> None:
    save(tmp_path)
    sources = list_sources([str(tmp_path)])
    assert [source.name for source in sources] == sorted(f"{tmp_path}/{file}" for file in FILES)
    assert not sources.passed_over
    (tmp_path / "train" / "state.json").unlink()  # as in the library's cache
    names = [source.name for source in list_sources([str(tmp_path / "train")])]
    assert names == [f"{tmp_path}/train/cache-1.arrow", f"{tmp_path}/{FILES[0]}"]


def test_a_url_gives_the_same(tmp_path: Path) -> None:
    save(tmp_path)
    system = fsspec.filesystem("memory")
    try:
        system.put(f"{tmp_path}/", "/saved/", recursive=True)
        names = [source.name for source in list_sources(["memory://saved"])]
    finally:
        system.rm("/saved", recursive=True)
    assert names == sorted(f"memory:///saved/{file}" for file in FILES)


def test_rows_that_are_missing_are_named(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / FILES[0]).unlink()
    with pytest.raises(InputError, match=r"train is a saved dataset of 1 files, of which data-00000-of-00001.arrow is"):
        list_sources([str(tmp_path)])


def test_files_of_these_names_elsewhere_are_rows_like_others(tmp_path: Path) -> None:
    for name in ("state.json", "dataset_info.json", "dataset_dict.json"):
        (tmp_path / name).write_text('{"text": "a line"}\n{"text": "another"}\n')
    assert len(list_sources([str(tmp_path)])) == 3


@pytest.mark.parametrize("listed", [3, "x", [{"filename": ["a"]}], [{"filename": None}], [["filename"]]])
def test_a_state_of_something_else_names_no_files(tmp_path: Path, listed: object) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": listed}))
    assert not_rows(str(tmp_path), ["state.json"], lambda name: (tmp_path / name).read_bytes()) == set()
