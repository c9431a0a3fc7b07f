"""Documents of an answer: those in which the prompt stands, also where nothing is said; none of what is not held.

Covers: placing.py as Session uses it. Does not cover: spans of a traced text (test_trace.py), continuations.
"""

import itertools

import numpy as np
import pytest

from memo_dist import Memory, RecallOptions, Session, TextConfig, Tokenizer
from memo_dist.recalling.recall import Continuation

WORDS = [one + two for one in ("ba", "ce", "di", "fo", "gu", "ha", "je") for two in ("lan", "mer", "tis", "von", "par")]


def words(seed: int, count: int) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, count))


SHARED = words(1, 30)
DOCUMENTS = {name: f"{words(10 + i, 40)} {SHARED} {words(20 + i, 60)}" for i, name in enumerate("abc")}
DOCUMENTS["alone"] = words(99, 90)


@pytest.fixture(scope="module")
def memory() -> Memory:
    """Three documents share a passage, and go on differently."""
    made = Memory(TextConfig(num_banks=30, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    for name, text in DOCUMENTS.items():
        made.memorize(name, list(text.encode()))
    return made


def answer(memory: Memory, prompt: str, **options: object) -> Continuation:
    (found,) = Session(memory, memory.tokenizer).recall([prompt], RecallOptions(**options))
    return found


def standing(prompt: str) -> list[str]:
    return [name for name, text in DOCUMENTS.items() if prompt in text]


@pytest.mark.parametrize("read", ["exact", "matrices"])
@pytest.mark.parametrize("few", [8, 14, 20, 26, 30])
def test_a_prompt_that_goes_on_in_several_ways_is_named_in_all_its_documents(
    memory: Memory, few: int, read: str
) -> None:
    """Some are so short that no anchor is on them."""
    prompt = " ".join(SHARED.split()[-few:]) + " "
    found = answer(memory, prompt, read=read, min_confidence=0.9999 if read == "matrices" else 0.99)
    if read == "exact":
        assert (found.text, found.tokens, found.stop) == ("", [], "abstained")
    if not found.tokens:
        assert (found.documents, found.num_documents) == (["a", "b", "c"], 3)


def test_one_that_stops_inside_a_word_is_named_where_the_word_goes_on(memory: Memory) -> None:
    for name, other in itertools.permutations("abc", 2):
        after = DOCUMENTS[name].split(SHARED)[1]
        common = next(
            i for i, pair in enumerate(zip(after, DOCUMENTS[other].split(SHARED)[1], strict=False)) if len({*pair}) > 1
        )
        prompt = SHARED[-60:] + after[: common + 1]
        assert set(answer(memory, prompt).documents) <= {*standing(prompt)}
        assert name in answer(memory, prompt).documents


def test_what_is_said_before_the_ways_part_is_named_in_all(memory: Memory) -> None:
    found = answer(memory, " ".join(SHARED.split()[:6]))
    assert found.text
    assert found.text in SHARED
    assert found.documents == ["a", "b", "c"]


@pytest.mark.parametrize("read", ["exact", "matrices"])
def test_a_prompt_that_is_held_is_named_whatever_is_said(memory: Memory, read: str) -> None:
    """In all its documents; an anchor on a part that others share names these, too."""
    named = 0
    for name, text in DOCUMENTS.items():
        for start in range(0, len(text) - 400, 37):
            prompt = text[start : start + 120]
            found = answer(memory, prompt, read=read, max_tokens=9)
            wanted = standing(prompt + (found.text or ""))
            assert {*wanted} <= {*found.documents} or not found.documents, (name, start)
            named += found.documents == wanted
    assert named >= 20


NOT_HELD = {
    "other words": "nothing of this was ever memorized by anyone",
    "a word more": f"{SHARED} and",
    "another beginning": f"nothing of {' '.join(SHARED.split()[10:])} ",
    "a word changed": " ".join([*SHARED.split()[:12], "zzzzz", *SHARED.split()[13:]]) + " ",
    "two passages": f"{' '.join(SHARED.split()[-15:])} {' '.join(DOCUMENTS['alone'].split()[30:50])} ",
    "two words exchanged": " ".join([*SHARED.split()[:-2], *SHARED.split()[:-3:-1]]) + " ",
}


@pytest.mark.parametrize("read", ["exact", "matrices"])
@pytest.mark.parametrize("how", NOT_HELD)
def test_a_prompt_that_is_not_held_whole_is_not_named(memory: Memory, how: str, read: str) -> None:
    found = answer(memory, NOT_HELD[how], read=read, min_confidence=0.9999, exact_prompt=True)
    assert read == "matrices" or not found.tokens
    if not found.tokens:
        assert (found.documents, found.num_documents) == ([], 0)


def test_token_ids_are_named_alike() -> None:
    rng = np.random.default_rng(0)
    shared, *rest = (rng.integers(0, 300, 40).tolist() for _ in range(5))
    made = Memory(TextConfig(num_banks=8, vocab_size=300, inner_dim=64))
    made.memorize("one", [1, 2] + rest[0] + shared + rest[1])
    made.memorize("two", [1, 2] + rest[2] + shared + rest[3])
    prompts = [shared[-few:] for few in (5, 12, 40)] + [[*shared[1:20], 7]]
    answers = Session(made).recall(prompts)
    assert [found.tokens for found in answers] == [[]] * 4
    assert [found.documents for found in answers] == [["one", "two"]] * 3 + [[]]
    assert Session(made).recall([rest[0][:20]])[0].documents == ["one"]
    begun, other = Session(made).recall([[1, 2], [2, 1]], RecallOptions(from_start=True))
    assert (begun.tokens, begun.documents) == ([], ["one", "two"])
    assert (other.tokens, other.documents) == ([], [])
