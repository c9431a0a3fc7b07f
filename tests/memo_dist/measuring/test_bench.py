"""memo-dist bench: every figure is there and means what it says; processes in step; rates read back.

Covers: memo_dist/{bench,together,rates}.py, console/bench.py in a tiny mode. Does not cover: how fast anything is.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.errors import InputError
from memo_dist.files.batch_file import read_batches, write_batches
from memo_dist.measuring.bench import measure_core, measure_memorizing, measure_memory, token_count
from memo_dist.measuring.together import run_together
from memo_dist.planning.rates import Rates, read_rates
from memo_dist.segments import Segment

CONFIG = TextConfig(num_banks=5, vocab_size=500)


@pytest.fixture(scope="module")
def batches(documents: dict[str, list[int]]) -> list[pa.Table]:
    made = []
    names = sorted(documents)
    for index in range(3):
        part = names[index::3]
        segments = [(n, Segment(0, np.zeros(0, np.uint32), np.array(documents[n], np.uint32), True)) for n in part]
        made.append(make_batch(segments, BatchInfo(f"{index:032x}", "test", "", "")))
    return made


@pytest.mark.slow
def test_a_tiny_bench_prints_one_object_that_can_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "--tokens", "20000", "--no-build", "--json"]) == 0
    told = capsys.readouterr().out
    values = json.loads(told)
    (tmp_path / "bench.json").write_text(told)
    rates = read_rates(tmp_path / "bench.json")
    assert rates.to_dict() == {name: values[name] for name in Rates.__dataclass_fields__}
    assert rates.build_overhead_s is None
    assert 1 < rates.associations_per_token < 5.01
    assert rates.ledger_bytes_per_association == 16
    assert rates.recall > 0.9
    # the share is what its definition says, from the other figures
    flops = 2 * 256**2 * rates.associations_per_token * rates.memorize_tokens_per_s
    assert rates.memorize_share_of_gemm == pytest.approx(flops / (rates.gemm_gflops * 1e9))


@pytest.mark.slow
def test_what_is_measured_is_the_memory_itself(batches: list[pa.Table], tmp_path: Path) -> None:
    found = measure_memory(CONFIG, batches, tokenizer=None, cores=2, device="cpu", work=tmp_path)
    whole = Memory(CONFIG)
    for table in batches:
        whole.memorize_batch(table)
    tokens = sum(map(token_count, batches))
    assert found["associations_per_token"] == whole.num_associations / tokens
    assert Memory.open(tmp_path).digest() == whole.digest()  # two processes' files are one memory
    assert found["recall"] > 0.95


@pytest.mark.slow
def test_text_is_hashed_as_the_tokenizer_spells_it(tmp_path: Path) -> None:
    """Words of several tokens are one unit each, so other windows are full than where every token is one."""
    tokenizer = Tokenizer.bytes()
    config = TextConfig(num_banks=2, vocab_size=tokenizer.vocab_size)
    (tokens,) = tokenizer.encode(["Twelve drummers drumming, eleven pipers piping, ten lords a-leaping. " * 3])
    segments = [("song", Segment(0, np.zeros(0, np.uint32), tokens, True))]
    batch = make_batch(segments, BatchInfo("0" * 32, "test", "", tokenizer.hash))
    found = measure_memorizing(config, [batch], tokenizer=tokenizer, cores=2, device="cpu", work=tmp_path)
    whole, of_ids = Memory(config, tokenizer), Memory(config)
    for memory in (whole, of_ids):
        memory.memorize("song", tokens)
    assert found.associations == whole.num_associations != of_ids.num_associations
    assert Memory.open(tmp_path).digest() == whole.digest()


def test_one_core_looks_up_all_associations(batches: list[pa.Table]) -> None:
    found = measure_core(CONFIG, batches, tokenizer=None)
    assert set(found) == {
        "scan_tokens_per_s",
        "ledger_lookups_per_s",
        "ledger_bytes_per_association",
        "update_associations_per_s",
    }
    assert all(value > 0 for value in found.values())


def test_batches_are_kept_in_a_file(batches: list[pa.Table], tmp_path: Path) -> None:
    write_batches(batches, tmp_path / "b")
    kept = read_batches(tmp_path / "b")
    assert all(table.equals(again, check_metadata=True) for table, again in zip(batches, kept, strict=True))


def stages(number: int) -> Iterator[Any]:
    yield number
    if number == 13:
        raise ValueError("thirteen")
    yield number * 10


def test_processes_keep_step_and_a_lost_one_is_noticed() -> None:
    done = run_together(stages, [1, 2])
    assert [stage.results for stage in done] == [[1, 2], [10, 20]]
    assert all(stage.seconds > 0 for stage in done)
    with pytest.raises(RuntimeError, match="ended early"):
        run_together(stages, [1, 13])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"cores": 2}', "\ud800"], ids=["empty", "list", "nothing", "part", "not UTF-8"]
)
def test_a_file_that_is_no_bench_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "bench.json"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match="bench"):
        read_rates(path)


def test_a_rate_must_be_a_number_above_0(tmp_path: Path) -> None:
    names = [name for name in Rates.__dataclass_fields__ if name != "device"]
    good = dict.fromkeys(names, 1.0) | {"device": "cpu", "build_overhead_s": None}
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(good))
    assert read_rates(path).cores == 1
    for bad in (0, -1, "1", None, True):
        path.write_text(json.dumps(good | {"tokens": bad}))
        with pytest.raises(InputError, match="tokens"):
            read_rates(path)
