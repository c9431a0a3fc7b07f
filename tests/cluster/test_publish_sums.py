"""Sums in few bits have as many banks as their recall takes: measured on the memory's own text."""

import json
import shutil
from pathlib import Path

import pytest

from cluster import publish_sums as module
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish_sums import SumsOptions, publish_sums
from cluster.resources import Resources
from console.app import main
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory

pytestmark = pytest.mark.slow
NONE = Resources(shards=2, address="none")
OPTIONS = SumsOptions(resources=NONE)


class InterruptionError(Exception):
    """What ends a command from within."""


@pytest.fixture(scope="module")
def memory(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sums")
    (folder / "corpus").mkdir()
    for path in sorted(text_corpus.iterdir())[:20]:
        shutil.copy(path, folder / "corpus")
    build([str(folder / "corpus")], folder / "m.memo", BuildOptions(inner_dim=128, resources=NONE))
    return folder / "m.memo"


def recall_of(path: Path, memory: Path, capsys: pytest.CaptureFixture[str]) -> float:
    """Of contexts that fill all windows, by evaluate on the memory's text, of what these allow."""
    capsys.readouterr()
    flags = ["--sample", "3000", "--prompts", "0", "--json"]
    assert main(["evaluate", str(path), str(memory.with_name("corpus")), *flags]) == 0
    told = json.loads(capsys.readouterr().out)
    return float(told["recall_full_context"] / told["ceiling_full_context"])


def test_banks_are_chosen_for_the_recall(memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = Manifest.read(memory).config.num_banks
    same = publish_sums(memory, tmp_path / "same.memo", SumsOptions(resources=NONE, banks=own))
    chosen = publish_sums(memory, tmp_path / "chosen.memo", OPTIONS)
    assert same.config.num_banks == own < chosen.config.num_banks
    recalls = [recall_of(tmp_path / f"{name}.memo", memory, capsys) for name in ("same", "chosen")]
    print(recalls)
    assert recalls[0] < 0.975
    assert recalls[1] >= 0.985
    more = publish_sums(memory, tmp_path / "more.memo", SumsOptions(resources=NONE, target_recall=0.999))
    assert more.config.num_banks > chosen.config.num_banks
    whole = publish_sums(memory, tmp_path / "whole.memo", SumsOptions(resources=NONE, bits=16))
    assert whole.config.num_banks < chosen.config.num_banks
    assert [entry.action for entry in chosen.sources] == ["build", "rebank", "publish"]
    assert chosen.sources[-1].memory == str(memory)  # type: ignore[attr-defined]  # of a PublishEntry
    assert not list(tmp_path.glob(".*"))


def test_what_was_rebanked_is_not_rebanked_again(memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(done: int, banks: int) -> None:
        raise InterruptionError

    with pytest.raises(InterruptionError):
        publish_sums(memory, tmp_path / "p.memo", OPTIONS, on_bank=interrupt)
    assert not (tmp_path / "p.memo").exists()
    monkeypatch.setattr(module, "rebank", None)
    manifest = publish_sums(memory, tmp_path / "p.memo", OPTIONS)
    monkeypatch.undo()
    assert manifest.digest == publish_sums(memory, tmp_path / "q.memo", OPTIONS).digest
    assert {path.name for path in tmp_path.iterdir()} == {"p.memo", "q.memo"}


def test_a_person_chooses_banks_or_recall(memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "p.memo")]
    assert main(["publish", str(memory), *out, "--form", "sums", "--banks", "31", "--address", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bits"] == 1
    with open_memory(tmp_path / "p.memo") as opened:
        opened.verify()
        assert opened.config.num_banks == 31
    shutil.rmtree(tmp_path / "p.memo")
    assert main(["publish", str(memory), *out, "--target-recall", "0.9"]) == 2
    assert "--target-recall does not belong to --form solved" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ConfigError, match="--target-recall is 2"):
        publish_sums(memory, tmp_path / "p.memo", SumsOptions(target_recall=2.0))
