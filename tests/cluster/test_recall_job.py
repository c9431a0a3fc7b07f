"""Recall jobs: the file has each prompt's own answer, and is the same file however often the job was disturbed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster import recall_job
from cluster.recall_job import JobSummary, recall_file
from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import ConfigError, DamagedMemoryError, FencedError, OutputExistsError
from memo_dist.files.published_writer import publish
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.prompts import read_prompts

pytestmark = pytest.mark.usefixtures("ray_local")
CONFIG = TextConfig(num_banks=30, vocab_size=256, inner_dim=128)
TEXT = "".join(f"entry {i}: {i * i % 977} beside {i * 31 % 889};\n" for i in range(150))
OPTIONS = RecallOptions(max_tokens=12, beam=2, top_k=3)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("job") / "m.memo"
    made = Memory(CONFIG, Tokenizer.bytes())
    made.memorize("text", np.frombuffer(TEXT.encode(), np.uint8))
    made.save(path)
    return path


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """60 prompts: of the text, strangers, token ids, one too short, one with an id of its own."""
    rng, rows = np.random.default_rng(0), []
    for index in range(60):
        start = int(rng.integers(len(TEXT) - 100))
        row: dict[str, object] = {"text": TEXT[start : start + 70]}
        if index % 7 == 3:
            row = {"tokens": list(TEXT[start : start + 70].encode())}
        if index % 11 == 5:
            row = {"text": " ".join(bytes(word).decode() for word in rng.integers(97, 123, (9, 5), np.uint8))}
        rows.append(row)
    rows[20], rows[30]["id"] = {"tokens": [1, 2, 3, 4, 999]}, "thirty"
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall_job, "CHUNK", 5)


def answered(memory: Path, prompts: Path, out: Path) -> JobSummary:
    return recall_file(memory, prompts, out, options=OPTIONS, actors=2)


@pytest.mark.slow
def test_every_prompt_has_its_own_answer(memory: Path, prompts: Path, tmp_path: Path) -> None:
    summary = answered(memory, prompts, tmp_path / "out.parquet")
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (summary.prompts, summary.refused, summary.parts, summary.parts_before) == (60, 1, 12, 0)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.parquet", "prompts.jsonl"]
    whole = Memory.open(memory)
    for number, (row, prompt) in enumerate(zip(rows, read_prompts(prompts), strict=True), start=1):
        assert row["id"] == ("thirty" if number == 31 else str(number))
        if number == 21:
            assert row["stop"] == "refused"
            assert "prompt 21 has token id 999" in row["error"]
            assert row["tokens"] is None
            continue
        found = whole.recall(prompt.asked, max_tokens=12, beam=2, top_k=3)
        assert row["text"] == found.text
        assert (found.text is None) == isinstance(prompt.asked, list)
        assert (row["tokens"], row["windows"], row["stop"]) == (found.tokens, found.windows, found.stop)
        assert row["confidences"] == pytest.approx(found.confidences)
        assert row["scores"] == pytest.approx(found.scores, rel=1e-6)
        steps = [[one["token"] for one in step] for step in row["alternatives"]]
        assert steps == [[one.token for one in step] for step in found.alternatives]
        assert all(1 <= len(step) <= 3 for step in steps)
    assert summary.stops["length"] > 40
    assert summary.stops["abstained"] > 3


@pytest.mark.slow
def test_other_formats_give_the_same(memory: Path, prompts: Path, tmp_path: Path) -> None:
    asked = [p for p in read_prompts(prompts) if isinstance(p.asked, str) and "\n" not in p.asked]
    (tmp_path / "p.txt").write_text("".join(f"{p.asked}\n" for p in asked))
    pq.write_table(pa.table({"text": [p.asked for p in asked]}), tmp_path / "p.parquet")
    for name in ("p.txt", "p.parquet"):
        answered(memory, tmp_path / name, tmp_path / f"{name}.out.parquet")
    one, two = (pq.read_table(tmp_path / f"{name}.out.parquet") for name in ("p.txt", "p.parquet"))
    assert one.equals(two)
    assert len(one) == len(asked) > 3


@pytest.mark.slow
def test_a_job_that_stopped_goes_on_and_gives_the_same_file(memory: Path, prompts: Path, tmp_path: Path) -> None:
    answered(memory, prompts, tmp_path / "a.parquet")
    out, killed = tmp_path / "b.parquet", []

    def disturb(done: int) -> None:
        if done >= 15 and not killed:  # an actor dies: another takes its chunks
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::RecallActor"):
                    killed.append(process.pid)
                    os.kill(process.pid, signal.SIGKILL)
                    break
        if done >= 30:
            with pytest.raises(FencedError, match="another command works in"):  # parts are named by number alone
                answered(memory, prompts, out)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recall_file(memory, prompts, out, options=OPTIONS, actors=2, on_progress=disturb)
    assert killed
    assert not out.exists()
    with pytest.raises(
        ConfigError, match=r"recall job .* max_tokens differs: it is 13 now and was 12.*recalling to start"
    ):
        recall_file(memory, prompts, out, options=RecallOptions(max_tokens=13, beam=2), actors=2)
    assert answered(memory, prompts, out).parts_before >= 6
    assert out.read_bytes() == (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(OutputExistsError):
        answered(memory, prompts, out)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_killed_program_goes_on_by_the_same_command(memory: Path, prompts: Path, tmp_path: Path, seed: int) -> None:
    """kill -9 of the driver at a random moment, of a published memory, in processes of their own."""
    publish(memory, tmp_path / "p.memo", 4)
    many = tmp_path / "many.jsonl"
    many.write_text(prompts.read_text() * 20)
    truth, out = tmp_path / "truth.parquet", tmp_path / "out.parquet"
    words = ["-m", "console", "recall", str(tmp_path / "p.memo"), "--prompts", str(many), "--max-tokens", "12"]
    subprocess.run([sys.executable, *words, "--out", str(truth)], check=True, capture_output=True)
    rng = np.random.default_rng(seed)
    place, kills = tmp_path / ".out.parquet.recalling", 0
    while not out.exists():
        with subprocess.Popen([sys.executable, *words, "--out", str(out)], stderr=subprocess.DEVNULL) as driver:
            aim = len(list(place.glob("part-*.parquet"))) + int(rng.integers(1, 3))
            while kills < 2 and driver.poll() is None:
                if len(list(place.glob("part-*.parquet"))) >= aim:
                    driver.kill()
                    kills += 1
                    break
                time.sleep(float(rng.uniform(0.01, 0.2)))
    assert kills, f"seed {seed}"
    assert out.read_bytes() == truth.read_bytes(), f"seed {seed}"


def test_a_damaged_memory_is_named_and_leaves_nothing(memory: Path, prompts: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(memory, tmp_path / "broken.memo"))
    shard = next(broken.glob("*.h5"))
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(DamagedMemoryError, match=shard.name):
        answered(broken, prompts, tmp_path / "out.parquet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.memo", "prompts.jsonl"]


@pytest.mark.slow
def test_the_program_reports_and_refuses(
    memory: Path, prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out.parquet")
    words = ["recall", str(memory), "--prompts", str(prompts)]
    assert main([*words, "--out", out, "--shards", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompts"] == 60
    assert main([*words, "--out", out]) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "out.csv")]) == 2
    assert "ends in .parquet" in capsys.readouterr().err
    prompts.write_text('{"text": "x"}\n{"txet": "x"}\n')
    assert main([*words, "--out", str(tmp_path / "more.parquet")]) == 2
    assert "line 2 is not an object" in capsys.readouterr().err
    assert not (tmp_path / "more.parquet").exists()
    assert main(["recall", str(memory), "--prompt", "x", "--out", str(tmp_path / "more.parquet")]) == 2
