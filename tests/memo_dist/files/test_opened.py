"""OpenMemory: one way to open a memory of either form, and what a published one refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memo_dist import Memory, PaperConfig, TextConfig, Tokenizer, open_memory
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.published_writer import publish
from memo_dist.shard import Shard

CONFIG = TextConfig(num_banks=5, vocab_size=256, inner_dim=64)
TEXT = np.random.default_rng(0).integers(0, 256, 400).tolist()


@pytest.fixture(params=["working", "published"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    memory = Memory(CONFIG, Tokenizer.bytes())
    memory.memorize("a", TEXT)
    memory.save(tmp_path / "working")
    publish(tmp_path / "working", tmp_path / "published", 4)
    return tmp_path / str(request.param)


def test_both_forms_open_the_same_way(saved: Path) -> None:
    with open_memory(saved) as memory:
        assert memory.config == CONFIG
        assert memory.tokenizer is not None
        assert memory.tokenizer.hash == Tokenizer.bytes().hash
        assert memory.is_published == (saved.name == "published")
        assert memory.bytes_on_disk == sum(file.stat().st_size for file in saved.iterdir())
        assert memory.manifest == Manifest.read(saved)
        memory.verify()


def test_both_forms_read_what_the_memory_holds(saved: Path) -> None:
    memory = Memory.open(saved.with_name("working"))
    cues = memory.cleanup.encoder.query([np.array(TEXT[i : i + 64]) for i in range(0, 300, 7)])
    truth = memory.cleanup.encoder.retrieve(memory, cues)
    with open_memory(saved) as opened:
        found = memory.cleanup.encoder.retrieve(opened, cues)
    assert np.array_equal(found, truth) == (saved.name == "working")
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.95


def test_only_a_working_memory_is_loaded_and_changed(saved: Path) -> None:
    """What may be done to a memory is asked of it, never guessed from its class."""
    shard = Shard(CONFIG, range(5), tokenizer=Tokenizer.bytes())
    with open_memory(saved) as memory:
        if memory.is_published:
            with pytest.raises(ConfigError, match="published at 4 bits for recall only"):
                memory.require_working()
            return
        working = memory.require_working()
        assert len(working.identities()) == 1
        working.load_into(shard)
    assert shard.num_associations == memory.manifest.associations > 0


def altered(path: Path) -> None:
    replace(Manifest.read(path), digest="0" * 32).write(path)


def without_tokenizer(path: Path) -> None:
    (path / TOKENIZER_FILE).unlink()


def without_shard(path: Path) -> None:
    (path / Manifest.read(path).shards[0].file).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [(altered, "do not give the digest"), (without_tokenizer, "tokenizer.json"), (without_shard, "is missing")],
)
def test_damage_is_named_in_both_forms(saved: Path, damage: Callable[[Path], None], said: str) -> None:
    damage(saved)
    with pytest.raises(DamagedMemoryError, match=said), open_memory(saved) as memory:
        memory.verify()


def test_a_memory_without_a_ledger_opens_and_loads(tmp_path: Path) -> None:
    config = PaperConfig.of(256, 64)
    memory = Memory(config)
    memory.memorize("a", TEXT)
    memory.save(tmp_path / "p")
    loaded = Shard(config, range(4))
    with open_memory(tmp_path / "p") as opened:
        assert opened.tokenizer is None
        opened.require_working().load_into(loaded)
        keys = np.random.default_rng(1).standard_normal((9, 64), np.float32)
        assert np.allclose(opened.read(keys), memory.read(keys), atol=1e-4)
    assert np.array_equal(loaded.bank_digests(), memory.shard.bank_digests())
