"""Several memories asked together: whoever holds the longest end of a prompt answers, whatever form it has."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.recall_actor import RecallActor
from cluster.resources import Resources
from console.app import main
from memo_dist import Memory, TextConfig
from memo_dist.errors import ConfigError, PromptError
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.prompts import PromptRow
from memo_dist.recalling.session import Session
from memo_dist.recalling.several_session import SeveralSession

pytestmark = pytest.mark.slow
NONE = Resources(shards=1, address="none")
OPTIONS = RecallOptions(max_tokens=12)
PAIRS = (("working", "working"), ("solved", "solved"), ("solved", "working"), ("working", "sums"), ("sums", "solved"))


def words(seed: int, count: int) -> str:
    rng = np.random.default_rng(seed)
    letters = list("abcdefghijklmnopqrstuvwxyz")
    return " ".join("".join(rng.choice(letters, rng.integers(3, 9))) for _ in range(count))


SHARED = words(0, 80)
TEXTS = {
    name: [f"{words(seed, 300)} {SHARED} {words(seed + 1, 300)}", words(seed + 2, 400)]
    for name, seed in (("a", 1), ("b", 7))
}
OWN = {name: texts[1] for name, texts in TEXTS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a: tokens are bytes; b: its own BPE; each in three forms."""
    folder = tmp_path_factory.mktemp("several")
    for name, tokenizer in (("a", "bytes"), ("b", "auto")):
        (folder / name).mkdir()
        for index, text in enumerate(TEXTS[name]):
            (folder / name / f"{index}.txt").write_text(text)
        path = folder / f"{name}.working"
        build(
            [str(folder / name)], path, BuildOptions(tokenizer=tokenizer, num_banks=60, inner_dim=128, resources=NONE)
        )
        publish_solved(path, folder / f"{name}.solved", PublishOptions(resources=NONE))
        publish(path, folder / f"{name}.sums", 16)
    return folder


@pytest.fixture(params=PAIRS, ids="-".join)
def both(request: pytest.FixtureRequest, folder: Path) -> Iterator[SeveralSession]:
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(open_memory(folder / f"{name}.{form}"))
            for name, form in zip("ab", request.param, strict=True)
        }
        yield SeveralSession({name: Session(memory, memory.tokenizer) for name, memory in opened.items()})


def test_what_one_holds_alone_is_answered_by_it(both: SeveralSession) -> None:
    prompts = [OWN[name][at : at + 400] for name in "ab" for at in (100, 700)]
    found = both.recall(prompts, OPTIONS)
    assert [one.memory for one in found] == ["a", "a", "b", "b"]
    for name, at, one in zip("aabb", (100, 700) * 2, found, strict=True):
        assert one.text
        assert OWN[name][at + 400 :].startswith(one.text)


def test_what_both_hold_is_answered_by_whoever_holds_more_of_it(both: SeveralSession) -> None:
    """The prompt begins before the shared passage, in one of them."""
    for name in "ab":
        text = TEXTS[name][0]
        at = text.index(SHARED)
        (found,) = both.recall([text[at - 200 : at + 300]], OPTIONS)
        assert found.memory == name
        assert found.text
        assert text[at + 300 :].startswith(found.text)


def test_between_equals_the_first_answers(folder: Path) -> None:
    for order in (["a", "b"], ["b", "a"]):
        with ExitStack() as stack:
            opened = {name: stack.enter_context(open_memory(folder / f"{name}.working")) for name in order}
            both = SeveralSession({name: Session(memory, memory.tokenizer) for name, memory in opened.items()})
            (found,) = both.recall([SHARED[:200]], OPTIONS)
            assert found.memory == order[0]
            assert found.text
            assert SHARED[200:].startswith(found.text)


def test_a_text_that_goes_over_from_one_to_the_other_is_continued_by_the_other(both: SeveralSession) -> None:
    options = RecallOptions(max_tokens=12, min_confidence=0.0)
    for one, other in ("ab", "ba"):
        (found,) = both.recall([f"{OWN[one][:90]} {OWN[other][:500]}"], options)
        assert found.memory == other
        assert found.text
        assert OWN[other][500:].startswith(found.text[:10])


def test_what_none_holds_is_answered_by_none(both: SeveralSession) -> None:
    (found,) = both.recall([words(99, 40)], OPTIONS)
    assert (found.stop, found.tokens) == ("abstained", [])


def test_what_all_refuse_is_refused(both: SeveralSession) -> None:
    found, short = both.recall([SHARED[:100], "ab"], OPTIONS)
    assert found.text
    assert short.reason is not None
    assert (short.stop, short.text, short.reason.code) == ("abstained", "", "too_short")
    with pytest.raises(PromptError, match=r"prompt 2 .*UTF-8"):
        both.recall([SHARED[:100], "half a \ud800 character"], OPTIONS)
    with pytest.raises(PromptError, match="prompt 1 is token ids, and these memories have different tokenizers"):
        both.recall([[1, 2, 3, 4, 5, 6]], OPTIONS)
    with pytest.raises(ConfigError, match="no memory"):
        SeveralSession({})


def test_token_ids_are_asked_of_memories_without_tokenizers() -> None:
    sessions, rng = {}, np.random.default_rng(0)
    lines = {name: rng.integers(0, 50, 200).tolist() for name in "ab"}
    for name, line in lines.items():
        memory = Memory(TextConfig(num_banks=8, vocab_size=50, inner_dim=64, keys="tokens"))
        memory.memorize(name, line)
        sessions[name] = memory.session
    found = SeveralSession(sessions).recall([lines["b"][20:60], lines["a"][30:90]], OPTIONS)
    assert [one.memory for one in found] == ["b", "a"]
    assert found[0].tokens == lines["b"][60:72]


def test_one_alone_is_asked_as_it_is(folder: Path) -> None:
    with open_memory(folder / "a.solved") as memory:
        session = Session(memory, memory.tokenizer)
        assert SeveralSession({"a": session}).recall([OWN["a"][:80]]) == session.recall([OWN["a"][:80]])


def test_the_command_and_jobs_say_whose_an_answer_is(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ray_local: None
) -> None:
    a, b = (str(folder / f"{name}.solved") for name in "ab")
    prompts = [OWN["b"][:90], OWN["a"][:90], words(99, 20)]
    flags = [part for prompt in prompts for part in ("--prompt", prompt)]
    assert main(["recall", a, b, *flags, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["results"]
    assert [row["memory"] for row in told[:2]] == [b, a]
    assert told[2]["tokens"] == []
    assert main(["recall", a, b, "--prompt", prompts[0], "--top-k", "2"]) == 0
    assert f"from {b}" in "".join(capsys.readouterr().err.split("\n"))
    assert main(["recall", a, a, "--prompt", prompts[0]]) == 2
    assert "named twice" in capsys.readouterr().err
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"text": prompt}) + "\n" for prompt in [*prompts, "ab"]))
    assert main(["recall", a, b, "--prompts", str(file), "--out", str(tmp_path / "out.parquet"), "--shards", "1"]) == 0
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [row["memory"] for row in rows[:2]] == [b, a]
    assert [row["tokens"] for row in rows[:3]] == [row["tokens"] for row in told]
    assert (rows[3]["stop"], rows[3]["reason"]["code"]) == ("abstained", "too_short")
    alone = RecallActor({"b": b}, RecallOptions()).answer([PromptRow("1", prompts[0])]).to_pylist()
    assert alone[0]["memory"] is None
