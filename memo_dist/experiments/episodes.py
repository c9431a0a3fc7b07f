"""Episodes: a memory of events, asked by some parts of an event for another; several events may match, or none.

Covers: what is memorized, how all answers to a cue are read, the scores, one run with its controls. Does not cover:
events and questions (episode_events.py), tables and plots (episodes_report.py).

An event is memorized as pairs of a cue and a value, 28 of them. All values of a cue are read by the ledger, and by the
matrices alone with matching pursuit. That an event has four parts, and which they are, is given; a language model reads
chapters of prose.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memo_dist.experiments.episode_events import (
    DATE,
    GROUPS,
    VOCABULARY,
    Cue,
    Question,
    all_questions,
    drawn_questions,
    invented_events,
    ordered_questions,
    with_date,
)
from memo_dist.experiments.evaluation_run import Run
from memo_dist.experiments.random_tokens import pair_segments, random_batch
from memo_dist.extras import extra
from memo_dist.memory import Memory
from memo_dist.models.text.config import TextConfig

_MOST = 128  # values of one cue that pursuit lists
Read = Callable[[Sequence[Cue]], list[list[int]]]  # cues -> the values of each


@dataclass(frozen=True)
class EpisodesRow:
    """What a run gave; shares and means of F1 in [0, 1], Kendall's tau in [-1, 1].

    Attributes:
        associations: different pairs of cue and value. bank_load: of them a bank. asked: questions.
        ledger_simple, pursuit_simple: the mean over GROUPS of their mean F1 of answered and right values; silence is
            right where no event matches.
        ledger_chronological, pursuit_chronological: the mean of the next two.
        ledger_latest, pursuit_latest: the value of the latest matching event told, and no other.
        ledger_tau, pursuit_tau: Kendall's tau of the values in the order told, 0 unless all are, and no others.
        pursuit_none .. pursuit_many: mean F1 of a group by pursuit.
        best_simple: control: only the best value is told, by the matrices. unordered_tau: control: all values in order
            of their tokens, without a look at dates.
        shuffled: control: mean F1 of the groups that events match, by the ledger of a memory of the same parts, joined
            to other events.
    """

    events: int
    load: int
    each: int
    seed: int
    num_banks: int
    cells: int
    associations: int
    bank_load: float
    asked: int
    ledger_simple: float
    ledger_chronological: float
    ledger_latest: float
    ledger_tau: float
    pursuit_simple: float
    pursuit_chronological: float
    pursuit_latest: float
    pursuit_tau: float
    pursuit_none: float
    pursuit_one: float
    pursuit_two: float
    pursuit_few: float
    pursuit_many: float
    best_simple: float
    unordered_tau: float
    shuffled: float
    seconds: float


@dataclass(frozen=True)
class EpisodesRun(Run):
    """One run: so many events in as many banks as hold about `load` associations each; `each` questions a group."""

    events: int
    load: int
    each: int
    seed: int


def run_episodes(run: EpisodesRun) -> EpisodesRow:
    """Memorize the events, ask, and ask the controls."""
    began = time.perf_counter()
    draws = np.random.default_rng([run.seed, run.events])
    events = invented_events(run.events, draws)
    questions = all_questions(events)
    simple = drawn_questions(events, questions, each=run.each, draws=draws)
    ordered = ordered_questions(questions, run.each, draws)
    memory = event_memory(questions, run.load, run.seed)
    ledger, pursuit = (lambda cues: by_ledger(memory, cues)), (lambda cues: by_pursuit(memory, cues))
    found: dict[str, float] = {}
    for name, read in (("ledger", ledger), ("pursuit", pursuit)):
        latest, tau = chronological(read, ordered)
        groups = simple_scores(read, simple)
        found |= {f"{name}_simple": float(np.mean(list(groups.values())))}
        found |= {f"{name}_latest": latest, f"{name}_tau": tau, f"{name}_chronological": (latest + tau) / 2}
    best = simple_scores(lambda cues: [one[:1] for one in pursuit(cues)], simple)
    apart = np.stack([draws.permutation(column) for column in events.T], axis=1)
    other = event_memory(all_questions(apart), run.load, run.seed)
    shuffled = simple_scores(lambda cues: by_ledger(other, cues), simple)
    return EpisodesRow(
        events=run.events,
        load=run.load,
        each=run.each,
        seed=run.seed,
        num_banks=memory.config.num_banks,
        cells=memory.config.num_parameters,
        associations=memory.num_associations,
        bank_load=memory.num_associations / memory.config.num_banks,
        asked=sum(map(len, simple.values())) + len(ordered),
        **found,
        **{f"pursuit_{group}": score for group, score in groups.items()},
        best_simple=float(np.mean(list(best.values()))),
        unordered_tau=float(np.mean([_tau(sorted(one.values), one) for one in ordered])),
        shuffled=float(np.mean([score for group, score in shuffled.items() if group != GROUPS[0]])),
        seconds=round(time.perf_counter() - began, 3),
    )


def event_memory(questions: dict[Cue, Question], load: int, seed: int) -> Memory:
    """A memory of every cue with each of its values, in banks of about `load` of these."""
    pairs = [(cue, value) for cue, question in questions.items() for value in sorted(question.values)]
    banks = max(1, round(len(pairs) / load))
    width = len(pairs[0][0])
    memory = Memory(TextConfig(num_banks=banks, vocab_size=VOCABULARY, windows=(width,), keys="tokens", seed=seed))
    cues, values = np.array([cue for cue, _ in pairs], np.uint32), np.array([value for _, value in pairs], np.uint32)
    memory.memorize_batch(random_batch(pair_segments(cues, values, 0), "events"))
    return memory


def by_ledger(memory: Memory, cues: Sequence[Cue]) -> list[list[int]]:
    """All values of each cue, as they are counted."""
    followers = memory.followers(memory.encoder.query([np.array(cue) for cue in cues]).values[:, 0])
    return [followers.of(place)[0].tolist() for place in range(len(cues))]


def by_pursuit(memory: Memory, cues: Sequence[Cue]) -> list[list[int]]:
    """All values of each cue that are likelier than not by the matrices, the surest first; all tokens are as likely
    beforehand."""
    cleanup = memory.cleanup.with_prior(None)
    asked = cleanup.encoder.query([np.array(cue) for cue in cues])
    found = cleanup.several(cleanup.encoder.retrieve(memory, asked), asked.filled, _MOST)
    return [tokens[odds > 0].tolist() for tokens, odds in zip(found.tokens, found.log_odds, strict=True)]


def f1(told: Sequence[int], right: set[int]) -> float:
    """2 |both| / (|told| + |right|); 1 where both are empty."""
    together = len(told) + len(right)
    return 2 * len(set(told) & right) / together if together else 1.0


def simple_scores(read: Read, simple: dict[str, list[Question]]) -> dict[str, float]:
    """Mean F1 of each group that has questions."""
    return {
        group: float(np.mean([f1(a, q.values) for a, q in zip(read([q.cue for q in some]), some, strict=True)]))
        for group, some in simple.items()
        if some
    }


def chronological(read: Read, ordered: Sequence[Question]) -> tuple[float, float]:
    """Shares of the latest value told alone, and mean tau: dates are asked first, then the value at each of them."""
    dates = [sorted(some) for some in read([(DATE + 1, *one.cue[1:]) for one in ordered])]
    asked = [with_date(q.cue, date, q.asked) for q, some in zip(ordered, dates, strict=True) for date in some]
    answers = iter(read(asked) if asked else [])
    latest, taus = [], []
    for question, some in zip(ordered, dates, strict=True):
        told = [next(answers) for _ in some]
        right = question.events[-1][question.asked]
        latest.append(bool(told) and told[-1] == [right])
        taus.append(_tau([value for values in told for value in values], question))
    return float(np.mean(latest)), float(np.mean(taus))


def _tau(told: list[int], question: Question) -> float:
    """Kendall's tau of the values told and their order in time; 0 unless they are the right ones."""
    with extra():
        from scipy.stats import kendalltau

    right = [event[question.asked] for event in question.events]
    if sorted(told) != sorted(right):
        return 0.0
    return float(kendalltau(range(len(right)), [right.index(value) for value in told]).statistic)
