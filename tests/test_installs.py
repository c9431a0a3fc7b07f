"""The base install reads memories; what only an extra brings is loaded late, and named if it is absent.

Covers: commands and Python in an interpreter that finds no module outside the base, whose distributions follow
from pyproject.toml; what an import loads. Does not cover: a real installation, nor seconds (benchmarks/imports.py).
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import MemoError, MissingExtraError
from memo_dist.extras import EXTRA_OF, extra, missing_extra, require
from memo_dist.files.published_writer import publish

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TEXT = "the quick brown fox jumps over the lazy dog, and nobody in the village has ever seen it do so twice. " * 3
HEAVY = {"ray", "dask", "pandas", "matplotlib", "scipy", "numba", "tokenizers"}
REFUSE = """
import sys
refused = set({refused!r})
import importlib.machinery
class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in refused else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Installed
"""
COMMAND = "from console.app import entry; entry()"


def needed(requirements: list[str]) -> set[str]:
    """Normalized names of these distributions and of all that they require here."""
    found: set[str] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if name not in found and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.add(name)
            waiting += [Requirement(line) for line in importlib.metadata.requires(name) or []]
    return found


def outside(requirements: list[str]) -> list[str]:
    """Top-level modules of installed distributions that these requirements do not bring."""
    inside = needed(requirements) | {"memo-dist"}
    return sorted(
        module
        for module, names in importlib.metadata.packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", name).lower() for name in names} & inside
    )


OUTSIDE = outside(PROJECT["dependencies"])


def python(code: str, *words: str, refused: list[str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run code in a new interpreter; modules of `refused` are not found there."""
    script = REFUSE.format(refused=refused) + code if refused else code
    return subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def memories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A working memory of one text, and the same published."""
    folder = tmp_path_factory.mktemp("installs")
    tokenizer = Tokenizer.bytes()
    memory = Memory(TextConfig(num_banks=4, vocab_size=tokenizer.vocab_size), tokenizer)
    for name, text in (("fox", TEXT), ("other", TEXT[::-1])):
        memory.memorize(name, tokenizer.encode([text])[0])
    memory.save(folder / "working.memo")
    publish(folder / "working.memo", folder / "published.memo", 1)
    (folder / "asked.txt").write_text("Something new. " + TEXT[:150])
    return {name: folder / f"{name}.memo" for name in ("working", "published")}


def test_the_base_is_what_it_says() -> None:
    names = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert names == {"numpy", "numba", "h5py", "pyarrow", "tokenizers", "typer", "rich", "pydantic"}
    assert {"ray", "dask", "pandas", "scipy", "psutil", "matplotlib", "starlette", "uvicorn"} <= set(OUTSIDE)


def test_every_library_of_an_extra_is_in_the_extra_that_is_named() -> None:
    extras = PROJECT["optional-dependencies"]
    for module, name in EXTRA_OF.items():
        listed = {re.sub(r"[-_.]+", "_", Requirement(line).name) for line in extras[name]}
        assert listed & {module, {"yaml": "pyyaml", "backports": "backports_zstd"}.get(module, module)}, module


@pytest.mark.parametrize("kind", [pytest.param("working", marks=pytest.mark.slow), "published"])
@pytest.mark.parametrize(
    "command", ["recall", *(pytest.param(one, marks=pytest.mark.slow) for one in ("trace", "verify", "inspect"))]
)
def test_the_base_answers_as_the_full_install(memories: dict[str, Path], kind: str, command: str) -> None:
    memory = memories[kind]
    words = {
        "recall": ["--prompt", TEXT[:40], "--top-k", "3"],
        "trace": ["--text", str(memory.parent / "asked.txt")],
    }.get(command, [])
    base, full = (
        python(COMMAND, command, str(memory), *words, "--json", refused=refused) for refused in (OUTSIDE, None)
    )
    assert base.returncode == full.returncode == 0, base.stderr
    told, expected = json.loads(base.stdout), json.loads(full.stdout)
    if command == "inspect":  # the capacity law needs SciPy
        assert told.pop("predicted_recall") is None
        assert expected.pop("predicted_recall") > 0.9
        assert told.pop("answered") == []
        assert expected.pop("answered")
        assert "pip install 'memo-dist[cluster]'" in base.stderr
    else:
        assert base.stderr == ""
    assert told == expected
    if command == "recall":
        assert told["results"][0]["text"].startswith(TEXT[40:80])


def test_the_base_shows_help_and_undoes(memories: dict[str, Path]) -> None:
    assert python(COMMAND, "--help", refused=OUTSIDE).returncode == 0
    done = python(COMMAND, "undo", str(memories["working"]), refused=OUTSIDE)
    assert done.returncode == 2
    assert "no earlier generation" in done.stderr or "nothing to undo" in done.stderr, done.stderr


def test_the_base_memorizes_and_recalls_in_python() -> None:
    code = """
from memo_dist import Memory, TextConfig
memory = Memory(TextConfig(num_banks=1, vocab_size=100))
memory.memorize("a", [3, 1, 4, 1, 5, 9, 2, 6])
print(memory.recall([[3, 1, 4, 1]], max_tokens=4)[0].tokens)
"""
    done = python(code, refused=OUTSIDE)
    assert done.stdout == "[5, 9, 2, 6]\n", done.stderr


NEEDS = {
    "build asked.txt --out new.memo": "cluster",
    "add working.memo asked.txt": "cluster",
    "forget working.memo asked.txt": "cluster",
    "merge working.memo working.memo --out new.memo": "cluster",
    "rebank working.memo --banks 2 --out new.memo": "cluster",
    "recall working.memo --prompt long-enough --shards 2": "cluster",
    "evaluate working.memo asked.txt": "cluster",
    "bench --tokens 1000": "cluster",
    "plan --tokens 1e6": "cluster",
    "status working.memo": "cluster",
    "serve working.memo": "serve",
    "reproduce layers --out new": "cluster,plots",
    "reproduce capacity --out new": "cluster,plots",
    "reproduce mqar --out new": "cluster,plots",
    "reproduce edits --out new": "cluster,plots",
    "reproduce needle --out new": "cluster,plots",
    "reproduce sort --out new": "cluster,plots",
    "reproduce unlearning --out new": "cluster,plots",
    "reproduce episodes --out new": "cluster,plots",
}
QUICK = ("build asked.txt --out new.memo", "serve working.memo", "reproduce layers --out new")


@pytest.mark.parametrize(
    "line", [line if line in QUICK else pytest.param(line, marks=pytest.mark.slow) for line in NEEDS]
)
def test_a_command_without_its_extra_gives_the_install_line(memories: dict[str, Path], line: str) -> None:
    folder = memories["working"].parent
    words = [str(folder / word) if "." in word or word == "new" else word for word in line.split()]
    done = python(COMMAND, *words, refused=OUTSIDE)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"pip install 'memo-dist[{NEEDS[line]}]'" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (folder / "new").exists()
    assert not (folder / "new.memo").exists()


def test_an_address_without_its_library_gives_the_install_line() -> None:
    for words in (
        ["recall", "s3://bucket/b.memo", "--prompt", "long-enough"],
        ["copy", "gs://bucket/b.memo", "--out", "no"],
    ):
        done = python(COMMAND, *words, refused=["s3fs", "gcsfs"])
        assert done.returncode == 2
        library = "s3" if "s3" in words[1] else "gcs"
        assert f"pip install 'memo-dist[{library}]'" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "name", "library"),
    [("s3://a/b.txt", "s3", "s3fs"), pytest.param("gs://a/b.txt", "gcs", "gcsfs", marks=pytest.mark.slow)],
)
def test_a_url_without_its_file_system_gives_the_install_line(
    tmp_path: Path, url: str, name: str, library: str
) -> None:
    done = python(COMMAND, "build", url, "--out", str(tmp_path / "new.memo"), refused=[library])
    assert done.returncode == 2
    assert f"pip install 'memo-dist[{name}]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["page.html", "pages.wet"])
def test_a_format_without_its_library_gives_the_install_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<p>a text</p>")
    refused = ["fastwarc", "resiliparse"]
    done = python(COMMAND, "build", str(tmp_path / name), "--out", str(tmp_path / "new.memo"), refused=refused)
    assert done.returncode == 2
    assert "pip install 'memo-dist[web]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("code", ["import memo_dist", "from memo_dist import Memory, MemoryConfig, Tokenizer"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    done = python(f"{code}\nimport sys\nprint(*sys.modules)")
    unused = {"numpy", "h5py", "pyarrow"} if code == "import memo_dist" else set()
    assert not (HEAVY | unused) & set(done.stdout.split())


def test_every_name_of_the_package_is_there() -> None:
    import memo_dist

    assert all(hasattr(memo_dist, name) for name in memo_dist.__all__)
    assert not hasattr(memo_dist, "Memori")


def test_the_help_loads_nothing_heavy() -> None:
    code = f"import sys\ntry:\n    {COMMAND}\nexcept SystemExit:\n    print(*sys.modules, file=sys.stderr)"
    done = python(code, "--help")
    assert "recall" in done.stdout
    assert not (HEAVY | {"psutil", "yaml"}) & set(done.stderr.split())


def test_a_build_in_this_process_loads_no_pandas(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    done = python(
        f"import sys\ntry:\n    {COMMAND}\nfinally:\n    print(*sys.modules, file=sys.stderr)",
        *("build", str(tmp_path / "text.txt"), "--out", str(tmp_path / "new.memo"), "--address", "none"),
    )
    assert "digest" in done.stdout, done.stderr
    assert not {"pandas", "ray"} & set(done.stderr.split())


def test_only_the_libraries_of_extras_are_excused() -> None:
    with pytest.raises(ModuleNotFoundError, match="rayy"), extra():
        import rayy  # noqa: F401  # a module that nobody has
    with pytest.raises(ImportError) as found, extra():
        from ray import no_such_name  # noqa: F401  # our own mistake
    assert not isinstance(found.value, MemoError)
    assert missing_extra(ValueError("ray")) is None


def test_what_is_absent_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    require("ray", "scipy")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"^matplotlib, scipy are not .*'memo-dist\[cluster,plots\]'$"):
        require("matplotlib", "scipy")
