"""Stored bytes: what is said of a memory on disk is what real files of every kind of bank and row take."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from memo_dist import Memory, MemoryConfig, PaperConfig, TextConfig
from memo_dist.files.format import shard_file
from memo_dist.planning.stored import stored_bytes


def kept(path: Path) -> int:
    """Bytes of all datasets; headers, some 10 KB, are planned for apart."""
    sizes: list[int] = []

    def add(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.id.get_storage_size())

    with h5py.File(path) as file:
        file.visititems(add)
    return sum(sizes)


@pytest.mark.parametrize(
    ("config", "tokens", "repeats"),
    [
        (TextConfig(num_banks=100, vocab_size=500, inner_dim=64), 20_000, 1),
        (
            TextConfig(num_banks=1, vocab_size=2000),
            4_000,
            1,
        ),  # 20,000 in a bank: a tenth of the cells are beyond a byte
        (TextConfig(num_banks=40, vocab_size=257, inner_dim=128), 10_000, 2),
        (PaperConfig.of(257, 256, num_heads=4), 500, 1),
    ],
)
def test_the_plan_of_a_file_is_its_size(tmp_path: Path, config: MemoryConfig, tokens: int, repeats: int) -> None:
    memory, text = Memory(config), np.random.default_rng(0).integers(0, config.vocab_size, tokens)
    for document in range(repeats):
        memory.memorize(str(document), text)
    memory.save(tmp_path / "m.memo")
    held = 0 if config.preset == "paper" else memory.num_associations
    planned = stored_bytes(config, held, repeats, shards=1)
    assert kept(tmp_path / "m.memo" / shard_file(0)) == pytest.approx(planned, rel=0.025)


def test_what_a_memory_takes_falls_with_its_size_by_the_row() -> None:
    """A name costs two bits more than its place among all rows; these cells take all that cells can."""
    config = TextConfig(num_banks=10, vocab_size=32_000)
    small, large = (stored_bytes(config, rows, 0, shards=1) for rows in (1 << 21, 1 << 22))
    half = (large - small) / (1 << 21)
    assert 7 < half < 8
