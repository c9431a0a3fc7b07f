"""What answers say besides the continuation: what of the prompt they rest on, how it was read, why they are silent.

Covers: match.py, changes.py, reasons.py, ways.py, alternatives.py, in memories of every form. Does not cover: whether
what is said is right (test_exact_recall.py, test_recall.py, test_mended_prompts.py).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.recall_actor import RecallActor
from cluster.resources import Resources
from console.app import main
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.recalling.changes import Change, ReadAs, changes
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.prompts import PromptRow
from memo_dist.recalling.reasons import CODES
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session

NONE = Resources(shards=1, address="none")
SHARED = "the keeper of the light wrote down every evening"
TEXTS = {
    "sea": f"In the year of storms {SHARED} what he had seen from the gallery, and counted the ships that passed.",
    "hill": f"Above the town's market {SHARED} how many goats had come home, and which of them were missing.",
    "wood": f"Long after the others {SHARED} what he had heard among the oaks before the owls were silent.",
}
LONG = " ".join(f"{one}{other}" for one in ("light", "oaks", "goats", "ships", "owls", "storm") for other in range(160))
HELD = "and counted the ships that"
FORMS = ("exact", "solved", "matrices")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answers")
    (folder / "texts").mkdir()
    for name, text in {**TEXTS, "long": LONG}.items():
        (folder / "texts" / f"{name}.txt").write_text(text)
    build([str(folder / "texts")], folder / "m.memo", BuildOptions(num_banks=40, inner_dim=256, resources=NONE))
    publish_solved(folder / "m.memo", folder / "p.memo", PublishOptions(resources=NONE))
    return folder


@pytest.fixture(scope="module", params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def memory(folder: Path, form: str) -> Iterator[OpenMemory]:
    with open_memory(folder / ("p.memo" if form == "solved" else "m.memo")) as opened:
        yield opened


def ask(memory: OpenMemory, form: str, prompt: str | list[int], **settings: object) -> Continuation:
    options = {"max_tokens": 20, "read": "matrices" if form == "matrices" else "auto", **settings}
    (found,) = Session(memory, memory.tokenizer).recall([prompt], RecallOptions(**options))  # type: ignore[arg-type]
    return found


def test_a_held_prompt_is_matched_whole(memory: OpenMemory, form: str) -> None:
    found = ask(memory, form, HELD)
    assert found.text == " passed."
    assert (found.matched_text, found.snapped, found.reason) == (HELD, None, None)
    assert memory.tokenizer is not None
    assert found.matched == len(memory.tokenizer.encode([HELD])[0])


def test_of_a_prompt_whose_end_alone_is_held_the_end_is_matched(memory: OpenMemory, form: str) -> None:
    found = ask(memory, form, f"Nobody here, the wind of no season, {HELD}")
    assert found.snapped is None  # nothing of it was read as something else
    if form == "matrices":  # what is before spoils their windows
        assert (found.text, found.matched_text) == ("", "")
        return
    assert (found.matched_text or "").strip() == f", {HELD}"
    assert found.text == ""
    assert found.reason is not None
    assert found.reason.text.startswith(f"of this the memory holds only the end, ', {HELD}'")


def test_an_end_that_is_most_of_a_prompt_speaks_for_itself(memory: OpenMemory, form: str) -> None:
    if form != "solved":
        pytest.skip("a ledger tells surely that the beginning is not held; the other forms are asked for the end alone")
    found = ask(memory, form, f"Nobody, {HELD}")
    assert found.snapped is None
    assert found.text == " passed."


def test_a_prompt_of_token_ids_is_matched_in_tokens(memory: OpenMemory, form: str) -> None:
    assert memory.tokenizer is not None
    ids = memory.tokenizer.encode([" " + HELD])[0].tolist()
    found = ask(memory, form, ids)
    assert (found.matched, found.matched_text, found.text) == (len(ids), None, None)


def test_what_was_read_as_what_is_said(memory: OpenMemory, form: str) -> None:
    found = ask(memory, form, "from the gallery, and countde the ships that")
    if form == "matrices":
        assert (found.text, found.snapped, found.matched) == ("", None, 0)
        return
    right = "from the gallery, and counted the ships that"
    assert found.snapped == ReadAs(right, [Change("countde", "counted")])
    assert found.text == " passed."
    assert found.matched_text == right


def test_of_a_page_the_end_is_asked(memory: OpenMemory, form: str) -> None:
    """What is before the last 4,000 characters spoils and costs nothing; it is repeated with what was read."""
    page = "nobody wrote this down before " * 99 + LONG[:4800]
    found = ask(memory, form, page, max_tokens=3)
    assert found.text
    assert LONG[4800:].startswith(found.text)
    assert found.prompt == page
    if form != "matrices":
        slip = page[:-30] + page[-30:].replace("s", "x", 1)
        again = ask(memory, form, slip, max_tokens=3)
        assert again.snapped is not None
        assert (again.text, again.snapped.text) == (found.text, page)


def test_what_differs_is_told_in_words() -> None:
    assert changes("Don’t  go\nthere", "don't go there") == []
    assert changes("go to there", "go there") == [Change("go to", "go")]
    assert changes("go there", "go over there") == [Change("go", "go over")]
    assert changes("to go ther now", "you go there now") == [Change("to", "you"), Change("ther", "there")]


def test_what_nobody_wrote_is_not_held(memory: OpenMemory, form: str) -> None:
    found = ask(memory, form, "of all that which was never heard by anyone anywhere")
    assert (found.text, found.stop, found.matched) == ("", "abstained", 0)
    assert found.reason is not None
    assert found.reason.code == "not_held"


def test_a_place_with_several_ways_on_names_them(memory: OpenMemory, form: str) -> None:
    found = ask(memory, form, SHARED)
    if form != "exact":  # a solved memory tells the commonest, matrices one of them
        return
    assert (found.text, found.stop) == ("", "abstained")
    assert found.reason is not None
    assert (found.reason.code, [way.count for way in found.reason.between]) == ("ambiguous", [2, 1])
    what, how = found.reason.between
    assert (what.text, how.text[:9]) == (" what he had", " how many")
    assert what.share == pytest.approx(2 / 3)
    assert "' what he had' (2 times, 67%), or ' how many" in found.reason.text
    assert found.matched_text == SHARED


def test_alternatives_have_counts_where_there_is_a_ledger(memory: OpenMemory, form: str) -> None:
    found = ask(memory, form, SHARED, top_k=4, min_confidence=0.0, max_tokens=1)
    ((first, *_),) = found.alternatives
    assert first.text in (" what", " h")
    if form == "exact":
        assert [(one.text, one.count) for one in found.alternatives[0]] == [(" what", 2), (" h", 1)]
        assert [one.probability for one in found.alternatives[0]] == pytest.approx([2 / 3, 1 / 3])
    else:
        assert first.count is None
        assert first.probability is not None
        assert 0 < first.probability <= 1


def test_what_is_not_sure_enough_says_how_sure_it_is(memory: OpenMemory, form: str) -> None:
    if form != "solved":
        return
    found = ask(memory, form, HELD, min_confidence=1.0)
    assert found.reason is not None
    assert (found.text, found.reason.code) == ("", "below_confidence")
    assert "1 was asked for" in found.reason.text


def test_every_silence_of_every_surface_has_a_reason(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["a", "of all that was never heard by anyone", SHARED]
    words = [word for prompt in asked for word in ("--prompt", prompt)]
    assert main(["recall", str(folder / "m.memo"), *words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    told = [(row["reason"]["code"], row["text"], row["matched"] is not None) for row in rows]
    assert told == [(code, "", True) for code in CODES[:3]]
    assert "(--from-start)" in rows[0]["reason"]["text"]
    actor = RecallActor({"m": str(folder / "m.memo")}, RecallOptions())
    job = actor.answer([PromptRow(str(place), prompt) for place, prompt in enumerate(asked)]).to_pylist()
    same = ("reason", "matched", "matched_text", "snapped", "documents", "alternatives")
    assert [{name: row[name] for name in same} for row in job] == [{name: row[name] for name in same} for row in rows]


def test_a_terminal_is_told_why_and_shown_no_empty_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recall", str(folder / "m.memo"), "--prompt", SHARED, "--top-k", "3"]) == 0
    out, error = capsys.readouterr()
    assert out.strip() == SHARED
    assert "nothing said: the memory goes on from here in several ways: ' what he had' (2 times, 67%)" in error
    assert main(["recall", str(folder / "m.memo"), "--prompt", "from the gallery, and countde the ships that"]) == 0
    assert "-- read 'countde' as 'counted'" in capsys.readouterr().err
    assert main(["recall", str(folder / "m.memo"), "--prompt", HELD, "--top-k", "3", "--max-tokens", "1"]) == 0
    assert "1 (1)" in capsys.readouterr().out
