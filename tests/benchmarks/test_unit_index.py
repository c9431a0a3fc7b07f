"""The benchmarks' comparison of texts in units, against what is read off a page."""

import sys
from pathlib import Path

import numpy as np

from memo_dist import TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.segments import Segment

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.common.unit_index import UnitIndex, units

TOKENIZER = Tokenizer.bytes()
TEXTS = ("Now is the winter of our discontent\nmade glorious summer.", "The winter of our discontent has no end.")


def ids(text: str) -> list[int]:
    return TOKENIZER.encode([text])[0].tolist()


def index() -> UnitIndex:
    none = np.zeros(0, np.uint32)
    segments = [(text, Segment(0, none, np.array(ids(text), np.uint32), True)) for text in TEXTS]
    config = TextConfig(num_banks=1, vocab_size=TOKENIZER.vocab_size)
    return UnitIndex([make_batch(segments, BatchInfo("b", "b", "", ""))], config, TOKENIZER)


def test_units_know_neither_case_nor_white_space() -> None:
    assert units("Made  GLORIOUS\n summer.") == ["made", "glorious", "summer", "."]


def test_an_answer_is_found_in_any_case_and_line() -> None:
    corpus = index()
    asked, following = corpus.split(ids("t is THE winter\nof our disc"), ids("ontent made glor"))
    assert len(asked) == 5
    assert len(following) == 2  # "discontent", which the answer finishes, and "made"; "glor" may go on
    assert corpus.longest_before(asked, following) == 5
    asked, following = corpus.split(ids("t was THE winter\nof our "), ids("discontent made glor"))
    assert corpus.longest_before(asked, following) == 4
    assert corpus.longest_before(asked, [*following, 0]) == 0


def test_a_prompt_occurs_once_by_its_units() -> None:
    corpus = index()
    assert corpus.occurs_once(ids("now is the WINTER of"))
    assert not corpus.occurs_once(ids("is the  winter of our"))
    assert not corpus.occurs_once(ids("now was the winter of"))
