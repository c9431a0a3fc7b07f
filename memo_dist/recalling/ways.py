"""Ways: how paths of one prompt part, for people.

Covers: the different next steps after what they share. Does not cover: following them (exact.py), sentences
(reasons.py).
"""

from collections.abc import Callable

import numpy as np

from memo_dist.log_sum import log_sum_exp
from memo_dist.recalling.exact import Path
from memo_dist.recalling.reasons import Way

_SHOWN = 8  # tokens of each
_LEAST = 0.005  # share of a way that is worth telling
_FAINT = 7.0  # natural logarithm of how much likelier all are than a path that does not tell where a way parts again
_END = "(the document ends)"


def ways_on(kept: list[int], paths: list[Path], say: Callable[[list[int]], str]) -> list[Way]:
    """The ways in which paths go on that begin with the tokens `kept`, the likeliest first.

    Args:
        say: the text of some first tokens, without what is owed.
    """
    size = len(kept)
    # a path that was given up, or lost, right there does not say how it goes on
    going = [p for p in paths if p.tokens[:size] == kept and (len(p.tokens) > size or p.stop == "end_of_document")]
    if not going:
        return []
    total = log_sum_exp(np.array([one.weight for one in going]))
    parted: dict[int, list[Path]] = {}
    for one in going:
        parted.setdefault(one.tokens[size] if len(one.tokens) > size else -1, []).append(one)
    found = []
    for several in parted.values():
        share = float(sum(np.exp(one.weight - total) for one in several))
        if share >= _LEAST:
            stop = size + _together(
                [one.tokens[size : size + _SHOWN] for one in several if one.weight > total - _FAINT]
            )
            best = max(several, key=lambda one: one.weight)
            text = say(best.tokens[:stop]) if len(best.tokens) > size else _END
            found.append(Way(text=text, count=best.counts[size], share=share))
    return sorted(found, key=lambda way: -way.share)


def _together(several: list[list[int]]) -> int:
    """How many first tokens some lists share; one at least."""
    size = min(map(len, several), default=0)
    return next((place for place in range(1, size) if len({one[place] for one in several}) > 1), max(size, 1))
