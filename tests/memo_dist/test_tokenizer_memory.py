"""A large tokenizer takes what a plan counts for it, in a process that reads it and in one that is sent it."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from memo_dist import TextConfig, Tokenizer
from memo_dist.models.repetition import TextSize
from memo_dist.planning.memory_plan import plan_memory
from memo_dist.tokenizer import _COMMON_BYTES

ROOT = Path(__file__).parents[2]
VOCABULARY = 100_000
LOAD = """
import pickle, sys
from memo_dist.tokenizer import Tokenizer
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) << 10
Tokenizer.bytes()
before = peak()
if sys.argv[2] == "read":
    tokenizer = Tokenizer.from_file(sys.argv[1])
else:
    tokenizer = pickle.load(open(sys.argv[1], "rb"))
tokenizer.vocab_size
print(peak() - before, tokenizer.memory_bytes, tokenizer.hash)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    definition = json.loads(Tokenizer.bytes().definition)
    vocabulary, chance = dict(definition["model"]["vocab"]), random.Random(1)
    merges, pool = [], list(vocabulary)
    while len(vocabulary) < VOCABULARY:
        one, other = chance.choice(pool), chance.choice(pool)
        if one + other not in vocabulary and len(one + other) < 12:
            vocabulary[one + other] = len(vocabulary)
            merges.append([one, other])
            pool.append(one + other)
    definition["model"].update(vocab=vocabulary, merges=merges)
    path = tmp_path_factory.mktemp("large") / "tokenizer.json"
    path.write_text(json.dumps(definition))
    return path


@pytest.mark.parametrize("way", ["read", "sent"])
def test_loading_takes_what_is_counted(large: Path, tmp_path: Path, way: str) -> None:
    import pickle

    tokenizer, path = Tokenizer.from_file(large), large
    assert tokenizer.vocab_size == VOCABULARY
    if way == "sent":
        path = tmp_path / "tokenizer.pickle"
        path.write_bytes(pickle.dumps(tokenizer))
        assert pickle.loads(path.read_bytes()).encode(["some text"])[0].tolist() == (
            tokenizer.encode(["some text"])[0].tolist()
        )
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(path), way], capture_output=True, text=True, check=True, cwd=ROOT
    )
    grown, counted, digest = done.stdout.split()
    assert int(counted) == tokenizer.memory_bytes > 0
    assert digest == tokenizer.hash
    assert int(grown) <= int(counted) + _COMMON_BYTES + (24 << 20)


def test_a_small_tokenizer_is_in_what_every_process_takes() -> None:
    assert Tokenizer.bytes().memory_bytes == 0


def test_plans_count_it_in_every_process_that_has_one() -> None:
    """The driver and its workers; what merges knows tokens by their numbers alone."""
    config = TextConfig(num_banks=40, vocab_size=256, inner_dim=64)
    shape = {"shards": 3, "workers": 2, "split_bytes": 4 << 20}
    for in_process, processes in ((False, 3), (True, 1)):
        plain, counted = (
            plan_memory(config, TextSize(10**8, 10**4), **shape, in_process=in_process, tokenizer_bytes=size)
            for size in (0, 10**8)
        )
        assert counted.peak_bytes - plain.peak_bytes == processes * 10**8
    more = plan_memory(config, TextSize(10**8, 10**4), **shape, records_bytes=10**8)
    assert more.driver_bytes - plain.driver_bytes == 10**8
