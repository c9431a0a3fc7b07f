"""Support: how much of a prompt a memory holds as one passage, read exactly.

Covers: which places of a prompt the ledger holds, whether they stand for the whole prompt. Does not cover: what is made
of a prompt that is not held (corrections.py), continuation (exact.py).

At every place where a unit of the prompt ends, the longest window that the prompt fills there is held by the ledger if
the prompt stands in the memory; also if its line breaks, its capitals or its white space differ. A place that no
token's end marks in the memorized text is still vouched for by a later window over it that begins well before it. Text
that was not memorized is told by the first place that is not held; docs/decisions/0019 says how surely.
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.recalling.lookup import ExactLookup


@dataclass(frozen=True)
class Support:
    """What a memory holds of one prompt.

    Attributes:
        ends: (k,) int64, places in the prompt's tokens: the unit ends that fill a window, and the prompt's own end.
        units: (k,) int64, units before each.
        windows: (k,) int64, the longest that is filled there.
        longest: (k,) int64, the longest that is held there; 0 for none.
        held: (k,) bool: the longest window filled there is held, or a held window vouches for it.
        asked: the rung of the longest window that is held at the prompt's end, -1 for none.
    """

    ends: np.ndarray
    units: np.ndarray
    windows: np.ndarray
    longest: np.ndarray
    held: np.ndarray
    asked: int

    @property
    def whole(self) -> bool:
        """The prompt is held, all of it."""
        return self.asked >= 0 and bool(self.held.all())

    @property
    def share(self) -> float:
        """The share of the places that is held."""
        return float(self.held.mean()) if len(self.held) else 0.0

    @property
    def spoiled(self) -> int:
        """The fewest units at the beginning of which every window that is not held has one; 0 if all is held."""
        first = (self.units - np.minimum(self.windows, self.units))[~self.held]
        return int(first.max(initial=-1)) + 1


def supports(lookup: ExactLookup, prompts: list[np.ndarray], *, at_start: bool = False) -> list[Support]:
    """What a memory holds of each prompt, in one question to it.

    Args:
        prompts: (n,) token ids each.
    """
    ends = [np.append(lookup.encoder.unit_ends(tokens), len(tokens)).astype(np.int64) for tokens in prompts]
    cues = [lookup.encoder.prefixes(t, places, at_start) for t, places in zip(prompts, ends, strict=True)]
    hashes = np.concatenate([np.zeros(0, np.uint64), *[found.values[found.filled] for found in cues]])
    held, at, answers = lookup.reader.followers(hashes).held, 0, []
    for tokens, places, found in zip(prompts, ends, cues, strict=True):
        rungs = np.zeros(found.filled.shape, bool)
        count = int(found.filled.sum())
        rungs[found.filled] = held[at : at + count]
        at += count
        answers.append(_support(lookup, tokens, places, filled=found.filled, rungs=rungs))
    return answers


def _support(
    lookup: ExactLookup, tokens: np.ndarray, places: np.ndarray, *, filled: np.ndarray, rungs: np.ndarray
) -> Support:
    """Of one prompt: (k, L) `filled` and held `rungs` at each place."""
    windows = np.array(lookup.config.windows)
    units = np.concatenate([[0], np.cumsum(lookup.encoder.units_begun(tokens))])[places]
    depth = filled.sum(axis=1)
    known = depth > 0
    last = int(np.flatnonzero(rungs[-1]).max(initial=-1))
    places, units, depth, rungs = places[known], units[known], depth[known], rungs[known]
    held = rungs[np.arange(len(depth)), depth - 1]
    # from how far back each held window vouches, and from which place on
    longest = np.where(rungs, windows, 0).max(axis=1, initial=0)
    begins = units - np.minimum(longest, units)
    for place in np.flatnonzero(~held).tolist():
        # half the window: what is wrong at a place is in every window that reaches over it, however far back
        first = units[place] - min(max(windows[depth[place] - 1] // 2, windows[0]), units[place])
        later = (longest > 0) & (units > units[place])
        held[place] = bool((begins[later] <= first).any())
    return Support(ends=places, units=units, windows=windows[depth - 1], longest=longest, held=held, asked=last)
