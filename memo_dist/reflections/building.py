"""Building: a file of reflections -> a memory directory, in one process.

Covers: counting, the number of banks, files and kept batches. Does not cover: rows (reflection.py), batches
(memorizing.py).

The file is read twice: to count what it will hold, from which the number of banks follows as it does for a merge, so
that a merge of two memories is the memory of both files; then to memorize it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memo_dist.batches import read_batch
from memo_dist.errors import BudgetError
from memo_dist.files.format import BATCHES_FOLDER, shard_file
from memo_dist.files.journal import BuildEntry, now
from memo_dist.files.kept_batches import write_batch
from memo_dist.files.manifest import BatchRecord, Manifest
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import refuse_existing, staged_output, write_contents
from memo_dist.memory import Memory
from memo_dist.models import model_of
from memo_dist.models.repetition import TextSize
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.reflections.layout import config_for
from memo_dist.reflections.memorizing import batches_of
from memo_dist.reflections.reflection import read_reflections
from memo_dist.sizes import show_bytes
from memo_dist.tokenizer import Tokenizer

TARGET_RECALL = 1 - 1e-6  # of a byte: a reflection has hundreds, and sums are to give them all
_HELD_BYTES = 48  # of an association in memory while it is sorted: of two copies, its name, token and count
_ALL_TOKENS, _SHARE = 1 << 18, 16  # as a merge counts them


@dataclass(frozen=True)
class _Size:
    reflections: int
    tokens: int
    associations: float


def build_reflections(
    file: str | Path,
    out: Path,
    *,
    num_banks: int | None = None,
    inner_dim: int = 256,
    seed: int = 0,
    most_bytes: int | None = None,
) -> Manifest:
    """Memorize the reflections of a file; the memory is the same whatever their order.

    Args:
        num_banks: None: as many as the capacity law says that sums need.
        most_bytes: that this may take; None: any.

    Raises:
        InputError: the file cannot be read, or a row is no reflection; file and line are named.
        OutputExistsError: `out` exists. BudgetError: the memory does not fit. StorageError: it cannot be written.
    """
    refuse_existing(out)
    tokenizer, shape = Tokenizer.bytes(), config_for(inner_dim=inner_dim, seed=seed)
    size = _measured(file, shape, tokenizer)
    config = config_for(num_banks=num_banks or 1, inner_dim=inner_dim, seed=seed)
    if num_banks is None:
        text = TextSize(size.tokens, size.reflections)
        config = model_of(shape).sized(shape, TARGET_RECALL, text, associations=size.associations)
    takes = int(size.associations) * _HELD_BYTES + config.num_banks * config.bank_bytes
    if most_bytes is not None and takes > most_bytes:
        raise BudgetError(
            f"{file} takes about {show_bytes(takes)} to memorize, and {show_bytes(most_bytes)} may be taken: give more "
            "(--memory-budget), fewer banks (--banks), or build it in parts and merge them"
        )
    memory, records = Memory(config, tokenizer, expected=int(size.associations)), list[BatchRecord]()
    with staged_output(out) as staging:
        for batch in batches_of(read_reflections(file), tokenizer.hash, str(file)):
            memory.memorize_batch(batch)
            kept = write_batch(batch, staging / BATCHES_FOLDER, config.vocab_size)
            records.append(BatchRecord(file=kept.file, bytes=kept.bytes, blake2b=kept.blake2b, tokens=kept.tokens))
        return write_contents(
            staging,
            config,
            tokenizer,
            shards=[write_shard(memory.shard, staging / shard_file(0))],
            tokens=size.tokens,
            documents=size.reflections,
            sources=[_entry(file, len(records), None if num_banks else TARGET_RECALL)],
            keeps_tokens=True,
            batches=records,
        )


def _measured(file: str | Path, config: TextConfig, tokenizer: Tokenizer) -> _Size:
    """How many reflections there are, of how many tokens, and how many distinct associations these are."""
    encoder, names = HashedEncoder(config, tokenizer), [np.zeros(0, np.uint64)]
    reflections = tokens = 0
    for batch in batches_of(read_reflections(file), tokenizer.hash, str(file)):
        segments = [segment for _, segment in read_batch(batch, config)]
        reflections += sum(segment.start == 0 for segment in segments)
        tokens += sum(len(segment.tokens) for segment in segments)
        names += [following.names for following, _ in encoder.kinds(segments, range(1))]
    share = 1 if tokens <= _ALL_TOKENS else _SHARE
    below = [some[some < np.uint64((1 << 64) // share)] if share > 1 else some for some in names]
    return _Size(reflections, tokens, float(len(np.unique(np.concatenate(below)))) * share)


def _entry(file: str | Path, batches: int, target_recall: float | None) -> BuildEntry:
    return BuildEntry(
        when=now(),
        inputs=[str(file)],
        files=1,
        splits=batches,
        splits_done=batches,
        skipped=0,
        replaced=0,
        empty=0,
        target_recall=target_recall,
    )
