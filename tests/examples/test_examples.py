"""Each example runs as its docstring says, on small input, and prints what it promises."""

import argparse
import ast
import json
import re
import shutil
import string
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def printed(example: str, *words: str) -> str:
    """What a program of examples/ writes to stdout; it has to end with exit code 0."""
    command = [sys.executable, str(EXAMPLES / example), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def cells(notebook: str) -> list[str]:
    """The code of a notebook, cell by cell."""
    read = json.loads((EXAMPLES / notebook).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in read["cells"] if cell["cell_type"] == "code"]


def shown(code: str, names: dict[str, Any]) -> Any:
    """What a notebook shows of a cell: the value of its last line, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if isinstance(last, ast.Expr) else None


def module(source: str) -> str:
    return Path(source).read_text(encoding="utf-8")


def test_every_example_is_run_here_and_listed() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py")}
    here, listed = Path(__file__).read_text(encoding="utf-8"), (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(programs) == 4
    assert [path.name for path in EXAMPLES.glob("*.ipynb")] == ["05_notebook.ipynb"]
    assert "`05_notebook.ipynb`" in listed
    assert all(f'printed("{name}"' in here and f"`{name}`" in listed for name in programs)


def test_python_api() -> None:
    said = printed("01_python_api.py")
    text = module(textwrap.__file__)
    begin = text.index("Object for wrapping/filling text.")
    assert text[begin : begin + len("Object for wrapping/filling text.  The public interface") + 60] in said
    assert len(text.encode()) + len(module(string.__file__).encode()) == int(said.split()[1].replace(",", ""))
    assert said.count("True") == 5
    assert "\n-- in textwrap\n" in said
    assert "False" not in said


@pytest.mark.slow
def test_build_and_recall(tmp_path: Path) -> None:
    for source in (argparse.__file__, textwrap.__file__):
        shutil.copy(source, tmp_path)
    said = printed("02_build_and_recall.py", str(tmp_path), "--out", str(tmp_path / "two.memo"))
    assert "100 of 100 tokens equal" in said
    assert re.search(r"goes on with [1-9]\d+ characters of the original: True", said)
    assert (tmp_path / "two.memo" / "manifest.json").is_file()


@pytest.mark.slow
def test_contamination() -> None:
    lines = printed("03_contamination.py").splitlines()
    assert next(line[:6] for line in lines if line[5:6] == "%") == "100.0%"
    assert sum(line.startswith("  0.0%") for line in lines) == 2
    assert "        held: 'REMOVE ANY common leading whitespace from every line in `text`.'" in lines
    copied = (
        "Collapse and truncate the given text to fit in the given width. The text first has its whitespace collapsed"
    )
    assert copied in " ".join(module(textwrap.__file__).split())  # there in two paragraphs
    assert lines[lines.index(f"        held: {copied!r}") + 1] == "        in textwrap.py"
    assert lines[-1].startswith("2 of 4 questions")


def test_contamination_wants_both_arguments() -> None:
    command = [sys.executable, str(EXAMPLES / "03_contamination.py"), "only.memo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "QUESTIONS.txt" in done.stderr


@pytest.mark.slow
def test_service_and_client() -> None:
    said = printed("04_service_and_client.py")
    text = module(textwrap.__file__)
    end = text.index("The public interface") + len("The public interface")
    assert f"object for WRAPPING/filling text. the\npublic interface{text[end : end + 60]}\n" in said
    assert "of what it does not hold it says ''" in said
    assert said.endswith("the service has ended\n")


@pytest.mark.slow
def test_notebook() -> None:
    names: dict[str, Any] = {}
    values = [shown(code, names) for code in cells("05_notebook.ipynb")]
    text = names["modules"]["textwrap"]
    found, unknown, answers, traced = names["found"], values[4], values[5], names["traced"]
    end = text.index("The public interface") + len("The public interface")
    assert text[end:].startswith(found.text)
    assert found.documents == ["textwrap"]
    assert (unknown.text, unknown.stop) == ("", "abstained")
    assert answers.num_rows == 2
    assert traced.passages[0].documents == ["textwrap"]
    assert values[8].exact == values[8].ceiling
    assert names["stored"].digest == names["memory"].digest()
    for value in (found, unknown, traced, values[8], names["stored"]):
        assert value._repr_html_().startswith("<")
