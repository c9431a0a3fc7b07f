"""A memory that another one is changed to: its files get names that no other generation has, as commands give them."""

from dataclasses import replace
from pathlib import Path

from memo_dist.files.format import documents_file
from memo_dist.files.generations import replace_generation
from memo_dist.files.manifest import Manifest, ShardRecord


def change_to(memory: Path, newer: Path) -> str:
    """Make the memory in `newer` the next generation of `memory`; its digest."""
    manifest = Manifest.read(newer)
    renamed = replace(manifest, shards=[_renamed(newer, record) for record in manifest.shards])
    renamed.write(newer)
    replace_generation(memory, Manifest.read(memory), newer)
    return manifest.digest


def _renamed(directory: Path, record: ShardRecord) -> ShardRecord:
    assert record.documents is not None
    name = record.file.replace(".h5", ".g0001-00c0ffee.h5")
    documents = replace(record.documents, file=documents_file(name))
    for old, new in ((record.file, name), (record.documents.file, documents.file)):
        (directory / old).rename(directory / new)
    return replace(record, file=name, documents=documents)
