"""A merge, rebank, compact or publish is seen from elsewhere while it works, and leaves no record."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.build import build
from cluster.build_status import BuildStatus, status_of
from cluster.files_progress import FilesProgress
from cluster.merge_phase import MergePhase
from cluster.prepare import BuildOptions
from cluster.progress_file import PROGRESS_FILE
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.resources import Resources
from cluster.workspace import workspace_path
from console.app import main
from memo_dist.errors import ClusterError
from memo_dist.files.manifest import Manifest
from pipelines.plan import CorpusOptions

NONE = Resources(shards=2, address="none")
HERE = ["--address", "none", "--shards", "2"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a.memo, b.memo of other texts, and changed.memo, which has a change beside its files."""
    place = tmp_path_factory.mktemp("seen")
    for name in "ab":
        (place / name).mkdir()
        for index in range(24):
            words = " ".join(f"{name}{index}w{(index * 31 + word * 17) % 97}" for word in range(40))
            (place / name / f"{index:02d}.txt").write_text(words)
        options = BuildOptions(
            tokenizer="bytes", num_banks=4, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=2_000)
        )
        build([str(place / name)], place / f"{name}.memo", options)
    shutil.copytree(place / "a.memo", place / "changed.memo")
    assert main(["forget", str(place / "changed.memo"), str(place / "a" / "03.txt"), *HERE]) == 0
    assert Manifest.read(place / "changed.memo").is_segmented
    return place


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    return tmp_path


def seen_in(monkeypatch: pytest.MonkeyPatch, out: Path) -> list[BuildStatus]:
    """What is told of a merge into files, at its end."""
    seen, merges = list[BuildStatus](), MergePhase.to_the_end

    def look(phase: MergePhase) -> Any:
        written = merges(phase)
        seen.append(status_of(out))
        return written

    monkeypatch.setattr(MergePhase, "to_the_end", look)
    return seen


@pytest.mark.parametrize(
    ("words", "made"),
    [
        (["merge", "a.memo", "b.memo", "--out", "new.memo"], "new.memo"),
        (["rebank", "a.memo", "--banks", "6", "--out", "new.memo"], "new.memo"),
        (["compact", "changed.memo"], "changed.memo"),
    ],
)
def test_what_makes_files_is_seen(
    folder: Path,
    words: list[str],
    made: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    seen = seen_in(monkeypatch, folder / made)
    assert main([*words, *HERE]) == 0
    assert [(one.action, one.state) for one in seen] == [(words[0], "running")]
    assert seen[0].tokens == Manifest.read(folder / made).tokens
    assert status_of(folder / made).state == "none"
    assert not list(folder.rglob(PROGRESS_FILE))


def test_why_one_failed_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    merges = MergePhase.to_the_end

    def fails(phase: MergePhase) -> Any:
        merges(phase)
        raise ClusterError("a node was lost")

    monkeypatch.setattr(MergePhase, "to_the_end", fails)
    assert main(["merge", "a.memo", "b.memo", "--out", "new.memo", *HERE]) == 1
    status = status_of(folder / "new.memo")
    assert (status.action, status.state, status.error) == ("merge", "failed", "a node was lost")


def test_publishing_is_seen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, seen = folder / "small.memo", list[BuildStatus]()
    options = PublishOptions(resources=NONE, windows=(4, 8))

    def look(told: PublishProgress) -> None:
        seen.append(status_of(out))
        if len(seen) == 1:
            assert main(["status", str(out)]) == 0

    publish_solved(folder / "a.memo", out, options, on_progress=look)
    assert {(one.action, one.state, one.phase, one.files) for one in seen} == {("publish", "running", "solve", 6)}
    assert "solving into tables" in capsys.readouterr().out
    assert status_of(out).state == "none"
    assert not (out / PROGRESS_FILE).exists()


def test_files_and_shares_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, base = folder / "new.memo", Manifest.read(folder / "a.memo")
    workspace_path(out).mkdir()

    def counted(hear: Callable[[FilesProgress], None], **given: Any) -> tuple[Any, ...]:
        told = FilesProgress(workspace_path(out), "merge", base, **given)
        hear(told)
        record = told._file.record()
        told._file._write(replace(record, phase_began=record.updated - 30.0, files_before=0))
        status = status_of(out)
        assert main(["status", str(out), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["files_done"] == status.files_done
        return status.phase, status.files_done, status.files, status.seconds_left

    assert counted(lambda told: None) == ("count", 0, 0, None)
    assert counted(lambda told: told.on_file(3, 4, True)) == ("merge", 3, 4, pytest.approx(10.0))
    heard: list[PublishProgress] = []
    half = PublishProgress(0.5, 7)
    assert counted(lambda told: told.on_share(heard.append)(half), files=12, phase="solve")[:3] == ("solve", 6, 12)
    assert heard == [half]
