"""Opening: the memory of a command, by whatever has its files open.

Covers: the memory itself, in a directory or in an object store; shard actors, bank servers. Does not cover: asking it
(asking.py), jobs of many prompts (cluster/recall_job.py).
"""

import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from memo_dist.errors import ConfigError
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.recalling.session import Session
from memo_dist.remote.address import address_in
from memo_dist.sizes import parse_bytes, show_bytes

if TYPE_CHECKING:
    from cluster.reader import ClusterReader


@dataclass(frozen=True)
class Ranges:
    """Who has the files of a memory open: so many bank servers, on the cluster at an address; 0: whoever asks it."""

    servers: int
    replicas: int | None
    address: str | None


def session_of(
    path: str, opened: ExitStack, *, ranges: Ranges, shards: int | None, cache_size: str | None = None
) -> Session:
    """A memory, to be asked until `opened` is closed."""
    if ranges.servers:
        from cluster.bank_servers.opening import memory_on_servers

        far = memory_on_servers(Path(path), ranges.servers, replicas=ranges.replicas, address=ranges.address)
        memory = opened.enter_context(far)
        return Session(memory, memory.tokenizer)
    stored = opened.enter_context(open_asked(path, cache_size))
    return Session(opened.enter_context(reader_for(stored, ranges.address, shards)), stored.tokenizer)


def reader_for(
    stored: OpenMemory, address: str | None, shards: int | None
) -> "AbstractContextManager[OpenMemory | ClusterReader]":
    """The memory itself, read bank by bank from its files, or shard actors if the user asks for them."""
    if address is None and shards is None:
        return stored
    if stored.is_published:
        raise ConfigError(
            f"{stored.path} is published: its files are mapped, not loaded; leave out --shards and --address, or have "
            "them mapped on the cluster: --bank-servers N"
        )
    from cluster.reader import cluster_reader

    return cluster_reader(stored.path, address, shards)


def open_asked(memory: str, cache_size: str | None = None) -> OpenMemory:
    """Open a memory; of one in a store say on stderr what is read, and where it is kept.

    Args:
        cache_size: of --cache-size.

    Raises:
        MemoError: see open_memory.
    """
    address = address_in(memory)
    if address is None:
        return open_memory(memory)
    from memo_dist.remote.located import StoreCache

    kept = StoreCache.default()
    if cache_size is not None:
        kept = replace(kept, most_bytes=parse_bytes(cache_size))
    found = open_memory(memory, kept=kept)
    remote = found.remote
    assert remote is not None
    held = "kept for other commands" if remote.blocks.shared else "of this command alone, as it is larger than that"
    print(
        f"{address}: {show_bytes(remote.total_bytes)}, read as it is asked; at most {show_bytes(kept.most_bytes)} in "
        f"{kept.directory}, {held}",
        file=sys.stderr,
    )
    return found
