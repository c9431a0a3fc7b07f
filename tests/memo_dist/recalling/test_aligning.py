"""Aligning: distances against the equations in plain Python, and where a prompt ends in what is said.

Covers: aligning.py. Does not cover: what is aligned (test_mended_prompts.py).
"""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memo_dist.recalling.aligning import Alignment, Typed, folded_text

MORE = 2  # what a word more counts


def distances(said: str, typed: str) -> list[list[float]]:
    """D(i, j) of folded texts, by the recurrence; words more that end here, or the next of which begins here, are left
    out at once, and of what was said all between white space."""
    last = len(typed.rstrip().split(" ")[-1]) if typed.strip() else 0
    other = {0: 1.0, 1: 3.0}.get(last, 1.5 if last <= 4 else 1.0)
    ends = [j for j in range(1, len(typed) + 1) if typed[j - 1].isalnum() and not typed[j : j + 1].isalnum()][:-1]
    table = [[0.0] * (len(typed) + 1) for _ in range(len(said) + 1)]
    begin = end = space = 0
    for i, row in enumerate(table):
        for j in range(len(typed) + 1):
            if i or j:
                steps = [row[j - 1] + 1] if j else []
                steps += [table[i - 1][j] + 1] if i else []
                if i and j:
                    counts = other if len(typed.rstrip()) - last < j <= len(typed.rstrip()) else 1.0
                    steps.append(table[i - 1][j - 1] + counts * (said[i - 1] != typed[j - 1]))
                if i > 1 and j > 1 and said[i - 2 : i] == typed[j - 2 : j][::-1]:
                    steps.append(table[i - 2][j - 2] + 1)
                row[j] = min(steps)
            if j in ends:
                row[j] = min(row[j], row[max([0, *(one for one in ends if one < j)])] + MORE)
        if 0 < i < len(said):
            inside, goes_on = said[i - 1].isalnum(), said[i].isalnum()
            if inside and not goes_on:
                table[i] = [min(a, b + MORE) for a, b in zip(row, table[end], strict=True)]
                end = i
            elif goes_on and not inside:
                table[i] = [min(a, b + MORE) for a, b in zip(row, table[begin], strict=True)]
                begin = i
        if i < len(said) and said[i] == " ":
            table[i] = [min(a, b + MORE) for a, b in zip(table[i], table[space], strict=True)]
            space = i
    return table


texts = st.text(alphabet="ab ,", max_size=14).map(folded_text)


@settings(max_examples=300, deadline=None)
@example("a,a aa,", "", [])
@given(texts, texts, st.lists(st.integers(0, 14), max_size=3))
def test_rows_are_those_of_the_recurrence(said: str, typed: str, cuts: list[int]) -> None:
    table, found = distances(said, typed), Alignment.begun(Typed.of(typed))
    at = 0
    for cut in sorted({*(cut for cut in cuts if cut <= len(said)), len(said)}):
        found = found.longer(said[at:cut])
        at = cut
        # a word that ends where what is said ends is known to once more is said
        inside = 0 < cut < len(said) and said[cut - 1].isalnum() != said[cut].isalnum()
        spaced = 0 < cut < len(said) and said[cut] == " "
        assert inside or spaced or found.row.tolist() == table[cut]
    assert found.said == len(said)


@pytest.mark.parametrize(
    ("typed", "said", "whole"),
    [
        (" sheperd", " shepherd; I shall", " shepherd"),
        (" eh", " he went in", " he"),
        (" sa", " as in times past", " as"),
        (" gav", " gave his only", " gav"),
        (" THE  world", "\nthe world, that", "\nthe world"),
        (" one", " said one to another", " said one"),
        (" was was written", " was written with", " was written"),
        (" Why", "\n  13 Why dost thou", "\n  13 Why"),
        (" “no”—he said", " 'no'-he said nothing", " 'no'-he said"),
        (" exam-\nple of", " example of it", " example of"),
        (" and", " ass, and the man", " ass, and"),
        (" they", " that they went", " that they"),
        (" +", " [x + 1 for x", " [x +"),
        (' """', ' test_first_names(self):\n    """Ensure', ' test_first_names(self):\n    """'),
        (" tha", " the words", " the"),
        (" flnd tbe w0rds", " find the words again", " find the words"),
    ],
)
def test_where_a_prompt_ends(typed: str, said: str, whole: str) -> None:
    found = Alignment.begun(Typed.of(typed)).longer(said)
    assert said[: found.at] == whole
    assert found.ended().at == found.at


def test_what_is_said_in_pieces_ends_alike() -> None:
    rng, said, typed = np.random.default_rng(0), " the keeper of the light wrote", " the kepeer of light"
    whole = Alignment.begun(Typed.of(typed)).longer(said).ended()
    for _ in range(50):
        found, at = Alignment.begun(Typed.of(typed)), 0
        while at < len(said):
            step = int(rng.integers(1, 5))
            found, at = found.longer(said[at : at + step]), at + step
        assert (found.ended().least, found.ended().at) == (whole.least, whole.at)


def test_no_more_is_said_once_nothing_can_improve() -> None:
    found = Alignment.begun(Typed.of(" wrote every evening"))
    assert found.may_improve
    said = found.longer(" wrote every evening what")
    assert (said.least, said.may_improve) == (0, False)
    assert not found.longer(" of something else that is much longer than it was").may_improve
