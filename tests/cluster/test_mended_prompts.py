"""Prompts with slips, against the text: what follows where they were taken from, in memories of either form.

Covers: mending.py, snapping.py, corrections.py, seeds.py, through a session. Does not cover: how a fit is measured
(test_aligning.py), prompts as the text has them (test_exact_recall.py, test_publish.py).
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from memo_dist.files.opened import open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session

NONE = Resources(address="none")
Words = list[str]
OPTIONS = RecallOptions(max_tokens=12)


@pytest.fixture(scope="module", params=["exact", "solved"])
def session(
    request: pytest.FixtureRequest, text_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Session]:
    place = tmp_path_factory.mktemp("memory")
    build([str(text_corpus)], place / "m.memo", BuildOptions(resources=NONE))
    if request.param == "solved":
        publish_solved(place / "m.memo", place / "p.memo", PublishOptions(resources=NONE))
    with open_memory(place / ("p.memo" if request.param == "solved" else "m.memo")) as opened:
        yield Session(opened, opened.tokenizer)


@pytest.fixture(scope="module")
def passages(text_corpus: Path) -> list[tuple[Words, str]]:
    """Of files without shared passages, 20 words, and what follows them."""
    rng, found = random.Random(1), []
    for path in sorted(text_corpus.iterdir()):
        words = path.read_text().split(" ")
        if "end of file" not in path.read_text() and len(words) > 60:
            at = rng.randrange(5, len(words) - 40)
            found.append((words[at : at + 20], " ".join(words[at + 20 :])))
    assert len(found) > 20
    return found


def letter(words: Words, rng: random.Random, place: int | None = None) -> Words:
    """Another letter in one word."""
    place = rng.randrange(len(words)) if place is None else place
    word, at = words[place], rng.randrange(len(words[place]))
    other = rng.choice([one for one in "abcdefghijklmnopqrstuvwxyz" if one != word[at]])
    return [*words[:place], word[:at] + other + word[at + 1 :], *words[place + 1 :]]


def exchanged(words: Words, rng: random.Random) -> Words:
    place = rng.choice([i for i, word in enumerate(words) if len({*word[:2]}) == 2])
    word = words[place]
    return [*words[:place], word[1] + word[0] + word[2:], *words[place + 1 :]]


def left_out(words: Words, rng: random.Random) -> Words:
    place = rng.randrange(5, len(words) - 1)
    return words[:place] + words[place + 1 :]


def last_but_one_left_out(words: Words, _: random.Random) -> Words:
    alike = words[-2][0] in words[-1]  # then the last word may as well be the beginning of the one left out
    return words if alike else [*words[:-2], words[-1]]


def doubled(words: Words, rng: random.Random) -> Words:
    place = rng.randrange(len(words) - 1)
    return [*words[: place + 1], *words[place:]]


def put_in(words: Words, rng: random.Random) -> Words:
    place = rng.randrange(5, len(words) - 1)
    return [*words[:place], "notwithstanding", *words[place:]]


def three_letters(words: Words, rng: random.Random) -> Words:
    for place in (7, 11, 19):
        words = letter(words, rng, place)
    return words


def scanned(words: Words, _: random.Random) -> Words:
    """A letter of every third word misread, if one ever is: hardly any four words in a row are right."""
    alike = dict(zip("cefhnuo", "ectbun0", strict=True))
    place_of = [next((at for at, one in enumerate(word) if one in alike), None) for word in words]
    return [
        word if place % 3 != 1 or at is None else word[:at] + alike[word[at]] + word[at + 1 :]
        for place, (word, at) in enumerate(zip(words, place_of, strict=True))
    ]


def hyphened(words: Words, rng: random.Random) -> Words:
    place = rng.choice([i for i, word in enumerate(words) if len(word) > 5 and i > 4])
    return [*words[:place], words[place][:3] + "-\n" + words[place][3:], *words[place + 1 :]]


SLIPS: dict[str, Callable[[Words, random.Random], Words]] = {
    "a letter": letter,
    "letters exchanged": exchanged,
    "a word left out": left_out,
    "the last word but one left out": last_but_one_left_out,
    "a word twice": doubled,
    "a word put in": put_in,
    "three letters": three_letters,
    "a word at a line's end": hyphened,
    "as a scanner reads": scanned,
}


@pytest.mark.parametrize("slip", SLIPS.values(), ids=SLIPS)
def test_what_follows_is_said_in_spite_of_slips(
    session: Session, passages: list[tuple[Words, str]], slip: Callable[[Words, random.Random], Words]
) -> None:
    rng, right = random.Random(2), 0
    for words, rest in passages:
        prompt = " ".join(slip(words, rng))
        (found,) = session.recall([prompt], OPTIONS)
        right += bool(found.text) and f" {rest}".startswith(found.text)
        assert not found.text or f" {rest}".startswith(found.text), prompt
        if found.text and found.snapped is not None:
            assert found.snapped.text.split()[-4:] == words[-4:]
    assert right >= 0.85 * len(passages)


def test_a_prompt_of_the_text_is_read_as_it_is(session: Session, passages: list[tuple[Words, str]]) -> None:
    for words, rest in passages:
        (found,) = session.recall([" ".join(words)], OPTIONS)
        assert found.snapped is None
        assert f" {rest}".startswith(found.text or "nothing")


def test_prompts_are_not_mended_where_they_are_exact(session: Session, passages: list[tuple[Words, str]]) -> None:
    rng, options = random.Random(3), RecallOptions(max_tokens=12, exact_prompt=True)
    for words, _ in passages:
        (found,) = session.recall([" ".join(letter(words, rng, 19))], options)
        assert (found.text, found.snapped) == ("", None)


def test_words_in_another_order_and_other_words_are_met_with_silence(
    session: Session, passages: list[tuple[Words, str]]
) -> None:
    rng = random.Random(4)
    for words, _ in passages:
        (mixed, other) = session.recall([" ".join(rng.sample(words, 20)), "of what was never heard " * 3], OPTIONS)
        assert (mixed.text, other.text) == ("", "")
        half = " ".join([*words[:8], *(rng.choice(words)[::-1] + "q" for _ in range(12))])
        assert session.recall([half], OPTIONS)[0].text == ""


def test_foreign_text_that_ends_in_a_few_words_of_the_memory_is_met_with_silence(
    session: Session, passages: list[tuple[Words, str]]
) -> None:
    for words, _ in passages:
        (found,) = session.recall(["of what was never heard " * 8 + " ".join(words[-6:])], OPTIONS)
        assert found.text == ""
        assert found.reason is not None
        assert "only the end" in found.reason.text


def test_answers_do_not_depend_on_company(session: Session, passages: list[tuple[Words, str]]) -> None:
    rng = random.Random(5)
    prompts = [" ".join(slip(words, rng)) for words, _ in passages[:6] for slip in (letter, left_out, list_of)]
    together = session.recall(prompts, OPTIONS)
    assert together == [session.recall([prompt], OPTIONS)[0] for prompt in prompts]


def list_of(words: Words, _: random.Random) -> Words:
    return words


@pytest.mark.parametrize("solved", [False, True], ids=["exact", "solved"])
def test_what_follows_a_sign_is_said_where_the_word_before_it_is_left_out(
    text_corpus: Path, tmp_path: Path, solved: bool
) -> None:
    rng = random.Random(6)
    words = sorted({*min(text_corpus.iterdir()).read_text().split()})
    parts = [rng.sample(words, 16) for _ in range(40)]
    (tmp_path / "a.txt").write_text("\n".join(f"{' '.join(part[:8])} + {' '.join(part[8:])}" for part in parts))
    build([str(tmp_path / "a.txt")], tmp_path / "m.memo", BuildOptions(resources=NONE))
    if solved:
        publish_solved(tmp_path / "m.memo", tmp_path / "p.memo", PublishOptions(resources=NONE))
    with open_memory(tmp_path / ("p.memo" if solved else "m.memo")) as opened:
        session = Session(opened, opened.tokenizer)
        for part in parts[:20]:
            (found,) = session.recall([f"{' '.join(part[:7])} +"], OPTIONS)
            said = (found.text or "nothing").split("\n")[0]
            assert f" {' '.join(part[8:])}".startswith(said), part


@pytest.mark.parametrize("solved", [False, True], ids=["exact", "solved"])
def test_a_misspelled_word_after_common_ones_is_found_beside_another_slip(
    text_corpus: Path, tmp_path: Path, solved: bool
) -> None:
    rng = random.Random(8)
    words = sorted({word for word in min(text_corpus.iterdir()).read_text().split() if len(word) > 5})
    parts = [rng.sample(words, 12) for _ in range(20)]
    lines = [f"as it is the {' '.join(part[:2])}; {' '.join(part[2:])}" for part in parts]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    build([str(tmp_path / "a.txt")], tmp_path / "m.memo", BuildOptions(resources=NONE))
    if solved:
        publish_solved(tmp_path / "m.memo", tmp_path / "p.memo", PublishOptions(resources=NONE))
    with open_memory(tmp_path / ("p.memo" if solved else "m.memo")) as opened:
        session = Session(opened, opened.tokenizer)
        for part in parts:
            typed = f"as it is the {part[0][:2]}{part[0][3:]} {' '.join(part[1:5])}"  # a letter left out, and the sign
            (found,) = session.recall([typed], OPTIONS)
            said = (found.text or "nothing").split("\n")[0]
            assert f" {' '.join(part[5:])}".startswith(said), part
