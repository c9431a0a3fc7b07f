"""memo-dist plan: numbers that agree with each other, and errors that name the flag.

Covers: console/plan.py, forecast.py. Does not cover: the law (test_capacity.py); how near a real build comes
(benchmarks/building/planner.py).
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.prepare import BuildOptions, prepare
from cluster.resources import Resources
from console.app import main
from memo_dist import Memory, TextConfig
from memo_dist.errors import ConfigError
from memo_dist.files.journal import BuildEntry
from memo_dist.files.manifest import Manifest
from memo_dist.models.repetition import Repetition, TextSize
from memo_dist.planning.capacity import recall_of
from memo_dist.planning.forecast import Machines, forecast, seconds_per_association
from memo_dist.planning.processes import CHUNK, RUN_BYTES, WORKER_BYTES
from memo_dist.planning.rates import Rates
from memo_dist.planning.typical import TYPICAL
from memo_dist.sizes import show_seconds
from pipelines.plan import MIN_SPLIT_BYTES, SPLIT_BYTES, SPLITS_WANTED

RATES = Rates(
    cores=2,
    readers=2,
    device="cpu",
    tokens=2_000_000,
    documents=500,
    vocab_size=32_000,
    banks=1400,
    gemm_gflops=200.0,
    tokenizer_bytes_per_s=4e6,
    tokenize_tokens_per_s=6e5,
    memorize_tokens_per_s=1e6,
    memorize_share_of_gemm=1.0,
    associations_per_token=2.4,
    scan_tokens_per_s=2e7,
    update_associations_per_s=3e6,
    ledger_lookups_per_s=6e6,
    ledger_bytes_per_association=16.0,
    recall_queries_per_s=6000.0,
    recall=0.99,
    disk_write_bytes_per_s=4e8,
    disk_read_bytes_per_s=4e8,
    build_overhead_s=10.0,
)
CONFIG = TextConfig(num_banks=1, vocab_size=32_000)
SIZE = TextSize(10**9, 10**6, TYPICAL)
LARGE = replace(CONFIG, num_banks=500_000)  # enough for it: they need not be searched for


@pytest.fixture
def planned(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*words: str, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["plan", *words, "--json"]) == code
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        return told

    return run


def test_a_plan_agrees_with_itself(planned: Any) -> None:
    told = planned("--tokens", "1e9")
    assert told["tokens"] == 10**9
    assert told["text"] == "typical"
    assert told["associations"] == 5 * 10**9 > told["expected_associations"] > 4 * 10**9
    assert 0.9955 <= told["recall"] < 0.9965  # of what the text allows, which is a little less than all
    assert [one["window"] for one in told["answered"]] == [4, 8, 16, 32, 64]
    for one in told["answered"]:
        assert one["matrices"] <= one["exact"]
    assert told["answered"][-1]["matrices"] == pytest.approx(told["recall"], abs=0.002)
    assert told["expected_disk_bytes"] < told["disk_bytes"]
    assert told["node_bytes"] < told["most_node_bytes"]
    assert told["least_node_bytes"] < told["node_bytes"]
    assert told["seconds"] is told["total_seconds"] is None  # never measured, so never said
    *same, wider = told["published"]
    assert [one["bits"] for one in same] == [1, 2, 4, 8, 16]
    assert [one["recall"] for one in same] == sorted(one["recall"] for one in same)
    assert wider["banks"] > same[0]["banks"]
    assert wider["recall"] >= 0.9955 > same[0]["recall"]
    assert same[1]["bytes"] > wider["bytes"]  # decision 0008: one bit and more banks is the better way


@pytest.mark.slow
def test_units_are_those_of_a_build(planned: Any) -> None:
    """A worker holds eight times a split, and a chunk's associations of five windows; pipelines.plan says how large
    splits are, which memo_dist may not ask."""
    for tokens in (1000, 10**6, 10**7, 10**9):
        split = min(SPLIT_BYTES, max(MIN_SPLIT_BYTES, 4 * tokens // SPLITS_WANTED))
        made = 5 * RUN_BYTES * min(CHUNK, split)
        assert planned("--tokens", str(tokens))["worker_bytes"] == WORKER_BYTES + 8 * split + made


@pytest.mark.slow
def test_more_recall_and_more_tokens_take_more(planned: Any) -> None:
    small, better, larger = (
        planned(*w.split()) for w in ("--tokens 1e8", "--tokens 1e8 --target-recall .999", "--tokens 1e9")
    )
    assert small["config"]["num_banks"] < better["config"]["num_banks"] < larger["config"]["num_banks"]
    fixed = planned("--tokens", "1e8", "--banks", "1000")
    assert fixed["config"]["num_banks"] == 1000
    assert fixed["recall"] < small["recall"]


def test_a_sample_is_learnt_from(planned: Any, text_corpus: Path) -> None:
    told = planned("--sample", str(text_corpus))
    assert told["text"] == "sample"
    assert told["documents"] == 40
    assert told["repetition"]["tokens"] == told["tokens"]
    twice = planned("--sample", str(text_corpus), "--tokens", str(2 * told["tokens"]))
    assert twice["documents"] == 80
    assert told["expected_associations"] < twice["expected_associations"] <= 2 * told["expected_associations"]


def test_a_build_learns_from_its_sample(text_corpus: Path, tmp_path: Path) -> None:
    """What it learns is in its statement, so that a stopped build plans the same; its banks follow from it."""
    out, options = tmp_path / "m.memo", BuildOptions(tokenizer="bytes", resources=Resources(memory_budget=10**10))
    prepared = prepare([str(text_corpus)], out, options=options)
    assert prepared.choice.sample == ()  # it has told what it can
    assert (
        Repetition.from_dict(json.loads(json.dumps(prepared.statement.to_dict()))["repetition"]) == prepared.repetition
    )
    memory = Memory(prepared.plan.config, prepared.choice.tokenizer)
    for path in sorted(text_corpus.iterdir()):
        memory.memorize(path.name, np.frombuffer(path.read_bytes(), np.uint8))
    assert prepared.plan.expected_associations == pytest.approx(memory.num_associations, rel=0.02)
    assert prepared.plan.expected_associations < 0.92 * prepared.plan.associations
    assert 0.99 <= prepared.plan.recall < 1
    memory.save(out)
    manifest = Manifest.read(out)
    assert prepared.repetition is not None
    counts = {"files": 1, "splits": 1, "splits_done": 1, "skipped": 0, "replaced": 0, "empty": 0}
    entry = BuildEntry(when="", inputs=[], repetition=prepared.repetition, **counts)
    told = replace(manifest, sources=[entry])
    assert recall_of(told) == pytest.approx(prepared.plan.recall, abs=0.003)
    assert recall_of(told) > recall_of(manifest) + 0.001  # which does not know how common its tokens are
    assert recall_of(replace(told, bits=1)) < recall_of(replace(told, bits=2)) < recall_of(told)


def test_times_add_up() -> None:
    told = forecast(LARGE, 0.99, SIZE, machines=Machines(1, 2, 0), rates=RATES, fixed_banks=True)
    assert told.seconds is not None
    associations = told.plan.expected_associations
    # as fast as what was measured, but for the associations a token
    updating = SIZE.tokens / RATES.memorize_tokens_per_s - SIZE.tokens / RATES.scan_tokens_per_s
    assert told.seconds["sort and merge"] == pytest.approx(updating * associations / SIZE.tokens / 2.4)
    assert told.seconds["hash"] == pytest.approx(SIZE.tokens / 2e7 / 2)
    assert told.seconds["tokenize"] == pytest.approx(SIZE.tokens / 6e5)
    assert told.seconds["write"] == pytest.approx(told.plan.expected_disk_bytes / 4e8)
    assert told.total_seconds == pytest.approx(sum(told.seconds.values()))
    # 1 / (1 M tokens/s) x 2 cores, less 1 / (20 M tokens/s) x 2 cores, a token of 2.4 associations
    assert seconds_per_association(RATES) == pytest.approx((2e-6 - 1e-7) / 2.4)


def test_more_machines_divide_the_work() -> None:
    """Nothing is done twice, however many shards there are."""
    one, many = (
        forecast(LARGE, 0.99, SIZE, machines=Machines(n, 8, 0), rates=RATES, fixed_banks=True) for n in (1, 16)
    )
    assert one.seconds is not None
    assert many.seconds is not None
    for stage in ("tokenize", "hash", "sort and merge"):
        assert many.seconds[stage] == pytest.approx(one.seconds[stage] / 16)
    assert many.seconds["write"] == pytest.approx(one.seconds["write"] / 16, rel=0.01)  # each shard counts next tokens
    assert many.plan.shards == 128
    # a machine holds slices of the memory, not its share of it
    assert many.node_bytes <= one.node_bytes < one.plan.expected_disk_bytes / 5


def test_machines_without_a_shard_hold_nothing() -> None:
    few = TextConfig(num_banks=5, vocab_size=32_000)
    three, many = (
        forecast(few, 0.99, TextSize(10**9, 10**6, TYPICAL), machines=Machines(n, 1, 0), rates=RATES, fixed_banks=True)
        for n in (5, 1000)
    )
    assert three.plan.shards == many.plan.shards == 5
    assert many.node_bytes >= many.plan.expected_disk_bytes // 5
    assert many.seconds is not None
    assert three.seconds is not None
    assert many.seconds["write"] == pytest.approx(three.seconds["write"])


@pytest.mark.slow
def test_a_target_out_of_reach_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--tokens", "1e9", "--target-recall", ".99999"]) == 0
    assert "more banks do not bring it to 0.99999" in " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.mark.slow
def test_gpus_need_rates_of_gpus() -> None:
    with pytest.raises(ConfigError, match="--device gpu"):
        forecast(CONFIG, 0.99, TextSize(10**6, 10, TYPICAL), machines=Machines(1, 8, 2), rates=RATES)
    rates = replace(RATES, device="gpu", cores=1, memorize_tokens_per_s=2e7, scan_tokens_per_s=2e8)
    with pytest.raises(ConfigError, match="--device cpu"):
        forecast(CONFIG, 0.99, TextSize(10**6, 10, TYPICAL), machines=Machines(1, 8, 0), rates=rates)
    told = forecast(CONFIG, 0.99, TextSize(10**8, 10, TYPICAL), machines=Machines(1, 2, 4), rates=rates)
    assert told.plan.shards == 4
    assert told.seconds is not None
    # processors tokenize and hash, GPUs merge
    assert told.seconds["tokenize"] == pytest.approx(10**8 / 6e5)
    assert told.seconds["hash"] == pytest.approx(10**8 / 2e8 / 2)
    merging = told.plan.expected_associations * seconds_per_association(rates)
    assert told.seconds["sort and merge"] == pytest.approx(merging / 4)


BAD = {
    "": "--tokens is missing",
    "--tokens many": "'many'.*5e9",
    "--tokens 0": "'0'",
    "--tokens inf": "'inf'",
    "--tokens 1e16": "1e15",
    "--tokens 1e6 --target-recall 1": "target-recall is 1.0",
    "--tokens 1e6 --documents 0": "--documents is 0",
    "--tokens 1e6 --documents 1000001": "as many as there are tokens",
    "--tokens 1e6 --nodes 0": "--nodes is 0",
    "--tokens 1e6 --cores 0": "--cores is 0",
    "--tokens 1e6 --banks 0": "num_banks is 0",
    "--tokens 1e6 --rates nowhere.json": "nowhere.json cannot be read",
    "--sample nowhere": "nowhere",
}


@pytest.mark.parametrize("words", BAD)
def test_what_is_bad_is_named(planned: Any, words: str) -> None:
    told = planned(*words.split(), code=2)
    assert re.search(BAD[words], told["error"]), told["error"]


def test_a_table_says_that_time_is_unknown_and_how_to_know_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--tokens", "1e7", "--banks", "5000"]) == 0
    assert "memo-dist bench" in " ".join(capsys.readouterr().out.replace("│", " ").split())
    (tmp_path / "b.json").write_text(json.dumps(RATES.to_dict()))
    assert main(["plan", "--tokens", "1e7", "--banks", "5000", "--rates", str(tmp_path / "b.json")]) == 0
    out = capsys.readouterr().out
    assert "tokenize" in out
    assert "memo-dist bench" not in out


def test_times_are_shown_as_people_say_them() -> None:
    assert [show_seconds(s) for s in (1, 119, 120, 3600, 90_000, 10**7)] == [
        "1.0 s",
        "119.0 s",
        "2.0 min",
        "1.0 h",
        "25.0 h",
        "115.7 days",
    ]
