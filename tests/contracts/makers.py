"""Makers: every implementation of a protocol, built in one place for the contract suites beside this file.

Covers: small configs and documents, memories and their readers, contents, encoders, cleanups, stores. Does not cover:
what is expected of them (the suites), the truth that they are held against (tests/reference.py).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from reference import ReferenceMemory

from memo_dist import Memory, MemoryConfig, PaperConfig, TextConfig
from memo_dist.files.format import shard_file
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.models import cleanup_for, model_of
from memo_dist.models.candidates import Cleanup
from memo_dist.models.contents import Contents
from memo_dist.models.cues import Encoder, Reader
from memo_dist.models.paper.encoder import ProjectedEncoder
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Entries
from memo_dist.segments import Segment
from memo_dist.shard import Shard
from memo_dist.stores.banks import BankStore, FileBanks, HostBanks, ResidentBanks
from memo_dist.stores.parts import FileParts, HostParts, PartStore, ResidentParts
from memo_dist.stores.pending import FilePending, PendingStore, ResidentPending

Documents = dict[str, list[int]]
NUMPY = np


def text_config(banks: int = 5, vocab: int = 40, *, dim: int = 64, heads: int = 4, layers: int = 3) -> TextConfig:
    """A small memory of the model text."""
    return TextConfig(num_banks=banks, vocab_size=vocab, inner_dim=dim, num_heads=heads, num_layers=layers, seed=3)


def paper_config(
    vocab: int = 40, dim: int = 32, *, heads: int = 4, layers: int = 3, composition: str = "jlt", key_dim: int = 0
) -> PaperConfig:
    """A small memory of the model paper; `key_dim` is d unless given."""
    return PaperConfig.of(
        vocab,
        dim,
        num_heads=heads,
        num_layers=layers,
        composition=composition,
        key_dim=key_dim or None,
        seed=3,
    )


CONFIGS: dict[str, MemoryConfig] = {
    "text": text_config(),
    "text of two layers": text_config(3, heads=3, layers=2),
    "jlt": paper_config(),
    "jlt of one layer": paper_config(heads=2, layers=1),
    "product": paper_config(composition="product", layers=2),
    "direct": paper_config(layers=1, composition="direct", key_dim=20),
}


def is_text(config: MemoryConfig) -> bool:
    return isinstance(config, TextConfig)


def documents_of(vocab: int = 40, seed: int = 0, count: int = 6) -> Documents:
    """Documents of 1 to 90 tokens; every other one ends with a passage that they share."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, vocab, 30).tolist()
    return {
        f"{seed}-{n}": rng.integers(0, vocab, int(rng.integers(1, 60))).tolist() + shared * (n % 2)
        for n in range(count)
    }


def segment(tokens: list[int], start: int = 0, stop: int | None = None) -> Segment:
    """Tokens [start, stop) of a document, with the context that any of the configs needs."""
    last = len(tokens) if stop is None else stop
    ids = np.array(tokens, np.uint32)
    return Segment(
        start=start, context=ids[max(0, start - 64) : start], tokens=ids[start:last], ends=last == len(tokens)
    )


def reference_of(config: MemoryConfig, documents: Documents | None = None) -> ReferenceMemory:
    """The plain memory of a config of the model text, with some documents in it."""
    shape = (config.num_banks, config.vocab_size, config.inner_dim, config.num_heads, config.num_layers)
    reference = ReferenceMemory(*shape, seed=config.seed)
    for tokens in (documents or {}).values():
        reference.memorize(tokens)
    return reference


# Readers


def memory_of(config: MemoryConfig, documents: Documents) -> Memory:
    memory = Memory(config)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


def save_in_shards(config: MemoryConfig, documents: Documents, path: Path, shards: int) -> None:
    """Write the memory of some documents as several shard files of about equal numbers of banks."""
    edges = [config.num_banks * i // shards for i in range(shards + 1)]
    written = []
    with staged_output(path) as staging:
        for index in range(shards):
            shard = Shard(config, range(edges[index], edges[index + 1]))
            shard.memorize_segments([(name, segment(tokens)) for name, tokens in documents.items()])
            written.append(write_shard(shard, staging / shard_file(index)))
        tokens = sum(map(len, documents.values()))
        write_contents(staging, config, None, shards=written, tokens=tokens, documents=len(documents), sources=[])


@contextmanager
def in_process(config: MemoryConfig, documents: Documents, path: Path) -> Iterator[Reader]:
    yield memory_of(config, documents)


def stored(shards: int) -> "ReaderMaker":
    @contextmanager
    def make(config: MemoryConfig, documents: Documents, path: Path) -> Iterator[Reader]:
        save_in_shards(config, documents, path / "stored.memo", shards)
        with open_memory(path / "stored.memo") as memory:
            yield memory

    return make


def published(bits: int) -> "ReaderMaker":
    @contextmanager
    def make(config: MemoryConfig, documents: Documents, path: Path) -> Iterator[Reader]:
        save_in_shards(config, documents, path / "whole.memo", 2)
        publish(path / "whole.memo", path / "published.memo", bits)
        with open_memory(path / "published.memo") as memory:
            yield memory

    return make


@contextmanager
def on_a_cluster(config: MemoryConfig, documents: Documents, path: Path) -> Iterator[Reader]:
    from cluster.reader import cluster_reader

    save_in_shards(config, documents, path / "clustered.memo", 1)
    with cluster_reader(path / "clustered.memo", address=None, shards=2) as reader:
        yield reader


ReaderMaker = Callable[[MemoryConfig, Documents, Path], AbstractContextManager[Reader]]
EXACT_READERS: dict[str, ReaderMaker] = {
    "in process": in_process,
    "stored": stored(1),
    "stored in three shards": stored(3),
}
PUBLISHED_READERS: dict[str, ReaderMaker] = {f"published at {bits} bits": published(bits) for bits in (16, 8, 4, 2, 1)}


# Contents


def contents(config: MemoryConfig, banks: range | None = None, *, scratch: Path | None = None) -> Contents:
    """Empty contents of some banks, in memory or in scratch files."""
    room = ShardRoom(buffer=50, expected=3000, scratch=scratch)
    return model_of(config).contents(config, banks or range(config.num_banks), room)


def behind_a_device(config: MemoryConfig, banks: range | None = None) -> Contents:
    """Contents whose banks do not fit the device and stay in host memory."""
    room = ShardRoom(buffer=50, expected=3000, device_room=0.0)
    return model_of(config).contents(config, banks or range(config.num_banks), room)


def ledger_of(held: Contents) -> list[Entries]:
    """The parts of the ledger, in order; none where the model keeps no ledger."""
    return [] if held.with_ledger is None else list(held.with_ledger.entries())


def flush(held: Contents) -> None:
    """Do what was deferred; a model without a ledger defers nothing."""
    if held.with_ledger is not None:
        held.with_ledger.flush()


def portion(config: MemoryConfig, cues: np.ndarray, banks: range) -> tuple[np.ndarray, np.ndarray]:
    """(rows, part): which cues concern some banks, and what the banks are asked."""
    return model_of(config).portion(config, cues, banks)


# Encoders and cleanups


def encoders(config: MemoryConfig) -> dict[str, Encoder]:
    """Every encoder of a config."""
    if is_text(config):
        return {"compiled": HashedEncoder(config), "plain": HashedEncoder(config, plain=True)}
    return {"whole": ProjectedEncoder(config)}


def cleanup(config: MemoryConfig) -> Cleanup:
    return cleanup_for(config)


# Stores


def bank_stores(directory: Path, shape: tuple[int, ...], kind: str, xp: ModuleType) -> dict[str, BankStore]:
    """Every BankStore, empty."""
    return {
        "resident": ResidentBanks(shape, kind, xp),
        "host": HostBanks(shape, kind, xp),
        "file": FileBanks(directory, shape, kind, xp=xp),
    }


def part_stores(directory: Path, count: int, xp: ModuleType) -> dict[str, PartStore]:
    """Every PartStore, empty."""
    return {
        "resident": ResidentParts(count, xp),
        "host": HostParts(count, xp),
        "file": FileParts(directory, count, xp),
    }


def pending_stores(
    directory: Path, edges: list[int], *, piece: int, limit: int, xp: ModuleType
) -> dict[str, PendingStore]:
    """Every PendingStore, empty; `edges` and `piece` mean nothing to the one in memory."""
    return {
        "resident": ResidentPending(limit, xp),
        "file": FilePending(directory, edges, piece=piece, limit=limit, xp=xp),
    }
