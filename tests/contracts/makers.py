"""Makers: every implementation of a protocol, built in one place for the contract suites beside this file.

Covers: segments, memories and their readers, contents, encoders, cleanups, stores. Does not cover:
configs (configs.py), what is expected of them (the suites), the truth that they are held against (tests/reference.py).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
from contracts.configs import Documents, is_text, texts_of, tokenizer_of
from reference import ReferenceMemory

from memo_dist import Memory, MemoryConfig
from memo_dist.document_parts import document_key
from memo_dist.files.format import shard_file
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory, read_tokenizer
from memo_dist.files.published_writer import publish
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.models import cleanup_for, encoder_for, model_of
from memo_dist.models.candidates import Cleanup
from memo_dist.models.contents import Contents
from memo_dist.models.cues import Encoder, Reader
from memo_dist.models.paper.encoder import ProjectedEncoder
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.ranges.memory import RangedMemory
from memo_dist.ranges.owners import OwnersHere
from memo_dist.ranges.part import MemoryPart
from memo_dist.segments import Segment
from memo_dist.shard import Shard
from memo_dist.stores.banks import BankStore, HostBanks, ResidentBanks
from memo_dist.stores.parts import HostParts, PartStore, ResidentParts

NUMPY = np


def segment(tokens: list[int], start: int = 0, stop: int | None = None, *, owner: int = 0) -> Segment:
    """Tokens [start, stop) of a document, with the context that any of the configs needs."""
    last = len(tokens) if stop is None else stop
    ids = np.array(tokens, np.uint32)
    return Segment(
        start=start,
        context=ids[max(0, start - 4096) : start],
        tokens=ids[start:last],
        ends=last == len(tokens),
        owner=owner,
    )


def owner_of(name: str) -> int:
    """What anchors say of a document."""
    return document_key(name) & 0xFFFFFFFF


def segments_of(documents: Documents) -> list[Segment]:
    """Whole documents."""
    return [segment(tokens, owner=owner_of(name)) for name, tokens in documents.items()]


def reference_of(config: MemoryConfig, documents: Documents | None = None) -> ReferenceMemory:
    """The plain memory of a config of the model text, with some documents in it."""
    return _reference(config, tuple((name, tuple(tokens)) for name, tokens in (documents or {}).items()))


@lru_cache(maxsize=64)
def _reference(config: MemoryConfig, documents: tuple[tuple[str, tuple[int, ...]], ...]) -> ReferenceMemory:
    reference = ReferenceMemory(
        config.num_banks,
        config.vocab_size,
        dim=config.inner_dim,
        windows=config.windows,
        seed=config.seed,
        texts=texts_of(config),
    )
    for name, tokens in documents:
        reference.memorize(list(tokens), owner_of(name))
    return reference


# Readers


def memory_of(config: MemoryConfig, documents: Documents) -> Memory:
    memory = Memory(config, tokenizer_of(config))
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


def save_in_shards(config: MemoryConfig, documents: Documents, path: Path, shards: int) -> None:
    """Write the memory of some documents as several shard files of about equal numbers of banks."""
    edges = [config.num_banks * i // shards for i in range(shards + 1)]
    written = []
    with staged_output(path) as staging:
        for index in range(shards):
            shard = Shard(config, range(edges[index], edges[index + 1]), tokenizer=tokenizer_of(config))
            shard.memorize_segments([(name, segment(tokens)) for name, tokens in documents.items()])
            written.append(write_shard(shard, staging / shard_file(index)))
        tokens = sum(map(len, documents.values()))
        write_contents(
            staging, config, tokenizer_of(config), shards=written, tokens=tokens, documents=len(documents), sources=[]
        )


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


def in_ranges(bits: int = 0) -> "ReaderMaker":
    """Of three shard files, of which two parts have one and two open; as it is, or published."""

    @contextmanager
    def make(config: MemoryConfig, documents: Documents, path: Path) -> Iterator[Reader]:
        directory = path / "whole.memo"
        save_in_shards(config, documents, directory, 3)
        if bits:
            publish(directory, path / "published.memo", bits)
            directory = path / "published.memo"
        yield in_parts(directory, [(1,), (0, 2)])[0]

    return make


def in_parts(directory: Path, ranges: list[tuple[int, ...]]) -> tuple[RangedMemory, OwnersHere]:
    """A memory whose ranges are open in several parts, and those who own them."""
    manifest = Manifest.read(directory)
    owners = OwnersHere([MemoryPart(directory, manifest, some) for some in ranges])
    return RangedMemory(directory, manifest, read_tokenizer(directory, manifest), owners=owners), owners


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
RANGED_READERS: dict[str, ReaderMaker] = {
    "in ranges": in_ranges(),
    "in ranges, at 16 bits": in_ranges(16),
    "in ranges, at 2 bits": in_ranges(2),
}
PUBLISHED_READERS: dict[str, ReaderMaker] = {f"published at {bits} bits": published(bits) for bits in (16, 8, 4, 2, 1)}


# Contents


def contents(config: MemoryConfig, banks: range | None = None) -> Contents:
    """Empty contents of some banks."""
    room = ShardRoom(buffer=50, expected=3000)
    return model_of(config).contents(config, banks or range(config.num_banks), room, tokenizer=tokenizer_of(config))


def behind_a_device(config: MemoryConfig, banks: range | None = None) -> Contents:
    """Contents whose banks do not fit the device and stay in host memory."""
    room = ShardRoom(buffer=50, expected=3000, device_room=0.0)
    return model_of(config).contents(config, banks or range(config.num_banks), room, tokenizer=tokenizer_of(config))


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
        return {"hashed": HashedEncoder(config, tokenizer_of(config))}
    return {"projected": ProjectedEncoder(config)}


def cleanup(config: MemoryConfig) -> Cleanup:
    return cleanup_for(config, encoder_for(config, tokenizer_of(config)))


# Stores


def bank_stores(shape: tuple[int, ...], kind: str, xp: ModuleType) -> dict[str, BankStore]:
    """Every BankStore, empty."""
    return {"resident": ResidentBanks(shape, kind, xp), "host": HostBanks(shape, kind, xp)}


def part_stores(count: int, xp: ModuleType) -> dict[str, PartStore]:
    """Every PartStore, empty."""
    return {"resident": ResidentParts(count, xp), "host": HostParts(count, xp)}
