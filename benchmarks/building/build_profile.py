"""What a whole build makes of its two stages: tokens a second of tokenizing, of memorizing, of both and of everything.

    python benchmarks/building/build_profile.py PATH... [--limit N] [--parameters-per-token 45] [--repeat 3]
        [--out FILE.json]

Tokenizing and memorizing are measured alone on the same corpus and all cores, as `memo-dist bench` does, just before
the builds. On the same cores one after the other they would give 1 / (1/t + 1/m) tokens a second: a build that takes
turns on them cannot do better. A build has its stages too: prepare (plan, train the tokenizer), memorize (splits are
tokenized and become sorted runs), count, merge. Prints the median over the repeats.
"""

import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common.script import script_parser, write_json
from cluster.build import build
from cluster.prepare import BuildOptions
from console.bench import tokenize_stages
from memo_dist.measuring.bench import measure_memorizing
from memo_dist.measuring.together import run_together
from memo_dist.models.text.config import TextConfig
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--parameters-per-token", type=float, default=45)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    corpus = plan_corpus(arguments.paths, CorpusOptions(errors="skip", limit=arguments.limit))
    choice = choose_tokenizer(corpus)
    banks = int(arguments.parameters_per_token * choice.tokens / 256**2)
    tokenized, memorized = stages(corpus, choice, banks)
    options = BuildOptions(corpus=corpus.options, num_banks=banks)
    runs = [whole(arguments.paths, options) for _ in range(arguments.repeat)]
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    slower, working = min(tokenized, memorized), sum(median[name] for name in ("memorize", "count", "merge"))
    found = {
        "tokenizing alone, tokens/s": tokenized,
        "memorizing alone, tokens/s": memorized,
        "both in turns, tokens/s": 1 / (1 / tokenized + 1 / memorized),
        "build while memorizing, tokens/s": median["tokens"] / working,
        "whole build, tokens/s": median["tokens"] / median["seconds"],
        "whole build / slower stage": median["tokens"] / median["seconds"] / slower,
        "while memorizing / slower stage": median["tokens"] / working / slower,
        **{f"build: {name}": value for name, value in median.items()},
    }
    table = Table(title=f"Median of {len(runs)} builds", show_header=False, title_justify="left")
    for name, value in found.items():
        table.add_row(name, f"{value:,.0f}" if value >= 1000 else f"{value:.3f}")
    Console().print(table)
    write_json(arguments.out, {**found, "runs": runs})


def stages(corpus: CorpusPlan, choice: TokenizerChoice, banks: int) -> tuple[float, float]:
    """Tokens a second of tokenizing and of memorizing, each alone on all cores."""
    assert choice.tokenizer is not None
    cores = len(os.sched_getaffinity(0))
    shares = [(corpus.splits[i::cores], corpus.options, choice.tokenizer.definition) for i in range(cores)]
    _, tokenized = run_together(tokenize_stages, shares)
    config = TextConfig(num_banks=banks, vocab_size=choice.vocab_size)
    batches = list(stream_batches(corpus, choice.tokenizer, config.context_length))
    with tempfile.TemporaryDirectory() as folder:
        memorized = measure_memorizing(
            config, batches, tokenizer=choice.tokenizer, cores=cores, device="cpu", work=Path(folder)
        )
    return sum(tokenized.results) / tokenized.seconds, memorized.tokens / memorized.seconds


def whole(paths: list[str], options: BuildOptions) -> dict[str, Any]:
    """One build: its seconds by stage and in all."""
    with tempfile.TemporaryDirectory() as folder:
        summary = build(paths, Path(folder) / "m.memo", options)
    return {"tokens": summary.tokens, "seconds": sum(summary.seconds.values()), **summary.seconds}


if __name__ == "__main__":
    main()
