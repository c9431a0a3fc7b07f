"""A memory of format 2, which `format-2` is: every command that opens memories refuses it and says what to do.

`format-2` was made by the last program that wrote that format and is never to be made again.
"""

import json
import shutil
from pathlib import Path

import pytest

from console.app import main
from memo_dist import Memory, open_memory
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.manifest import MANIFEST_FILE

KEPT = Path(__file__).parent / "format-2"
TOLD = (
    "was made by memo-dist of format 2, and this program reads format 3; "
    "build it again from its corpus: memo-dist build"
)
COMMANDS = {
    "inspect": ["m.memo"],
    "verify": ["m.memo"],
    "recall": ["m.memo", "--prompt", "a prompt that is long enough"],
    "trace": ["m.memo", "--text", "a.txt"],
    "evaluate": ["m.memo", "a.txt"],
    "publish": ["m.memo", "--out", "o.memo"],
    "add": ["m.memo", "a.txt"],
    "forget": ["m.memo", "a.txt"],
    "undo": ["m.memo"],
    "merge": ["m.memo", "m.memo", "--out", "o.memo"],
    "rebank": ["m.memo", "--banks", "3", "--out", "o.memo"],
    "serve": ["m.memo"],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(KEPT, tmp_path / "m.memo")
    (tmp_path / "a.txt").write_text("A memory of format 2, made before format 3 was.")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_is_of_format_2() -> None:
    assert json.loads((KEPT / MANIFEST_FILE).read_text())["version"] == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_refuses_it_and_says_what_to_do(
    command: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (place / "m.memo").iterdir()}
    assert main([command, *COMMANDS[command]]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert TOLD in said
    assert f"m.memo/{MANIFEST_FILE}" in said
    assert {path: path.read_bytes() for path in (place / "m.memo").iterdir()} == before
    assert not (place / "o.memo").exists()


def test_so_does_python(place: Path) -> None:
    for act in (open_memory, Memory.open):
        with pytest.raises(DamagedMemoryError, match="format 2"):
            act(place / "m.memo")


@pytest.mark.parametrize("version", [4, 0, -1, "2", None, 2.0])
def test_of_other_versions_nothing_is_said_to_be_older(place: Path, version: object) -> None:
    path = place / "m.memo" / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": version}))
    with pytest.raises(DamagedMemoryError, match=r"of version .*; this program reads .* of version 3"):
        open_memory(place / "m.memo")
