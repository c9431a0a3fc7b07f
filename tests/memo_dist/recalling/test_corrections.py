"""Corrections: the words that may hold a slip, told by the places of a prompt that are not held."""

import numpy as np
import pytest
from tokenizers_of_all_makes import make

from memo_dist.models.text.units import unit_spans
from memo_dist.recalling.corrections import Corrector
from memo_dist.recalling.support import Support

RIGHT = "behold the lord passed by and a great strong wind rent the mountains"
TYPED = RIGHT.replace("great", "graet")
SHORTEST = 4


def support(held: list[bool], longest: list[int]) -> Support:
    """Of a place at the end of each word from the fourth on."""
    units = np.arange(SHORTEST, SHORTEST + len(held))
    return Support(
        ends=units, units=units, windows=np.full(len(held), SHORTEST), longest=np.array(longest),
        held=np.array(held), asked=0,
    )  # fmt: skip


@pytest.mark.parametrize("told_before", [False, True])
def test_a_slip_is_set_right_wherever_it_is_told(told_before: bool) -> None:
    """A ledger tells it at the end of its word; a solved memory may tell it one place before, where it is sure of
    another token than the prompt's next."""
    tokenizer = make("byte fallback")
    places, slip = len(unit_spans(TYPED)) - SHORTEST + 1, TYPED.split().index("graet") + 1
    units = range(SHORTEST, SHORTEST + places)
    held = [not (slip <= unit < slip + SHORTEST) and not (told_before and unit == slip - 1) for unit in units]

    def ask(prompts: list[np.ndarray]) -> list[Support]:
        said = [tokenizer.decode(tokens.tolist()) == RIGHT for tokens in prompts]
        return [support([one], [SHORTEST]) for one in said]

    def begins(contexts: list[np.ndarray]) -> np.ndarray:
        return np.array([RIGHT.startswith(tokenizer.decode(tokens.tolist())) for tokens in contexts], bool)

    known = support(held, [SHORTEST if one else 0 for one in held])
    found = Corrector(ask, begins, tokenizer=tokenizer, windows=(SHORTEST, 8)).corrected(TYPED, known)
    assert found is not None
    assert found.text == RIGHT


def test_text_that_is_not_held_behind_a_place_is_no_slip() -> None:
    """Nothing is looked up for text that is held here and there."""

    def ask(prompts: list[np.ndarray]) -> list[Support]:
        raise AssertionError(prompts)

    held = [True, False, False, False, False, False, True, False, True, False]
    known = support(held, [SHORTEST if one else 0 for one in held])
    corrector = Corrector(ask, ask, tokenizer=make("byte fallback"), windows=(SHORTEST, 8))  # type: ignore[arg-type]
    assert corrector.corrected(TYPED, known) is None
