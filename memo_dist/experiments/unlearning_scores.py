"""Scores of unlearning: how much of a document is recalled, and how well it is told from documents never held.

Covers: ROUGE-L F of continuations, Min-40% scores by the ledger and by the matrices alone, AUC, the KS test. Does not
cover: what is forgotten (unlearning.py).
"""

import math
from collections.abc import Sequence

import numpy as np

from memo_dist.extras import extra
from memo_dist.memory import Memory
from memo_dist.models.cues import Cues
from memo_dist.models.text.cleanup import HashedCleanup

PROMPT, RECALLED = 32, 128  # tokens shown, tokens recalled at most
_LEAST = 0.4  # of the tokens of a document: those that speak least for it


def verbatim(memory: Memory, documents: Sequence[np.ndarray]) -> float:
    """Mean ROUGE-L F, over tokens, of what follows the first 32 tokens of each: at most 128, by the ledger."""
    found = memory.recall([ids[:PROMPT] for ids in documents], max_tokens=RECALLED, exact_prompt=True)
    rest = [ids[PROMPT : PROMPT + RECALLED] for ids in documents]
    return float(np.mean([rouge_l(one.tokens, ids) for one, ids in zip(found, rest, strict=True)]))


def rouge_l(told: Sequence[int], truth: Sequence[int] | np.ndarray) -> float:
    """2 LCS / (|told| + |truth|); 1 where both are empty."""
    together = len(told) + len(truth)
    line, own = np.zeros(len(truth) + 1, np.int64), np.asarray(truth)
    for token in told:
        line[1:] = np.maximum.accumulate(np.maximum(line[1:], line[:-1] + (own == token)))
    return 2 * int(line[-1]) / together if together else 1.0


def ledger_scores(memory: Memory, documents: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) of each document: how many windows before a token are counted with it, mean of the least 40% of tokens."""
    return np.array([_least(_windows_with(memory, ids)) for ids in documents])


def cells_scores(memory: Memory, documents: Sequence[np.ndarray]) -> np.ndarray:
    """(n,) of each document: log-odds of its tokens by the matrices alone, mean of the least 40%."""
    cleanup = memory.cleanup.with_prior(None)
    assert isinstance(cleanup, HashedCleanup)  # a memory of text
    found = []
    for ids in documents:
        cues, following = _cues(memory, ids)
        reads = cleanup.encoder.retrieve(memory, cues)
        found.append(_least(cleanup.score(reads, cues.filled, following[:, None]).log_odds[:, 0]))
    return np.array(found)


def auc(inside: np.ndarray, outside: np.ndarray) -> float:
    """The chance that one of `inside` scores higher than one of `outside`; equal ones count half."""
    higher = (inside[:, None] > outside[None, :]).mean()
    return float(higher + (inside[:, None] == outside[None, :]).mean() / 2)


def privacy_leak(after: float, never: float) -> float:
    """PrivLeak in percent: (b - a) / a of the chances a, b that a document never held scores higher than a forgotten
    one, in a memory that never held these and after unlearning; the sign is MUSE's. nan where a is 0."""
    return 100 * ((1 - after) / (1 - never) - 1) if never < 1 else math.nan


def ks_p(ours: np.ndarray, theirs: np.ndarray) -> float:
    """p of the two-sided Kolmogorov-Smirnov test that both are drawn alike."""
    with extra():
        from scipy.stats import ks_2samp

    return float(ks_2samp(ours, theirs).pvalue)


def _cues(memory: Memory, ids: np.ndarray) -> tuple[Cues, np.ndarray]:
    """What precedes each token that fills a window, and these tokens."""
    cues = memory.encoder.query([ids[:place] for place in range(1, len(ids))])
    asked = np.flatnonzero(cues.filled[:, 0])
    return cues[asked], ids[1:][asked]


def _windows_with(memory: Memory, ids: np.ndarray) -> np.ndarray:
    cues, following = _cues(memory, ids)
    rows, layers = np.nonzero(cues.filled)
    followers = memory.followers(np.asarray(cues.values)[rows, layers])
    counted = [following[row] in followers.of(place)[0] for place, row in enumerate(rows)]
    return np.bincount(rows, weights=counted, minlength=len(following))


def _least(scores: np.ndarray) -> float:
    return float(np.sort(scores)[: max(1, int(len(scores) * _LEAST))].mean())
