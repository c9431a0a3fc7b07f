"""Evaluation: how well a memory recalls a corpus, against the best that its contexts allow.

Covers: next-token recall, its ceiling, verbatim continuation, confidence on unseen text. Does not cover: where batches
come from (pipelines) or which reader answers.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa

from memo_dist.measuring.sampling import Positions, context_names, count_following, sample_positions
from memo_dist.memory_config import MemoryConfig
from memo_dist.models.candidates import Candidates, joined
from memo_dist.models.cues import Reader
from memo_dist.recalling.confidence import confidence
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import DEFAULTS, RecallOptions
from memo_dist.recalling.session import Session

Batches = Callable[[], Iterable[pa.Table]]
CONTINUED = 50  # tokens of a verbatim continuation
_SPARE = 4  # candidates a prompt wanted, since only those that occur once count
_AT_ONCE = 1024


@dataclass(frozen=True)
class Evaluation:
    """All are shares in [0, 1] unless said otherwise; None where it was not asked for.

    Attributes:
        positions: how many were sampled.
        recall: next-token top-1, given the true context of up to h^L tokens of the same document.
        ceiling: the best any function of that context does on average: max_t n(context, t) / n(context).
        recall_full_context: of the positions with a whole context.
        verbatim: prompt length in tokens -> share of prompts continued by 50 true tokens. The prompts occur once in
            the corpus; recall runs with its defaults, so an abstention counts as a failure.
        confidence_auc: the chance that a memorized position is given more confidence than an unseen one.
        unseen_positions: sampled from unseen text with a whole context that is nowhere in the corpus; if there are
            none, nothing else is said of it.
        unseen_abstained: share of them at which recall abstains at the default confidence.
    """

    positions: int
    recall: float
    ceiling: float
    recall_full_context: float
    verbatim_prompts: dict[int, int]
    verbatim: dict[int, float]
    confidence_auc: float | None
    unseen_positions: int | None
    unseen_abstained: float | None
    parameters_per_token: float
    associations_per_parameter: float

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def evaluate(
    reader: Reader,
    memorized: Batches,
    *,
    tokens: int,
    associations: int,
    unseen: Batches | None = None,
    sample: int = 5000,
    prompts: int = 200,
) -> Evaluation:
    """Evaluate a memory on what it memorized.

    Args:
        reader: the memory.
        memorized, unseen: give the batches of a corpus anew at each call.
        tokens, associations: what the memory holds.
        sample: next-token positions.
        prompts: prompts of each length for verbatim continuation; 0 for none.
    """
    config = reader.config
    session = Session(reader)
    places = sample_positions(memorized(), config, sample)
    best = rank_next(session.lookup, places)
    right = best.tokens[:, 0] == places.following[:, 0]
    whole = places.lines[:, 0] >= 0
    counts, verbatim = _verbatim(session, memorized, prompts) if prompts else ({}, {})
    auc = new_positions = abstained = None
    if unseen is not None:
        novel = _novel(sample_positions(unseen(), config, sample, full=True), memorized, config)
        new_positions = len(novel)
        if new_positions:
            answers = rank_next(session.lookup, novel)
            auc = area_under_curve(best.log_odds[:, 0], answers.log_odds[:, 0])
            abstained = _mean(confidence(answers.log_odds)[:, 0] < DEFAULTS.min_confidence)
    return Evaluation(
        positions=len(places),
        recall=_mean(right),
        ceiling=_ceiling(places, memorized, config),
        recall_full_context=_mean(right[whole]),
        verbatim_prompts=counts,
        verbatim=verbatim,
        confidence_auc=auc,
        unseen_positions=new_positions,
        unseen_abstained=abstained,
        parameters_per_token=config.num_parameters / tokens,
        associations_per_parameter=associations / config.num_parameters,
    )


def rank_next(lookup: Lookup, places: Positions) -> Candidates:
    """The memory's best next token at each place, given its true context."""
    contexts = places.contexts()
    # a context that the document's beginning cuts short is known to be its beginning
    cues = lookup.encoder.query(contexts, at_start=np.array([len(c) < places.before for c in contexts]))
    parts = []
    for first in range(0, len(cues), _AT_ONCE):
        parts.append(lookup.rank(cues[first : first + _AT_ONCE]))
    return joined(parts, 1, 1)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _names(places: Positions, length: int) -> np.ndarray:
    rows = places.lines[:, places.before - length : places.before]
    return np.array([context_names(row, length)[0] for row in rows], np.uint64)


def _ceiling(places: Positions, memorized: Batches, config: MemoryConfig) -> float:
    names = _names(places, places.before)
    following = count_following(memorized(), config, names, length=places.before)
    shares = [max(following[n].values()) / following[n].total() for n in names.tolist()]
    return _mean(np.array(shares))


def _novel(places: Positions, memorized: Batches, config: MemoryConfig) -> Positions:
    """The places whose context is nowhere in the memorized corpus."""
    names = _names(places, places.before)
    following = count_following(memorized(), config, names, length=places.before)
    return Positions(places.lines[[not following[n] for n in names.tolist()]], places.before)


def _verbatim(session: Session, memorized: Batches, prompts: int) -> tuple[dict[int, int], dict[int, float]]:
    config = session.lookup.config
    candidates = sample_positions(memorized(), config, _SPARE * prompts, after=CONTINUED, full=True)
    counts, shares = {}, {}
    for length in (config.context_length, config.context_length // 2):
        names = _names(candidates, length)
        following = count_following(memorized(), config, names, length=length)
        once = [i for i, name in enumerate(names.tolist()) if following[name].total() == 1][:prompts]
        asked = [c for i, c in enumerate(candidates.contexts(length)) if i in set(once)]
        answers = session.recall(asked, RecallOptions(max_tokens=CONTINUED))
        truth = candidates.following[once].tolist()
        counts[length] = len(once)
        shares[length] = _mean(np.array([a.tokens == t for a, t in zip(answers, truth, strict=True)]))
    return counts, shares


def area_under_curve(positives: np.ndarray, negatives: np.ndarray) -> float:
    """P(a positive ranks above a negative), ties counting half: the Mann-Whitney statistic."""
    if not len(positives) or not len(negatives):
        return float("nan")
    _, index, counts = np.unique(np.concatenate([positives, negatives]), return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[index[: len(positives)]]  # the mean rank of equal values, from 1
    return float((ranks.sum() - len(positives) * (len(positives) + 1) / 2) / (len(positives) * len(negatives)))
