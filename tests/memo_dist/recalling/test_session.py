"""Session: what is asked of each kind of prompt, what is refused, and that many together are answered as each alone.

Covers: recalling/session.py, options.py, confidence.py, one prompt or several in Python. Does not cover: healing
(measuring/test_evaluation.py), equality of the surfaces (test_one_answer.py).
"""

import math
import re
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from tokenizers_of_all_makes import make

from memo_dist import Memory, RecallOptions, Session, TextConfig, Tokenizer
from memo_dist.errors import ConfigError, PromptError, TokenizerError
from memo_dist.recalling.confidence import PRIOR, STAYS, confidence, confirmed_by_later, next_prior
from memo_dist.recalling.matrix_session import _without_first_word
from memo_dist.recalling.options import DEFAULTS, RecallSettings

TEXT = "a sentence that is held by the memory, word by word, and then another one that follows it to the end."
CONFIG = TextConfig(num_banks=12, vocab_size=256, inner_dim=128)


@pytest.fixture(scope="module")
def memory() -> Memory:
    made = Memory(CONFIG, Tokenizer.bytes())
    made.memorize("text", list(TEXT.encode()))
    return made


@pytest.fixture(scope="module")
def bare() -> Memory:
    made = Memory(CONFIG)
    made.memorize("text", list(TEXT.encode()))
    return made


def test_a_text_is_answered_by_a_text_and_ids_by_ids(memory: Memory) -> None:
    ids = list(TEXT[:30].encode())
    by_text = memory.recall(TEXT[:30], max_tokens=9)
    assert (by_text.prompt, by_text.text, by_text.healed) == (TEXT[:30], TEXT[30:39], 0)
    for prompt in (ids, np.array(ids), np.array(ids, np.uint8)):
        by_ids = memory.recall(prompt, max_tokens=9)
        assert (by_ids.prompt, by_ids.text) == (ids, None)
        assert bytes(by_ids.tokens).decode() == TEXT[30:39]


def test_several_prompts_of_both_kinds_are_answered_as_each_alone(memory: Memory) -> None:
    prompts: list[Any] = [TEXT[:30], list(TEXT[:40].encode()), "nothing like this is held", TEXT[5:50]]
    together = memory.recall(prompts, max_tokens=9, top_k=2)
    assert together == [memory.recall(prompt, max_tokens=9, top_k=2) for prompt in prompts]
    assert [found.text is None for found in together] == [False, True, False, False]
    assert memory.recall([]) == []


def test_a_memory_without_a_tokenizer_reads_numbers(bare: Memory) -> None:
    ids = list(TEXT[:30].encode())
    for spelled in (" ".join(map(str, ids)), ", ".join(map(str, ids))):
        found = bare.recall(spelled, max_tokens=9)
        assert found == bare.recall(ids, max_tokens=9)
        assert (found.prompt, found.text) == (ids, None)
    with pytest.raises(PromptError, match=r"'a text' is no list of token ids.*no tokenizer"):
        bare.recall("a text")
    with pytest.raises(TokenizerError, match="bare token ids"):
        _ = bare.session.tokenizer


REFUSED: dict[str, tuple[Any, str]] = {
    "a foreign id": ([1, 2, 3, 256], "prompt 2 has token id 256; the vocabulary has 256"),
    "a negative id": ([1, 2, 3, -7], "prompt 2 has token id -7; the vocabulary has 256"),
    "a huge id": ([1, 2, 3, 2**70], "no list of token ids"),
    "ids of two levels": ([[1, 2], [3, 4]], "no list of token ids"),
    "half a character": ("\ud800 and more", "prompt 2 .*UTF-8"),
}


@pytest.mark.parametrize(("prompt", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_prompt_that_cannot_be_asked_is_refused_alone(memory: Memory, prompt: Any, reason: str) -> None:
    session, options = memory.session, RecallOptions(max_tokens=5)
    prompts = [TEXT[:30], prompt, TEXT[:40]]
    first, second, third = (found for (found,) in session.answer(session.questions(prompts, options), options))
    assert (first.text, third.text) == (TEXT[30:35], TEXT[40:45])
    assert (second.stop, second.tokens) == ("refused", [])
    with pytest.raises(PromptError, match=reason) as raised:
        session.recall(prompts, options)
    assert second.error == str(raised.value)
    assert "--" not in str(raised.value)


SHORT: dict[str, tuple[Any, str]] = {
    "a short text": ("abc", "the prompt has 1 word or other character; .* is 4: give at least 4 words and"),
    "three words": ("a, b", "the prompt has 3 words and other characters; the shortest window is 4"),
    "short ids": ([1, 2], "the prompt has 2 words and other characters; the shortest window is 4"),
    "nothing": ("", "the prompt has 0 words"),
}


@pytest.mark.parametrize(("prompt", "reason"), SHORT.values(), ids=SHORT)
def test_a_prompt_that_is_too_short_is_met_with_silence_alone(memory: Memory, prompt: Any, reason: str) -> None:
    first, second, third = memory.recall([TEXT[:30], prompt, TEXT[:40]], max_tokens=5)
    assert (first.text, third.text) == (TEXT[30:35], TEXT[40:45])
    assert (second.stop, second.tokens, second.text) == ("abstained", [], "" if isinstance(prompt, str) else None)
    assert (second.prompt, second.error, second.matched) == (prompt, None, 0)
    assert second.reason is not None
    assert second.reason.code == "too_short"
    assert re.match(reason, second.reason.text)
    assert "--" not in second.reason.text


def test_refusals_name_prompts_as_their_caller_does(memory: Memory) -> None:
    (question,) = memory.session.questions([[1, 999]], names=["row seven"])
    assert str(question.error).startswith("row seven has token id 999")


def test_beginnings_may_be_of_any_length(memory: Memory) -> None:
    for length in (0, 1, 3, 10):
        assert memory.recall(TEXT[:length], max_tokens=9, from_start=True).text == TEXT[length : length + 9]


@pytest.mark.parametrize("read", ["auto", "exact", "matrices"])
def test_no_tokens_ask_nothing_of_the_memory(read: str) -> None:
    class Silent:
        config = CONFIG
        encoder = Memory(CONFIG, Tokenizer.bytes()).encoder
        has_ledger, is_solved = True, False

        def followers(self, hashes: np.ndarray) -> None:
            raise AssertionError("the memory was asked")

        def read(self, cues: np.ndarray) -> np.ndarray:
            raise AssertionError("the memory was asked")

        def token_counts(self) -> None:
            pass

    found = Session(Silent(), Tokenizer.bytes()).recall([TEXT, [1]], RecallOptions(max_tokens=0, read=read))
    assert [(one.tokens, one.stop, one.text) for one in found] == [([], "length", ""), ([], "length", None)]


@pytest.mark.parametrize("read", ["exact", "matrices"])
def test_several_continuations_where_texts_part(read: str) -> None:
    two = Memory(CONFIG, Tokenizer.bytes())
    for name, end in (("a", "left by the river."), ("b", "right by the hill.")):
        two.memorize(name, list(f"where the road parts after a long and common way, turn {end}".encode()))
    prompt = "the road parts after a long and common way, turn "
    several = two.session.recall_several([prompt], RecallOptions(count=3, read=read))[0]
    assert {found.text for found in several} == {"left by the river.", "right by the hill."}
    alone = two.recall(prompt, read=read)
    if read == "exact":  # both are as likely: neither is sure, unless both are asked for
        assert (alone.text, alone.stop, alone.stop_confidence) == ("", "abstained", pytest.approx(0.5))
    else:
        assert several[0] == alone


STORY = (
    "The keeper, Mr. Brön, wrote every evening what he had seen: two ships, a gull and 1,284 waves.\n"
    '    "Nothing else," he said, "is worth the ink." But on the 3rd of May he wrote 漢字漢語 in the margin of it.\n'
)


@pytest.mark.parametrize(
    "name",
    [
        "byte-level BPE",
        pytest.param("byte-level BPE, holes in the ids", marks=pytest.mark.slow),
        pytest.param("byte fallback", marks=pytest.mark.slow),
    ],
)
def test_a_prompt_and_its_answer_are_a_beginning_of_the_text_wherever_it_ends(name: str) -> None:
    """Inside words, after spaces, before line ends, between characters of several tokens."""
    tokenizer = make(name)
    held = Memory(TextConfig(num_banks=40, vocab_size=tokenizer.vocab_size, inner_dim=128), tokenizer)
    held.memorize("story", tokenizer.encode([STORY])[0])
    answered = 0
    ends = range(60, len(STORY) - 12, 2)
    for end in ends:
        for most in (5, 6, 7):
            said = held.recall(STORY[:end], max_tokens=most).text
            assert STORY[end:].startswith(said), (STORY[:end][-20:], said)
            answered += bool(said)
    assert answered > 0.9 * 3 * len(ends)


@pytest.mark.parametrize("name", ["Metaspace, Unigram", "WordPiece"])
def test_an_answer_begins_with_the_space_before_its_first_word_unless_the_prompt_has_it(name: str) -> None:
    tokenizer = make(name)
    text = "the quick brown fox jumps over lazy dogs and does not stop as they say at a thousand dogs or quick as foxes"
    held = Memory(TextConfig(num_banks=40, vocab_size=tokenizer.vocab_size, inner_dim=128), tokenizer)
    held.memorize("foxes", tokenizer.encode([text])[0])
    for place in range(40, len(text) - 20):
        if text[place] == " ":
            assert text[place:].startswith(held.recall(text[:place], max_tokens=4).text or "nothing")
            assert text[place + 1 :].startswith(held.recall(text[: place + 1], max_tokens=4).text or "nothing")


@pytest.mark.parametrize(
    "name", ["Metaspace, Unigram", "byte fallback", "byte-level BPE", "byte-level BPE, a space before"]
)
def test_a_long_prompt_may_begin_within_a_word_whatever_the_tokenizer_puts_before_it(name: str) -> None:
    tokenizer = make(name)
    text = "the quick brown fox jumps over lazy dogs and does not stop as they say at a thousand dogs or quick as foxes"
    held = Memory(TextConfig(num_banks=40, vocab_size=tokenizer.vocab_size, inner_dim=128), tokenizer)
    held.memorize("foxes", text)
    for begin in (5, 7, 11):
        answer = held.recall(text[begin:70], max_tokens=6)
        assert answer.text
        assert text[70:].startswith(answer.text)


def test_the_first_word_of_a_prompt_is_found_by_every_make() -> None:
    """A word that a person cut off at its beginning would spoil every window that reaches back to it."""
    for name in ("byte fallback", "Metaspace, Unigram", "byte-level BPE"):
        tokenizer = make(name)
        ids = tokenizer.encode(["od the quick fox jumps over lazy dogs and the fox"])[0].astype(np.int64)
        rest = _without_first_word(ids, tokenizer, 4)
        assert tokenizer.decode(rest.tolist()).strip() == "the quick fox jumps over lazy dogs and the fox"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_tokens", -1),
        ("max_tokens", 2.5),
        ("beam", 0),
        ("top_k", -1),
        ("count", 0),
        ("min_confidence", 1.01),
        ("min_confidence", -0.1),
        ("min_confidence", math.nan),
        ("from_start", 1),
    ],
)
def test_settings_out_of_range_are_named_with_what_to_give(memory: Memory, setting: str, value: Any) -> None:
    settings: Any = {setting: value}
    with pytest.raises(ConfigError, match=f"^{setting} is {value}; expected .*: give "):
        memory.recall(TEXT, **settings)


def test_settings_by_name_are_those_of_the_options() -> None:
    assert list(RecallSettings.__annotations__) == [field.name for field in fields(RecallOptions)]
    assert RecallOptions() == DEFAULTS


def test_confidence_is_bayes_rule() -> None:
    for log_odds in (-9.0, -0.5, 0.0, 3.0):
        for prior in (0.001, PRIOR, 0.999):
            odds = math.exp(log_odds) * prior / (1 - prior)
            assert confidence(np.array([[log_odds]]), prior)[0, 0] == pytest.approx(odds / (1 + odds))
    rows = confidence(np.zeros((2, 3)), np.array([0.25, 0.75]))
    assert rows.tolist() == pytest.approx(np.array([[0.25] * 3, [0.75] * 3]))
    assert np.isfinite(confidence(np.array([[1e9, -1e9]]))).all()
    assert next_prior(0.5) == 0.5 * STAYS < 0.5


def test_later_tokens_confirm_earlier_ones() -> None:
    assert confirmed_by_later([0.2, 0.9, 0.5, 0.7]) == [0.9, 0.9, 0.7, 0.7]
    assert confirmed_by_later([0.2, 0.9, 0.5], 0.95) == [0.95, 0.95, 0.95]
    assert confirmed_by_later([]) == []
