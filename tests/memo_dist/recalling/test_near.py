"""Passages that are held nearly: which they are, what differs, in which documents; in memories of every form.

Covers: near.py, `trace --fuzzy`, how passages are listed. Does not cover: passages that are held as they are
(test_trace.py), how a fit is measured (test_aligning.py).
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from console.app import main
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.files.published_writer import publish
from memo_dist.recalling.changes import Change
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.near import NearlyHeld, with_near
from memo_dist.recalling.trace import trace_text

NONE = Resources(shards=1, address="none")
FORMS = {"exact": "m.memo", "solved": "p.memo", "sums": "s.memo"}


def words(seed: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(3, 9))) for _ in range(count)]


TEXTS = {name: words(seed, 400) for seed, name in enumerate(("one", "two", "three"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("near")
    (folder / "texts").mkdir()
    for name, text in TEXTS.items():
        (folder / "texts" / f"{name}.txt").write_text(" ".join(text))
    build([str(folder / "texts")], folder / "m.memo", BuildOptions(num_banks=60, inner_dim=128, resources=NONE))
    publish_solved(folder / "m.memo", folder / "p.memo", PublishOptions(resources=NONE))
    publish(folder / "m.memo", folder / "s.memo", 16)
    return folder


@pytest.fixture(scope="module", params=FORMS)
def memory(folder: Path, request: pytest.FixtureRequest) -> Iterator[OpenMemory]:
    with open_memory(folder / FORMS[request.param]) as opened:
        yield opened


def near(memory: OpenMemory, text: str) -> list[NearlyHeld]:
    assert memory.tokenizer is not None
    lookup = Lookup(memory)
    found = with_near(lookup, memory.tokenizer, trace_text(lookup, memory.tokenizer, text)).near
    assert found is not None
    return found


def changed(passage: list[str]) -> list[str]:
    """A word replaced, one put in, one left out."""
    found = [*passage]
    found[20] = "replaced"
    del found[32]
    return [*found[:45], "inserted", *found[45:]]


def test_a_passage_with_other_words_is_found_with_what_differs(memory: OpenMemory) -> None:
    own, passage = " ".join(words(9, 30)), TEXTS["two"][100:160]
    text = f"{own} {' '.join(changed(passage))} {own}"
    (found,) = near(memory, text)
    assert found.held.strip() == " ".join(passage)
    assert found.text == text[found.start : found.stop]
    assert found.text.strip() == " ".join(changed(passage))
    replaced, out, into = found.changes
    assert replaced == Change("replaced", passage[20])
    assert out == Change(passage[31], f"{passage[31]} {passage[32]}")
    assert into == Change(f"{passage[45]} inserted", passage[45])
    names = [Path(one).name for one in found.place.documents]
    assert names == (["two.txt"] if memory.has_ledger or memory.is_solved else [])


def test_passages_of_two_documents_are_two(memory: OpenMemory) -> None:
    text = " ".join([*changed(TEXTS["one"][50:110]), *changed(TEXTS["three"][210:270])])
    first, second = near(memory, text)
    assert first.held.strip() == " ".join(TEXTS["one"][50:110])
    assert second.held.strip() == " ".join(TEXTS["three"][210:270])


@pytest.mark.parametrize("kind", ["as it is", "unseen", "shuffled", "short"])
def test_nothing_else_is_held_nearly(memory: OpenMemory, kind: str) -> None:
    passage = TEXTS["one"][10:60]
    text = {
        "as it is": " ".join(passage).upper().replace(" ", "\n"),
        "unseen": " ".join(words(9, 200)),
        "shuffled": " ".join(passage[::-1]),
        "short": " ".join([*passage[:5], "replaced", *passage[6:11]]),
    }[kind]
    assert near(memory, text) == []


def test_the_command_lists_passages_where_there_is_no_colour(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join([*words(9, 20), *changed(TEXTS["two"][100:160]), *words(8, 20), *TEXTS["one"][:40]])
    (folder / "page.txt").write_text(text)
    memory, page = str(folder / "m.memo"), str(folder / "page.txt")
    assert main(["trace", memory, "--text", page, "--fuzzy"]) == 0
    out, error = capsys.readouterr()
    held, *others = reversed(out.splitlines())
    assert held.startswith(f"{text.index(TEXTS['one'][0], 300) - 1:,}-{len(text):,} ")
    assert held.endswith("one.txt")
    (nearly,) = (line for line in others if "nearly:" in line)
    assert f"nearly: 'replaced' for '{TEXTS['two'][120]}'; " in nearly
    assert nearly.endswith("two.txt")
    assert "held nearly: 1" in error
    assert main(["trace", memory, "--text", page, "--fuzzy", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["near"]
    assert told["changes"][0] == {"typed": "replaced", "held": TEXTS["two"][120]}
    assert told["held"].strip() == " ".join(TEXTS["two"][100:160])
    assert text[told["start"] : told["stop"]] == told["text"]
    assert main(["trace", memory, "--text", page, "--json"]) == 0
    assert "near" not in json.loads(capsys.readouterr().out)
