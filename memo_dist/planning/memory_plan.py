"""Planning: what a build will take, before anything is allocated.

Covers: MemoryPlan. Does not cover: which plan a budget allows (fit.py), the capacity law (capacity.py), constants
(processes.py), measuring the corpus (pipelines) or the run (cluster).
"""

from dataclasses import asdict, dataclass

from memo_dist.errors import ConfigError
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import all_settings, model_of
from memo_dist.models.repetition import TextSize
from memo_dist.planning.capacity import predicted_recall
from memo_dist.planning.processes import (
    CHUNK,
    DOCUMENT_BYTES,
    DRIVER_BYTES,
    KEPT,
    KEPT_BYTES,
    MAX_SLICE,
    MERGE_BYTES,
    MIB,
    MIN_SLICE,
    RUN_BYTES,
    SHARD_BYTES,
    SLICE_BYTES,
    SLICE_CELLS,
    STORE_BYTES,
    STORED_RUN_BYTES,
    STORED_TOKEN_BYTES,
    STORED_TOKEN_SHARE,
    TRAINING_BYTES,
    WORKER_BYTES,
    WRITE_BYTES,
)
from memo_dist.planning.stored import stored_bytes

_SLACK = 1.15  # real tokens against the estimate from a sample


@dataclass(frozen=True)
class MemoryPlan:
    """What a build will take. Bytes; times are not planned.

    Attributes:
        tokens, documents: estimated from a sample of the corpus.
        associations: the most that the tokens can give. expected_associations: what text that repeats itself as the
            sample does gives.
        load: expected associations a bank.
        recall: by the capacity law, relative to the text's ceiling.
        shards: files of the memory. mergers: actors that write them, one after the other; where the model keeps no
            ledger, every shard has its actor, which holds it.
        slice_rows: associations of all sources that a merge adds up at a time.
        shard_bytes: peak of an actor, with its process.
        driver_bytes, worker_bytes: peaks of the driver and of one worker, which makes batches and runs, with its
            process.
        store_bytes: batches on their way, in shared memory.
        peak_bytes: all processes of the build together, without Ray's own (about 500 MiB). Runs are made before they
            are merged, so workers and actors are not at work together.
        disk_bytes: the finished memory, at most. run_bytes: sorted runs, until it is finished.
        expected_peak_bytes, expected_disk_bytes: not bounds, but what is likely.
        in_process: actors and workers are threads of one process, the driver.
    """

    config: MemoryConfig
    tokens: int
    documents: int
    associations: int
    expected_associations: int
    load: float
    recall: float
    shards: int
    mergers: int
    workers: int
    slice_rows: int
    shard_bytes: int
    driver_bytes: int
    worker_bytes: int
    store_bytes: int
    peak_bytes: int
    disk_bytes: int
    expected_peak_bytes: int
    expected_disk_bytes: int
    run_bytes: int
    in_process: bool = False

    @property
    def parameters_per_token(self) -> float:
        return self.config.num_parameters / self.tokens

    def to_dict(self) -> dict[str, object]:
        return {**asdict(self), "config": all_settings(self.config), "parameters_per_token": self.parameters_per_token}


def plan_memory(
    config: MemoryConfig,
    text: TextSize,
    *,
    shards: int,
    workers: int,
    split_bytes: int,
    mergers: int | None = None,
    store_bytes: int = STORE_BYTES,
    slice_rows: int = MAX_SLICE,
    in_process: bool = False,
    tokenizer_bytes: int = 0,
    records_bytes: int = 0,
) -> MemoryPlan:
    """Plan a build.

    Args:
        text: what is memorized.
        shards: files of the memory.
        workers: processes that make batches and runs; 0: there is no text.
        split_bytes: text of the largest split; a worker holds it with its tokens.
        mergers: actors that write files at a time; None: one for each worker, or file.
        store_bytes: of the object store.
        slice_rows: the most associations of all sources that are added up at a time.
        in_process: actors and workers are threads of the driver, and take nothing before they hold something.
        tokenizer_bytes: of a large tokenizer, in every process that has one (Tokenizer.memory_bytes).
        records_bytes: of files that the driver lists, and documents that it compares.

    Raises:
        ConfigError: more shards than banks.
    """
    if not 1 <= shards <= config.num_banks:
        raise ConfigError(f"--shards is {shards}; expected 1 to {config.num_banks}, the number of banks")
    associations = text.tokens * config.num_layers
    held, has_ledger = float(associations), model_of(config).has_ledger
    if text.repetition is not None:
        held = text.repetition.associations(text.tokens)
    expected = min(associations, round(held))
    actors = min(shards, mergers or workers or shards) if has_ledger else shards
    driver_bytes = DRIVER_BYTES + tokenizer_bytes + records_bytes
    worker_base, shard_base = (0, 0) if in_process else (WORKER_BYTES + tokenizer_bytes, SHARD_BYTES)
    worker_bytes = worker_base + 8 * split_bytes
    shard_bytes = shard_base + tokenizer_bytes + held_bytes(config, text, shards=shards)
    rows = 0
    if has_ledger:
        rows = min(slice_rows, max(associations, MIN_SLICE))  # a text may be far denser than its sample
        worker_bytes += min(CHUNK, split_bytes) * config.num_layers * RUN_BYTES
        shard_bytes = shard_base + _merge_bytes(config, text, rows, shards=shards)
    making, merging = workers * worker_bytes, actors * shard_bytes
    # workers stay while actors merge, and have given back what they took for their work
    working = max(making, workers * worker_base + merging) if has_ledger else making + merging
    preparing = TRAINING_BYTES + tokenizer_bytes + records_bytes  # also a sample encoded by a tokenizer that is given
    peak = max(preparing, driver_bytes + working + store_bytes)
    return MemoryPlan(
        config=config,
        tokens=text.tokens,
        documents=text.documents,
        associations=associations,
        expected_associations=expected,
        load=expected / config.num_banks,
        recall=predicted_recall(config, text, held),  # as the banks were chosen: it is known already
        shards=shards,
        mergers=actors,
        workers=workers,
        slice_rows=rows,
        shard_bytes=shard_bytes,
        driver_bytes=driver_bytes,
        worker_bytes=worker_bytes,
        store_bytes=store_bytes,
        peak_bytes=peak,
        disk_bytes=_disk_bytes(config, associations, text, shards=shards) + 8 * MIB,
        expected_peak_bytes=max(preparing, peak - store_bytes),  # the store is seldom full
        expected_disk_bytes=_disk_bytes(config, expected, text, shards=shards, token_share=STORED_TOKEN_SHARE) + MIB,
        run_bytes=associations * STORED_RUN_BYTES if has_ledger and workers else 0,
        in_process=in_process,
    )


def held_bytes(config: MemoryConfig, text: TextSize, *, shards: int) -> int:
    """What the largest of so many shards takes that keep their banks, and their ledgers if there are any, in memory;
    without its process.

    Args:
        text: what is memorized; each token gives `config.num_layers` associations.
    """
    banks = -(-config.num_banks // shards) * config.bank_bytes
    ledger = int(_SLACK * _in_ledger(config, text.tokens * config.num_layers) / shards) * KEPT_BYTES
    return banks + ledger + _documents_bytes(text, shards) + model_of(config).shard_bytes(config) + MERGE_BYTES


def _merge_bytes(config: MemoryConfig, text: TextSize, rows: int, *, shards: int) -> int:
    """What an actor takes that merges a file, a slice at a time."""
    cells = max(config.bank_bytes, min(rows * SLICE_CELLS, -(-config.num_banks // shards) * config.bank_bytes))
    codes = model_of(config).shard_bytes(config)
    kept = min(KEPT * rows, max(MIN_SLICE, int(_SLACK * text.tokens * config.num_layers / shards))) * KEPT_BYTES
    return rows * SLICE_BYTES + kept + 2 * cells + _documents_bytes(text, shards) + codes + WRITE_BYTES


def _documents_bytes(text: TextSize, shards: int) -> int:
    return int(_SLACK * text.documents / shards) * DOCUMENT_BYTES


def _in_ledger(config: MemoryConfig, associations: int) -> int:
    """How many of the associations a ledger counts: all, or none where the model keeps no ledger."""
    return associations if model_of(config).has_ledger else 0


def _disk_bytes(
    config: MemoryConfig, associations: int, text: TextSize, *, shards: int, token_share: float = 1.0
) -> int:
    held = _in_ledger(config, associations)
    stored = stored_bytes(config, held, text.documents, shards=shards, token_share=token_share)
    return stored + text.tokens * STORED_TOKEN_BYTES
