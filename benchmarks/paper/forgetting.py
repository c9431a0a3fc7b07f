"""What forgetting leaves in the paper's memory: five batches memorized, the first forgotten.

    python benchmarks/paper/forgetting.py [--dim 2048] [--layers 2] [--json FILE]

Recall of every batch after that, beside a memory that never saw the first; the residual, |C - C_never| / |C_never|
(Frobenius). A memory of the preset text is put through the same: there the residual is 0 and the digests are equal.
"""

import numpy as np

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist import Memory
from memo_dist.experiments.layers import LayersRun, scored_positions, share_recalled
from memo_dist.experiments.random_tokens import random_batch, sequence_segments, sequences_with_decoys

BATCHES, SCORED = 5, 4


def forget_first(run: LayersRun) -> dict[str, object]:
    """Memorize five batches, forget the first, compare with a memory of the other four."""
    segments = [sequence_segments(sequences_with_decoys(run.vocab_size, 0, 0, iteration=i), i) for i in range(BATCHES)]
    batches = [random_batch(s, f"batch {i}") for i, s in enumerate(segments)]
    memory, never = Memory(run.config()), Memory(run.config())
    for batch in batches:
        memory.memorize_batch(batch)
    cleanup = memory.cleanup
    asked = [scored_positions(cleanup, s[:SCORED]) for s in segments]
    before = [share_recalled(memory, cleanup, a) for a in asked]
    for batch in batches[1:]:
        never.memorize_batch(batch)
    memory.forget_batch(batches[0])
    memory.shard.flush()
    never.shard.flush()
    ours, theirs = (m.shard.contents.read_banks(0, len(m.shard.banks)).astype(np.float64) for m in (memory, never))
    return {
        "preset": run.preset,
        "residual": float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)),
        "same_digest": memory.digest() == never.digest(),
        "recall_before": before,
        "recall_after": [share_recalled(memory, cleanup, a) for a in asked],
        "recall_never": [share_recalled(never, cleanup, a) for a in asked],
        "chance": 1 / run.vocab_size,
    }


def main() -> None:
    """Measure and print."""
    parser = script_parser(__doc__)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--layers", type=int, default=2)
    add_json(parser)
    chosen = parser.parse_args()
    results = [forget_first(LayersRun(preset, chosen.dim, chosen.layers, 0, 0)) for preset in ("paper", "text")]
    write_json(chosen.json, results)
    for result in results:
        for name, value in result.items():
            print(f"{name:15} {[f'{v:.4f}' for v in value] if isinstance(value, list) else value}")
        print()


if __name__ == "__main__":
    main()
