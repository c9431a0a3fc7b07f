"""Packages know only what their names allow, seen from a fresh interpreter; files stay small."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a new interpreter after running `code`."""
    script = f"import sys\n{code}\nprint(' '.join(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def imports(package: str) -> str:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    ]
    return "\n".join(f"import {name}" for name in names)


@pytest.mark.parametrize(
    ("package", "strangers"),
    [("memo_dist", {"ray", "dask", "pandas", "cupy", "pipelines", "cluster"}), ("pipelines", {"ray", "cluster"})],
)
def test_a_package_knows_only_what_its_name_allows(package: str, strangers: set[str]) -> None:
    assert modules_after(imports(package)) & strangers == set()


def test_only_one_file_names_cupy() -> None:
    named = [path for path in (ROOT / "memo_dist").rglob("*.py") if "import cupy" in path.read_text()]
    assert [path.name for path in named] == ["backend.py"]


def test_modules_stay_small() -> None:
    for package in ("memo_dist", "pipelines", "cluster"):
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 300, path
