"""Published, solved: every window held reads its token, whoever solved it, in whatever order and however interrupted.

Covers: publishing on threads and on Ray, stopped and gone on with, refusals, damage, documents. Truth: plain_solved.py
over windows of the corpus; keys themselves are held against tests/reference.py by the tests of encoders.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import plain_solved
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stand_in import installed

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.resources import Resources
from cluster.workspace import workspace_path
from console.app import main
from memo_dist import Memory, PaperConfig, TextConfig, Tokenizer
from memo_dist.batches import read_batch
from memo_dist.errors import ConfigError, DamagedMemoryError, OutputExistsError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Refusal
from memo_dist.http.endpoints.trace import TraceAsk
from memo_dist.http.openai.choices import PromptAsk
from memo_dist.http.openai.completing import CompletionAsk
from memo_dist.models.cues import Cues
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from memo_dist.recalling.trace import trace
from memo_dist.solved import memory as solved_memory
from memo_dist.solved import steps
from memo_dist.solved.walk import State
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.slow
NONE = Resources(shards=2, address="none")
BUILD = BuildOptions(
    tokenizer="bytes", num_banks=8, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=9000)
)
LADDER = (1, 2, 3, 6, 16)
OPTIONS = PublishOptions(resources=NONE, windows=LADDER)


class InterruptionError(Exception):
    """What ends publishing from within, at a chosen step."""


@pytest.fixture(scope="module")
def memory(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("memory") / "m.memo"
    build([str(text_corpus)], out, BUILD)
    return out


@pytest.fixture(scope="module")
def published(memory: Path) -> Path:
    out = memory.with_name("p.memo")
    publish_solved(memory, out, OPTIONS)
    return out


@pytest.fixture
def opened(published: Path) -> Iterator[OpenMemory]:
    with open_memory(published) as found:
        yield found


def places_of(memory: Path, config: TextConfig) -> list[tuple[list[int], int]]:
    """Filled windows and the token after them, of every place of the corpus."""
    with open_memory(memory) as stored:
        encoder = HashedEncoder(config, stored.tokenizer)
        found = []
        for record in stored.kept.records:
            segments = [segment for _, segment in read_batch(stored.kept.read(record), config)]
            for cues, targets in encoder.targets(segments):
                for row, token in enumerate(targets.tolist()):
                    found.append((cues.values[row][cues.filled[row]].tolist(), token))
        return found


def test_every_place_of_the_corpus_is_walked_as_the_plain_ladder_says(memory: Path, opened: OpenMemory) -> None:
    config = opened.config
    assert isinstance(config, TextConfig)
    places = places_of(memory, config)
    held = plain_solved.ladder_of(places)
    assert opened.manifest.solved is not None
    assert opened.manifest.solved.windows == [len(rung) for rung in held]
    assert min(opened.manifest.solved.windows) > 0
    values = np.zeros((len(places), len(LADDER)), np.uint64)
    filled = np.zeros(values.shape, bool)
    for row, (windows, _) in enumerate(places):
        values[row, : len(windows)], filled[row, : len(windows)] = windows, True
    walked = opened.walk(Cues(values, filled))
    for row, (windows, _) in enumerate(places):
        state, rung, token = plain_solved.walk(held, windows)
        assert (State(int(walked.states[row])).name, walked.rungs[row], walked.tokens[row]) == (state, rung, token)


def test_a_context_is_walked_as_its_cue_wherever_it_ends(
    memory: Path, opened: OpenMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookup, rng = Lookup(opened).solved, np.random.default_rng(5)
    monkeypatch.setattr("memo_dist.recalling.lookup._AT_ONCE", 100)  # several threads
    with open_memory(memory) as stored:
        table = stored.kept.read(stored.kept.records[0])
        lines = [segment.tokens.astype(np.int64) for _, segment in read_batch(table, opened.config)]
    contexts = []
    for line in [line for line in lines if len(line)] * 40:
        end = rng.integers(0, len(line)) + 1
        context = line[max(0, end - rng.integers(1, rng.choice([9, 120]))) : end].copy()
        if rng.random() < 0.3:
            context[rng.integers(0, len(context))] = rng.integers(0, opened.config.vocab_size)
        contexts.append(context)
    for at_start in (False, True):
        one, other = lookup.walk_after(contexts, at_start), opened.walk(opened.encoder.query(contexts, at_start))
        for name in ("states", "rungs", "tokens", "asked"):
            assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert set(one.states.tolist()) == set(State)


def test_a_device_walks_the_same(memory: Path, published: Path, opened: OpenMemory) -> None:
    rng = np.random.default_rng(6)
    values = rng.integers(0, 2**64, (3_000, len(LADDER)), dtype=np.uint64)
    places = places_of(memory, opened.config)[:3_000]  # type: ignore[arg-type]  # it is of text
    filled = np.ones(values.shape, bool)
    for row, (windows, _) in enumerate(places):
        values[row, : len(windows)], filled[row] = windows, np.arange(len(LADDER)) < len(windows)
    with installed(), open_memory(published, device="gpu") as there:
        one, other = opened.walk(Cues(values, filled)), there.walk(Cues(values, filled))
        assert there.verify() is None
        with pytest.raises(ConfigError, match="only a memory published with solved values is read on a GPU"):
            open_memory(memory, device="gpu")
    for name in ("states", "rungs", "tokens", "asked"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_what_is_not_held_is_not_walked_but_for_check_bits(opened: OpenMemory) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, (40_000, len(LADDER)), dtype=np.uint64)
    walked = opened.walk(Cues(values, np.ones(values.shape, bool)))
    passed = int((walked.states != State.NOT_HELD).sum())
    assert passed < 40_000 / 2**8 + 5 * np.sqrt(40_000 / 2**8)
    assert walked.tokens.max() <= opened.config.vocab_size


@pytest.mark.parametrize("split_bytes", [2500, 60_000])
def test_the_digest_does_not_depend_on_how_the_corpus_was_cut(
    text_corpus: Path, tmp_path: Path, published: Path, split_bytes: int
) -> None:
    cut = replace(BUILD, corpus=CorpusOptions(split_bytes=split_bytes), resources=replace(NONE, shards=3))
    build([str(text_corpus)], tmp_path / "m.memo", cut)
    manifest = publish_solved(tmp_path / "m.memo", tmp_path / "p.memo", OPTIONS)
    assert manifest.digest == Manifest.read(published).digest


def test_ray_makes_the_same_memory(memory: Path, tmp_path: Path, published: Path, ray_local: None) -> None:
    on_ray = replace(OPTIONS, resources=Resources(address="local"))
    manifest = publish_solved(memory, tmp_path / "p.memo", on_ray)
    assert manifest.digest == Manifest.read(published).digest
    files = [(tmp_path / "p.memo" / record.file).read_bytes() for record in manifest.solved.files]  # type: ignore[union-attr]
    assert files == [(published / record.file).read_bytes() for record in manifest.solved.files]  # type: ignore[union-attr]


def test_many_pieces_and_files_hold_the_same(
    memory: Path, tmp_path: Path, opened: OpenMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LARGEST_PIECE", 1 << 10)
    monkeypatch.setattr("memo_dist.solved.memory._WINDOWS_OF_A_FILE", 1 << 13)
    solved = publish_solved(memory, tmp_path / "p.memo", OPTIONS).solved
    assert solved is not None
    assert solved.num_files > 1
    assert max(solved.cuts) > 2
    places = places_of(memory, opened.config)[:20_000]  # type: ignore[arg-type]  # it is of text
    values = np.zeros((len(places), len(LADDER)), np.uint64)
    filled = np.zeros(values.shape, bool)
    for row, (windows, _) in enumerate(places):
        values[row, : len(windows)], filled[row, : len(windows)] = windows, True
    with open_memory(tmp_path / "p.memo") as cut:
        cut.verify()
        one, other = opened.walk(Cues(values, filled)), cut.walk(Cues(values, filled))
    assert np.array_equal(one.tokens, other.tokens)
    assert np.array_equal(one.states, other.states)


def test_the_digest_does_not_depend_on_how_many_files_were_asked_for(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "LARGEST_PIECE", 1 << 10)  # a small memory has one piece, else
    few = publish_solved(memory, tmp_path / "few.memo", OPTIONS)
    many = publish_solved(memory, tmp_path / "many.memo", replace(OPTIONS, files=4))
    assert few.solved is not None
    assert many.solved is not None
    assert few.solved.num_files < many.solved.num_files
    assert few.digest == many.digest


def test_a_stopped_command_goes_on_to_the_same_memory(memory: Path, tmp_path: Path, published: Path) -> None:
    out, done = tmp_path / "p.memo", 0
    for stop in (1, 4, 9, 15, 23):
        steps_done = 0

        def interrupt(progress: PublishProgress) -> None:
            nonlocal steps_done
            steps_done = progress.steps
            if steps_done == stop:  # noqa: B023  # called within this round
                raise InterruptionError

        with pytest.raises(InterruptionError) as caught:
            publish_solved(memory, out, OPTIONS, on_progress=interrupt)
        assert "the same command goes on" in " ".join(caught.value.__notes__)
        assert workspace_path(out).is_dir()
        done += steps_done
    manifest = publish_solved(memory, out, OPTIONS)
    assert manifest.digest == Manifest.read(published).digest
    assert not workspace_path(out).exists()
    assert {p.name for p in out.iterdir()} == {p.name for p in published.iterdir()}


def test_another_setting_does_not_go_on_from_it(memory: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.memo"

    def interrupt(progress: PublishProgress) -> None:
        raise InterruptionError

    with pytest.raises(InterruptionError):
        publish_solved(memory, out, OPTIONS, on_progress=interrupt)
    with pytest.raises(ConfigError, match="check_bits"):
        publish_solved(memory, out, replace(OPTIONS, check_bits=9))


def test_what_cannot_be_published_is_refused(memory: Path, published: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError):
        publish_solved(memory, published, OPTIONS)
    with pytest.raises(ConfigError, match="is published for recall only"):
        publish_solved(published, tmp_path / "p.memo", OPTIONS)
    with pytest.raises(ConfigError, match="--check-bits is 0"):
        publish_solved(memory, tmp_path / "p.memo", replace(OPTIONS, check_bits=0))
    Memory(PaperConfig.of(256, 64, num_heads=2, num_layers=1), Tokenizer.bytes()).save(tmp_path / "paper.memo")
    with pytest.raises(ConfigError, match="only memories of the preset text publish"):
        publish_solved(tmp_path / "paper.memo", tmp_path / "p.memo", OPTIONS)
    bare = Memory(TextConfig(num_banks=4, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    bare.memorize("a", [1, 2, 3] * 40)
    bare.save(tmp_path / "bare.memo")
    with pytest.raises(ConfigError, match="keeps no tokens"):
        publish_solved(tmp_path / "bare.memo", tmp_path / "p.memo", OPTIONS)
    assert not (tmp_path / "p.memo").exists()
    assert not workspace_path(tmp_path / "p.memo").exists()


def test_passages_are_recalled_with_their_documents(memory: Path, tmp_path: Path, text_corpus: Path) -> None:
    publish_solved(memory, tmp_path / "p.memo", PublishOptions(resources=NONE))
    texts = {str(path): path.read_text() for path in sorted(text_corpus.iterdir())}
    prompts = [text[300:360] for text in texts.values() if len(text) > 600]
    truths = [(name, text[360:390]) for name, text in texts.items() if len(text) > 600]
    with open_memory(tmp_path / "p.memo") as opened:
        session = Session(opened, opened.tokenizer)
        found = session.recall(prompts, RecallOptions(max_tokens=30))
        right = [one.text == text for one, (_, text) in zip(found, truths, strict=True)]
        named = [one.documents == [name] for one, (name, _) in zip(found, truths, strict=True)]
        assert np.mean(right) > 0.95
        assert np.mean(named) > 0.8  # some stand in several, which are not told apart
        text = next(iter(texts.values()))[:400]
        traced = trace(session.lookup, session.tokenizer.encode([text])[0], least=16)
        assert traced.held[100:].all()
        strange = session.tokenizer.encode(["".join(reversed(text))])[0]
        assert not trace(session.lookup, strange, least=16).held.any()
        with pytest.raises(ConfigError, match="no matrices"):
            opened.read(np.zeros(1, np.uint64))


def test_seconds_in_which_nothing_is_done_are_no_progress(
    memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.run_maker._STEP_SECONDS", 1e-4)
    seen: list[PublishProgress] = []
    publish_solved(memory, tmp_path / "p.memo", OPTIONS, on_progress=seen.append)
    assert [one.steps for one in seen] == list(range(1, len(seen) + 1))
    shares = [one.share for one in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_documents_are_named_range_by_range(
    memory: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory at a time is a range of them, and the file says the same."""
    seen: list[int] = []

    def counted(opened: OpenMemory) -> Iterator[pa.Table]:
        for pairs in names(opened):
            seen.append(len(pairs))
            yield pairs

    names = solved_memory._names
    monkeypatch.setattr(solved_memory, "_DOCUMENTS_AT_ONCE", 4)
    monkeypatch.setattr(solved_memory, "_names", counted)
    with open_memory(memory) as opened:
        lows = solved_memory.write_document_names(opened, tmp_path)
        assert sum(seen) == opened.manifest.documents == 40
    assert len(seen) == 10
    assert max(seen) <= 12  # about four
    assert np.all(np.diff(lows.astype(np.int64)) > 0)
    (name,) = (path.name for path in published.glob("*.parquet"))
    assert pq.read_table(tmp_path / name).equals(pq.read_table(published / name))


@pytest.mark.parametrize("seed", range(200))
def test_damage_is_refused_or_changes_nothing(memory: Path, published: Path, tmp_path: Path, seed: int) -> None:
    """Bytes flipped, zeroed, cut off or exchanged, in any file: named, or the same answers."""
    rng, copy = np.random.default_rng(seed), tmp_path / "p.memo"
    shutil.copytree(published, copy)
    names = sorted(path.name for path in copy.iterdir())
    path = copy / names[seed % len(names)]
    content = bytearray(path.read_bytes())
    at, size = int(rng.integers(0, len(content))), int(rng.integers(1, 40))
    style = ("flip", "zeros", "noise", "cut", "longer")[seed // len(names) % 5]
    if style == "flip":
        content[at] ^= 1 << int(rng.integers(0, 8))
    elif style == "zeros":
        content[at : at + size] = bytes(len(content[at : at + size]))
    elif style == "noise":
        content[at : at + size] = rng.bytes(len(content[at : at + size]))
    elif style == "cut":
        del content[at:]
    else:
        content += rng.bytes(size)
    changed = bytes(content) != path.read_bytes()
    path.write_bytes(bytes(content))
    prompts = [b"".join(bytes([int(x)]) for x in rng.integers(97, 123, 30)).decode() for _ in range(5)]
    with open_memory(published) as whole:
        truth = Session(whole, whole.tokenizer).recall(prompts)
    with suppress(DamagedMemoryError), open_memory(copy) as opened:
        assert Session(opened, opened.tokenizer).recall(prompts) == truth
    if changed:
        with pytest.raises(DamagedMemoryError, match=re.escape(str(copy))), open_memory(copy) as opened:
            opened.verify()


def test_a_table_of_no_shape_is_refused_before_it_is_read(published: Path, tmp_path: Path) -> None:
    """Who alters a file can make its checksums anew; that must not make a reader look outside the file."""
    copy = tmp_path / "p.memo"
    for column in range(1, 8):
        shutil.copytree(published, copy)
        with h5py.File(copy / "solved-00000.h5", "r+") as file:
            shapes = file["rung-01/pieces"][...]
            shapes[0, column] = 2**40
            file["rung-01/pieces"][...] = shapes
        with pytest.raises(DamagedMemoryError, match=r"solved-00000\.h5"):
            open_memory(copy)
        shutil.rmtree(copy)


def test_the_service_answers_from_it_as_python_does(published: Path, text_corpus: Path) -> None:
    text = sorted(text_corpus.iterdir())[0].read_text()
    options = RecallOptions(max_tokens=8)
    answerer = Answerer(published, most_tokens=4096)
    with open_memory(published) as opened:
        (truth,) = Session(opened, opened.tokenizer).recall([text[200:260]], options)
    ask = PromptAsk(prompt=text[200:260], options=options, scored=True, echoed=False)
    ((said,),) = answerer.answer([CompletionAsk([ask])])
    assert "".join(token.text for token in said.choices[0].tokens) == truth.text != ""
    (refused,) = answerer.answer([CompletionAsk([replace(ask, echoed=True)])])
    assert isinstance(refused, Refusal)
    assert "solved memory" in refused.reason
    (traced,) = answerer.answer([TraceAsk(text[200:700], least=16, min_confidence=0.99)])
    assert traced["spans"]


def test_what_a_person_sees_of_it(
    memory: Path, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["publish", str(memory), "--out", str(tmp_path / "p.memo"), "--windows", "1,2,3,6,16"]) == 0
    assert Manifest.read(tmp_path / "p.memo").digest == Manifest.read(published).digest
    capsys.readouterr()
    assert main(["inspect", str(published), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["published"], told["windows"]) == ("solved", [1, 2, 3, 6, 16])
    assert main(["verify", str(published)]) == 0
    for wrong, said in (
        (["inspect", str(published), "--documents"], "keeps no list of documents"),
        (["add", str(published), str(memory)], "is published for recall only"),
        (["recall", str(published), "--prompt", "a b c", "--read", "matrices"], "has none"),
        (["publish", str(memory), "--out", str(tmp_path / "q"), "--bits", "2"], "--bits does not belong"),
        (["publish", str(memory), "--out", str(tmp_path / "q"), "--form", "sums", "--anchors", "8"], "--anchors does"),
        (["publish", str(memory), "--out", str(tmp_path / "q"), "--anchors", "9"], "8, 16, none"),
        (["publish", str(memory), "--out", str(tmp_path / "q"), "--form", "sum"], "solved, sums"),
    ):
        assert main(wrong) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "q").exists()
