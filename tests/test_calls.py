"""Calls say what they pass: no call gives more than four arguments by position, no function asks for it.

Covers: the packages' own code, parsed. Excepted: kernels that numba compiles, which take arrays by position only.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("memo_dist", "pipelines", "cluster", "console")
MOST_GIVEN = 4
MOST_TAKEN = 3
KERNELS = ROOT / "memo_dist" / "kernels"


def trees(package: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def kernel_names() -> set[str]:
    """Functions of memo_dist/kernels: compiled, or calling what is compiled."""
    found = (node for path in KERNELS.glob("*.py") for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return {node.name for node in found if isinstance(node, ast.FunctionDef)}


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_call_gives_more_than_four_arguments_by_position(package: str) -> None:
    kernels = kernel_names()
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {called(node)}"
        for path, tree in trees(package)
        if KERNELS not in path.parents
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) not in kernels
        if len(node.args) > MOST_GIVEN
    ]
    assert found == []


@pytest.mark.parametrize("package", PACKAGES)
def test_functions_of_more_than_three_parameters_take_the_rest_by_name(package: str) -> None:
    found = []
    for path, tree in trees(package):
        commands = path.parent.name == "console"  # typer gives every parameter of a command by name
        for node in ast.walk(tree):
            if KERNELS in path.parents or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            names = [one.arg for one in [*node.args.posonlyargs, *node.args.args] if one.arg not in ("self", "cls")]
            if len(names) > MOST_TAKEN and not (commands and node.name.endswith("_command")):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}({', '.join(names)})")
    assert found == []
