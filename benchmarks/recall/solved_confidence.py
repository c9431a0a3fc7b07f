"""Confidence of solved memories against what is true, and false continuations, against --min-confidence.

    python benchmarks/recall/solved_confidence.py INPUT... --unseen OTHER... --memory "solved=P.memo" \\
        --include '**/*.py' --name code --out docs/results

Prompts of 8, 16, 32 and 64 tokens are prompts of INPUT, the same with one word exchanged for another one of INPUT, and
prompts of OTHER as they come, so some stand in INPUT. They are asked as token ids, and some of them as texts, whose
slips are set right and whose ends are healed, at the default confidence alone. An answer is compared with INPUT by
search (benchmarks/common/text_truth.py), in units: words and other characters, whatever their case and white space. It
  stands     if INPUT has it after the longest end of the prompt, of 4 units or more, that INPUT has at all;
  is false   if not, and it has 4 tokens or more.
Prompts whose spelling was set right are counted with what was made of them. Stated confidences are those of the fourth
token, or of the last of fewer, when everything is said. They are held against two truths: that the answer stands, and
that it goes on a passage of INPUT: it stands, and that end of the prompt is all of it, or 12 units.
Writes solved-confidence-NAME.csv (a row for each memory, kind, length, way of asking and --min-confidence), .json
(reliability in bins, expected calibration error) and .png.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.script import add_named_memories, add_out, script_parser, write_json, write_rows
from benchmarks.common.text_truth import Verdict, verdict
from benchmarks.common.unit_index import UnitIndex, placed_units
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.measuring.calibration import brier_score, expected_error, log_loss, reliability, wilson
from memo_dist.measuring.sampling import Positions, sample_positions
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session
from memo_dist.tokenizer import Tokenizer
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

CONFIDENCES = (0.0, 0.5, 0.9, DEFAULTS.min_confidence, 0.999, 0.9999, 0.99999)
LENGTHS = (8, 16, 32, 64)
KINDS = ("memorized", "one word exchanged", "unseen")
TRUTHS = ("stands", "is_passage")
CONTINUED = 16  # tokens
FALSE = 4  # tokens that a false answer has at least
_AT_ONCE = 256  # prompts
_TWO_SIGMA = 1.96


@dataclass(frozen=True)
class Asked:
    """Prompts of one kind and length."""

    kind: str
    length: int
    prompts: list[str]


def exchanged(prompt: str, words: Sequence[str], rng: np.random.Generator) -> str:
    """A prompt with one of its words exchanged for another one of a text."""
    own = [place for place in placed_units(prompt) if place[0].isalpha()]
    if not own:
        return prompt
    word, first, last = own[int(rng.integers(len(own)))]
    other = next(one for one in (words[int(rng.integers(len(words)))] for _ in range(1000)) if one != word)
    return prompt[:first] + other + prompt[last:]


def prompts(ours: Positions, theirs: Positions, tokenizer: Tokenizer) -> list[Asked]:
    rng, asked = np.random.default_rng(0), []
    for length in LENGTHS:
        mine, other = ([tokenizer.decode(one.tolist()) for one in places.contexts(length)] for places in (ours, theirs))
        words = [unit for text in mine for unit, _, _ in placed_units(text) if unit.isalpha()]
        asked.append(Asked(KINDS[0], length, mine))
        asked.append(Asked(KINDS[1], length, [exchanged(text, words, rng) for text in mine]))
        asked.append(Asked(KINDS[2], length, other))
    return asked


def answers(session: Session, prompts: Sequence[str | np.ndarray], least: float) -> list[Continuation]:
    """What recall says; "refused" where a prompt is too short."""
    options, said = RecallOptions(max_tokens=CONTINUED, min_confidence=least), []
    for first in range(0, len(prompts), _AT_ONCE):
        questions = session.questions(prompts[first : first + _AT_ONCE], options)
        said += [best for best, *_ in session.answer(questions, options)]
    return said


class Answer:
    """One answer, and whether its beginnings stand in the corpus."""

    def __init__(self, corpus: UnitIndex, tokenizer: Tokenizer, prompt: str, said: Continuation) -> None:
        self._corpus, self._tokenizer, self.said = corpus, tokenizer, said
        self._asked = prompt if said.snapped is None else said.snapped.text
        self._verdicts: dict[int, Verdict] = {}

    def told(self, least: float) -> int:
        """How many tokens are said at a --min-confidence."""
        sure = self.said.confidences
        return next((i for i, one in enumerate(sure) if one < least), len(sure))

    def verdict(self, tokens: int) -> Verdict:
        """Of so many tokens of it."""
        if tokens not in self._verdicts:
            text = self.said.text
            if text is None:
                ids = self._tokenizer.encode([self._asked])[0].tolist()
                text = self._tokenizer.continuation(ids, self.said.tokens[:tokens])
            self._verdicts[tokens] = verdict(self._corpus, self._asked, self._asked + text)
        return self._verdicts[tokens]

    def false(self, least: float) -> bool:
        told = self.told(least)
        return told >= FALSE and not self.verdict(told).stands


def row(found: list[Answer], least: float) -> dict[str, Any]:
    told = [one for one in found if one.told(least)]
    false = [one for one in told if one.false(least)]
    low, high = wilson(len(false) / len(found), len(found), _TWO_SIGMA)
    return {
        "min_confidence": least,
        "asked": len(found),
        "answered": len(told) / len(found),
        "false": len(false) / len(found),
        "false_low": low,
        "false_high": high,
        "corrected": sum(one.said.snapped is not None for one in told) / len(found),
    }


def measure(
    name: str, memory: OpenMemory, corpus: UnitIndex, asked: list[Asked], *, texts: int
) -> tuple[list[Any], dict[str, Any]]:
    """Rows of shares, and how true confidences are."""
    tokenizer = memory.tokenizer
    assert tokenizer is not None
    session, rows, statements = Session(memory, tokenizer), [], list[tuple[str, float, Verdict]]()
    for one in asked:
        ids = [tokens.astype(np.int64) for tokens in tokenizer.encode(one.prompts)]
        some = one.prompts[:: max(1, len(ids) // texts)][:texts]
        for way, prompts, told in (
            ("ids", one.prompts, answers(session, ids, 0.0)),
            ("text", some, answers(session, some, DEFAULTS.min_confidence)),
        ):
            pairs = [(p, a) for p, a in zip(prompts, told, strict=True) if a.stop != "refused"]
            found = [Answer(corpus, tokenizer, prompt, said) for prompt, said in pairs]
            common = {"memory": name, "kind": one.kind, "prompt": one.length, "asked_as": way}
            rows += [
                common | row(found, least) for least in (CONFIDENCES if way == "ids" else (DEFAULTS.min_confidence,))
            ]
            print(rows[-1], file=sys.stderr, flush=True)
            if way == "ids":
                sure = [(a, a.said.confidences[:FALSE]) for a in found if a.said.tokens]
                statements += [(one.kind, stated[-1], a.verdict(len(stated))) for a, stated in sure]
    kinds = {kind: [s for s in statements if s[0] == kind] for kind in KINDS} | {"all": statements}
    return rows, {
        "memory": name,
        **{
            truth: {
                kind: scores(np.array([s[1] for s in own]), np.array([getattr(s[2], truth) for s in own], float))
                for kind, own in kinds.items()
            }
            for truth in TRUTHS
        },
    }


def scores(stated: np.ndarray, came_true: np.ndarray) -> dict[str, Any]:
    bins = reliability(stated, came_true)
    return {
        "answers": len(stated),
        "expected_calibration_error": expected_error(bins),
        "log_loss": log_loss(stated, came_true),
        "brier": brier_score(stated, came_true),
        "bins": [asdict(one) for one in bins],
    }


def plot(rows: list[dict[str, Any]], summaries: list[dict[str, Any]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, middle, last) = plt.subplots(1, 3, figsize=(14, 4.4))
    ticks = [1e-4, 1e-2, 0.1, 0.5, 0.9, 0.99, 0.9999]
    left.plot([1e-5, 1 - 1e-5], [1e-5, 1 - 1e-5], color="grey", lw=0.8, ls="--")
    for summary, truth in ((one, truth) for one in summaries for truth in TRUTHS):
        bins = summary[truth]["all"]["bins"]
        keys = ("stated", "found", "found_low", "found_high")
        x, y, low, high = (np.clip([one[key] for one in bins], 1e-5, 1 - 1e-5) for key in keys)
        spread = [np.maximum(y - low, 0), np.maximum(high - y, 0)]
        left.errorbar(x, y, spread, fmt="o-", ms=3, lw=1, label=f"{summary['memory']}: {truth}")
    left.set(xscale="logit", yscale="logit", xlim=(8e-6, 1 - 8e-6), ylim=(8e-6, 1 - 8e-6))
    left.set(title="confidence, all prompts", xlabel="stated", ylabel="came true")
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(mpl.ticker.FixedLocator(ticks))
        axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(mpl.ticker.NullLocator())
    left.legend(fontsize=8)
    name = rows[0]["memory"]
    for length in LENGTHS:
        for kind, axes in ((KINDS[2], middle), (KINDS[0], last)):
            own = [row for row in rows if _is(row, name, kind=kind, prompt=length, asked_as="ids")]
            x = np.clip([row["min_confidence"] for row in own], 0.1, 1)
            y = [100 * row["false" if axes is middle else "answered"] for row in own]
            axes.plot(x, y, "o-", ms=3, lw=1, label=f"{length} tokens")
    middle.axhline(0.1, color="grey", ls="--", lw=0.8)
    middle.set(title="unseen prompts continued falsely, %", ylim=(0, 10))
    middle.set_yscale("symlog", linthresh=0.1)
    last.set(title="memorized prompts answered, %", ylim=(0, 101))
    for axes in (middle, last):
        axes.set(xscale="logit", xlabel="--min-confidence (0 stands at .1)")
        axes.axvline(DEFAULTS.min_confidence, color="grey", lw=0.6)
        axes.xaxis.set_major_locator(mpl.ticker.FixedLocator([0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999]))
        axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    last.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def _is(row: dict[str, Any], memory: str, **wanted: Any) -> bool:
    return row["memory"] == memory and all(row[key] == value for key, value in wanted.items())


def main() -> None:
    parser = script_parser(__doc__)
    add_named_memories(parser)
    parser.add_argument("--sample", type=int, default=4000, help="unseen prompts of each length")
    parser.add_argument("--memorized", type=int, default=1000, help="memorized prompts of each length")
    parser.add_argument("--texts", type=int, default=100, help="prompts of each kind and length asked as texts, too")
    add_out(parser)
    options = parser.parse_args()
    memories = {name: open_memory(path) for name, path in (item.split("=", 1) for item in options.memory)}
    first, corpus_options = next(iter(memories.values())), CorpusOptions(include=options.include, errors="skip")
    tokenizer, config = first.tokenizer, first.config
    assert tokenizer is not None
    seen, unseen = (
        list(stream_batches(plan_corpus(names, corpus_options), tokenizer, config.context_length))
        for names in (options.inputs, options.unseen)
    )
    ours = sample_positions(seen, config, options.memorized, before=LENGTHS[-1], full=True)
    theirs = sample_positions(unseen, config, options.sample, before=LENGTHS[-1], full=True)
    asked, corpus = prompts(ours, theirs, tokenizer), UnitIndex(seen, config, tokenizer)
    rows, summaries = [], []
    for name, memory in memories.items():
        own, summary = measure(name, memory, corpus, asked, texts=options.texts)
        rows += own
        summaries.append(summary)
        print(json.dumps([summary[truth]["all"] for truth in TRUTHS]), file=sys.stderr, flush=True)
    out = options.out / f"solved-confidence-{options.name}"
    write_rows(out.with_suffix(".csv"), rows)
    write_json(out.with_suffix(".json"), summaries)
    plot(rows, summaries, out.with_suffix(".png"))


if __name__ == "__main__":
    main()
