"""The program answers as it did when the recordings were made: digests, bytes of files, tokens, texts, messages.

Covers: all that record.py records, a test a section. Digests, bytes and words are compared exactly; of the preset paper
only words and numbers, since its float32 sums differ between processors in their last bits. Floats of preset text may
differ by a billionth of their size. What the preset paper answers is compared with what it answered before the second
edition (paper_before.json, recorded by commit a2538f9), too. A change of the libraries in requirements.lock may change
file bytes (HDF5, zlib, pyarrow's zstd) without a change of digests. Does not cover: speed.
"""

import copy
import gzip
import json
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import record

PROGRAM = [sys.executable, "-m", "console"]
TOLERANCE = 1e-9
PAPER, PAPER_TOLERANCE = ("paper", "product"), 1e-3
MANY = 100_000  # more than anything is counted of the preset paper but bytes
DIGEST = re.compile(r"[0-9a-f]{32}")
BEFORE: record.Recorded = json.loads((record.HERE / "paper_before.json").read_text())
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
    found = [
        line
        for name in {**RECORDED[section], **now.get(section, {})}
        for line in differences(
            RECORDED[section].get(name),
            now.get(section, {}).get(name),
            f"{section} / {name}",
            tolerance=PAPER_TOLERANCE if name in PAPER else TOLERANCE,
        )
    ]
    assert not found, "\n".join([f"{len(found)} values differ:", *found[:20]])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", PAPER)
def test_paper_answers_as_before_the_second_edition(name: str, now: record.Recorded) -> None:
    before, answers = BEFORE["recall"][name]["results"], now["recall"][name]["results"]
    assert not list(differences(before, _with_keys_of(before, answers), name, tolerance=PAPER_TOLERANCE))


def _with_keys_of(before: Any, said: Any) -> Any:
    """What is said now, without what was not said before."""
    if isinstance(before, dict) and isinstance(said, dict):
        return {key: _with_keys_of(before[key], said[key]) for key in before}
    if isinstance(before, list) and isinstance(said, list) and len(before) == len(said):
        return [_with_keys_of(*pair) for pair in zip(before, said, strict=True)]
    return said


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


def _vary(expected: Any, found: Any, tolerance: float) -> bool:
    """Whether both are digests, or bytes of files, of the preset paper, whose last bits depend on the processor."""
    if tolerance == TOLERANCE:
        return False
    if isinstance(expected, int):
        return expected > MANY and math.isclose(expected, found, rel_tol=tolerance)
    return isinstance(expected, str) and all(DIGEST.fullmatch(one) for one in (expected, found))


def differences(expected: Any, found: Any, where: str, *, tolerance: float = TOLERANCE) -> Iterator[str]:
    """A line for every value that differs, with the place where it stands."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted({*expected, *found}):
            if name in expected and name in found:
                yield from differences(expected[name], found[name], f"{where} / {name}", tolerance=tolerance)
            else:
                yield f"{where} / {name}: only {'recorded' if name in expected else 'answered now'}"
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, pair in enumerate(zip(expected, found, strict=True)):
            yield from differences(*pair, f"{where} / {index}", tolerance=tolerance)
    elif type(expected) is float and type(found) is float:
        if not math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance if tolerance > TOLERANCE else 0.0):
            yield f"{where}: recorded {expected!r}, now {found!r}"
    elif type(expected) is not type(found) or (expected != found and not _vary(expected, found, tolerance)):
        yield f"{where}: recorded {str(expected)[:200]!r}, now {str(found)[:200]!r}"
