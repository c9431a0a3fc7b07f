"""A build that publishes: both memories are those of two commands, and a stopped one goes on in either half."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.published_build import build_published
from cluster.resources import Resources
from console.app import main
from memo_dist.errors import ConfigError, InputError, OutputExistsError
from memo_dist.files.manifest import Manifest
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.slow
NONE = Resources(shards=2, address="none")
OPTIONS = BuildOptions(
    tokenizer="bytes", num_banks=8, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=9000)
)


class InterruptionError(Exception):
    """What ends a command from within."""


@pytest.fixture(scope="module")
def corpus(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the texts."""
    folder = tmp_path_factory.mktemp("few")
    for path in sorted(text_corpus.iterdir())[:8]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def truth(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The digests of both, by two commands."""
    folder = tmp_path_factory.mktemp("apart")
    built = build([str(corpus)], folder / "m.memo", OPTIONS)
    return built.digest, publish_solved(folder / "m.memo", folder / "p.memo", PublishOptions(resources=NONE)).digest


def digests(folder: Path) -> tuple[str, str]:
    return Manifest.read(folder / "m.memo").digest, Manifest.read(folder / "p.memo").digest


def run(corpus: Path, folder: Path, **named: Any) -> Any:
    named = {"options": OPTIONS, **named}
    return build_published([str(corpus)], folder / "m.memo", folder / "p.memo", **named)


def test_one_command_makes_both(corpus: Path, tmp_path: Path, truth: tuple[str, str]) -> None:
    made = run(corpus, tmp_path)
    assert (made.built.digest, made.published.digest) == truth == digests(tmp_path)
    assert made.summary.digest == truth[0]
    assert {path.name for path in tmp_path.iterdir()} == {"m.memo", "p.memo"}


def test_a_stopped_command_goes_on_in_either_half(corpus: Path, tmp_path: Path, truth: tuple[str, str]) -> None:
    steps = 0

    def interrupt(progress: object) -> None:
        nonlocal steps
        steps += 1
        if steps in (3, 5, 12):
            raise InterruptionError

    with pytest.raises(InterruptionError):
        run(corpus, tmp_path, on_progress=interrupt)
    assert not (tmp_path / "m.memo").exists()
    for _ in range(2):
        with pytest.raises(InterruptionError):
            run(corpus, tmp_path, on_publishing=interrupt)
        assert (tmp_path / "m.memo").exists()
        assert not (tmp_path / "p.memo").exists()
    with pytest.raises(ConfigError, match="seed differs"):
        run(corpus, tmp_path, options=replace(OPTIONS, seed=1))
    made = run(corpus, tmp_path)
    assert made.summary is None
    assert (made.built.digest, made.published.digest) == truth == digests(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"m.memo", "p.memo"}


def test_a_memory_that_was_changed_meanwhile_is_not_published(corpus: Path, tmp_path: Path) -> None:
    def interrupt(progress: object) -> None:
        raise InterruptionError

    with pytest.raises(InterruptionError):
        run(corpus, tmp_path, on_publishing=interrupt)
    (tmp_path / "more.txt").write_text("some words that were not there before, and a few more of them")
    assert main(["add", str(tmp_path / "m.memo"), str(tmp_path / "more.txt"), "--address", "none"]) == 0
    with pytest.raises(ConfigError, match="was changed since the stopped command built it"):
        run(corpus, tmp_path)


def test_what_cannot_be_published_is_refused_before_it_is_built(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="are both"):
        build_published([str(corpus)], tmp_path / "m.memo", tmp_path / "m.memo", options=OPTIONS)
    with pytest.raises(ConfigError, match="--no-keep-tokens"):
        run(corpus, tmp_path, options=replace(OPTIONS, keep_tokens=False))
    with pytest.raises(ConfigError, match="'paper'"):
        run(corpus, tmp_path, options=replace(OPTIONS, preset="paper"))
    (tmp_path / "p.memo").mkdir()
    with pytest.raises(OutputExistsError, match=r"p\.memo"):
        run(corpus, tmp_path)
    (tmp_path / "p.memo").rmdir()
    (tmp_path / "m.memo").mkdir()
    with pytest.raises(OutputExistsError, match=r"m\.memo"):
        run(corpus, tmp_path)
    (tmp_path / "m.memo").rmdir()
    with pytest.raises(InputError):
        build_published([str(tmp_path / "none")], tmp_path / "m", tmp_path / "new" / "p", options=OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_a_person_sees_both(
    corpus: Path, tmp_path: Path, truth: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "m.memo"), "--publish", str(tmp_path / "p.memo")]
    shape = ["--tokenizer", "bytes", "--banks", "8", "--dim", "64", "--address", "none"]
    assert main(["build", str(corpus), *out, *shape, "--json"]) == 0
    told = capsys.readouterr()
    assert "solved, about" in told.err
    facts = json.loads(told.out)
    assert (facts["digest"], facts["published"]["digest"]) == digests(tmp_path) == truth
    shutil.rmtree(tmp_path / "m.memo")
    shutil.rmtree(tmp_path / "p.memo")
    assert main(["build", str(corpus), *out, *shape]) == 0
    told = capsys.readouterr()
    assert "Memorized" in told.out
    assert "Published" in told.out
