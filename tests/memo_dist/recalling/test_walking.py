"""How sure a solved memory is of a prompt, and of each step after it."""

import numpy as np
import pytest

from memo_dist.recalling.support import Support
from memo_dist.recalling.walking import AGREES, Judged, Walk, _bits
from memo_dist.solved.walk import State

NONE = np.zeros(0, np.int64)
SUPPORT = Support(ends=NONE, units=NONE, windows=NONE, longest=NONE, held=np.zeros(0, bool), asked=0)


def bits(held: str, agrees: str) -> float:
    """Of places written as digits, the end last."""
    return _bits(np.array(list(held)) == "1", np.array(list(agrees)) == "1")


def test_what_is_before_a_slip_says_little_of_what_is_behind_it() -> None:
    clean = bits("11111", "11110")
    assert clean == 4 * AGREES
    early, late = bits("11101", "11100"), bits("10111", "10110")
    assert early < late < clean
    assert bits("1110001", "1110000") < bits("0000111", "0000110")


@pytest.mark.parametrize("many", [20.0, 1000.0])
def test_an_end_that_has_left_the_text_is_a_guess(many: float) -> None:
    assert Judged(many, State.SURE, SUPPORT).sure > 0.999
    assert 0.8 < Judged(many, State.LEFT, SUPPORT).sure < 0.9
    assert Judged(-2000.0, State.LEFT, SUPPORT).sure == pytest.approx(0)
    assert Judged(many, State.NOT_HELD, SUPPORT).sure == 0


def test_steps_behind_one_that_has_left_the_text_are_guesses() -> None:
    held = Walk(context=[], states=[State.SURE] * 6).likely(8)
    left = Walk(context=[], states=[State.SURE, State.SURE, State.LEFT, State.SURE, State.LEFT, State.SURE]).likely(8)
    assert left[:2] == held[:2]
    assert all(0.8 < one < 0.9 for one in left[2:4])
    assert all(0.7 < one < 0.8 for one in left[4:])
    begun = Walk(context=[], states=[State.LEFT, State.SURE]).likely(8)
    assert begun == held[-2:]  # the end is judged with its prompt
