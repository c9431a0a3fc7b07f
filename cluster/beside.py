"""Beside: whether a change is written as a segment, beside a memory's files, or into new ones.

Covers: the choice. Does not cover: segments (memo_dist/files/segmented_shard.py), making one (sorted_run.py).

A segment costs what the change is; files that are written anew cost what the memory is. But every read asks all
segments, and a memory has as many banks as its text needs only when its files are written.
"""

from memo_dist.files.manifest import Manifest
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize

MOST_SEGMENTS = 8  # that a memory has: the next change takes all of them in
FEW_TOKENS = 1 << 20  # of a change whose runs are kept in memory: 16 bytes for each of 5 rows
FOLD_SHARE = 1 / 8  # of a memory's associations that its segments may change
_MORE_BANKS = 1 / 8  # that a memory may need, by the law, before it gets them


def segments_that_stay(base: Manifest, *, added: int, removed: int, fold_share: float = FOLD_SHARE) -> int | None:
    """How many of a memory's segments stay when a change is written as one more, which takes in the others; None: the
    memory's files are written anew.

    Args:
        added, removed: tokens. fold_share: see FOLD_SHARE.
    """
    if not model_of(base.config).has_ledger or not base.associations:
        return None
    held = sum(record.associations for record in base.shards)
    before = sum(segment.rows for segment in base.segments)
    if before + base.config.num_layers * (added + removed) > fold_share * held:
        return None
    if added > removed and _needs_banks(base, base.tokens + added - removed):
        return None
    return len(base.segments) if len(base.segments) < MOST_SEGMENTS else 0


def _needs_banks(base: Manifest, tokens: int) -> bool:
    """Whether a memory of so many tokens of this text needs many more banks for the recall that it was made for."""
    if base.target_recall is None:
        return False
    config, size = base.config, TextSize(tokens, base.documents, base.repetition)
    associations = base.associations * tokens / max(1, base.tokens)
    sized = model_of(config).sized(config, base.target_recall, size, associations=associations)
    return bool(sized.num_banks > (1 + _MORE_BANKS) * config.num_banks)
