"""Mending: a prompt that a memory does not hold as it was typed -> as the memory has it.

Covers: the order in which that is tried, whatever answers. Does not cover: the ways (snapping.py, corrections.py,
seeds.py), what is made of a mended prompt (readings.py, solved_session.py).

A prompt of which some stretch is held is followed from there. Where that leaves much of the prompt aside, or nothing
fits, one letter or one word is tried in place of others; and then it is followed from words of which one is read
otherwise.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from memo_dist.recalling.corrections import Corrector
from memo_dist.recalling.seeds import Seeder
from memo_dist.recalling.snapping import Next, Snapped, Snapper
from memo_dist.recalling.support import Support
from memo_dist.tokenizer import Tokenizer

_LEAST = 20  # characters that must speak for a fit, of longer prompts
_LEAST_OF_SEEDS = 40  # likewise, from a seed, as so many are tried
_NEARLY = 12  # characters of a prompt that a fit may leave aside, or count for its differences


class Holding(Protocol):
    """What a memory holds, however it is read."""

    def supports(self, prompts: list[np.ndarray]) -> Sequence[Support]:
        """What is held of prompts."""
        ...

    def stretches(self, tokens: np.ndarray) -> tuple[Support, np.ndarray]:
        """What is held of the last places of a prompt, whatever follows there; at which of them the memory surely goes
        on otherwise."""
        ...

    def held(self, contexts: list[np.ndarray]) -> np.ndarray:
        """(n,) bool: whether the last tokens of each context are held; seldom also where they are not."""
        ...

    def follow(self, contexts: list[np.ndarray]) -> list[Next]:
        """What comes after each context, if it is held."""
        ...

    def units_begun(self, tokens: np.ndarray) -> np.ndarray:
        """See Encoder."""
        ...


class Mender:
    """Mends prompts by one memory.

    Args:
        holding: the memory. tokenizer: of it. windows: in units, rising.
    """

    def __init__(self, holding: Holding, tokenizer: Tokenizer, windows: Sequence[int]) -> None:
        self._holding = holding
        self._snapper = Snapper(holding.follow, holding.units_begun, tokenizer)
        self._seeder = Seeder(holding.held, tokenizer, windows[0])
        self._corrector = Corrector(holding.supports, holding.held, tokenizer=tokenizer, windows=windows)

    def mend(self, text: str, tokens: np.ndarray, support: Support) -> Snapped | None:
        """The prompt as the memory has it; None where it has nothing like it.

        Args:
            text: of the prompt. tokens: (n,) of it. support: of the prompt as it is.
        """
        around, ends = self._holding.stretches(tokens)
        snapped = self._snapper.snap(text, tokens, support=around, ends=ends)
        if snapped is not None and snapped.weight < min(_LEAST, len(text) - _NEARLY):
            snapped = None
        if snapped is not None and snapped.weight >= len(text) - _NEARLY:
            return snapped
        fixed = self._corrector.corrected(text, support)
        if fixed is None:
            return self._from_seeds(text, snapped, around)
        return Snapped(tokens=fixed.tokens, owed="", text=fixed.text, aligned=len(text), differing=1)

    def _from_seeds(self, text: str, snapped: Snapped | None, around: Support) -> Snapped | None:
        """The prompt from where one word of some is read otherwise, if that is more of it than what was found."""
        if snapped is not None and 2 * snapped.aligned >= len(text):
            return snapped
        least = max(min(_LEAST_OF_SEEDS, len(text) - _NEARLY), snapped.weight if snapped else 0)
        for seeds in self._seeder.seeds(text, around):
            found = self._snapper.snap_seeds(text, seeds)
            if found is not None and found.weight >= least:
                return found
        return snapped
