"""A pass key in a haystack: a number told once in a long text, asked in a memory of a fixed size.

Covers: the generator (after Landmark Attention, arXiv 2305.16300), one run with its controls. Does not cover: the text
around the key (prose.py), published figures (published.py), the table and the plot (needle_report.py).

The text is memorized whole, in as many cells however long it is. The question is the beginning of the sentence that
tells the key, and is asked as it is: of a question in other words than the text's, continuation knows nothing.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memo_dist.errors import InputError
from memo_dist.experiments.evaluation_run import Run
from memo_dist.memory import Memory
from memo_dist.models.text.config import TextConfig
from memo_dist.models.text.law import first_probability
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer
from memo_dist.tokenizer_training import train_tokenizer

PROMPT = "The pass key is"
WHOLE_QUESTION = f"What is the pass key? {PROMPT}"  # as published; its first five words precede no key in the text
HIGHEST = 50_000
FILLERS = ("prose", "repeated")
READS, _NAMES = ("exact", "matrices"), ("ledger", "matrices")
_REPEATED = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
_SENTENCE_END = re.compile(r"\.(?=\s)")
_LONGEST = 12  # tokens of an answer; a key is of six at most, and a full stop


def told(key: int) -> str:
    """The sentences that tell a key, as published."""
    return f" {PROMPT} {key}. Remember it. {key} is the pass key."


def with_needles(filler: str, keys: Sequence[int], draws: np.random.Generator) -> str:
    """The text with each key told once, behind full stops at random depths, no two at the same place.

    Raises:
        InputError: the text has fewer full stops before white space than there are keys.
    """
    ends = [found.end() for found in _SENTENCE_END.finditer(filler)]
    if len(ends) < len(keys):
        raise InputError(f"the text has {len(ends)} ends of sentences; expected one for each of {len(keys)} pass keys")
    depths = draws.choice(ends, len(keys), replace=False)
    for place, key in sorted(zip(depths.tolist(), keys, strict=True), reverse=True):
        filler = filler[:place] + told(key) + filler[place:]
    return filler


class Haystacks:
    """Fillers of any length from the paragraphs of one text.

    Args:
        paragraphs: different ones.

    Attributes:
        tokenizer: trained on them, and on sentences that tell keys.
    """

    def __init__(self, paragraphs: Sequence[str]) -> None:
        self._paragraphs = list(paragraphs)
        self.tokenizer: Tokenizer = train_tokenizer([*self._paragraphs, told(12345)])
        self._sizes = np.array([len(ids) for ids in self.tokenizer.encode([f"{one}\n\n" for one in paragraphs])])

    @property
    def tokens(self) -> int:
        """Of all paragraphs."""
        return int(self._sizes.sum())

    def filler(self, kind: str, length: int, draws: np.random.Generator) -> str:
        """A text of about `length` tokens: paragraphs in random order, or one line of sentences over and over.

        Raises:
            InputError: there are not as many tokens.
        """
        if kind == "repeated":
            (line,) = self.tokenizer.encode([f"{_REPEATED}\n\n"])
            return "\n\n".join([_REPEATED] * max(1, length // len(line)))
        if length > self.tokens:
            raise InputError(f"the text has {self.tokens:,} tokens, not {length:,}; give a longer --text or less")
        order = draws.permutation(len(self._paragraphs))
        count = int(np.searchsorted(np.cumsum(self._sizes[order]), length)) + 1
        return "\n\n".join(self._paragraphs[place] for place in order[:count])


@dataclass(frozen=True)
class NeedleRow:
    """What the trials of a run gave; shares in [0, 1] of `trials` texts, each in a memory of its own.

    Attributes:
        tokens: of a text, the mean. associations: of its memory, the mean. load: associations a cell.
        ledger_right, matrices_right: told the very number, by ledger and by matrices.
        ledger_wrong, matrices_wrong: said anything else; the rest is silence.
        first: the first token of the key ranked first by the cells alone after the question. predicted: what the
            capacity law says of that; recall says nothing unless it is surer than that.
        absent_ledger, absent_matrices: control: answered, where the text tells no key.
        two_ledger, two_matrices: control: answered with anything, where it tells two.
        two_ledger_either, two_matrices_either: answered with one of the two.
        whole_question: control: told the number by the ledger where the published line is asked with its question.
    """

    filler: str
    length: int
    num_banks: int
    trials: int
    text: str
    seed: int
    tokens: float
    cells: int
    associations: float
    load: float
    ledger_right: float
    ledger_wrong: float
    matrices_right: float
    matrices_wrong: float
    first: float
    predicted: float
    absent_ledger: float
    absent_matrices: float
    two_ledger: float
    two_matrices: float
    two_ledger_either: float
    two_matrices_either: float
    whole_question: float
    seconds: float


@dataclass(frozen=True)
class NeedleRun(Run):
    """One run: `trials` texts of `length` tokens of a filler of FILLERS, in `num_banks` banks."""

    filler: str
    length: int
    num_banks: int
    trials: int
    text: str
    seed: int


def run_needle(run: NeedleRun, haystacks: Haystacks) -> NeedleRow:
    """Memorize and ask text after text."""
    began = time.perf_counter()
    trials = [_trial(run, haystacks, number) for number in range(run.trials)]
    mean = {name: float(np.mean([trial[name] for trial in trials])) for name in trials[0]}
    config = _config(run, haystacks.tokenizer)
    load = mean["associations"] / config.num_banks
    return NeedleRow(
        filler=run.filler,
        length=run.length,
        num_banks=run.num_banks,
        trials=run.trials,
        text=run.text,
        seed=run.seed,
        cells=config.num_parameters,
        load=mean["associations"] / config.num_parameters,
        predicted=first_probability(load, (1.0,), inner_dim=config.inner_dim, vocab_size=config.vocab_size),
        seconds=round(time.perf_counter() - began, 3),
        **mean,
    )


def _config(run: NeedleRun, tokenizer: Tokenizer) -> TextConfig:
    return TextConfig(num_banks=run.num_banks, vocab_size=tokenizer.vocab_size, seed=run.seed)


def _trial(run: NeedleRun, haystacks: Haystacks, number: int) -> dict[str, float]:
    """One text: with its key, without, with another key as well."""
    draws = np.random.default_rng([run.seed, run.length, FILLERS.index(run.filler), number])
    filler = haystacks.filler(run.filler, run.length, draws)
    key, other = (draws.choice(HIGHEST, 2, replace=False) + 1).tolist()
    config, tokenizer = _config(run, haystacks.tokenizer), haystacks.tokenizer

    def holding(keys: list[int]) -> Memory:
        memory = Memory(config, tokenizer)
        (ids,) = tokenizer.encode([with_needles(filler, keys, draws)])
        memory.shard.memorize_segments([("haystack", Segment(0, NO_TOKENS, ids, True))])  # no word on its fullness
        return memory

    memory = holding([key])
    found = {"tokens": float(memory.shard.registry.num_tokens), "associations": float(memory.num_associations)}
    for read, name in zip(READS, _NAMES, strict=True):
        said = answer(memory, PROMPT, read=read)
        found |= {f"{name}_right": said == str(key), f"{name}_wrong": said not in ("", str(key))}
    found["first"] = _ranked_first(memory, key)
    found["whole_question"] = answer(memory, WHOLE_QUESTION) == str(key)
    without, both = holding([]), holding([key, other])
    for read, name in zip(READS, _NAMES, strict=True):
        found[f"absent_{name}"] = answer(without, PROMPT, read=read) != ""
        said = answer(both, PROMPT, read=read)
        found |= {f"two_{name}": said != "", f"two_{name}_either": said in (str(key), str(other))}
    return found


def answer(memory: Memory, prompt: str, *, read: str = "exact") -> str:
    """What is said up to the full stop, "" where the memory is silent: half a number is an answer, a wrong one."""
    found = memory.recall(prompt, max_tokens=_LONGEST, read=read, exact_prompt=True)
    return (found.text or "").split(".")[0].strip()


def _ranked_first(memory: Memory, key: int) -> bool:
    """Whether the key's first token has the highest log-odds after the question, by the cells alone."""
    tokenizer = memory.tokenizer
    assert tokenizer is not None  # it was made with one
    asked, whole = tokenizer.encode([f" {PROMPT}", f" {PROMPT} {key}."])
    cleanup = memory.cleanup.with_prior(None)
    cues = cleanup.encoder.query([asked.astype(np.int64)])
    reads = cleanup.encoder.retrieve(memory, cues)
    return bool(cleanup.is_best(reads, cues.filled, whole[len(asked) : len(asked) + 1])[0])
