"""Trace: passages of a text that a memory holds are found, others are not; truth is a search for equal tokens.

Covers: memo_dist/recalling/trace.py, the command. Does not cover: evidence (test_cleanup.py).
"""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import ConfigError, PromptError
from memo_dist.files.published_writer import publish
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.trace import trace

CONFIG = TextConfig(num_banks=24, vocab_size=400, inner_dim=128)
HELD = [np.random.default_rng(i).integers(0, 400, 500) for i in range(8)]


@pytest.fixture(scope="module")
def memory() -> Memory:
    made = Memory(CONFIG)
    for index, tokens in enumerate(HELD):
        made.memorize(f"d{index}", tokens)
    return made


@pytest.fixture(scope="module")
def lookup(memory: Memory) -> Lookup:
    return Lookup(memory)


def covered(tokens: np.ndarray, least: int) -> np.ndarray:
    """Tokens that lie in `least` consecutive tokens of a held document, by comparing them."""
    grams = {tuple(held[i : i + least]) for held in HELD for i in range(len(held) - least + 1)}
    truth = np.zeros(len(tokens), bool)
    for i in range(len(tokens) - least + 1):
        if tuple(tokens[i : i + least]) in grams:
            truth[i : i + least] = True
    return truth


@pytest.mark.parametrize("exactly", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["ledger", "matrices"])
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([8, 16, 17, 65]))
def test_held_passages_among_strangers_are_found(lookup: Lookup, exactly: bool, seed: int, least: int) -> None:
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(4):
        pieces.append(rng.integers(0, 400, int(rng.integers(0, 60))))
        start, held = int(rng.integers(400)), HELD[int(rng.integers(8))]
        pieces.append(held[start : start + int(rng.integers(1, 100))])
    tokens = np.concatenate(pieces)
    found, truth = trace(lookup, tokens, least=least, exactly=exactly), covered(tokens, least)
    assert (found.held & ~truth).sum() <= (0 if exactly else 3)  # a neighbour that fits by chance
    for start, stop in trace_spans(truth):
        if exactly:
            assert found.held[start:stop].all()
        elif stop - start >= least + 4:  # shorter ones have less evidence than asked for
            assert found.held[start:stop].mean() > 0.9
    assert [list(span) for span in found.spans] == [list(span) for span in trace_spans(found.held)]


def trace_spans(marks: np.ndarray) -> list[tuple[int, int]]:
    """[start, stop) of runs of True, counted by hand."""
    spans, start = [], None
    for index, mark in enumerate([*marks.tolist(), False]):
        if mark and start is None:
            start = index
        elif not mark and start is not None:
            spans.append((start, index))
            start = None
    return spans


def test_windows_say_how_long_the_match_is(lookup: Lookup) -> None:
    strangers = np.random.default_rng(99).integers(0, 400, 50)
    found = trace(lookup, np.concatenate([strangers, HELD[0][100:200], strangers[::-1]]))
    assert set(found.windows[:50]) == {0}
    reach = np.array([0, *CONFIG.windows])
    for t in range(54, 150):  # t - 50 tokens of the passage are before it
        assert found.windows[t] == reach[reach <= t - 50].max()
    assert set(found.windows[150:]) == {0}
    assert (found.confidence >= 0).all()
    assert (found.confidence <= 1 + 1e-9).all()


PROSE = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness, it "
    "was the epoch of belief, it was the epoch of incredulity, it was the season of Light, the season of Darkness."
)


def test_a_text_with_other_line_breaks_is_one_passage() -> None:
    """A passage goes on over a token that differs; its neighbours are held as in the text as it was."""
    made = Memory(TextConfig(num_banks=24, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("a", list(PROSE.encode()))
    written = PROSE.replace("wisdom, it", "wisdom,\nit").replace("epoch of incredulity", "EPOCH of incredulity")
    found = trace(Lookup(made), np.array(list(written.encode())))
    other = [place for place, (a, b) in enumerate(zip(written, PROSE, strict=True)) if a != b]
    assert len(other) == 6
    assert found.spans == [(0, len(PROSE))]
    whole = trace(Lookup(made), np.array(list(PROSE.encode())))
    same = [place for place in range(len(PROSE)) if place not in other and place - 1 not in other]
    assert np.array_equal(found.windows[same] > 0, whole.windows[same] > 0)
    assert found.windows.max() == whole.windows.max() == 32  # of some 50 units


def test_texts_without_anything_to_ask(lookup: Lookup) -> None:
    assert trace(lookup, np.zeros(0, np.uint32)).spans == []
    assert trace(lookup, HELD[0][:3]).spans == []


def test_bad_questions_are_refused(lookup: Lookup) -> None:
    for least in (0, 4, 66):
        with pytest.raises(ConfigError, match=rf"least is {least}; .* 5 to 65 units"):
            trace(lookup, HELD[0], least=least)
    with pytest.raises(PromptError, match="token id 400"):
        trace(lookup, np.array([1, 400]))


@pytest.fixture(scope="module")
def text_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "m.memo"
    made = Memory(TextConfig(num_banks=6, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("a", np.frombuffer(SAID.encode(), np.uint8))
    made.save(path)
    return path


SAID = "It is a truth — <universally> acknowledged, that a single man in possession of a good fortune, must be in want."


@pytest.mark.parametrize("bits", [None, 1])
def test_the_program_marks_a_quotation(
    text_memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], bits: int | None
) -> None:
    memory = text_memory
    if bits is not None:
        memory = tmp_path / "p.memo"
        publish(text_memory, memory, bits)
    quoted = SAID[8 : SAID.index(" must")]  # 18 units
    text = tmp_path / "t.txt"
    text.write_text(f"0123456789\t€ {quoted} 9876543210\f", encoding="utf-8")
    words = ["trace", str(memory), "--text", str(text)]
    assert main([*words, "--json", "--html", str(tmp_path / "t.html")]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [span["text"] for span in said["spans"]] == [f"{quoted} "]  # a space follows there, too
    assert said["held"] == pytest.approx(np.mean([token["held"] for token in said["tokens"]]))
    page = (tmp_path / "t.html").read_text(encoding="utf-8")
    data = json.loads(page.partition('id="traced">')[2].partition("</script>")[0])
    assert data["text"] == text.read_text(encoding="utf-8")
    assert data["spans"] == said["spans"]
    assert "<universally>" not in page
    assert main(words) == 0
    shown = capsys.readouterr()
    (listed,) = shown.out.splitlines()  # no terminal: passages alone
    assert listed.startswith("13-100 'truth — <universally> acknowledged, ... of a good fortune,' held")
    assert "1 passage of 16 words and other characters or more" in shown.err


def test_what_cannot_be_traced_is_refused(
    text_memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", str(text_memory), "--text", str(tmp_path / "none.txt")]) == 2
    assert "none.txt cannot be read" in capsys.readouterr().err
    Memory(CONFIG).save(tmp_path / "ids.memo")
    (tmp_path / "t.txt").write_text("text")
    assert main(["trace", str(tmp_path / "ids.memo"), "--text", str(tmp_path / "t.txt")]) == 2
    assert "bare token ids" in capsys.readouterr().err
