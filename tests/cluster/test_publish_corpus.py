"""A memory that keeps no tokens is published from its corpus: the same bits, and from nothing else."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.publish_corpus import publish_from_corpus
from cluster.resources import Resources
from console.app import main
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.manifest import Manifest
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.slow
NONE = Resources(shards=2, address="none")
OPTIONS = PublishOptions(resources=NONE, windows=(1, 2, 4, 8))
BUILD = BuildOptions(num_banks=8, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=9000))


class InterruptionError(Exception):
    """What ends a command from within."""


@pytest.fixture(scope="module")
def folder(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, a memory of it with its tokens, one without, and the first published."""
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "texts").mkdir()
    for path in sorted(text_corpus.iterdir())[:8]:
        shutil.copy(path, folder / "texts")
    build([str(folder / "texts")], folder / "kept.memo", BUILD)
    build([str(folder / "texts")], folder / "bare.memo", replace(BUILD, keep_tokens=False))
    publish_solved(folder / "kept.memo", folder / "p.memo", OPTIONS)
    return folder


def published(folder: Path, out: Path, **named: object) -> Manifest:
    named = {"options": OPTIONS, "corpus": CorpusOptions(), **named}
    return publish_from_corpus(folder / "bare.memo", [str(folder / "texts")], out, **named)  # type: ignore[arg-type]


def test_the_bits_are_those_of_kept_tokens(folder: Path, tmp_path: Path) -> None:
    manifest = published(folder, tmp_path / "q.memo")
    assert manifest.digest == Manifest.read(folder / "p.memo").digest
    for path in (folder / "p.memo").iterdir():
        if path.name != "manifest.json":
            assert (tmp_path / "q.memo" / path.name).read_bytes() == path.read_bytes()
    assert manifest.sources[-1].memory == str(folder / "bare.memo")  # type: ignore[attr-defined]  # of a PublishEntry
    assert [path.name for path in tmp_path.iterdir()] == ["q.memo"]


def test_a_stopped_command_goes_on(folder: Path, tmp_path: Path) -> None:
    def interrupt(progress: object) -> None:
        raise InterruptionError

    for half in ("on_reading", "on_progress"):
        with pytest.raises(InterruptionError):
            published(folder, tmp_path / "q.memo", **{half: interrupt})
    assert published(folder, tmp_path / "q.memo").digest == Manifest.read(folder / "p.memo").digest
    assert [path.name for path in tmp_path.iterdir()] == ["q.memo"]


@pytest.mark.parametrize("change", ["letter", "gone", "more"])
def test_another_corpus_is_refused_and_the_difference_named(
    folder: Path, tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, kept = folder / "texts", tmp_path / "as-it-was"
    shutil.copytree(texts, kept)
    first = sorted(texts.iterdir())[2]
    named = {"letter": first, "gone": first, "more": texts / "zz.txt"}[change]
    try:
        if change == "letter":
            first.write_text("Q" + first.read_text()[1:])
        elif change == "gone":
            first.unlink()
        else:
            named.write_text("some words that were never memorized, in a file of their own")
        said = {"letter": "has another text", "gone": "is not in the corpus", "more": "is in the corpus alone"}[change]
        with pytest.raises(InputError, match=f"{named} {said}"):
            published(folder, tmp_path / "q.memo")
        assert [path.name for path in tmp_path.iterdir()] == ["as-it-was"]
    finally:
        shutil.rmtree(texts)
        shutil.copytree(kept, texts)


def test_a_person_is_asked_for_the_corpus(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "q.memo"), "--windows", "1,2,4,8", "--address", "none"]
    assert main(["publish", str(folder / "bare.memo"), *out]) == 2
    assert "--corpus PATH" in " ".join(capsys.readouterr().err.split())
    assert main(["publish", str(folder / "kept.memo"), *out, "--corpus", str(folder / "texts")]) == 2
    assert "leave out --corpus" in " ".join(capsys.readouterr().err.split())
    assert main(["publish", str(folder / "bare.memo"), *out, "--corpus", str(folder / "texts")]) == 0
    assert Manifest.read(tmp_path / "q.memo").digest == Manifest.read(folder / "p.memo").digest
    with pytest.raises(ConfigError, match="keeps its tokens"):
        publish_from_corpus(folder / "kept.memo", ["x"], tmp_path / "r.memo", options=OPTIONS, corpus=CorpusOptions())
