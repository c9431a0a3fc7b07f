"""Near passages: stretches of a text that a memory holds but for some differences."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memo_dist import Memory, TextConfig, Tokenizer, open_memory
from memo_dist.recalling.differences import NearPassage
from memo_dist.recalling.held_runs import held_runs
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.near_passages import near_passages

HELD = " ".join(f"word{number * number}" for number in range(400))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lookup, Tokenizer]]:
    tokenizer = Tokenizer.bytes()
    memory = Memory(TextConfig(num_banks=40, vocab_size=tokenizer.vocab_size), tokenizer)
    memory.memorize("numbers", tokenizer.encode([HELD])[0])
    path = Path(tmp_path_factory.mktemp("near")) / "m.memo"
    memory.save(path)
    with open_memory(path) as opened:
        yield Lookup(opened), tokenizer


def found(asked: tuple[Lookup, Tokenizer], text: str) -> list[NearPassage]:
    return near_passages(*asked, [text])[0]


def words(first: int, stop: int) -> list[str]:
    return HELD.split()[first:stop]


def test_a_passage_in_capitals_on_other_lines_is_held_as_it_is(asked: tuple[Lookup, Tokenizer]) -> None:
    (one,) = found(asked, "\n".join(words(50, 90)).upper())
    assert (one.units, one.differing, one.differences) == (40, 0, ())


def test_a_word_that_differs_is_named_with_what_the_memory_has(asked: tuple[Lookup, Tokenizer]) -> None:
    said = [*words(50, 70), "something", *words(71, 90)]
    (one,) = found(asked, " ".join(said))
    (difference,) = one.differences
    assert (one.units, difference.held, difference.units) == (40, words(70, 71)[0], 1)
    assert " ".join(said)[difference.start : difference.stop] == "something"


@pytest.mark.parametrize("said", [[*words(50, 70), *words(71, 90)], [*words(50, 70), "more", *words(70, 90)]])
def test_a_word_left_out_or_put_in_is_a_difference(asked: tuple[Lookup, Tokenizer], said: list[str]) -> None:
    (one,) = found(asked, " ".join(said))
    assert (one.units, one.differing) == (len(said), 1)


def test_two_passages_with_other_text_between_them(asked: tuple[Lookup, Tokenizer]) -> None:
    other = [f"unheard{n}" for n in range(30)]
    first, second = found(asked, " ".join([*words(50, 80), *other, *words(200, 230)]))
    assert (first.units, second.units) == (30, 30)


def test_a_long_text_with_many_differences_is_one_passage(asked: tuple[Lookup, Tokenizer]) -> None:
    said = words(0, 400)
    said[10::20] = ["other"] * len(said[10::20])
    (one,) = found(asked, " ".join(said))
    assert (one.units, one.differing) == (400, 20)


def test_nothing_of_a_text_that_is_not_held(asked: tuple[Lookup, Tokenizer]) -> None:
    assert found(asked, "and now for something completely different, which stands nowhere at all") == []
    assert found(asked, "") == []


def test_runs_end_where_the_text_parts_from_the_memory(asked: tuple[Lookup, Tokenizer]) -> None:
    lookup, tokenizer = asked
    ids = tokenizer.encode([" ".join([*words(50, 80), "other", *words(81, 100)])])[0]
    runs = held_runs(lookup, tokenizer, ids, least=8)
    assert [run.units for run in runs] == [30, 19]
    assert held_runs(lookup, tokenizer, np.zeros(0, np.int64), least=8) == []
