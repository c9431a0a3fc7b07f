"""The ledger at size: what merging a full buffer takes as a shard grows to 100 million associations.

    python benchmarks/building/ledger.py [--sizes 1,10,100] [--json FILE]

Fills a shard's ledger with random names, as hashes are, to so many millions, then merges a buffer, as large as a
shard in memory collects it, of which three associations of four are new, as in code; and looks up as many that are all
held. Beside it, in the same run, what the banks take to add the new ones: the ledger should be the smaller part. One
core; medians.
"""

import statistics
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist.models.protocol import DEFAULT_BUFFER
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.codes import value_words
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.contents import PART_ENTRIES
from memo_dist.models.text.ledger import Ledger

_VOCABULARY, _BANKS, _UPDATED, _REPEAT = 32_000, 64, 200_000, 3


def associations(count: int, seed: int) -> Associations:
    rng = np.random.default_rng(seed)
    names = rng.integers(0, 2**64, count, dtype=np.uint64)
    return Associations(names, (names % np.uint64(_VOCABULARY)).astype(np.uint32))


def merge(ledger: Ledger, news: Associations, weight: int = 1) -> float:
    began = time.perf_counter()
    for _ in ledger.merge(news, weight):
        pass
    return time.perf_counter() - began


def update_seconds() -> float:
    """Of one core, to add an association to a bank that gets thousands of them."""
    config = TextConfig(num_banks=_BANKS, vocab_size=_VOCABULARY)
    banks = BankRange(config, range(_BANKS), value_words(_VOCABULARY, config.inner_dim, 0))
    found = associations(_UPDATED, 1)
    order = np.argsort(found.names)
    found = Associations(found.names[order], found.tokens[order])
    banks.memorize(found)
    began = time.perf_counter()
    banks.memorize(found)
    return (time.perf_counter() - began) / _UPDATED


def measured(size: int, update: float) -> dict[str, float]:
    """Merging into a ledger of about `size` associations."""
    ledger = Ledger(0, 2**64, 1 + size // PART_ENTRIES)
    buffer = min(DEFAULT_BUFFER, size)
    for seed in range(max(1, size // buffer)):
        merge(ledger, associations(buffer, seed))
    held = associations(buffer, 0)
    looked_up = statistics.median(merge(ledger, held) for _ in range(_REPEAT))
    new_ones, mixed = 3 * buffer // 4, []
    for turn in range(_REPEAT):
        new = associations(new_ones, 1000 + turn)
        names = np.concatenate([new.names, held.names[: buffer - new_ones]])
        both = Associations(names, np.concatenate([new.tokens, held.tokens[: buffer - new_ones]]))
        mixed.append(merge(ledger, both))
        merge(ledger, both, weight=-1)
    seconds = statistics.median(mixed)
    nbytes = sum(c.nbytes for part in ledger.parts() for c in (part.names, part.tokens, part.counts))
    return {
        "associations": len(ledger),
        "buffer": buffer,
        "bytes_per_association": nbytes / len(ledger),
        "lookups_per_s": buffer / looked_up,
        "merge_ns_per_association": 1e9 * seconds / buffer,
        "ledger_share_of_memorizing": seconds / (seconds + update * new_ones),
    }


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("--sizes", default="1,10,100", help="millions")
    add_json(parser)
    asked = parser.parse_args()
    update = update_seconds()
    rows = [measured(int(size) * 1_000_000, update) for size in asked.sizes.split(",")]
    table = Table(
        title=f"Merging into a ledger; a bank takes {1e9 * update:.0f} ns an association", title_justify="left"
    )
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*(f"{value:,.0f}" if value >= 100 else f"{value:.2f}" for value in row.values()))
    Console().print(table)
    write_json(asked.json, {"update_ns": 1e9 * update, "rows": rows})


if __name__ == "__main__":
    main()
