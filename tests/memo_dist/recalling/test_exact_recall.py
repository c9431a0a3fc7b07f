"""Exact recall against brute force: continuations of real text are its own, whatever becomes of the prompt's spelling.

Covers: exact_session.py, exact.py, corrections.py. Does not cover: what is held of a prompt (test_support.py), matrices
(test_recall.py).

Truth is str.find over folded texts without white space: where a prompt stands, and what follows it there.
"""

import bisect
import colorsys
import heapq
import inspect
import random
import textwrap
from collections.abc import Callable
from itertools import takewhile

import numpy as np
import pytest

from memo_dist import Memory, RecallOptions, TextConfig, Tokenizer
from memo_dist.recalling.recall import Continuation
from memo_dist.tokenizer_training import train_tokenizer

DOCUMENTS = [inspect.getsource(module) for module in (textwrap, bisect, heapq, colorsys)]


def read_as(answer: Continuation) -> str | None:
    return None if answer.snapped is None else answer.snapped.text


def squeezed(text: str) -> str:
    return "".join(text.casefold().split())


def rest_of(document: str, skipped: int) -> str:
    """A document after so many characters that are not white space."""
    places = [place for place, character in enumerate(document) if not character.isspace()]
    return document[places[skipped - 1] + 1 :] if skipped else document


def following(prompt: str) -> list[str]:
    """What follows everywhere that a prompt stands, its white space and case aside."""
    wanted, found = squeezed(prompt), []
    for document in DOCUMENTS:
        whole = squeezed(document)
        at = whole.find(wanted)
        while at >= 0:
            found.append(rest_of(document, at + len(wanted)))
            at = whole.find(wanted, at + 1)
    return found


def agreed(texts: list[str]) -> int:
    """How many characters all have in common where they begin, white space before them aside."""
    columns = zip(*(text.lstrip() for text in texts), strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


@pytest.fixture(scope="module", params=["trained", "bytes"])
def memory(request: pytest.FixtureRequest) -> Memory:
    tokenizer = train_tokenizer(DOCUMENTS) if request.param == "trained" else Tokenizer.bytes()
    made = Memory(TextConfig(num_banks=500, vocab_size=tokenizer.vocab_size, inner_dim=64), tokenizer)
    for name, text in enumerate(DOCUMENTS):
        made.memorize(str(name), tokenizer.encode([text])[0])
    return made


def prompts_of(count: int, seed: int) -> list[tuple[str, str]]:
    """(prompt, what follows it), cut anywhere."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        document = rng.choice(DOCUMENTS)
        end = rng.randrange(200, len(document) - 200)
        found.append((document[end - rng.randrange(60, 160) : end], document[end:]))
    return found


CHANGES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "a line a word": lambda text: "\n".join(text.split()),
    "one line": lambda text: " ".join(text.split()),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "wide": lambda text: text.replace(" ", "   "),
    "from a word's beginning": lambda text: text[text.index(" ") + 1 :],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_follows_a_prompt_is_what_follows_it_in_the_text(memory: Memory, change: Callable[[str], str]) -> None:
    """Prompts end inside words, tokens and white space, and their first words are cut off."""
    options = RecallOptions(max_tokens=24)
    asked = [change(prompt) for prompt, _ in prompts_of(60, 1)]
    questions = memory.session.questions(asked, options)
    said = expected = 0
    for prompt, (answer,) in zip(asked, memory.session.answer(questions, options), strict=True):
        if answer.stop == "refused":  # a few signs
            continue
        rests = following(prompt)
        assert rests
        text = answer.text or ""
        assert any(squeezed(rest).startswith(squeezed(text)) for rest in rests), (prompt[-40:], text)
        assert np.isfinite(answer.scores).all()
        if agreed(rests) > 20:
            expected += 1
            said += bool(text.strip())
    assert expected > 40
    assert said >= 0.95 * expected


def test_a_text_is_continued_to_the_letter(memory: Memory) -> None:
    """Where prompt and answer are put together, the document stands there, white space and all."""
    asked = prompts_of(60, 2)
    answers = memory.recall([prompt for prompt, _ in asked], max_tokens=24)
    for (prompt, rest), answer in zip(asked, answers, strict=True):
        places = [document.find(prompt) for document in DOCUMENTS]
        if sum(place >= 0 for place in places) == 1 and len(following(prompt)) == 1:
            assert rest.startswith(answer.text or ""), (prompt[-40:], answer.text, rest[:40])


def test_unknown_text_is_met_with_silence(memory: Memory) -> None:
    unknown = inspect.getsource(random)
    rng = random.Random(3)
    for _ in range(30):
        end = rng.randrange(200, len(unknown))
        prompt = unknown[end - 150 : end]
        if not following(prompt[20:-20]):
            assert memory.recall(prompt, max_tokens=8).text == "", prompt


def slips_of(word: str, rng: random.Random) -> dict[str, str]:
    at, other = rng.randrange(len(word) - 1), rng.choice([c for c in "aeioqxz" if c not in word.lower()])
    return {
        "exchanged": word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        "left out": word[:at] + word[at + 1 :],
        "too many": word[:at] + other + word[at:],
        "another": word[:at] + other + word[at + 1 :],
    }


PROSE = (
    "The keeper of the lighthouse wrote every evening what he had seen since the morning: two ships, a gull, and many "
    "waves that nobody counted. Nothing else, he said, was worth the ink. His brother thought otherwise and left him."
)


@pytest.fixture(scope="module")
def prose() -> Memory:
    tokenizer = train_tokenizer([PROSE])
    made = Memory(TextConfig(num_banks=60, vocab_size=tokenizer.vocab_size, inner_dim=64), tokenizer)
    made.memorize("prose", tokenizer.encode([PROSE])[0])
    return made


@pytest.mark.parametrize("kind", ["exchanged", "left out", "too many", "another"])
def test_one_slip_in_any_word_is_set_right(prose: Memory, kind: str) -> None:
    rng, end = random.Random(4), PROSE.index("counted.")
    start = PROSE.index("what he")
    words = PROSE[start:end].split(" ")
    tried = 0
    for place, word in enumerate(words):
        if len(word) < 4 or not word.isalpha() or len(set(word)) < len(word):
            continue
        prompt = " ".join([*words[:place], slips_of(word, rng)[kind], *words[place + 1 :]])
        answer = prose.recall(prompt, max_tokens=12)
        assert answer.text, prompt
        assert PROSE[end:].startswith(answer.text)
        assert read_as(answer) == PROSE[start:end] or place == 0  # a first word may as well be cut off
        tried += 1
    assert tried == 4
    assert prose.recall(PROSE[start:end], max_tokens=12).snapped is None


def test_a_slip_before_a_word_that_is_cut_off(prose: Memory) -> None:
    end = PROSE.index("nted. Nothing")
    answer = prose.recall(PROSE[:end].replace("evening", "evenign"), max_tokens=12)
    assert PROSE[end:].startswith(answer.text or "nothing")
    assert read_as(answer) == PROSE[:end]


@pytest.mark.parametrize("kind", ["exchanged", "left out", "too many", "another"])
@pytest.mark.parametrize(
    "word", ["nobody", *(pytest.param(one, marks=pytest.mark.slow) for one in ("that", "waves", "ships"))]
)
def test_a_slip_after_a_beginning_that_is_held(prose: Memory, word: str, kind: str) -> None:
    """The beginning alone is held, and is not the prompt: what follows it there is another word."""
    end = PROSE.index("counted.")
    prompt = slips_of(word, random.Random(5))[kind].join(PROSE[:end].rsplit(word, 1))
    answer = prose.recall(prompt, max_tokens=12)
    assert (read_as(answer), PROSE[end:].startswith(answer.text or "nothing")) == (PROSE[:end], True)


@pytest.mark.parametrize(
    "begins",
    [
        " unknown ",
        pytest.param("\n unknown ", marks=pytest.mark.slow),
        "( ",
        pytest.param("unknown, ", marks=pytest.mark.slow),
    ],
)
def test_another_beginning_that_no_cut_explains_is_met_with_silence(prose: Memory, begins: str) -> None:
    """A word that stands behind white space, or a sign, is no end of another."""
    start, end = PROSE.index("wrote"), PROSE.index("counted.")
    answer = prose.recall(begins + PROSE[start:end], max_tokens=12)
    assert (answer.text, answer.stop) == ("", "abstained")
    cut = prose.recall("ighthouse " + PROSE[start:end], max_tokens=12)
    assert PROSE[end:].startswith(cut.text or "nothing")


def test_prompts_are_asked_as_they_are_where_that_is_asked_for(prose: Memory) -> None:
    prompt = PROSE[: PROSE.index("counted.")].replace("evening", "evxning")
    answer = prose.recall(prompt, max_tokens=12, exact_prompt=True)
    assert (answer.text, answer.stop, answer.snapped) == ("", "abstained", None)
    whole = prose.recall(PROSE[: PROSE.index("counted.")], max_tokens=12, exact_prompt=True)
    assert PROSE[PROSE.index("counted.") :].startswith(whole.text or "nothing")


WAY = "where the road parts after a long and common way, turn "
ENDS = ("left by the river", "right by the hill", "back to the inn")


@pytest.fixture(scope="module")
def parting() -> Memory:
    made = Memory(TextConfig(num_banks=12, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    for times, end in zip((3, 2, 1), ENDS, strict=True):
        for again in range(times):
            made.memorize(f"{end} {again}", list(f"{WAY}{end}".encode()))
    return made


def test_each_way_to_go_on_is_given_and_how_often_it_was_gone(parting: Memory) -> None:
    options = RecallOptions(count=3, max_tokens=30, top_k=4)
    (answers,) = parting.session.recall_several([WAY], options)
    assert [one.text for one in answers] == list(ENDS)
    assert [one.stop for one in answers] == ["end_of_document"] * 3
    first = {chr(other.token): other.score for other in answers[0].alternatives[0]}
    odds = {"l": 3 / 3, "r": 2 / 4, "b": 1 / 5}
    assert first == pytest.approx({letter: np.log(one) for letter, one in odds.items()})
    (fewer,) = parting.session.recall_several([WAY], RecallOptions(count=2, max_tokens=30))
    assert [one.text for one in fewer] == list(ENDS[:2])


@pytest.mark.parametrize("least", [0.3, 0.49, 0.51, 0.99])
def test_what_is_less_likely_than_asked_for_is_not_said(parting: Memory, least: float) -> None:
    answer = parting.recall(WAY, max_tokens=30, min_confidence=least)
    if least < 0.5:
        assert (answer.text, answer.stop) == (ENDS[0], "end_of_document")
        assert answer.confidences == pytest.approx([0.5] * len(ENDS[0]))
        assert np.allclose(answer.scores, 0)
    else:
        assert (answer.text, answer.stop, answer.stop_confidence) == ("", "abstained", pytest.approx(0.5))
    longer = parting.recall(WAY + "r", max_tokens=30, min_confidence=least)
    assert (longer.text, longer.stop) == (ENDS[1][1:], "end_of_document")


def test_max_tokens_and_beam(parting: Memory) -> None:
    for most in (0, 1, 7, 16):
        for beam in (1, 2, 8):
            answer = parting.recall(WAY[:30], max_tokens=most, beam=beam)
            assert (answer.text, answer.stop) == (WAY[30 : 30 + most], "length")


def test_answers_do_not_depend_on_company(memory: Memory) -> None:
    asked = [prompt for prompt, _ in prompts_of(8, 5)] + ["nothing like this was ever written, nor will be"]
    asked += [asked[0].replace("e", "x", 1), asked[1].upper()]
    options = RecallOptions(max_tokens=12, top_k=3, count=2)
    together = memory.session.answer(memory.session.questions(asked, options), options)
    for prompt, several in zip(asked, together, strict=True):
        assert memory.session.answer(memory.session.questions([prompt], options), options) == [several]


def test_beginnings_of_any_length(prose: Memory) -> None:
    for length in (0, 1, 2, 3, 7, 20, 60):
        answer = prose.recall(PROSE[:length], max_tokens=9, from_start=True)
        assert answer.text, length
        assert PROSE[length:].startswith(answer.text)


@pytest.mark.parametrize("keys", ["text", pytest.param("tokens", marks=pytest.mark.slow)])
def test_token_ids_and_keys_of_tokens(keys: str) -> None:
    tokenizer = train_tokenizer(DOCUMENTS)
    made = Memory(TextConfig(num_banks=300, vocab_size=tokenizer.vocab_size, inner_dim=64, keys=keys), tokenizer)
    bare = Memory(TextConfig(num_banks=300, vocab_size=tokenizer.vocab_size, inner_dim=64))
    ids = tokenizer.encode(DOCUMENTS[:2])
    for name, tokens in enumerate(ids):
        made.memorize(str(name), tokens)
        bare.memorize(str(name), tokens)
    line = ids[0].tolist()
    for place in range(100, len(line) - 20, 97):
        for asked in (made, bare):
            assert asked.recall(line[place - 70 : place], max_tokens=9).tokens == line[place : place + 9]
    answered = 0
    for prompt, rest in prompts_of(60, 6):
        if prompt in DOCUMENTS[0] + DOCUMENTS[1] and len(following(prompt)) == 1:
            said = made.recall(prompt, max_tokens=9).text or ""
            assert rest.startswith(said), (prompt, said)
            answered += bool(said)
    assert answered > 15


def test_a_short_prompt_whose_first_word_is_cut_off(prose: Memory) -> None:
    """Two letters are missing: no slip of one letter."""
    end = PROSE.index(" every evening")
    answer = prose.recall(PROSE[PROSE.index("eper of") : end], max_tokens=9)
    assert answer.text
    assert PROSE[end:].startswith(answer.text)
    assert answer.snapped is None


def test_prompts_cut_where_tokens_are_parts_of_characters() -> None:
    """At both ends the prompt's tokens are not the text's, over several characters."""
    rng = random.Random(4)
    text = "".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(1500))
    tokenizer = train_tokenizer([text])
    made = Memory(TextConfig(num_banks=60, vocab_size=tokenizer.vocab_size, inner_dim=64), tokenizer)
    made.memorize("a", tokenizer.encode([text])[0])
    for end in range(100, 1400, 50):
        answer = made.recall(text[end - 60 : end], max_tokens=9)
        assert answer.text, end
        assert text[end:].startswith(answer.text)
