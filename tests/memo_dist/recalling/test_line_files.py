"""Prompts and items in files of every ending that people give them, packed or not."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from memo_dist.errors import InputError
from memo_dist.recalling.items import read_items
from memo_dist.recalling.prompts import read_prompts

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
ROWS = b'{"text": "a first one", "id": "x"}\n\n{"text": "a second\\nof two lines"}\n'


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".json", ".JSONL"])
def test_json_lines_are_rows_whatever_the_file_is_called(tmp_path: Path, ending: str, packed: str) -> None:
    path = tmp_path / f"rows{ending}{packed}"
    path.write_bytes(PACK[packed](ROWS))
    texts = ["a first one", "a second\nof two lines"]
    assert [row.asked for row in read_prompts(path)] == texts
    assert [item.text for item in read_items(path)] == texts


@pytest.mark.parametrize("packed", PACK)
def test_other_files_are_lines(tmp_path: Path, packed: str) -> None:
    path = tmp_path / f"lines.txt{packed}"
    path.write_bytes(PACK[packed](b'{"text": 1}\r\n\nanother\x85line\n'.replace(b"\x85", "\x85".encode())))
    assert [row.asked for row in read_prompts(path)] == ['{"text": 1}', "another\x85line"]
    with pytest.raises(InputError, match="is no file of items"):
        list(read_items(path))


@pytest.mark.parametrize("name", ["rows.jsonl.zst", "rows.jsonl.gz", "rows.jsonl.xz", "rows.jsonl.bz2"])
def test_what_cannot_be_unpacked_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(ROWS)[:-9] if name.endswith(".gz") else b"no such thing at all")
    with pytest.raises(InputError, match=name):
        list(read_prompts(tmp_path / name))
