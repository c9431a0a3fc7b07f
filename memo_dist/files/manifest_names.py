"""Names: which files a manifest may name, as it may come from a stranger.

Covers: names of files of documents, segments, solved tables and kept batches. Does not cover: their fields
(manifest.py), what is in them (each reader).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from memo_dist.errors import DamagedMemoryError
from memo_dist.files.format import BATCH_FILE, SEGMENT_FILE, SOLVED_FILE, TAKEN_FILE, documents_file

if TYPE_CHECKING:
    from memo_dist.files.manifest import Manifest, SegmentRecord, ShardRecord


def require_names(manifest: "Manifest", path: Path) -> None:
    """Refuse files of documents and batches that have other names than a writer gives them, such as paths.

    Raises:
        DamagedMemoryError: one has; `path`, the manifest's, is named.
    """
    for shard in manifest.shards:
        _require_documents(path, shard)
    for segment in manifest.segments:
        _require_segment(path, segment, shards=manifest.shards)
    if manifest.solved is not None:
        named = [*manifest.solved.files, *([manifest.solved.documents] if manifest.solved.documents else [])]
        if names := [record.file for record in named if not SOLVED_FILE.fullmatch(record.file)]:
            raise DamagedMemoryError(f"{path} names {names[0]!r}, which is no name of a file of a solved memory")
    for batch in manifest.batches:
        if not BATCH_FILE.fullmatch(batch.file):
            raise DamagedMemoryError(f"{path} names {batch.file!r}, which is no name of a kept batch")
        if names := [name for name in batch.taken if not TAKEN_FILE.fullmatch(str(name))]:
            raise DamagedMemoryError(f"{path} names {names[0]!r}, which is no name of a list of what was taken")


def _require_segment(path: Path, segment: "SegmentRecord", *, shards: "list[ShardRecord]") -> None:
    """Refuse a segment that does not lie beside the shard files, file by file."""
    for shard in segment.files:
        if not SEGMENT_FILE.fullmatch(str(shard.file)):
            raise DamagedMemoryError(f"{path} names {shard.file!r}, which is no name of a file of a segment")
        _require_documents(path, shard)
    ranges = [[(one.first_bank, one.stop_bank) for one in files] for files in (shards, segment.files)]
    if ranges[0] != ranges[1]:
        raise DamagedMemoryError(f"{path} lists a segment whose files have other banks than the shard files")


def _require_documents(path: Path, shard: "ShardRecord") -> None:
    if shard.documents is not None and shard.documents.file != documents_file(shard.file):
        raise DamagedMemoryError(f"{path} names {shard.documents.file!r} for the documents of {shard.file!r}")
