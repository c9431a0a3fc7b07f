"""Groups of flags: every command has the flags that it had, with one set of defaults, and gets one object."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import typer

from cluster.resources import Resources
from console import flags
from console.app import main, make_app
from console.flags import ConfigFile, corpus_flags, resource_flags
from memo_dist.errors import ConfigError
from pipelines.plan import CorpusOptions

RESOURCES = {"--shards", "--device", "--address", "--memory-budget", "--checkpoint-every"}
CORPUS = {"--text-key", "--id-key", "--include", "--exclude", "--errors", "--limit"}
GROUPS = {
    "build": RESOURCES | CORPUS,
    "add": RESOURCES | CORPUS,
    "forget": RESOURCES | CORPUS,
    "merge": RESOURCES - {"--device", "--checkpoint-every"},
    "rebank": RESOURCES - {"--device", "--checkpoint-every"},
}


def parameters(command: str) -> dict[str, Any]:
    """flag -> its default, of a command of the program."""
    group: Any = typer.main.get_command(make_app())
    return {name: one.default for one in group.commands[command].params for name in one.opts}


@pytest.mark.parametrize("command", GROUPS)
def test_a_command_has_the_flags_of_its_groups_with_the_only_defaults(command: str) -> None:
    found = parameters(command)
    assert found.keys() & (RESOURCES | CORPUS) == GROUPS[command]
    wanted = {"--device": "auto", "--checkpoint-every": "60s", "--text-key": "text", "--id-key": "id"}
    wanted["--errors"] = "strict"
    assert {name: found[name] for name in GROUPS[command]} == {name: wanted.get(name) for name in GROUPS[command]}


def test_defaults_of_the_corpus_flags_are_those_of_corpus_options() -> None:
    defaults = {one.name: one.default for one in fields(CorpusOptions) if one.default is not MISSING}
    assert {name: default for name, (_, default) in flags._CORPUS.items()} == {
        name: defaults[name] for name in flags._CORPUS
    }


def run(words: list[str], *decorators: Any) -> list[dict[str, Any]]:
    """What a small command with flag groups gets."""
    got: list[dict[str, Any]] = []

    def command(*, name: str = "", resources: Any, corpus: Any, settings: ConfigFile = None) -> None:
        got.append({"name": name, "resources": resources, "corpus": corpus})

    made: Any = command
    for decorate in decorators:
        made = decorate(made)
    app = typer.Typer()
    app.command()(made)
    typer.main.get_command(app).main(args=words, standalone_mode=False)
    return got


def test_flags_arrive_as_objects() -> None:
    words = ["--name", "x", "--shards", "3", "--memory-budget", "4GB", "--checkpoint-every", "2m"]
    (got,) = run([*words, "--limit", "5", "--errors", "skip"], resource_flags(), corpus_flags())
    assert got["resources"] == Resources(shards=3, memory_budget=4 * 10**9, checkpoint_every=120.0, device="auto")
    assert got["corpus"] == CorpusOptions(limit=5, errors="skip")
    (got,) = run(["--name", "x"], resource_flags(), corpus_flags())
    assert (got["resources"], got["corpus"]) == (Resources(), CorpusOptions())


def test_a_part_of_a_group_and_a_fixed_field() -> None:
    decorators = (resource_flags("shards", device="cpu"), corpus_flags("include"))
    (got,) = run(["--name", "x", "--shards", "2", "--include", "*.txt"], *decorators)
    assert got["resources"] == Resources(shards=2, device="cpu")
    assert got["corpus"] == CorpusOptions(include="*.txt")
    with pytest.raises(Exception, match="No such option: --device"):
        run(["--name", "x", "--device", "gpu"], *decorators)


def test_a_settings_file_knows_the_flags_and_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("shards: 3\nmemory-budget: 2GB\ntext-key: body\n")
    words = ["--name", "x", "--config", str(path), "--shards", "5"]
    (got,) = run(words, resource_flags(), corpus_flags())
    assert got["resources"] == Resources(shards=5, memory_budget=2 * 10**9)
    assert got["corpus"] == CorpusOptions(text_key="body")


def test_help_shows_flags_in_the_place_of_their_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["add", "--help"]) == 0
    told = capsys.readouterr().out
    places = [told.index(flag) for flag in ("--token-ids", "--shards", "--checkpoint-every", "--text-key", "--config")]
    assert places == sorted(places)
    assert "one for each processor unless given" in " ".join(told.replace("│", " ").split())


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_between_checkpoints_is_refused(seconds: float) -> None:
    with pytest.raises(ConfigError, match=f"--checkpoint-every is {seconds}"):
        Resources(checkpoint_every=seconds)
