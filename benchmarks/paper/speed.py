"""How fast the paper's memory memorizes, as a share of this machine's float32 GEMM rate measured in the same run.

    python benchmarks/paper/speed.py [--dim 4096] [--layers 3] [--repeat 3] [--json FILE]

One batch of 30,720 random tokens (30 sequences of 1,024, vocabulary 50,254) goes into one `Memory`; medians over
repeats. The arithmetic counted is what the work needs (models/paper/encoder.py, `arithmetic`), nothing repeated. Peak
memory is that of the process, as the kernel accounts it.
"""

import resource
import statistics
import time

import numpy as np

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist import Memory, PaperConfig
from memo_dist.experiments.random_tokens import random_batch, sequence_segments, sequences_with_decoys
from memo_dist.models.paper.encoder import arithmetic, encoder_bytes
from memo_dist.sizes import show_bytes

VOCABULARY, HEADS = 50_254, 4


def gemm_rate(size: int = 4096) -> float:
    """FLOP/s of one float32 matrix product of size^3."""
    left, right = (np.random.default_rng(i).standard_normal((size, size), np.float32) for i in range(2))
    began = time.perf_counter()
    left @ right
    return 2 * size**3 / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = script_parser(__doc__)
    parser.add_argument("--dim", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--composition", default="jlt")
    parser.add_argument("--repeat", type=int, default=3)
    add_json(parser)
    chosen = parser.parse_args()
    gemm_rate(1024)
    config = PaperConfig.of(
        VOCABULARY, chosen.dim, num_heads=HEADS, num_layers=chosen.layers, composition=chosen.composition
    )
    began = time.perf_counter()
    memory = Memory(config)
    ready = time.perf_counter() - began
    rates, seconds = [], []
    for index in range(chosen.repeat):
        rates.append(gemm_rate())
        batch = random_batch(
            sequence_segments(sequences_with_decoys(VOCABULARY, 0, 0, iteration=index), index), f"batch {index}"
        )
        began = time.perf_counter()
        memory.memorize_batch(batch)
        seconds.append(time.perf_counter() - began)
        rates.append(gemm_rate())
    tokens = batch["tokens"].combine_chunks().values.__len__()
    rate, second = statistics.median(rates), statistics.median(seconds)
    result = {
        "inner_dim": chosen.dim,
        "num_layers": chosen.layers,
        "composition": chosen.composition,
        "tokens": tokens,
        "tokens_per_s": tokens / second,
        "flop_per_token": arithmetic(config),
        "gemm_gflops": rate / 1e9,
        "memorize_gflops": arithmetic(config) * tokens / second / 1e9,
        "share_of_gemm": arithmetic(config) * tokens / second / rate,
        "seconds": seconds,
        "seconds_to_draw_codes": ready,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "encoder_bytes_planned": encoder_bytes(config),
    }
    write_json(chosen.json, result)
    for name, value in result.items():
        print(f"{name:24} {show_bytes(value) if name.endswith(('bytes', 'planned')) else value}")


if __name__ == "__main__":
    main()
