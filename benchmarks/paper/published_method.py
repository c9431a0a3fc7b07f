"""The published method beside the two presets: the same real text, the same number of parameters, one machine.

    python benchmarks/paper/published_method.py [INPUT...] [--tokens 150000] [--dim 4096] [--tokenizer PATH]
        [--json FILE]

Text is the standard library unless INPUT names another; whole documents in random order up to `--tokens`, by a BPE that
is trained on the whole input. Four ways, each in a process of its own; prints one JSON object:
    sequences   the published arithmetic, plainly (outer_products.py): a (30, d, d) tensor a layer and batch
    positions   the same, one outer product a position
    identity    the same matrix by the identities of docs/explanation/paper.md: our preset `paper`
    text        our preset `text`, with as many cells, the same windows, and a unit for every token
The first two are slow, so a sample is timed (`--batches`; 64 positions). Their matrix is compared with that of
`identity` for the same sample; their recall is that of `identity`, the same sum in another order. Only memorizing is
timed: tokenized batches lie in memory, codes are drawn and kernels compiled before. Peak memory is the high water mark
of the process (VmHWM of Linux) after memorizing; `ready` is the mark before the memory was made. A position asked of
`identity` costs as much as memorizing 68: that many positions are encoded.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.common.outer_products import OuterProducts
from benchmarks.common.script import add_json, script_parser
from memo_dist import Memory, MemoryConfig, PaperConfig, TextConfig
from memo_dist.batches import BatchInfo, make_batch, read_batch
from memo_dist.experiments.layers import shaped
from memo_dist.measuring.evaluation import evaluate
from memo_dist.models import config_from_dict
from memo_dist.models.paper.lines import lay_out
from memo_dist.segments import Segment

WAYS = ("sequences", "positions", "identity", "text")
SEQUENCES, LENGTH = 30, 1024  # of a published batch
_POSITIONS, _AT_ONCE = 64, 16  # timed one by one, and held at a time: 1 GiB at d = 4096
_TEXT_REPEATS = 5
_NOTHING = np.zeros(0, np.uint32)
Documents = list[tuple[str, Segment]]


def corpus(inputs: list[str], tokenizer: str, wanted: int) -> tuple[pa.Table, int]:
    """Whole documents in random order, cut at `wanted` tokens; and the vocabulary's size."""
    from pipelines.batching import stream_batches
    from pipelines.plan import CorpusOptions, plan_corpus
    from pipelines.tokenizing import choose_tokenizer

    plan = plan_corpus(inputs, CorpusOptions(exclude="*/site-packages/*", errors="skip"))
    choice = choose_tokenizer(plan, tokenizer)
    reader = TextConfig(num_banks=1, vocab_size=choice.vocab_size)
    runs: dict[str, list[np.ndarray]] = {}
    for batch in stream_batches(plan, choice.tokenizer, reader.context_length):
        for name, segment in read_batch(batch, reader):
            runs.setdefault(name, []).append(segment.tokens)
    names = sorted(runs)
    np.random.default_rng(0).shuffle(names)
    whole = [(name, Segment(0, _NOTHING, np.concatenate(runs[name]), True)) for name in names]
    return make_batch(first_tokens(whole, wanted), BatchInfo("corpus", "corpus", "", "")), choice.vocab_size


def first_tokens(documents: Documents, wanted: int) -> Documents:
    """The first documents, the last of them cut, that have `wanted` tokens together."""
    taken: Documents = []
    for name, segment in documents:
        run = segment.tokens[:wanted]
        if len(run):
            taken.append((name, Segment(0, _NOTHING, run, len(run) == len(segment.tokens))))
        wanted -= len(run)
    return taken


def high_water() -> int:
    """Bytes, of this process since its program began."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


class Stopwatch:
    """Seconds of the clock and of the processors."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def rates(self, tokens: int) -> dict[str, float]:
        clock, busy = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        return {"tokens": tokens, "tokens_per_s": tokens / clock, "tokens_per_cpu_second": tokens / busy}


def plainly(config: PaperConfig, table: pa.Table, batches: int, positions: bool) -> dict[str, Any]:
    """Time the published arithmetic on a sample, and compare its matrix with the identities'."""
    size = _POSITIONS if positions else SEQUENCES * LENGTH * batches
    sample = first_tokens(list(read_batch(table, config)), size)
    ready = high_water()
    method = OuterProducts(config, _AT_ONCE if positions else 0)
    sequences = lay_out([segment for _, segment in sample], config, min(size, LENGTH))
    watch = Stopwatch()
    while batch := list(islice(sequences, SEQUENCES)):
        method.memorize(batch)
    tokens = sum(len(segment.tokens) for _, segment in sample)
    found = {**watch.rates(tokens), "peak_bytes": high_water(), "ready_bytes": ready}
    memory = Memory(config)
    memory.shard.memorize_segments(sample)
    other = memory.shard.contents.read_banks(0, config.num_banks).reshape(method.cells.shape)
    apart = np.linalg.norm(method.cells - other) / np.linalg.norm(other)
    return {**found, "residual_to_identity": float(apart)}


def by_memory(config: MemoryConfig, table: pa.Table, sample: int, repeats: int) -> dict[str, Any]:
    """Time a `Memory` on the whole text, the median of `repeats`, and ask it."""
    warm = Memory(TextConfig(num_banks=1, vocab_size=10))
    warm.memorize("warm", [1, 2, 3])
    warm.shard.flush()
    ready, tried = high_water(), []
    for _ in range(repeats):
        memory = Memory(config)
        watch = Stopwatch()
        tokens = memory.memorize_batch(table).tokens
        memory.shard.flush()
        tried.append(watch.rates(tokens))
    peak = high_water()
    associations = memory.num_associations
    found = evaluate(memory, lambda: [table], tokens=tokens, associations=associations, sample=sample, prompts=0)
    return {
        **sorted(tried, key=lambda rates: rates["tokens_per_s"])[repeats // 2],
        "peak_bytes": peak,
        "ready_bytes": ready,
        "recall": found.recall,
        "ceiling": found.ceiling,
        "positions": found.positions,
    }


def measured(way: str, table: pa.Table, config: dict[str, Any], asked: argparse.Namespace) -> dict[str, Any]:
    """One way, in this process."""
    paper = config_from_dict(config)
    assert isinstance(paper, PaperConfig)
    if way in ("sequences", "positions"):
        return plainly(paper, table, asked.batches, way == "positions")
    if way == "identity":
        return by_memory(paper, table, asked.sample, 1)
    cells, heads, layers = paper.num_parameters, paper.num_heads, paper.num_layers
    text = shaped(
        "text",
        key_dim=1,
        value_dim=cells,
        vocab_size=paper.vocab_size,
        num_heads=heads,
        num_layers=layers,
        composition="jlt",
        seed=0,
    )
    return by_memory(text, table, asked.sample, _TEXT_REPEATS)


def compared(asked: argparse.Namespace) -> dict[str, Any]:
    """All ways, each in a process of its own."""
    table, vocabulary = corpus(asked.inputs, asked.tokenizer, asked.tokens)
    config = PaperConfig.of(vocabulary, asked.dim, num_layers=asked.layers)
    ways = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "corpus.arrow"
        with pa.ipc.new_file(file, table.schema) as sink:
            sink.write_table(table)
        for way in WAYS:
            given = ["--way", way, "--file", str(file), "--config", json.dumps(config.to_dict())]
            numbers = ["--batches", str(asked.batches), "--sample", str(asked.sample)]
            command = [sys.executable, __file__, *given, *numbers]
            ways[way] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
            print(way, ways[way], file=sys.stderr, flush=True)
    tokens = ways["text"]["tokens"]
    return {
        "tokens": tokens,
        "vocabulary": vocabulary,
        "inner_dim": asked.dim,
        "layers": asked.layers,
        "parameters": config.num_parameters,
        "parameters_per_token": config.num_parameters / tokens,
        "ways": ways,
        "text_times_the_faster_published": ways["text"]["tokens_per_s"]
        / max(ways[way]["tokens_per_s"] for way in ("sequences", "positions")),
        "text_times_identity": ways["text"]["tokens_per_s"] / ways["identity"]["tokens_per_s"],
    }


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("inputs", nargs="*", default=[sysconfig.get_path("stdlib") + "/**/*.py"])
    parser.add_argument("--tokens", type=int, default=150_000)
    parser.add_argument("--dim", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--tokenizer", default="auto")
    parser.add_argument("--batches", type=int, default=2, help="published batches of 30 x 1,024 tokens that are timed")
    parser.add_argument("--sample", type=int, default=1000, help="positions asked for recall")
    add_json(parser)
    for hidden in ("--way", "--file", "--config"):  # of the processes that this one starts
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.way:
        with pa.memory_map(asked.file) as source:
            table = pa.ipc.open_file(source).read_all()
        result = measured(asked.way, table, json.loads(asked.config), asked)
    else:
        result = compared(asked)
    text = json.dumps(result, indent=1)
    if asked.json:
        asked.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
