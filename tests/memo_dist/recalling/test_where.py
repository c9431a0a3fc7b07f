"""Where: documents, places and counts of a passage, and what a form of memory cannot tell."""

from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from console.app import main
from memo_dist import Memory, open_memory
from memo_dist.errors import PromptError
from memo_dist.recalling.where import Whereabouts, where_text

COMMON = " ".join(f"common{n * n}" for n in range(60))
OWN = {name: " ".join(f"{name}{n * n}" for n in range(80)) for name in ("alpha", "beta")}
NONE = Resources(shards=1, address="none")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory of two documents that share a passage, with its tokens; one without; the first published."""
    folder = tmp_path_factory.mktemp("where")
    (folder / "texts").mkdir()
    for name, own in OWN.items():
        (folder / "texts" / f"{name}.txt").write_text(f"{own}\n{COMMON}\n{own}")
    build([str(folder / "texts")], folder / "kept", BuildOptions(num_banks=60, tokenizer="bytes", resources=NONE))
    Memory.open(folder / "kept").save(folder / "bare")
    publish_solved(folder / "kept", folder / "solved", PublishOptions(resources=NONE))
    return folder


def found(folder: Path, form: str, text: str) -> Whereabouts:
    with open_memory(folder / form) as memory:
        return where_text(memory, text)


def words(text: str, first: int, stop: int) -> str:
    return " ".join(text.split()[first:stop])


def names(answer: Whereabouts) -> list[str]:
    return [Path(name).name for name in answer.documents]


def test_every_place_of_a_passage_whatever_its_case_and_lines(folder: Path) -> None:
    text = words(OWN["alpha"], 10, 40)
    answer = found(folder, "kept", text.upper().replace(" ", "\n"))
    (piece,) = answer.pieces
    assert (answer.whole, names(answer), piece.times, piece.note) == (True, ["alpha.txt"], 2, "")
    whole = (folder / "texts" / "alpha.txt").read_text()
    first, second = piece.occurrences
    assert whole[first.first_token : first.stop_token].strip() == text
    assert whole[second.first_token : second.stop_token].strip() == text
    assert first.stop_token < second.first_token


def test_a_passage_of_two_documents_names_both(folder: Path) -> None:
    (piece,) = found(folder, "kept", words(COMMON, 5, 40)).pieces
    assert (piece.num_documents, piece.times, piece.several) == (2, 2, False)


@pytest.mark.parametrize("first", [2, 30])
def test_a_short_passage_without_an_anchor_is_found_where_the_tokens_are_kept(folder: Path, first: int) -> None:
    answer = found(folder, "kept", words(OWN["beta"], first, first + 6))
    assert names(answer) == ["beta.txt"]
    assert answer.pieces[0].times == 2


def test_parts_are_told_with_their_places_in_the_passage(folder: Path) -> None:
    parts = words(OWN["alpha"], 5, 30), "quite other words stand here between the two", words(OWN["beta"], 5, 30)
    text = " ".join(parts)
    answer = found(folder, "kept", text)
    assert not answer.whole
    assert [text[piece.start : piece.stop] for piece in answer.pieces] == [parts[0], parts[2]]
    assert [Path(piece.documents[0]).name for piece in answer.pieces] == ["alpha.txt", "beta.txt"]


def test_forms_say_what_they_cannot_tell_and_what_would_help(folder: Path) -> None:
    text = words(OWN["alpha"], 10, 60)
    for form, help_ in (("bare", "that was built with them"), ("solved", "it was published from")):
        answer = found(folder, form, text)
        (piece,) = answer.pieces
        assert (names(answer), piece.times, piece.occurrences) == (["alpha.txt"], None, ())
        assert help_ in piece.note
    (piece,) = found(folder, "solved", COMMON).pieces
    assert (piece.documents, piece.several) == ((), True)
    assert "several documents" in piece.note


def test_what_is_not_held_or_too_short_says_so(folder: Path) -> None:
    assert "one after the other" in found(folder, "kept", "none of these words is held by it at all").note
    assert "at least 4" in found(folder, "kept", "too short").note
    with pytest.raises(PromptError, match="half a surrogate pair"):
        found(folder, "kept", "\ud800 is no text")


def test_the_command_prints_a_table_and_refuses_two_passages(
    folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "p.txt").write_text(words(OWN["beta"], 10, 40))
    assert main(["where", str(folder / "kept"), "--file", str(tmp_path / "p.txt")]) == 0
    said = capsys.readouterr().out
    assert "held whole" in said
    assert "beta" in said
    assert main(["where", str(folder / "kept"), "--text", "x", "--file", "y"]) == 2
    assert "give the passage once" in capsys.readouterr().err
