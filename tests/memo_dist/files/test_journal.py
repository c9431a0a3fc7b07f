"""The journal: entries keep the JSON that manifests have always had, and nothing unknown passes in silence."""

import json
from typing import Any

import pytest

from memo_dist.errors import ConfigError
from memo_dist.files.journal import ENTRIES, BuildEntry, Entry, PublishEntry, entry_from_dict
from memo_dist.models.repetition import unrepeated

COUNTS = '"files": 3, "splits": 5, "splits_done": 4, "skipped": 1, "replaced": 0, "empty": 2'
WHEN = '"when": "2026-01-01T00:00:00+00:00"'
REPETITION = (
    '"repetition": {"tokens": 9, "distinct": [0.5, 1.0], "growth": [0.9, 1.0], "spread": [0.1, 0.0], '
    '"missed": [0.1, 0.0], "missing": [1.0, 1.0], "vocabulary": [[1.0, 0.1]], '
    '"contexts": [[1.0, 1.0, 2.0, 1.0]]}'
)
# as manifests were written before entries had types
WRITTEN = [
    f'{{"action": "build", {WHEN}, "inputs": ["a", "b*.txt"], {COUNTS}, {REPETITION}}}',
    f'{{"action": "build", {WHEN}, "inputs": ["a"], {COUNTS}}}',
    f'{{"action": "add", {WHEN}, "inputs": ["a"], {COUNTS}}}',
    f'{{"action": "forget", {WHEN}, "inputs": ["a"], {COUNTS}}}',
    f'{{"action": "sync", {WHEN}, "inputs": ["a"], {COUNTS}}}',
    f'{{"action": "replace", {WHEN}, "inputs": ["a"], {COUNTS}}}',
    f'{{"action": "compact", {WHEN}, "segments": 3}}',
    f'{{"action": "merge", "memories": ["m.memo", "n.memo"], {WHEN}}}',
    f'{{"action": "rebank", "memories": ["m.memo"], "banks": [3, 7], {WHEN}}}',
    f'{{"action": "publish", {WHEN}, "memory": "m.memo", "bits": 1, "digest": "ab"}}',
]


def read(text: str) -> Entry:
    return entry_from_dict(json.loads(text))


@pytest.mark.parametrize("text", WRITTEN)
def test_an_entry_is_written_as_it_was_read(text: str) -> None:
    assert json.dumps(read(text).to_dict()) == text


def test_every_action_has_a_type_of_its_own() -> None:
    assert {type(read(text)) for text in WRITTEN} == set(ENTRIES.values())
    assert {name: kind.action for name, kind in ENTRIES.items()} == {name: name for name in ENTRIES}


def test_fields_are_read_by_name() -> None:
    build, publish = read(WRITTEN[0]), read(WRITTEN[-1])
    assert isinstance(build, BuildEntry)
    assert isinstance(publish, PublishEntry)
    assert (build.splits_done, build.empty, build.inputs) == (4, 2, ["a", "b*.txt"])
    assert build.repetition is not None
    assert build.repetition.distinct == (0.5, 1.0)
    assert (publish.bits, publish.memory) == (1, "m.memo")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"action": "split"}, "action 'split'; a newer memo-dist"),
        ({"action": None}, "action None"),
        ({"action": ["build"]}, "action"),
        ({"shards": 3}, r"'build' has the fields \['shards'\]"),
        ({"repetition": {"tokens": 1}}, "vocabulary"),
    ],
)
def test_what_is_unknown_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        entry_from_dict({**json.loads(WRITTEN[1]), **changes})


@pytest.mark.parametrize("value", ["build", 3, None, ["build"]])
def test_an_entry_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="expected an object"):
        entry_from_dict(value)


def test_a_missing_field_is_named() -> None:
    values = json.loads(WRITTEN[1])
    del values["splits_done"]
    with pytest.raises(ConfigError, match=r"'build' is incomplete.*splits_done"):
        entry_from_dict(values)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (WRITTEN[0], "build a, b*.txt (3 files, 1 skipped, 2 empty)"),
        (WRITTEN[6], "compact (3 segments)"),
        (WRITTEN[7], "merge m.memo, n.memo"),
        (WRITTEN[-1], "publish (at 1 bits from m.memo)"),
    ],
)
def test_an_entry_is_told_in_words(text: str, told: str) -> None:
    assert read(text).told() == told


def test_many_inputs_are_counted() -> None:
    counts = {"files": 0, "splits": 1, "splits_done": 1, "skipped": 0, "replaced": 0, "empty": 0}
    entry = BuildEntry(when="", inputs=list("abcde"), repetition=unrepeated(2), **counts)
    assert entry.told() == "build a, b, c and 2 more"
