"""The GPU path: every stage's bits against NumPy's; its rate as a share of what the device itself does in the same run.

    PYTHONPATH=. python benchmarks/gpu/gpu.py [--device gpu|cpu] [--tokens 4000000] [--repeat 3] [--json FILE]

Runs on a bare machine: needs NumPy, SciPy, h5py, pyarrow, numba and CuPy; neither Ray nor Dask, pandas nor a tokenizer.
Text is Python's own standard library, its words and signs numbered by frequency. Prints one JSON object; what is not
equal is named there, and the exit code is 1.

    equal      a smaller text, memorized with NumPy and on the device: digests, reads, tokens, log-odds
    rates      float32 GEMM (4,096^3), copies on the device (bytes read and written), up and down (page-locked)
    stages     rate, and as a share of the device's GEMM or copy rate: the floating-point operations that the stage
               needs, or the bytes that it must at least move, a second; hashing is the host's and has no share
    limited    more banks than the device memory allowed holds: they stay with the host; `share_of_copies` is the bytes
               of banks that go up and down a second when all are visited and nothing is done, over both copy rates
"""

import json
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.common.gpu_stages import (
    VOCABULARY,
    Bench,
    Documents,
    device_rates,
    questions,
    shard_of,
    stages,
    text,
)
from benchmarks.common.script import add_json, script_parser
from memo_dist import TextConfig
from memo_dist.device.backend import array_module
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.shard import Shard, memory_digest


def digest(shard: Shard) -> str:
    return memory_digest(shard.config, "", shard.bank_digests())


def differences(documents: Documents, config: TextConfig, xp: ModuleType, asked: int) -> list[str]:
    """The names of what is not equal to the bit between NumPy and the device."""
    found = {}
    for name, module in (("numpy", np), ("device", xp)):
        shard, encoder = shard_of(config, documents, module), HashedEncoder(config)
        cleanup = HashedCleanup(config, encoder, xp=module, prior=shard.token_counts())
        contexts, _ = questions(documents, config, asked)
        cues = cleanup.encoder.query(contexts)
        reads = shard.retrieve(cues.values.ravel()).reshape(*cues.values.shape, -1)
        best = cleanup.rank(reads, cues.filled, top_k=4)
        whole = digest(shard)
        shard.forget_segments(documents[: len(documents) // 2])
        found[name] = {
            "reads": reads,
            "tokens": best.tokens,
            "log-odds": best.log_odds,
            "scores": best.layer_scores,
            "digest": np.array(whole),
            "digest after forgetting half": np.array(digest(shard)),
        }
    ours, theirs = found["device"], found["numpy"]
    return [name for name, value in theirs.items() if not np.array_equal(ours[name], value)]


def limited(bench: Bench, documents: Documents, banks: int, allowed: int, rates: dict[str, float]) -> dict[str, Any]:
    """Memorize into more banks than the device may hold, then again into as many on the device."""
    xp, config = bench.xp, TextConfig(num_banks=banks, vocab_size=VOCABULARY)
    pool = None if xp is np else xp.get_default_memory_pool()
    if pool is not None:
        pool.free_all_blocks()
        pool.set_limit(size=pool.used_bytes() + allowed)
    bench.finish()
    began = time.perf_counter()
    shard = shard_of(config, documents, xp, device_room=allowed)
    bench.finish()
    seconds = time.perf_counter() - began
    store = shard.contents.matrices.store  # type: ignore[attr-defined]  # preset text has them

    def visit() -> None:
        at_once = max(1, store.group_bytes // config.bank_bytes)
        groups = (range(first, min(first + at_once, banks)) for first in range(0, banks, at_once))
        for _ in store.visit(groups):
            pass

    carried = 2 * banks * config.bank_bytes / bench.seconds(visit)
    behind, used = digest(shard), 0 if pool is None else pool.total_bytes()
    if pool is not None:
        pool.set_limit(size=0)
    del shard
    tokens = sum(len(segment.tokens) for _, segment in documents)
    return {
        "bank_bytes": banks * config.bank_bytes,
        "device_bytes_allowed": allowed,
        "device_bytes_held": used,
        "banks_live_in": type(store).__name__,
        "tokens_per_s": tokens / seconds,
        "carried_bytes_per_s": carried,
        "share_of_copies": carried / (rates["upload_bytes"] + rates["download_bytes"]),
        "digest_equal": behind == digest(shard_of(config, documents, xp)),
    }


def main() -> int:
    parser = script_parser(__doc__)
    parser.add_argument("--device", choices=["gpu", "cpu"], default="gpu")
    parser.add_argument("--tokens", type=int, default=4_000_000)
    parser.add_argument("--compared", type=int, default=200_000, help="tokens of the text that NumPy memorizes, too")
    parser.add_argument("--parameters-per-token", type=float, default=60)
    parser.add_argument("--queries", type=int, default=20_000)
    parser.add_argument("--limited-tokens", type=int, default=1_000_000)
    parser.add_argument("--limited-banks", type=int, default=40_000)
    parser.add_argument("--allowed", type=int, default=3 << 30, help="bytes of the device in the limited case")
    parser.add_argument("--gemm", type=int, default=4096)
    parser.add_argument("--copied", type=int, default=1 << 30, help="bytes")
    parser.add_argument("--repeat", type=int, default=3)
    add_json(parser)
    asked = parser.parse_args()
    xp = array_module(asked.device)
    bench = Bench(xp, asked.repeat)

    def config(documents: Documents) -> TextConfig:
        tokens = sum(len(segment.tokens) for _, segment in documents)
        return TextConfig(num_banks=max(1, round(asked.parameters_per_token * tokens / 256**2)), vocab_size=VOCABULARY)

    small, large, behind = (text(count) for count in (asked.compared, asked.tokens, asked.limited_tokens))
    unequal = differences(small, config(small), xp, min(asked.queries, 2000))
    rates = device_rates(bench, asked.gemm, asked.copied)
    pushed = limited(bench, behind, asked.limited_banks, asked.allowed, rates)
    result = {
        "device": "cpu" if xp is np else xp.cuda.runtime.getDeviceProperties(0)["name"].decode(),
        "versions": {"python": sys.version.split()[0], "numpy": np.__version__, xp.__name__: xp.__version__},
        "tokens": sum(len(segment.tokens) for _, segment in large),
        "equal": not unequal,
        "unequal": unequal,
        "rates": rates,
        "stages": stages(bench, large, config(large), rates, asked.queries),
        "limited": pushed,
    }
    lines = json.dumps(result, indent=1)
    if asked.json:
        asked.json.write_text(lines + "\n")
    print(lines)
    return 0 if not unequal and pushed["digest_equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
