"""Evaluation: how well a memory recalls a corpus, against the best that its contexts allow.

Covers: next-token recall by matrices and by the ledger, its ceiling, unseen text. Does not cover: verbatim continuation
(verbatim.py), where batches come from (pipelines) or which reader answers.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import overload

import numpy as np

from memo_dist.measuring import truth
from memo_dist.measuring.sampling import Positions, count_following, sample_positions
from memo_dist.measuring.verbatim import PROMPTS, Batches, continued, names_of, verbatim
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Candidates, joined
from memo_dist.models.cues import Cues, Reader
from memo_dist.recalling.confidence import confidence
from memo_dist.recalling.lookup import ExactLookup, Lookup
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.session import Session
from memo_dist.result import Result
from memo_dist.tokenizer import Tokenizer

UNSEEN = (16, 32, 64)  # units, or tokens, of unseen text
_BEFORE = 256  # tokens before a sampled place: nearly always the longest window
_AT_ONCE = 1024


@dataclass(frozen=True)
class Evaluation(Result):
    """All are shares in [0, 1] unless said otherwise; None where it was not asked for, or the memory cannot tell.

    Recall is how often the answer to a context is right, over all places of the corpus that have the same context; a
    context is what the memory's longest window reads of it (preset paper: its last h^L tokens, and recall is counted
    at the places themselves).

    Attributes:
        positions: how many were sampled.
        recall: next-token top-1 by the matrices; None of a solved memory, which has none.
        exact: by the ledger, or by solved tables.
        ceiling: the best any function of that context does: max_t n(context, t) / n(context).
        recall_full_context, exact_full_context, ceiling_full_context: of the positions with a whole context.
        verbatim, verbatim_exact: prompt length in tokens -> share of prompts continued by 30 true tokens. The prompts
            occur once in the corpus; recall runs with its defaults, so an abstention counts as a failure.
        confidence_auc: the chance that the matrices give a memorized position more confidence than an unseen one.
        unseen_positions: sampled from unseen text with a whole context that is nowhere in the corpus; if there are
            none, nothing else is said of it.
        unseen_abstained: share of them at which the matrices abstain at the default confidence.
        unseen_answered: length of context in units -> share of the contexts that are nowhere in the corpus and are
            answered exactly at the default confidence.
        parameters_per_token, associations_per_parameter: of matrices.
    """

    positions: int
    recall: float | None
    exact: float | None
    ceiling: float
    recall_full_context: float | None
    exact_full_context: float | None
    ceiling_full_context: float
    verbatim_prompts: dict[int, int]
    verbatim: dict[int, float]
    verbatim_exact: dict[int, float]
    confidence_auc: float | None
    unseen_positions: int | None
    unseen_abstained: float | None
    unseen_answered: dict[int, float]
    parameters_per_token: float | None
    associations_per_parameter: float | None

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def evaluate(
    reader: Reader,
    memorized: Batches,
    *,
    tokens: int,
    associations: int,
    tokenizer: Tokenizer | None = None,
    unseen: Batches | None = None,
    sample: int = 5000,
    prompts: int = 200,
    lengths: Sequence[int] = PROMPTS,
) -> Evaluation:
    """Evaluate a memory on what it memorized.

    Args:
        reader: the memory.
        memorized, unseen: give the batches of a corpus anew at each call.
        tokens, associations: what the memory holds.
        tokenizer: of the memory.
        sample: next-token positions.
        prompts: prompts of each length for verbatim continuation; 0 for none.
        lengths: of these prompts, in tokens, distinct; those beyond the memory's context are left out.

    Raises:
        ConfigError: a length is below 1.
    """
    config = reader.config
    session = Session(reader, tokenizer)
    places = sample_positions(memorized(), config, sample, before=context_tokens(config))
    cues = cues_of(session.lookup, places)
    best = None if reader.is_solved else rank_next(session.lookup, cues)
    judge = _Judge(session.lookup, places, cues, memorized=memorized)
    whole = cues.filled.all(axis=1)
    told = _told(session.lookup, cues)
    right, exact = (
        None if tokens is None else judge.right(tokens)
        for tokens in (None if best is None else best.tokens[:, 0], told)
    )
    told_verbatim = verbatim(session, memorized, prompts=prompts, lengths=lengths)
    auc = new_positions = abstained = None
    answered: dict[int, float] = {}
    if unseen is not None:
        novel = judge.novel(sample_positions(unseen(), config, sample, full=True, before=context_tokens(config)))
        new_positions = len(novel)
        if new_positions and best is not None:
            answers = rank_next(session.lookup, cues_of(session.lookup, novel))
            auc = area_under_curve(best.log_odds[:, 0], answers.log_odds[:, 0])
            abstained = _mean(confidence(answers.log_odds)[:, 0] < DEFAULTS.min_confidence)
        answered = _answered(session, memorized, unseen, sample=sample) if told is not None else {}
    return Evaluation(
        positions=len(places),
        recall=_mean(right),
        exact=_mean(exact),
        ceiling=_mean(judge.best),
        recall_full_context=_mean(None if right is None else right[whole]),
        exact_full_context=_mean(None if exact is None else exact[whole]),
        ceiling_full_context=_mean(judge.best[whole]),
        verbatim_prompts=told_verbatim.prompts,
        verbatim=told_verbatim.matrices,
        verbatim_exact=told_verbatim.exact,
        confidence_auc=auc,
        unseen_positions=new_positions,
        unseen_abstained=abstained,
        unseen_answered=answered,
        parameters_per_token=None if best is None else config.num_parameters / tokens,
        associations_per_parameter=None if best is None else associations / config.num_parameters,
    )


def _told(lookup: Lookup, cues: Cues) -> np.ndarray | None:
    """(n,) the token that each cue is answered with exactly, -1 for none; None where nothing answers exactly."""
    if lookup.reader.is_solved:
        return lookup.solved.walk([cues]).tokens
    return first_exact(lookup.exact, cues) if lookup.reader.has_ledger else None


def context_tokens(config: MemoryConfig) -> int:
    """Tokens before a sampled place."""
    return min(_BEFORE, config.context_length)


def cues_of(lookup: Lookup, places: Positions) -> Cues:
    """What is asked at each place, given its true context."""
    contexts = places.contexts()
    # a context that the document's beginning cuts short is known to be its beginning
    return lookup.encoder.query(contexts, at_start=np.array([len(c) < places.before for c in contexts]))


def rank_next(lookup: Lookup, cues: Cues) -> Candidates:
    """The matrices' best next token for each cue."""
    parts = []
    for first in range(0, len(cues), _AT_ONCE):
        parts.append(lookup.rank(cues[first : first + _AT_ONCE]))
    return joined(parts, 1, 1)


def first_exact(lookup: ExactLookup, cues: Cues) -> np.ndarray:
    """(n,) the ledger's commonest token after the longest window that is held; -1 where none is."""
    answers = np.full(len(cues), -1, np.int64)
    for rung in range(cues.filled.shape[1] - 1, -1, -1):
        rows = np.flatnonzero(cues.filled[:, rung] & (answers < 0))
        found = lookup.reader.followers(cues.values[rows, rung])
        answers[rows[found.held]] = found.tokens[found.bounds[:-1][found.held]]
    return answers


class _Judge:
    """What the corpus says of sampled places."""

    def __init__(self, lookup: Lookup, places: Positions, cues: Cues, *, memorized: Batches) -> None:
        self._lookup, self._memorized, self._places = lookup, memorized, places
        self._by_window = lookup.reader.has_ledger or lookup.reader.is_solved or lookup.config.reads_text
        if self._by_window:
            self._names = truth.longest(cues)
            self._following = truth.count_following(memorized(), lookup.encoder, self._names)
        else:
            self._names = names_of(places, places.before)
            self._following = count_following(memorized(), lookup.config, self._names, length=places.before)
        self.best = np.array([truth.best_share(self._following[name]) for name in self._names.tolist()])

    def right(self, answers: np.ndarray) -> np.ndarray:
        """(n,) how often each answer is right."""
        if not self._by_window:
            return np.asarray(answers == self._places.following[:, 0]).astype(float)
        pairs = zip(self._names.tolist(), answers.tolist(), strict=True)
        return np.array([truth.share(self._following[name], answer) for name, answer in pairs])

    def novel(self, places: Positions) -> Positions:
        """The places whose context is nowhere in the memorized corpus."""
        if self._by_window:
            names = truth.longest(cues_of(self._lookup, places))
            following = truth.count_following(self._memorized(), self._lookup.encoder, names)
        else:
            names = names_of(places, places.before)
            following = count_following(self._memorized(), self._lookup.config, names, length=places.before)
        return Positions(places.lines[[not following[n] for n in names.tolist()]], places.before)


@overload
def _mean(values: np.ndarray) -> float: ...


@overload
def _mean(values: None) -> None: ...


def _mean(values: np.ndarray | None) -> float | None:
    if values is None:
        return None
    return float(np.mean(values)) if len(values) else float("nan")


def _answered(session: Session, memorized: Batches, unseen: Batches, *, sample: int) -> dict[int, float]:
    """How many contexts that the corpus has nowhere are answered, by their length in units."""
    lookup, config = session.lookup, session.lookup.config
    places = sample_positions(unseen(), config, sample, full=True, before=context_tokens(config))
    shares = {}
    for length in UNSEEN:
        encoder = lookup.reading.with_windows((length,))
        contexts = [_last_units(context, length, session) for context in places.contexts()]
        cues = encoder.query(contexts)
        following = truth.count_following(memorized(), encoder, truth.longest(cues))
        names, filled = cues.values[:, 0].tolist(), cues.filled[:, 0]
        new = [c for c, name, full in zip(contexts, names, filled, strict=True) if full and not following[name]]
        answers = continued(session, new, RecallOptions(max_tokens=1, read="exact"))
        shares[length] = _mean(np.array([bool(tokens) for tokens in answers]))
    return shares


def _last_units(tokens: np.ndarray, units: int, session: Session) -> np.ndarray:
    """The last tokens that hold so many units."""
    begun = session.lookup.reading.units_begun(tokens)
    behind = np.cumsum(begun[::-1])[::-1]
    first = int(np.searchsorted(-behind, -units, side="right")) - 1
    return np.asarray(tokens[max(first, 0) :])


def area_under_curve(positives: np.ndarray, negatives: np.ndarray) -> float:
    """P(a positive ranks above a negative), ties counting half: the Mann-Whitney statistic."""
    if not len(positives) or not len(negatives):
        return float("nan")
    _, index, counts = np.unique(np.concatenate([positives, negatives]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index[: len(positives)]]  # the mean rank of equal values, from 1
    return float((ranks.sum() - len(positives) * (len(positives) + 1) / 2) / (len(positives) * len(negatives)))
