"""Every file, module and decision that a page, docstring or comment names exists.

Covers: names that end in .py or .md, paths below docs/results, dotted modules of the packages, numbers of decisions. A
name may be a whole path or the end of one: `stores/banks.py` and `banks.py` name memo_dist/stores/banks.py.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("memo_dist", "pipelines", "cluster", "console")
FOLDERS = (*PACKAGES, "tests", "benchmarks", "examples", "docs")
RECORDED = ROOT / "tests" / "golden"  # a corpus: pages as they were when its digests were recorded
FILES = [
    path.relative_to(ROOT)
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.*")
    if not path.is_relative_to(RECORDED)
]
FILES += [path.relative_to(ROOT) for path in ROOT.glob("*.*") if path.is_file()]
ENDS = {"/".join(path.parts[-n:]) for path in FILES for n in range(1, len(path.parts) + 1)}
DECISIONS = {path.name[:4] for path in (ROOT / "docs" / "decisions").glob("0*.md")}

PATH = re.compile(r"(?<![\w./*<-])((?:[\w-]+/)*[\w-]+\.(?:py|md))\b(?![*\w])(?!\.\w)(?!/)")
RESULT = re.compile(r"(?:docs/)?results/[\w-]+\.(?:json|csv|png|svg)\b")
MODULE = re.compile(rf"(?<![\w./-])((?:{'|'.join(PACKAGES)})(?:\.[A-Za-z]\w*)+)(?![\w/])")
DECISION = re.compile(r"\b[Dd]ecisions?[ /]\[?(\d{4})\b")

# Names in the log of files that are gone, or never came: history is not rewritten. A name that exists again, or that
# the log names no more, is taken off this list.
GONE = {"docs/log.md": {"tests/test_gpu.py", "docs/results/gpu.json"}}
NOT_OURS = {
    "argparse.py",  # the standard library's; the examples recall it
    "csv.py",  # how to add a format is told by an example
    "pipelines/formats/csv.py",
}


def named(text: str) -> Iterator[str]:
    """Names of files in a text that do not exist, with modules and decisions written as they stand there."""
    for pattern in (PATH, RESULT):
        for match in pattern.finditer(text):
            name = match.group(0)
            if name not in ENDS and name not in NOT_OURS and f"docs/{name}" not in ENDS:
                yield name
    yield from (name for name in MODULE.findall(text) if not is_module(name))
    yield from (f"decision {number}" for number in DECISION.findall(text) if number not in DECISIONS)


def is_module(name: str) -> bool:
    """A dotted name leads to a module; what follows the module is a word that stands in it."""
    place = ROOT
    for part in name.split("."):
        if (place / part).is_dir():
            place = place / part
        elif (place / f"{part}.py").is_file():
            place = place / f"{part}.py"
        else:
            source = place if place.is_file() else place / "__init__.py"
            return re.search(rf"\b{part}\b", source.read_text(encoding="utf-8")) is not None
    return True


def prose(path: Path) -> str:
    """What people read of a file: a page whole; of a program its docstrings and comments."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and "type: ignore" not in token.string
    ]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, documented)]
    return "\n".join([*docstrings, *comments])


READ = [path for path in FILES if path.suffix in {".md", ".py"} and path.name != Path(__file__).name]


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_files_that_are_named_exist(folder: str) -> None:
    wrong = [
        f"{path}: {name}"
        for path in READ
        if (path.parts[0] if len(path.parts) > 1 else "") == folder
        for name in named(prose(ROOT / path))
        if name not in GONE.get(str(path), ())
    ]
    assert not wrong, "these do not exist; name the file that holds it now:\n" + "\n".join(sorted(set(wrong)))


def test_what_is_gone_is_gone_and_named() -> None:
    for page, names in GONE.items():
        assert names <= set(named((ROOT / page).read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "text",
    [
        "see memo_dist/decoding.py",
        "(`cleanup_law.py`)",
        "docs/design.md says",
        "in tests/test_gpu.py.",
        "memo_dist.nothing",
        "memo_dist.models.text.cleanup.NoSuchName",
        "results/none.csv",
        "decision 9999",
        "docs/decisions/9999",
    ],
)
def test_a_wrong_name_is_found(text: str) -> None:
    assert list(named(text))


@pytest.mark.parametrize(
    "text",
    ["memory.py", "stores/banks.py", "`docs/log.md`", "memo_dist.models.text.cleanup", "'**/*.py'", "decision 0001"],
)
def test_a_right_name_is_not(text: str) -> None:
    assert not list(named(text))
