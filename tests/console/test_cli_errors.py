"""Bad input on the command line: exit code 2, a message that names the thing, and nothing left behind.

Covers: `memo-dist` run in this process, up to where a build would start Ray. Does not cover: faults that only a
worker meets.
"""

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer

NOISE = np.random.default_rng(0).bytes(5000)
BUILD = ("build", "good.txt", "--out", "m.memo", "--tokenizer", "bytes")
READERS = {
    "inspect": ("inspect", "m.memo"),
    "verify": ("verify", "m.memo"),
    "recall": ("recall", "m.memo", "--prompt", "a prompt that is long enough"),
}
SENTENCE = "the quick brown fox jumps over the lazy dog"
Run = Callable[..., str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with one good file; a build that gets as far as Ray fails with exit code 1."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the build went on and would have started Ray")

    monkeypatch.setattr("cluster.build.session", refuse)
    monkeypatch.setattr("cluster.machine.local_cpus", lambda: 2)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.txt").write_text("hello world, this is a text\n" * 20)
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must fail, plainly and with --json; returns the message."""

    def run(*words: str, code: int = 2) -> str:
        before = sorted(str(path) for path in place.rglob("*"))
        capsys.readouterr()
        assert main(list(words)) == code, capsys.readouterr().err
        plain = capsys.readouterr()
        assert plain.out == ""
        assert "Traceback" not in plain.err
        assert main([*words, "--json"]) == code
        told = capsys.readouterr()
        answer = json.loads(told.out)  # one object and nothing else
        assert f"memo-dist: {answer['error']}" in told.err
        assert f"memo-dist: {answer['error']}" in plain.err
        assert answer["exit_code"] == code
        assert sorted(str(path) for path in place.rglob("*")) == before
        return str(answer["error"])

    return run


BAD_FILES = {
    "invalid.txt": (b"ab\xffcd", r"invalid\.txt .*UTF-8.*--errors"),
    "invalid.jsonl": (b'{"text": "x"}\n{"text": "\xff"}\n', r"invalid\.jsonl@14 .*UTF-8.*--errors"),
    "surrogate.jsonl": (b'{"text": "\\ud800"}\n', r"surrogate\.jsonl@0 .*UTF-8"),
    "empty.txt": (b"", r"empty.*empty\.txt"),
    "rows.jsonl": (b'{"text": ""}\n', r"rows\.jsonl"),
    "cut.txt.gz": (gzip.compress(NOISE)[:-100], r"cut\.txt\.gz .*gzip"),
    "plain.txt.zst": (b"plain text", r"plain\.txt\.zst .*zstd"),
    "cut.parquet": (b"PAR1" + NOISE, r"cut\.parquet cannot be read"),
    "keys.jsonl": (b'{"body": "x"}\n', r"keys\.jsonl@0.*'text'.*'body'.*--text-key"),
    "broken.jsonl": (b'{"text": "x"}\n{"text": \n', r"broken\.jsonl@14.*not JSON"),
    "table.xls": (b"a,b\n", r"table\.xls .*\.txt .*\.parquet"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("tokenizer", ["auto", "bytes"])
def test_a_bad_file_is_named(place: Path, refused: Run, name: str, tokenizer: str) -> None:
    content, told = BAD_FILES[name]
    (place / name).write_bytes(content)
    assert re.search(told, refused("build", name, "--out", "m.memo", "--tokenizer", tokenizer))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.txt", "nothing-*.txt", "pictures", "memory://nowhere/a.txt"])
def test_an_input_with_nothing_to_read_is_named(place: Path, refused: Run, name: str) -> None:
    (place / "pictures").mkdir()
    assert name in refused("build", "good.txt", name, "--out", "m.memo")


@pytest.mark.parametrize("out", ["good.txt", ".", "taken"])
def test_an_output_that_exists_is_not_touched(place: Path, refused: Run, out: str) -> None:
    (place / "taken").mkdir()
    assert f"{out} exists" in refused("build", "good.txt", "--out", out)
    assert (place / "good.txt").read_text().startswith("hello")


BAD_SETTINGS = {
    "--errors ignore": "'ignore'.*strict, replace, skip",
    "--target-recall 1.5": r"--target-recall is 1\.5.*between 0 and 1",
    "--memory-budget lots": "'lots'.*4GB",
    "--memory-budget inf": "inf",
    "--memory-budget=": "size",
    "--limit 0": "--limit is 0",
    "--shards -3": "--shards is -3",
    "--shards 0": "shards.* 0",
    "--banks 0": "banks.* 0",
    "--dim 100": "100.*multiple of 64",
    "--preset paper --heads 1": "heads is 1.*2 to 64",
    "--heads 4": "--heads and --layers belong to the preset 'paper'; the preset 'text' has --windows",
    "--windows 8,4": "windows is .8, 4.; expected 1 to 16 whole numbers of units",
    "--windows four": "--windows is 'four'; expected whole numbers of units",
    "--keys letters": "keys is 'letters'; expected one of text, tokens",
    "--seed -1": "seed is -1",
    "--surprise": "--surprise",
    "--tokenizer missing.json": r"missing\.json.*auto, bytes",
    "--tokenizer good.txt": r"good\.txt is not a tokenizer",
}


@pytest.mark.parametrize("words", BAD_SETTINGS)
def test_a_bad_setting_is_named_with_what_is_expected(refused: Run, words: str) -> None:
    assert re.search(BAD_SETTINGS[words], refused(*BUILD, *words.split()))


def test_missing_words_and_unknown_commands_are_told(refused: Run) -> None:
    assert "--out" in refused("build", "good.txt")
    assert "INPUT" in refused("build", "--out", "m.memo")
    assert "'remember'" in refused("remember", "good.txt")


def test_a_budget_too_small_is_refused_with_its_parts(refused: Run) -> None:
    message = refused(*BUILD, "--memory-budget", "100MB")
    assert "budget is 100.0 MB" in message
    assert "give more with --memory-budget" in message
    assert len(re.findall(r"\d [MG]B", message)) >= 6  # the whole, four parts, the budget


def test_banks_beyond_the_budget_are_no_reason_to_refuse(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BUILD, "--memory-budget", "2GB", "--banks", "40000"]) == 1  # it goes on, to where Ray would start
    assert "for sorted runs" in " ".join(capsys.readouterr().err.split())


def test_an_output_that_cannot_be_written_fails_and_leaves_nothing(
    refused: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.room._free_bytes", lambda _: 1000)
    assert "1.0 KB free" in refused(*BUILD, code=1)
    assert "good.txt/m.memo" in refused("build", "good.txt", "--out", "good.txt/m.memo", "--tokenizer", "bytes", code=1)
    assert "free" in refused("build", "good.txt", "--out", "new/deep/m.memo", "--tokenizer", "bytes", code=1)


BAD_YAML = {"surprise: 1\nlimit: 3": "['surprise']", "- limit": "not a table", "limit: [": "cannot be read"}


@pytest.mark.parametrize("settings", BAD_YAML)
def test_a_bad_settings_file_is_refused_by_name(place: Path, refused: Run, settings: str) -> None:
    (place / "settings.yaml").write_text(settings)
    message = refused(*BUILD, "--config", "settings.yaml")
    assert "settings.yaml" in message
    assert BAD_YAML[settings] in message
    assert "missing.yaml" in refused(*BUILD, "--config", "missing.yaml")


def test_json_asked_for_in_the_settings_file_holds_for_errors(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "settings.yaml").write_text("json: true\nerrors: ignore\n")
    assert main([*BUILD, "--config", "settings.yaml"]) == 2
    assert "ignore" in json.loads(capsys.readouterr().out)["error"]


@pytest.fixture
def memory(place: Path) -> Path:
    tokenizer = Tokenizer.bytes()
    made = Memory(TextConfig(num_banks=4, vocab_size=256, inner_dim=64), tokenizer)
    made.memorize("fox", list(SENTENCE.encode()))
    made.save(place / "m.memo")
    return place / "m.memo"


def replace_shard(path: Path) -> None:
    with h5py.File(path / "shard-00000.h5", "w") as file:
        file["cells"] = np.zeros((4, 64, 64), np.int16)


def alter(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing directory": (shutil.rmtree, "m.memo does not exist"),
    "no manifest": (lambda m: (m / "manifest.json").unlink(), "no manifest.json"),
    "altered manifest": (lambda m: alter(m / "manifest.json", '"documents": 1', '"documents": 2'), "manifest.json was"),
    "missing shard": (lambda m: (m / "shard-00000.h5").unlink(), "shard-00000.h5 is missing"),
    "truncated shard": (lambda m: cut(m / "shard-00000.h5"), "shard-00000.h5"),
    "foreign shard": (replace_shard, "shard-00000.h5"),
    "altered tokenizer": (lambda m: alter(m / "tokenizer.json", '"A"', '"Z"'), "tokenizer.json"),
    "missing tokenizer": (lambda m: (m / "tokenizer.json").unlink(), "tokenizer.json"),
}


CASES = [(c, d) for c in READERS for d in DAMAGE if c != "inspect" or "tokenizer" not in d]  # inspect does not read it


@pytest.mark.parametrize(("command", "damage"), CASES)
def test_a_damaged_memory_is_refused_by_name(refused: Run, memory: Path, command: str, damage: str) -> None:
    act, told = DAMAGE[damage]
    act(memory)
    assert told in refused(*READERS[command])


BAD_PROMPTS = {
    '\n\n{"body": "long enough"}': "prompts.jsonl line 3",
    '{"text": 5}': "prompts.jsonl line 1",
    '{"text": "\\ud800 long enough"}': "prompt",
    "": "no prompt",
}


@pytest.mark.parametrize("content", BAD_PROMPTS)
def test_a_bad_prompt_is_refused(place: Path, refused: Run, memory: Path, content: str) -> None:
    assert "prompts.jsonl" in refused("recall", "m.memo", "--prompts", "prompts.jsonl")  # it is missing
    (place / "prompts.jsonl").write_text(content)
    assert BAD_PROMPTS[content] in refused("recall", "m.memo", "--prompts", "prompts.jsonl")


def test_a_whole_memory_is_read_and_prompts_end_only_at_line_ends(
    place: Path, memory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", memory.name]) == main(["inspect", memory.name]) == 0
    capsys.readouterr()
    row = {"text": "one\u2028two\x85three"}
    (place / "prompts.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert main(["recall", "m.memo", "--prompts", "prompts.jsonl", "--json"]) == 0
    assert [result["prompt"] for result in json.loads(capsys.readouterr().out)["results"]] == [row["text"]]


def test_prompts_and_answers_are_shown_character_for_character(
    place: Path, refused: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(f"\tline {i * i} of the file,\x0c\r\n" for i in range(60))
    made = Memory(TextConfig(num_banks=6, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("a", np.frombuffer(text.encode(), np.uint8))
    made.save(place / "tabs.memo")
    assert main(["recall", "tabs.memo", "--prompt", text[200:300], "--max-tokens", "150"]) == 0
    assert capsys.readouterr().out == text[200:450] + "\n"
    assert "not UTF-8, from character 2 on" in refused("recall", "tabs.memo", "--prompt", "ab\udcff")
