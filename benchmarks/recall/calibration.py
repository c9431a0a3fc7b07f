"""Calibration: stated confidences and probabilities against what is true, on real text.

    python benchmarks/recall/calibration.py INPUT... --unseen OTHER... --memory "16 bits=M.memo" \\
        --memory "1 bit=P.memo" --include '**/*.py' --name code --out docs/results

Memories must hold INPUT and share its tokenizer. Half of the contexts are from INPUT, whole or cut to 32, 16 and 8
tokens; a quarter are such contexts whose older tokens were replaced by those of OTHER; a quarter are from OTHER. Truth,
counted in INPUT without the memory (memo_dist/measuring/truth.py), with w the longest window that a context fills:
  confidence   came true if the token that is ranked first follows the same w units anywhere in INPUT
  probability  came true in the share of those places at which that token follows, 0 if there are none
Writes calibration-NAME.csv (reliability in bins), .json (scores, best temperatures) and .png.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from benchmarks.common.script import add_named_memories, add_out, script_parser, write_json, write_rows
from memo_dist.files.opened import open_memory
from memo_dist.measuring import truth
from memo_dist.measuring.calibration import Bin, best_temperature, brier_score, expected_error, log_loss, reliability
from memo_dist.measuring.sampling import Positions, sample_positions
from memo_dist.models import cleanup_for
from memo_dist.models.candidates import Candidates, joined
from memo_dist.models.cues import Encoder, Reader
from memo_dist.recalling.probabilities import FURTHER, log_probabilities
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

_AT_ONCE = 512
_TOP = 16
_LENGTHS = (64, 32, 16, 8)


@dataclass(frozen=True)
class Asked:
    """Contexts, the kind of each, and the continuations of its longest window in the corpus, token -> share."""

    contexts: list[np.ndarray]
    kinds: np.ndarray
    following: list[dict[int, float]]


def contexts(ours: Positions, theirs: Positions, rng: np.random.Generator) -> tuple[list[np.ndarray], list[str]]:
    """Half memorized, a quarter mixed, a quarter unseen; no place is used twice."""
    found, kinds = [], []
    for i, (mine, other) in enumerate(zip(ours.lines, theirs.lines, strict=True)):
        length = _LENGTHS[i % 4]
        found.append(mine[64 - length : 64])
        kinds.append(f"memorized, {length} tokens")
        length = (64, 16)[i // 2 % 2]
        known = int(rng.integers(4, length)) if i % 2 else 0
        found.append(np.concatenate([other[64 - length : 64 - known], mine[64 - known : 64]]))
        kinds.append(f"older tokens foreign, {length}" if known else f"unseen, {length} tokens")
    return found, kinds


def shares(batches: list[pa.Table], encoder: Encoder, asked: list[np.ndarray]) -> list[dict[int, float]]:
    """What follows the longest window of each context in a corpus, token -> share."""
    names = truth.longest(encoder.query(asked))
    found = truth.count_following(batches, encoder, names)
    counts = [found[name] for name in names.tolist()]
    return [{token: count / one.total() for token, count in one.items()} for one in counts]


def rank(memory: Reader, asked: list[np.ndarray]) -> Candidates:
    cleanup, parts = cleanup_for(memory.config, memory.encoder, prior=memory.token_counts()), []
    for first in range(0, len(asked), _AT_ONCE):
        cues = cleanup.encoder.query(asked[first : first + _AT_ONCE])
        parts.append(cleanup.rank(cleanup.encoder.retrieve(memory, cues), cues.filled, _TOP))
    return joined(parts, memory.config.num_layers, _TOP)


def measure(name: str, found: Candidates, asked: Asked) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of bins, and a summary."""
    top = found.tokens[:, 0].tolist()
    held = np.array([token in one for token, one in zip(top, asked.following, strict=True)], float)
    share = np.array([one.get(token, 0.0) for token, one in zip(top, asked.following, strict=True)])
    unique = np.array([len(one) <= 1 for one in asked.following])
    everything = np.ones(len(unique), bool)

    def confidence(temperature: float) -> np.ndarray:
        return np.asarray(expit(found.log_odds[:, 0] / temperature))

    def probability(temperature: float, further: float = FURTHER) -> np.ndarray:
        return np.asarray(np.exp(log_probabilities(found.log_odds, temperature, further)[:, 0]))

    rows: list[dict[str, Any]] = []
    summary: dict[str, Any] = {"memory": name, "contexts": len(unique), "unique": int(unique.sum())}
    for what, stated, came_true, among in (
        ("confidence", confidence, held, everything),
        ("probability", probability, share, everything),
        ("probability, one continuation", probability, share, unique),
    ):
        bins = reliability(stated(1.0)[among], came_true[among])
        rows += [{"memory": name, "what": what, **asdict(one)} for one in bins]
        summary[what] = scores(stated(1.0)[among], came_true[among], bins)
        summary[what] |= temperatures(lambda t, s=stated, a=among: s(t)[a], came_true[among])
    summary["log loss of probability by rho"] = {
        str(rho): {
            "all": log_loss(probability(1.0, rho), share),
            "one continuation": log_loss(probability(1.0, rho)[unique], share[unique]),
        }
        for rho in (0.0, 0.002, 0.01, 0.02, 0.05, 0.2)
    }
    summary["by kind"] = {
        kind: {"right": float(held[same].mean()), "confidence": float(confidence(1.0)[same].mean())}
        for kind in sorted(set(asked.kinds))
        for same in [asked.kinds == kind]
    }
    return rows, summary


def scores(stated: np.ndarray, came_true: np.ndarray, bins: list[Bin]) -> dict[str, float]:
    return {
        "expected_calibration_error": expected_error(bins),
        "log_loss": log_loss(stated, came_true),
        "brier": brier_score(stated, came_true),
    }


def temperatures(stated: Any, came_true: np.ndarray) -> dict[str, float]:
    """The best temperature on a random half of the contexts, and what it gains on the other."""
    fit = np.random.default_rng(1).random(len(came_true)) < 0.5
    check = ~fit
    best = best_temperature(lambda t: np.asarray(stated(t)[fit]), came_true[fit])
    return {
        "best_temperature": best,
        "other_half_log_loss": log_loss(stated(1.0)[check], came_true[check]),
        "other_half_log_loss_at_best": log_loss(stated(best)[check], came_true[check]),
    }


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    whats = list(dict.fromkeys(row["what"] for row in rows))
    figure, panels = plt.subplots(1, len(whats), figsize=(4.6 * len(whats), 4.4), sharey=True)
    for axes, what in zip(panels, whats, strict=True):
        axes.plot([1e-5, 1 - 1e-5], [1e-5, 1 - 1e-5], color="grey", lw=0.8, ls="--")
        for name in dict.fromkeys(row["memory"] for row in rows):
            own = [row for row in rows if (row["memory"], row["what"]) == (name, what)]
            x, y, low, high = (
                np.clip([row[key] for row in own], 1e-5, 1 - 1e-5)
                for key in ("stated", "found", "found_low", "found_high")
            )
            axes.errorbar(x, y, [np.maximum(y - low, 0), np.maximum(high - y, 0)], fmt="o-", ms=3, lw=1, label=name)
        axes.set(xscale="logit", yscale="logit", title=what, xlabel="stated")
        axes.set(xlim=(8e-6, 1 - 8e-6), ylim=(8e-6, 1 - 8e-6))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(mpl.ticker.FixedLocator([1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.9999]))
            axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_locator(mpl.ticker.NullLocator())
    panels[0].set_ylabel("came true")
    panels[0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = script_parser(__doc__)
    add_named_memories(parser)
    parser.add_argument("--sample", type=int, default=8000, help="memorized contexts; as many others")
    add_out(parser)
    options = parser.parse_args()
    named = dict(item.split("=", 1) for item in options.memory)
    memories = {name: open_memory(path) for name, path in named.items()}
    first, corpus_options = next(iter(memories.values())), CorpusOptions(include=options.include, errors="skip")
    config = first.config
    ours, theirs = (
        list(stream_batches(plan_corpus(names, corpus_options), first.tokenizer, config.context_length))
        for names in (options.inputs, options.unseen)
    )
    mine, other = (
        sample_positions(batches, config, options.sample, before=_LENGTHS[0], full=True) for batches in (ours, theirs)
    )
    found, kinds = contexts(mine, other, np.random.default_rng(0))
    askable = np.flatnonzero(first.encoder.query(found).filled[:, 0]).tolist()  # the others fill no window
    found, kinds = [found[i] for i in askable], [kinds[i] for i in askable]
    asked = Asked(found, np.array(kinds), shares(ours, first.encoder, found))
    rows, summaries = [], []
    for name, memory in memories.items():
        bins, summary = measure(name, rank(memory, asked.contexts), asked)
        rows += bins
        summaries.append(summary)
        print(json.dumps(summary), file=sys.stderr, flush=True)
    out = options.out / f"calibration-{options.name}"
    write_json(out.with_suffix(".json"), summaries)
    write_rows(out.with_suffix(".csv"), rows)
    plot(rows, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
