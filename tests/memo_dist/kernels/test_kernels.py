"""What numba compiles is compiled once a machine, and equals the plain form where no other test compares them."""

import json
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core.errors import TypingError

from memo_dist.kernels import compiled
from memo_dist.kernels.banks import add_products
from memo_dist.kernels.hashes import association_codes
from memo_dist.models.text.codes import GOLDEN, key_words, mask_words, value_words

_USE_ALL = """
import importlib, json, pkgutil
import numpy as np
from numba.core.registry import CPUDispatcher
import memo_dist.kernels
from memo_dist import Memory, TextConfig
from memo_dist.models.text.search import best_codes
from memo_dist.kernels.planes import read_planes

memory = Memory(TextConfig(num_banks=2, vocab_size=50))
memory.memorize("a", list(range(50)))
memory.shard.flush()
memory.followers(np.zeros(1, np.uint64))
codes = np.arange(400, dtype=np.uint64).reshape(100, 4)
best_codes(np.ones((1, 256), np.float32), codes, keep=1, width=256)
read_planes(codes[None, None], np.zeros(1, np.int64), codes[:1], np.empty((1, 100), np.int32))
found = {}
for module in pkgutil.iter_modules(memo_dist.kernels.__path__):
    for name, value in vars(importlib.import_module(f"memo_dist.kernels.{module.name}")).items():
        if isinstance(value, CPUDispatcher) and value.signatures:
            found[name] = [sum(value.stats.cache_hits.values()), sum(value.stats.cache_misses.values())]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    first, second = (
        json.loads(
            subprocess.run(
                [sys.executable, "-c", _USE_ALL],
                env={"NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(2)
    )
    assert set(first) >= {"add_products", "association_codes", "count_runs", "merge_runs", "read_planes", "scan"}
    assert set(first) >= {"window_keys", "choose_associations", "count_rows", "find_rows"}
    assert all(misses > 0 for _, misses in first.values())
    assert all(hits > 0 and misses == 0 for hits, misses in second.values()), second


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 99)), max_size=20), st.sampled_from([64, 128, 256]))
def test_codes_equal_the_plain_ones(rows: list[tuple[int, int]], dim: int) -> None:
    hashes, tokens = np.array([h for h, _ in rows], np.uint64), np.array([t for _, t in rows], np.uint32)
    codebook = value_words(99, dim, 0)
    keys, values = np.empty((2, len(rows), dim // 64), np.uint64)
    association_codes(hashes, tokens, codebook, np.uint64(GOLDEN), keys, values)
    assert np.array_equal(keys, key_words(hashes, dim))
    assert np.array_equal(values, mask_words(hashes, dim) ^ codebook[tokens])


@pytest.mark.parametrize("spoil", ["type", "order", "locked"])
def test_vectors_are_written_only_where_they_may_be(spoil: str) -> None:
    words, cells = np.zeros((4, 1), np.uint64), np.zeros((64, 64), np.int16)
    if spoil == "type":
        cells = cells.astype(np.int32)
    elif spoil == "order":
        cells = np.asfortranarray(cells)
    else:
        cells.flags.writeable = False
    with pytest.raises(TypingError, match="C-contiguous array of int16 that may be written"):
        add_products(cells, words, words, 1)


def test_without_a_place_to_keep_it_a_function_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numba.njit

    def njit(**options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return plain(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(lambda x: x + 1)(2) == 3
