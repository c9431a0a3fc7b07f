"""The page's files: all that it names are served, the wheel has them, and nothing in them reads markup."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from memo_dist.page.files import FILES, PAGE, read
from memo_dist.page.traced import _SCRIPTS

ROOT = Path(__file__).parents[3]
SVG = "http://www.w3.org/2000/svg"  # a name, which nobody loads


def test_the_page_names_what_is_served_and_nothing_from_elsewhere() -> None:
    assert set(re.findall(r'"/page/([^"]+)"', read(PAGE))) == set(FILES) - {PAGE}
    for name in {*FILES, *_SCRIPTS}:
        text = read(name).replace(SVG, "")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http:", "https:"):
            assert way not in text, (name, way)
        assert name == PAGE or not re.search(r"\bimport\b|@import|url\(", text), name


@pytest.mark.slow
def test_the_wheel_has_them(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        assert {f"memo_dist/page/{name}" for name in {*FILES, *_SCRIPTS}} <= set(opened.namelist())
