"""Bank servers on three nodes: answers of one process, while servers are killed and a node is lost.

Covers: ledger, matrices, solved tables; recall, trace, where; files that each server has open; the map after a loss;
copies where a node does not see the memory; a memory that changes; commands and jobs. Does not cover: how ranges are
chosen (test_range_map.py), the service (test_serve_command.py), ranges without Ray (memo_dist/ranges).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster import publish as publishing
from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from console.app import main
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.slow
DRIVER = Path(__file__).with_name("bank_servers_driver.py")
NONE = Resources(shards=6, address="none")
BUILD = BuildOptions(
    tokenizer="bytes", num_banks=24, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=40_000)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working memory of six files, one solved in four, and prompts: held ones, some with a slip, a strange one."""
    rng, place = np.random.default_rng(6), tmp_path_factory.mktemp("banks")
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(2, 9))) for _ in range(500)]
    shared = " ".join(rng.choice(words, 80))
    (place / "texts").mkdir()
    texts = ["\n".join([" ".join(rng.choice(words, 200)), shared, f"the end of file {index}"]) for index in range(12)]
    for index, text in enumerate(texts):
        (place / "texts" / f"{index:02d}.txt").write_text(text)
    build([str(place / "texts")], place / "working.memo", BUILD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "cut_for", lambda windows: 3)  # a small memory has one piece, else
        options = PublishOptions(resources=NONE, files=4, windows=(4, 8, 16, 64))
        publish_solved(place / "working.memo", place / "solved.memo", options)
    prompts = [text[20:140] for text in texts] + [text[300:380].replace("e", "x", 1) for text in texts[:4]]
    (place / "prompts.json").write_text(json.dumps([*prompts, "nothing of this is held"]))
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> Any:
    """What the driver has found, on a copy: it changes the memory."""
    place = folder.with_name("driven")
    shutil.copytree(folder, place)
    # what the Ray of this process has told its own children is no business of the driver's cluster
    alone = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, str(DRIVER), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=alone)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_answers_are_those_of_one_process(found: Any) -> None:
    working, solved = found["working"], found["solved"]
    assert working["exact"], "recall from the ledger"
    assert working["matrices"], "recall from the matrices"
    assert working["trace and where"]
    assert working["said"] >= 12
    assert solved["solved"], "recall from solved tables"
    assert solved["trace and where"]


def test_killed_servers_cost_retries_and_no_answers(found: Any) -> None:
    assert found["working"]["asked"] > 0
    assert found["working"]["wrong"] == 0
    assert found["solved"]["after kills"], "the one owner of a range was killed"


def test_each_node_has_its_share_of_the_files_open_and_no_other(found: Any) -> None:
    working = found["working"]
    assert working["nodes"] == 3
    assert working["owners"] == [2] * 6
    for opened, owned in working["files"].values():
        assert [name for name in opened if name.endswith(".h5")] == owned
        assert 0 < len(owned) < 6
        assert {name.partition(".")[0] for name in opened} <= {name.partition(".")[0] for name in owned}
    assert found["solved"]["files"] == [2, 2]


def test_after_the_loss_of_a_node_others_own_its_ranges(found: Any) -> None:
    working = found["working"]
    assert working["after node loss"], "answers while the map was not made anew yet"
    assert working["settled"]
    assert working["epoch rose"]
    assert working["lost owns nothing"]
    assert working["owners after"] == [2] * 6


def test_a_node_that_does_not_see_the_memory_gets_copies_of_its_files_for_as_long_as_they_are_needed(
    found: Any,
) -> None:
    copies = found["copies"]
    assert copies["equal"]
    assert copies["copied"] == ["documents.parquet", *(f"solved-{index:05d}.h5" for index in range(4))]
    assert copies["removed"]


def test_servers_follow_a_memory_that_changes(found: Any) -> None:
    assert found["changes"] == {
        "noticed": True,
        "beside": True,
        "digest": True,
        "late": True,
        "forgotten": True,
    }


def test_commands_and_jobs_ask_bank_servers(
    ray_local: None, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = json.loads((folder / "prompts.json").read_text())[:5]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in prompts))

    def told(name: str, *more: str) -> Any:
        words = ["recall", str(folder / name), "--prompts", str(file), "--max-tokens", "9", "--json"]
        assert main([*words, *more]) == 0
        return json.loads(capsys.readouterr().out)

    assert told("solved.memo", "--bank-servers", "2") == told("solved.memo")
    out = tmp_path / "out.parquet"
    assert told("working.memo", "--out", str(out), "--shards", "1", "--bank-servers", "1")["prompts"] == 5
    true = [one["text"] for one in told("working.memo")["results"]]
    assert pq.read_table(out)["text"].to_pylist() == true


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bank-servers", "2", "--shards", "2"], "give one of them"),
        (["--bank-servers", "2", "--range-replicas", "3"], "3 owners of 2 bank servers"),
    ],
)
def test_what_bank_servers_cannot_do_is_refused(
    ray_local: None, folder: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recall", str(folder / "working.memo"), "--prompt", "some words of a text", *words]) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


@pytest.mark.parametrize("words", [["recall", "--prompt", "some words of a text"], ["serve"]])
def test_bank_servers_of_a_memory_in_a_store_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    command, *others = words
    assert main([command, "s3://bucket/m.memo", *others, "--bank-servers", "2"]) == 2
    assert "s3://bucket/m.memo is in an object store" in " ".join(capsys.readouterr().err.replace("│", " ").split())
