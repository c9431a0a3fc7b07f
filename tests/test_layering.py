"""Packages know only what their names allow: by every import that is written, and from a fresh interpreter.

Covers: imports at module level, inside functions and under TYPE_CHECKING; comparisons of presets; the size of modules.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("memo_dist", "pipelines", "cluster", "console")
FORBIDDEN = {
    "memo_dist": ("console", "cluster", "pipelines", "ray", "dask", "pandas", "typer"),
    "memo_dist/http": ("ray", "memo_dist.experiments", "memo_dist.planning"),
    "memo_dist/files": ("memo_dist.planning", "memo_dist.recalling", "memo_dist.measuring", "memo_dist.http"),
    "memo_dist/stores": ("memo_dist.files", "memo_dist.planning"),
    "memo_dist/kernels": ("memo_dist.files", "memo_dist.models", "memo_dist.planning", "memo_dist.recalling"),
    "memo_dist/endpoint": ("memo_dist.files", "memo_dist.reflect", "memo_dist.executive", "memo_dist.recalling"),
    "memo_dist/reflect": ("memo_dist.files", "memo_dist.executive", "memo_dist.experiments"),
    "memo_dist/executive": ("memo_dist.files", "memo_dist.reflect", "memo_dist.experiments"),
    "memo_dist/planning": ("memo_dist.files", "memo_dist.measuring", "memo_dist.http"),
    "memo_dist/models": ("memo_dist.files", "memo_dist.planning", "memo_dist.recalling", "memo_dist.measuring"),
    "pipelines": ("console", "cluster", "ray"),
    "cluster": ("console",),
}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.lineno, str(node.module)
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_import_reaches_where_it_may_not(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(folder)
        for line, module in imported(path)
        for stranger in FORBIDDEN[folder]
        if module == stranger or module.startswith(stranger + ".")
    ]
    assert found == []


def test_only_models_ask_which_preset_a_memory_has() -> None:
    asks = re.compile(r"preset[\"'\])]*\s*(==|!=|in\s|not in\s|is\s)|(==|!=)\s*[\w.]*preset\b")
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for package in PACKAGES
        for path in sources(package)
        if ROOT / "memo_dist" / "models" not in path.parents
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if asks.search(line) and not line.lstrip().startswith(("#", '"'))
    ]
    assert found == []


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a new interpreter after running `code`."""
    script = f"import sys\n{code}\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def imports(package: str) -> str:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sources(package)
        if path.name not in ("__init__.py", "__main__.py")
    ]
    return "\n".join(f"import {name}" for name in names)


@pytest.mark.parametrize(
    ("package", "strangers"),
    [("memo_dist", {"ray", "dask", "pandas", "cupy", "pipelines", "cluster"}), ("pipelines", {"ray", "cluster"})],
)
def test_a_package_loads_only_what_its_name_allows(package: str, strangers: set[str]) -> None:
    assert modules_after(imports(package)) & strangers == set()


def test_only_one_file_names_cupy() -> None:
    named = [path for path in sources("memo_dist") if "import cupy" in path.read_text()]
    assert [path.name for path in named] == ["backend.py"]


def test_modules_stay_small() -> None:
    for package in PACKAGES:
        for path in sources(package):
            assert len(path.read_text().splitlines()) <= 300, path
