"""JSON of somebody else: brackets nested too deeply are no JSON, in every file of a memory and of its making."""

import ast
from pathlib import Path

import pytest

from memo_dist import open_memory
from memo_dist.errors import DamagedMemoryError
from memo_dist.files.manifest import MANIFEST_FILE
from memo_dist.json_text import parse_json

ROOT = Path(__file__).parents[2]
DEEP = "[" * 200_000
# what these read was written by the same command, or has been parsed before
TRUSTED = {"memo_dist/json_text.py", "cluster/corpus_stamp.py", "cluster/statement.py", "pipelines/round_trip.py"}


@pytest.mark.parametrize("text", [DEEP, DEEP.encode(), '{"a":' * 100_000, "{", "nothing"])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"nested too deeply|Expecting"):
        parse_json(text)


def test_a_manifest_of_deep_brackets_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_FILE).write_text(DEEP)
    with pytest.raises(DamagedMemoryError, match=rf"{MANIFEST_FILE} is not a manifest .*nested too deeply"):
        open_memory(tmp_path)


def test_every_file_is_parsed_so() -> None:
    """No other module parses JSON by itself."""
    found = set()
    for package in ("memo_dist", "pipelines", "cluster", "console"):
        for path in (ROOT / package).rglob("*.py"):
            calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            if any(ast.unparse(call) in ("json.loads", "json.load") for call in calls):
                found.add(str(path.relative_to(ROOT)))
    assert found == TRUSTED
