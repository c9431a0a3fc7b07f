"""The Python interface: one way in for every form of memory, results that show themselves, refusals by name."""

import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import memo_dist
from console.app import main
from memo_dist import Memory, MemoryOnDisk, TextConfig, Tokenizer
from memo_dist.document_parts import document_key
from memo_dist.errors import ConfigError, InputError, OutputExistsError, PromptError, TokenizerError

OPENING = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,"
)
TEXTS = {
    "a <b>.txt": OPENING + " it was the epoch of belief, it was the epoch of incredulity, it was the season of Light.",
    "ishmael.txt": "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in my "
    "purse, and nothing particular to interest me on shore, I thought I would sail about a little.",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Memory, Path]:
    """Two texts in a memory of this process, and where it was saved."""
    path = tmp_path_factory.mktemp("python") / "two.memo"
    return memo_dist.build(TEXTS, path, tokenizer="bytes"), path


@pytest.fixture(scope="module")
def opened(made: tuple[Memory, Path]) -> MemoryOnDisk:
    return memo_dist.open(made[1])


class Tags(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text = set[str](), ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_is_built_is_opened_and_answers_alike(made: tuple[Memory, Path], opened: MemoryOnDisk) -> None:
    memory, path = made
    assert opened.digest == memory.digest()
    assert (opened.form, opened.num_documents, str(path)) == ("working", 2, str(opened.path))
    for one in (memory, opened):
        found = one.recall("It was the best of times, it was the worst")
        assert found.text is not None
        assert (OPENING + " it was").startswith("It was the best of times, it was the worst" + found.text[:40])
        assert found == one.recall(["It was the best of times, it was the worst"])[0]
    assert sorted(opened.documents()["id"].to_pylist()) == sorted(TEXTS)
    opened.verify()


def test_answers_show_themselves(opened: MemoryOnDisk) -> None:
    found = opened.recall("It was the best of times, it was the worst", max_tokens=300)
    assert repr(found).startswith("Continuation(' of times, it was the age of wisdom")
    assert "stop='end_of_document', confidence=1.0, matched=42, documents=['a <b>.txt']" in repr(found)
    assert len(repr(found)) < 500
    page = Tags(found._repr_html_())
    assert page.tags == {"p", "span", "b"}
    assert "worst of times" in page.text
    assert "a <b>.txt" in page.text
    table = opened.recall(["It was the best of times", [1, 2, 3, 4, 5, 6, 7, 8]]).to_arrow()
    assert table.column("prompt").to_pylist() == ["It was the best of times", "1 2 3 4 5 6 7 8"]
    assert table.column("documents").to_pylist()[0] == ["a <b>.txt"]
    assert opened.recall([]).to_arrow().schema == table.schema
    assert found.to_arrow().num_rows == 1


def test_traced_texts_show_themselves(opened: MemoryOnDisk) -> None:
    text = "<script>alert(1)</script> He said: " + TEXTS["ishmael.txt"][:150]
    found = opened.trace(text)
    (passage,) = found.passages
    assert passage.text in TEXTS["ishmael.txt"]
    assert text[passage.start : passage.stop] == passage.text
    assert passage.documents == ["ishmael.txt"]
    assert found.to_arrow().to_pylist()[0]["text"] == passage.text
    assert repr(found).startswith("<traced text: 1 passage, ")
    page = Tags(found._repr_html_())
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    near = opened.trace(TEXTS["ishmael.txt"].replace("precisely", "exactly"), fuzzy=True).near
    assert near
    assert "precisely" in near[0].held
    assert "<b>" not in opened._repr_html_().partition("<table>")[2].replace("&lt;b&gt;", "")


def test_where_a_passage_stands_shows_itself(opened: MemoryOnDisk) -> None:
    found = opened.where(TEXTS["ishmael.txt"][20:150])
    assert found.documents == ("ishmael.txt",)
    assert found.to_arrow().column("documents").to_pylist() == [["ishmael.txt"]]
    assert "ishmael.txt" in Tags(found._repr_html_()).text
    unknown = opened.where("<i>nothing</i> of this was ever memorized, not a word")
    assert unknown.to_arrow().num_rows == 0
    assert "not held" in Tags(unknown._repr_html_()).text


def test_several_continuations_are_asked_for_by_count(opened: MemoryOnDisk) -> None:
    several = opened.recall("of times, it was the", count=2, max_tokens=5)
    assert len(several) == 2
    assert {found.prompt for found in several} == {"of times, it was the"}


@pytest.mark.slow
def test_evaluate_measures_what_was_given(made: tuple[Memory, Path], opened: MemoryOnDisk) -> None:
    for memory in (made[0], opened):
        with pytest.raises(ConfigError, match="keeps no tokens"):
            memory.evaluate()
        unseen = ["nothing of this was ever memorized, not a word of it was"]
        found = memory.evaluate(TEXTS, unseen=unseen, sample=100, prompts=5, lengths=[16])
        assert found.exact == found.ceiling
        assert "exact" in found._repr_html_()
        assert found.to_arrow().num_rows == 1


@pytest.mark.slow
def test_every_form_is_opened(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "texts" / name).write_text(text)
    work, out = ["--address", "none"], tmp_path / "m.memo"
    build = ["build", str(tmp_path / "texts"), "--out", str(out), "--tokenizer", "bytes", "--banks", "4"]
    assert main([*build, *work]) == 0
    forms = {"working": out, "published solved": tmp_path / "p.memo", "published as sums": tmp_path / "s.memo"}
    assert main(["publish", str(out), "--out", str(forms["published solved"]), *work]) == 0
    sums = ["--out", str(forms["published as sums"]), "--form", "sums", "--bits", "4", *work]
    assert main(["publish", str(out), *sums]) == 0
    prompt = TEXTS["ishmael.txt"][:70]
    for form, path in forms.items():
        with memo_dist.open(path) as memory:
            assert memory.form == form
            assert form in repr(memory)
            found = memory.recall(prompt, max_tokens=20)
            assert found.text is not None
            assert TEXTS["ishmael.txt"].startswith(prompt + found.text)
            assert len(found.text) == 20
            assert memory.trace(TEXTS["ishmael.txt"]).held > 0.9
            if form != "working":
                with pytest.raises(ConfigError, match=r"memo_dist\.open"):
                    Memory.open(path)
                with pytest.raises(ConfigError, match="keeps no list of documents"):
                    memory.documents()
            else:
                assert memory.evaluate(sample=100, prompts=5, lengths=[16]).exact is not None


REFUSED: dict[str, tuple[Any, str]] = {
    "floats": ([1.5, 2.5, 3.0, 4.0], "prompt 1 has 1.5, a float, as token 1"),
    "a float in a list of several": ([[1, 2, 3, 4.0]], "prompt 1 has 4.0, a float, as token 4"),
    "an array of floats": (np.zeros(8), "prompt 1 is an array of float64"),
    "a number": (7, "prompt 1 is 7, a int"),
    "truths": ([True, False, True, True], "prompt 1 has True, a bool"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_prompt_is_refused_by_name(opened: MemoryOnDisk, case: str) -> None:
    given, told = REFUSED[case]
    with pytest.raises(PromptError) as refused:
        opened.recall(given)
    assert told in str(refused.value)
    assert "--" not in str(refused.value)


def test_a_prompt_that_is_too_short_is_a_silence_with_its_reason(opened: MemoryOnDisk) -> None:
    found = opened.recall("one")
    assert (found.text, found.reason.code) == ("", "too_short")
    assert "or say that it begins a document (from_start)" in found.reason.text
    assert "--" not in found.reason.text
    assert found.reason.text in repr(found)


def test_texts_are_memorized_as_texts(made: tuple[Memory, Path]) -> None:
    tokenizer = Tokenizer.bytes()
    memory = Memory(TextConfig(num_banks=2, vocab_size=256), tokenizer)
    memory.memorize("a", TEXTS["ishmael.txt"])
    other = Memory(TextConfig(num_banks=2, vocab_size=256), tokenizer)
    other.memorize("a", tokenizer.encode([TEXTS["ishmael.txt"]])[0])
    assert memory.digest() == other.digest()
    memory.forget("a", TEXTS["ishmael.txt"])
    assert not memory.shard.registry.parts(document_key("a"))
    bare = Memory(TextConfig(num_banks=2, vocab_size=256))
    with pytest.raises(InputError, match="no tokenizer"):
        bare.memorize("a", "a text")
    with pytest.raises(TokenizerError, match="bare token ids"):
        bare.trace("a text")


def test_texts_that_are_none_are_refused_by_name(tmp_path: Path) -> None:
    for given, told in (
        ("one text", "one text was given"),
        ([1.5], "document '1' is '1.5' of type float"),
        ([("a", "x"), ("b", None)], "document 'b' is 'None'"),
        ([], "0 texts were given"),
        ([("a", "one text"), ("a", "two texts")], "document 'a' is memorized already"),
    ):
        with pytest.raises(InputError, match=told):
            memo_dist.build(given, tokenizer="bytes", num_banks=1)  # type: ignore[arg-type]  # the mistakes
    (tmp_path / "there.memo").mkdir()
    with pytest.raises(OutputExistsError) as refused:
        memo_dist.build(["a text"], tmp_path / "there.memo", num_banks=1)
    assert "--" not in str(refused.value)


def test_a_memory_that_is_too_small_says_so() -> None:
    tokens = np.random.default_rng(0).integers(0, 500, 20_000)
    memory = Memory(TextConfig(num_banks=1, vocab_size=500, inner_dim=64))
    with pytest.warns(UserWarning, match=r"holds more than its matrices recall.*num_banks"):
        memory.memorize("a", tokens)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory.memorize("b", tokens[:100])  # it has been said
        Memory(TextConfig(num_banks=40, vocab_size=500)).memorize("a", tokens)


def test_a_merge_that_holds_more_than_it_recalls_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens, paths = np.random.default_rng(0).integers(0, 500, (2, 15_000)), []
    for number, row in enumerate(tokens):
        memory = Memory(TextConfig(num_banks=1, vocab_size=500, inner_dim=64))
        with pytest.warns(UserWarning, match="more than its matrices recall"):
            memory.memorize(str(number), row)
        paths.append(str(tmp_path / f"{number}.memo"))
        memory.save(paths[-1])
    assert main(["merge", *paths, "--out", str(tmp_path / "both.memo"), "--address", "none", "--shards", "1"]) == 0
    assert "warning: the memory holds more than its matrices recall" in capsys.readouterr().err


def test_the_package_teaches() -> None:
    assert {"open", "build", "Memory"} <= set(dir(memo_dist))
    assert "memo_dist.open(" in (memo_dist.__doc__ or "")
    for named in (memo_dist.open, memo_dist.build, MemoryOnDisk, Memory, MemoryOnDisk.recall, MemoryOnDisk.trace):
        assert ">>>" in (named.__doc__ or ""), named
