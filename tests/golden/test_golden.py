"""The program answers as it did when the recordings were made: digests, bytes of files, tokens, texts, messages.

Covers: all that record.py records, a test a section. Digests, bytes and words are compared exactly, the bytes of paper
memories too. Floats may differ by a billionth of their size: on the machine that recorded them they are equal to the
bit, but another processor's vector instructions may add in another order. A change of the libraries in
requirements.lock may change file bytes (HDF5, zlib) without a change of digests. Does not cover: speed.
"""

import copy
import gzip
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import record

PROGRAM = [sys.executable, "-m", "console"]
TOLERANCE = 1e-9
RECORDED: record.Recorded = json.loads(gzip.decompress((record.HERE / "recorded.json.gz").read_bytes()))


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> record.Recorded:
    """What the program answers now; also kept as a file, to be compared to the byte."""
    folder = tmp_path_factory.mktemp("golden")
    found = record.record(PROGRAM, folder / "run")
    (folder / "recorded.json.gz").write_bytes(record.packed(found))
    return json.loads(json.dumps(found))


@pytest.mark.slow
@pytest.mark.timeout(1800)  # of the recording, should others use the processors
@pytest.mark.parametrize("section", sorted(RECORDED))
def test_answers_are_the_recorded_ones(section: str, now: record.Recorded) -> None:
    found = list(differences(RECORDED[section], now.get(section), section))
    assert not found, "\n".join([f"{len(found)} values differ:", *found[:20]])


@pytest.mark.slow
@pytest.mark.timeout(1800)  # of the recording, should others use the processors
def test_nothing_else_is_answered(now: record.Recorded) -> None:
    assert sorted(now) == sorted(RECORDED)


def test_forgotten_and_added_again_is_the_memory_before() -> None:
    digests = RECORDED["digests"]
    assert digests["added again"] == digests["text.memo"] != digests["forgotten"]


@pytest.mark.parametrize("section", sorted(RECORDED))
def test_a_changed_value_is_found(section: str) -> None:
    assert not list(differences(RECORDED[section], copy.deepcopy(RECORDED[section]), section))
    for changed in _changed(RECORDED[section]):
        assert len(list(differences(RECORDED[section], changed, section))) == 1


def _changed(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The section with its first, and with its last, value that is no container changed."""
    for end in (0, -1):
        result = copy.deepcopy(said)
        holder, place = _values(result)[end]
        value = holder[place]
        holder[place] = value * (1 + 1e-8) if isinstance(value, float) and value else f"{value}."
        yield result


def _values(said: Any) -> list[tuple[Any, Any]]:
    """(container, place) of every value that is no container, in order."""
    found = []
    for place, value in said.items() if isinstance(said, dict) else enumerate(said):
        found += _values(value) if isinstance(value, dict | list) else [(said, place)]
    return found


def differences(expected: Any, found: Any, where: str) -> Iterator[str]:
    """A line for every value that differs, with the place where it stands."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted({*expected, *found}):
            if name in expected and name in found:
                yield from differences(expected[name], found[name], f"{where} / {name}")
            else:
                yield f"{where} / {name}: only {'recorded' if name in expected else 'answered now'}"
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, pair in enumerate(zip(expected, found, strict=True)):
            yield from differences(*pair, f"{where} / {index}")
    elif type(expected) is float and type(found) is float:
        if not math.isclose(expected, found, rel_tol=TOLERANCE, abs_tol=0.0):
            yield f"{where}: recorded {expected!r}, now {found!r}"
    elif type(expected) is not type(found) or expected != found:
        yield f"{where}: recorded {str(expected)[:200]!r}, now {str(found)[:200]!r}"
