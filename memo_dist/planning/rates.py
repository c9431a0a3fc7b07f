"""Rates: how fast one machine does each stage of a build and of recall; what `bench` measures and `plan` computes with.

Covers: the figures, their definitions, reading them from a file. Does not cover: measuring (bench.py), planning with
them (forecast.py).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from memo_dist.errors import InputError
from memo_dist.json_text import parse_json


@dataclass(frozen=True)
class Rates:
    """One machine's rates on text, preset text. "All cores" are as many processes at once; "one core" is one alone.

    Attributes:
        cores: processes that memorized, one for each processor or GPU. readers: processes that tokenized, one for each
            processor.
        device: "cpu" or "gpu", where banks were.
        tokens, documents, vocab_size, banks: of the text and memory measured with.
        gemm_gflops: float32 matrix product of 4096 x 4096, all cores (or the GPU).
        tokenizer_bytes_per_s: text of a sample: a tokenizer trained on it, its repetition measured, all cores.
        tokenize_tokens_per_s: reading, tokenizing and packing into batches, all cores.
        memorize_tokens_per_s: batches made into sorted runs, these merged into shard files, all cores.
        memorize_share_of_gemm: the arithmetic that a matrix product would need for it, 2 d^2 operations a distinct
            association, a second, as a share of gemm_gflops. The kernel tabulates sums, so it can be above 1.
        associations_per_token: distinct ones, of this text.
        scan_tokens_per_s: one core, a shard that owns next to nothing: reads a batch, hashes its windows, keeps none.
        update_associations_per_s: one core, rank-1 updates in bank order.
        ledger_lookups_per_s: one core, associations that are held already, in the order of a text: sorted, looked up,
            counted.
        ledger_bytes_per_association: in memory and on disk.
        recall_queries_per_s: next tokens asked with whole contexts, in batches of 1,024, all cores.
        recall: share of the answers to these queries that were right.
        disk_write_bytes_per_s: bytes written, with fsync, all cores.
        disk_read_bytes_per_s: memory files read from disk and checked, one core.
        build_overhead_s: a whole build of a text of next to nothing: starting and stopping Ray, shards and workers;
            None if it was not measured.
    """

    cores: int
    readers: int
    device: str
    tokens: int
    documents: int
    vocab_size: int
    banks: int
    gemm_gflops: float
    tokenizer_bytes_per_s: float
    tokenize_tokens_per_s: float
    memorize_tokens_per_s: float
    memorize_share_of_gemm: float
    associations_per_token: float
    scan_tokens_per_s: float
    update_associations_per_s: float
    ledger_lookups_per_s: float
    ledger_bytes_per_association: float
    recall_queries_per_s: float
    recall: float
    disk_write_bytes_per_s: float
    disk_read_bytes_per_s: float
    build_overhead_s: float | None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def read_rates(path: Path) -> Rates:
    """What `memo-dist bench --json` printed, kept in a file.

    Raises:
        InputError: the file cannot be read, or is something else.
    """
    try:
        values = parse_json(path.read_text(encoding="utf-8"))
        rates = Rates(**{name: values[name] for name in Rates.__dataclass_fields__})
        for name, value in values.items():
            if name in Rates.__dataclass_fields__ and name != "device" and not _is_rate(value, name):
                raise ValueError(f"{name} is {value!r}, not a number above 0")
    except OSError as error:
        raise InputError(f"--rates {path} cannot be read: {error}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else f"it is no JSON object of rates: {error}"
        raise InputError(
            f"--rates {path} is not what `memo-dist bench --json` prints: {reason}. Make a file of rates with: "
            "memo-dist bench --json > rates.json"
        ) from error
    return rates


def _is_rate(value: object, name: str) -> bool:
    if value is None:
        return name == "build_overhead_s"
    return isinstance(value, int | float) and not isinstance(value, bool) and (value > 0 or name == "recall")
