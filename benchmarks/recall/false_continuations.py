"""False continuations of unseen text, and true ones of memorized text, against --min-confidence.

    python benchmarks/recall/false_continuations.py INPUT... --unseen OTHER... --memory "1 bit=P.memo" \\
        --include '**/*.py' --name code --out docs/results

Prompts of 64, 32 and 16 tokens are continued by up to 50 tokens from the matrices, with recall's defaults. An answer
that is not empty is compared with INPUT by search (unit_index.py), in units: words and other characters, whatever their
case and white space. With w the longest window that the prompt fills:
  found    the whole prompt stands in INPUT before the whole answer
  overlap  not that, but the last w units of the prompt, all that the memory compared, stand before the whole answer
  false    neither, though a part of the answer may stand in INPUT; among them
  invented nowhere in INPUT stand even the last 4 units of the prompt before the whole answer
The first unit of a prompt and the last of an answer, of which parts may be cut off, are not compared. Prompts of OTHER
are taken as they come, so some stand in INPUT. Memorized prompts occur once in INPUT, in units; they count as
verbatim if all 50 tokens are right, and as having left the original if the answer differs from it anywhere. Writes
false-continuations-NAME.csv and .png.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.script import add_named_memories, add_out, script_parser, write_rows
from benchmarks.common.unit_index import UnitIndex
from memo_dist.files.opened import open_memory
from memo_dist.measuring.calibration import wilson
from memo_dist.measuring.sampling import Positions, sample_positions
from memo_dist.models.cues import Reader
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.paths import Path as Followed
from memo_dist.recalling.paths import follow
from memo_dist.recalling.recall import Continuation, best_paths
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

CONFIDENCES = (0.5, 0.7, 0.9, 0.95, DEFAULTS.min_confidence, 0.995, 0.999, 0.9999, 0.99999)
LENGTHS = (64, 32, 16)
CONTINUED = 50
LEAST = 4  # units of a prompt that stand before an answer which is not invented
_TWO_SIGMA = 1.96
_AT_ONCE = 500  # prompts


def kind(corpus: UnitIndex, prompt: np.ndarray, windows: tuple[int, ...], answer: Continuation) -> str:
    """ "silent", "found", "overlap", "invented", or "spliced": false, but its beginning stands in the corpus."""
    if not answer.tokens:
        return "silent"
    asked, following = corpus.split(prompt.tolist(), answer.tokens)
    before = corpus.longest_before(asked, following, min(LEAST, len(asked)))
    if before == len(asked):
        return "found"
    if before >= max((w for w in windows if w <= len(asked)), default=len(asked)):
        return "overlap"
    return "spliced" if before else "invented"


def askable(memory: Reader, prompts: list[np.ndarray]) -> list[np.ndarray]:
    """The prompts that fill the shortest window."""
    return [p for p in prompts if memory.encoder.length(p)[0] >= memory.config.windows[0]]


def followed(memory: Reader, prompts: list[np.ndarray]) -> list[list[Followed]]:
    """Paths of each prompt; what `recall` says at any confidence follows from them."""
    lookup = Lookup(memory)
    parts = [prompts[i : i + _AT_ONCE] for i in range(0, len(prompts), _AT_ONCE)]
    return [paths for part in parts for paths in follow(lookup, part, RecallOptions(max_tokens=CONTINUED))]


def measure(name: str, memory: Reader, corpus: UnitIndex, ours: Positions, theirs: Positions) -> list[dict[str, Any]]:
    config, rows = memory.config, []
    for length in LENGTHS:
        mine, unseen = ours.contexts(length), askable(memory, theirs.contexts(length))
        once = [i for i, prompt in enumerate(mine) if askable(memory, [prompt]) and corpus.occurs_once(prompt.tolist())]
        truth = [ours.following[i].tolist() for i in once]
        known, other = followed(memory, [mine[i] for i in once]), followed(memory, unseen)
        for least in CONFIDENCES:
            options = RecallOptions(max_tokens=CONTINUED, min_confidence=least)
            said = [best_paths(paths, options)[0] for paths in other]
            kinds = Counter(kind(corpus, prompt, config.windows, one) for prompt, one in zip(unseen, said, strict=True))
            wrong = kinds["spliced"] + kinds["invented"]
            low, high = wilson(wrong / len(unseen), len(unseen), _TWO_SIGMA)
            answers = [best_paths(paths, options)[0].tokens for paths in known]
            right = sum(one == true for one, true in zip(answers, truth, strict=True))
            partly = sum(one != true[: len(one)] for one, true in zip(answers, truth, strict=True))
            rows.append(
                {
                    "memory": name,
                    "prompt": length,
                    "min_confidence": least,
                    "unseen_prompts": len(unseen),
                    "false": wrong / len(unseen),
                    "false_low": low,
                    "false_high": high,
                    "invented": kinds["invented"] / len(unseen),
                    "overlap": kinds["overlap"] / len(unseen),
                    "found": kinds["found"] / len(unseen),
                    "memorized_prompts": len(once),
                    "verbatim": right / len(once),
                    "left_the_original": partly / len(once),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(2, len(LENGTHS), figsize=(12, 6.5), sharex=True, sharey="row")
    for column, length in enumerate(LENGTHS):
        above, below = panels[:, column]
        for name in dict.fromkeys(row["memory"] for row in rows):
            own = [row for row in rows if (row["memory"], row["prompt"]) == (name, length)]
            x = [row["min_confidence"] for row in own]
            wrong = [100 * row["false"] for row in own]
            (line,) = above.plot(x, wrong, "o-", ms=3, lw=1, label=name)
            ends = [[100 * row[key] for row in own] for key in ("false_low", "false_high")]
            above.fill_between(x, *ends, color=line.get_color(), alpha=0.12, lw=0)
            below.plot(x, [100 * row["verbatim"] for row in own], "o-", ms=3, lw=1, label=name)
        above.axhline(1, color="grey", ls="--", lw=0.8)
        above.set(title=f"prompts of {length} tokens", yscale="symlog", ylim=(0, 100))
        above.set_yscale("symlog", linthresh=0.1)
        below.set(xscale="logit", xlabel="--min-confidence", ylim=(0, 101))
        below.xaxis.set_major_locator(mpl.ticker.FixedLocator([0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999]))
        below.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        below.xaxis.set_minor_locator(mpl.ticker.NullLocator())
        for axes in (above, below):
            axes.axvline(DEFAULTS.min_confidence, color="grey", lw=0.6)
    panels[0, 0].set_ylabel("unseen prompts continued falsely, %")
    panels[1, 0].set_ylabel("memorized prompts, 50 tokens verbatim, %")
    panels[0, 0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = script_parser(__doc__)
    add_named_memories(parser)
    parser.add_argument("--sample", type=int, default=2000, help="unseen prompts of each length")
    parser.add_argument("--memorized", type=int, default=200, help="memorized prompts of each length")
    add_out(parser)
    options = parser.parse_args()
    memories = {name: open_memory(path) for name, path in (item.split("=", 1) for item in options.memory)}
    first, corpus_options = next(iter(memories.values())), CorpusOptions(include=options.include, errors="skip")
    config = first.config
    seen, unseen = (
        list(stream_batches(plan_corpus(names, corpus_options), first.tokenizer, config.context_length))
        for names in (options.inputs, options.unseen)
    )
    assert first.tokenizer is not None
    longest = LENGTHS[0]
    ours = sample_positions(seen, config, options.memorized, before=longest, after=CONTINUED, full=True)
    theirs = sample_positions(unseen, config, options.sample, before=longest, full=True)
    corpus = UnitIndex(seen, config, first.tokenizer)
    rows = [row for name, memory in memories.items() for row in measure(name, memory, corpus, ours, theirs)]
    out = options.out / f"false-continuations-{options.name}"
    write_rows(out.with_suffix(".csv"), rows)
    plot(rows, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
