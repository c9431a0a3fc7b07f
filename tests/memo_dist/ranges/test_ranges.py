"""A memory in ranges: whoever has them open, answers are those of the memory itself, to the bit.

Covers: recall of every kind of prompt, trace, where, scores, from ledger, matrices and solved tables; calls of a step;
ranges that are not open, damage, refusals. Does not cover: reads alone (contracts/test_readers.py), Ray
(tests/cluster/test_bank_servers.py).
"""

import gc
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from contracts.makers import in_parts

from cluster import publish as publishing
from cluster.build import build
from cluster.change import sync
from cluster.change_prepare import ChangeOptions
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from memo_dist import Memory, PaperConfig, RecallOptions, Session
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.generations import PREVIOUS_FILE, shard_files
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.models.cues import Cues
from memo_dist.ranges.memory import RangedMemory
from memo_dist.ranges.owners import OwnersHere
from memo_dist.ranges.part import MemoryPart, RangeNotOpenError
from memo_dist.ranges.plan import RangePlan
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.scoring import score_tokens
from memo_dist.recalling.trace import trace_text
from memo_dist.recalling.where import Finder
from memo_dist.solved.walk import State
from pipelines.plan import CorpusOptions

NONE = Resources(shards=4, address="none")
BUILD = BuildOptions(
    tokenizer="bytes", num_banks=24, inner_dim=64, resources=NONE, corpus=CorpusOptions(split_bytes=40_000)
)
CHANGE = ChangeOptions(resources=NONE, corpus=CorpusOptions(split_bytes=40_000), fold_share=9.0)
PARTS = [(0, 3), (1,), (2,)]
BESIDE = {MANIFEST_FILE, TOKENIZER_FILE, PREVIOUS_FILE}


@dataclass
class World:
    """One corpus in three forms, one of them also with changes beside its files, and prompts."""

    texts: list[str]
    working: Path
    changed: Path
    sums: Path
    solved: Path

    def prompts(self, count: int, seed: int = 1) -> list[str]:
        """Held ones, ones with slips, ones of two parts, strange ones, short ones."""
        rng, made = np.random.default_rng(seed), []
        for index in range(count):
            text = self.texts[int(rng.integers(len(self.texts)))]
            start, size = int(rng.integers(len(text) - 200)), int(rng.integers(12, 150))
            piece = text[start : start + size]
            kinds = [piece, piece, piece.replace("e", "x", 1), f"{piece[: size // 2]} zebra {piece[size // 2 :]}"]
            made.append([*kinds, f"nothing of this is held {index}", piece[:6]][index % 6])
        return made


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """As `text_corpus`, but that all files have passages that others have, too."""
    rng, place = np.random.default_rng(6), tmp_path_factory.mktemp("ranges")
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(2, 9))) for _ in range(500)]
    shared = " ".join(rng.choice(words, 80))
    (place / "texts").mkdir()
    texts = []
    for index in range(12):
        body = [" ".join(rng.choice(words, rng.integers(80, 300))), shared, f"the end of file {index}"]
        texts.append("\n".join(body))
        (place / "texts" / f"{index:02d}.txt").write_text(texts[-1])
    working = place / "working.memo"
    build([str(place / "texts")], working, BUILD)
    publish(working, place / "sums.memo", 8)
    changed = shutil.copytree(working, place / "changed.memo")
    (place / "texts" / "02.txt").write_text(" ".join(texts[2].split()[::-1]))
    sync(changed, [str(place / "texts")], CHANGE)
    (place / "texts" / "05.txt").unlink()
    sync(changed, [str(place / "texts")], CHANGE)
    assert len(Manifest.read(changed).segments) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publishing, "cut_for", lambda windows: 3)  # a small memory has one piece, else
        publish_solved(working, place / "solved.memo", PublishOptions(resources=NONE, files=3, windows=(4, 8, 16, 64)))
    return World(texts, working, changed, place / "sums.memo", place / "solved.memo")


FORMS = {"exact": "working", "changed": "changed", "matrices": "changed", "sums": "sums", "solved": "solved"}
SLOW = ("matrices", "sums")
Form = tuple[str, RecallOptions]


@pytest.fixture(params=[pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in FORMS], scope="module")
def form(request: pytest.FixtureRequest) -> Form:
    read = request.param if request.param in ("exact", "matrices") else "auto"
    sure = 0.0 if request.param in SLOW else 0.99  # matrices so small are never sure
    return FORMS[request.param], RecallOptions(max_tokens=12, read=read, top_k=2, count=2, min_confidence=sure)


def test_recall_is_that_of_the_memory_itself(world: World, form: Form) -> None:
    path, options = getattr(world, form[0]), form[1]
    far, owners = in_parts(path, PARTS)
    far.require_whole()
    prompts = world.prompts(12)
    with open_memory(path) as opened:
        true = Session(opened, opened.tokenizer).recall_several(prompts, options)
    found = Session(far, far.tokenizer).recall_several(prompts, options)
    assert found == true
    assert sum(bool(one[0].tokens) for one in true) > 3
    assert owners.calls > 0


def test_trace_and_where_are_those_of_the_memory_itself(world: World, form: Form) -> None:
    path = getattr(world, form[0])
    far, _ = in_parts(path, PARTS)
    text = f"{world.texts[0][100:400]} and so it was, {world.texts[3][-150:]}"
    with open_memory(path) as opened:
        tokenizer = opened.tokenizer
        assert tokenizer is not None
        traced, found = trace_text(Lookup(opened), tokenizer, text), Finder(opened).where(text)
        assert trace_text(Lookup(far), tokenizer, text).to_dict() == traced.to_dict()
        assert Finder(far).where(text).to_dict() == found.to_dict()
        assert traced.found.held.mean() > 0.5
        assert len(found.pieces) == 2
        if form[0] == "working":  # its kept batches are searched, by whoever has them
            assert found.pieces[0].occurrences


def test_a_walk_ends_as_it_does_in_the_memory_itself(world: World) -> None:
    """Also where a longer window is not held, though the shorter one is ambiguous."""
    far, _ = in_parts(world.solved, PARTS)
    rng = np.random.default_rng(2)
    with open_memory(world.solved) as opened:
        assert opened.tokenizer is not None
        line = opened.tokenizer.encode(["\n".join(world.texts[:4])])[0].astype(np.int64)
        cues = Lookup(opened).reading.prefixes(line, np.arange(1, len(line) + 1))
        strange = rng.integers(0, 2**64, cues.values.shape, np.uint64)
        values = np.where(rng.random(cues.values.shape) < 0.1, strange, cues.values)
        rungs = values.shape[1]
        filled = cues.filled & (np.arange(rungs) < rng.integers(1, rungs + 1, (len(cues), 1)))
        asked = Cues(values, filled)
        true, found = opened.walk(asked), far.walk(asked)
        for name in ("states", "rungs", "tokens", "asked"):
            assert np.array_equal(getattr(found, name), getattr(true, name)), name
        assert set(true.states.tolist()) == set(State)


def test_scores_of_given_tokens_are_those_of_the_memory_itself(world: World) -> None:
    far, _ = in_parts(world.working, PARTS)
    with open_memory(world.working) as opened:
        assert opened.tokenizer is not None
        ids = opened.tokenizer.encode([world.texts[2][50:150]])[0].astype(np.int64)
        assert score_tokens(Lookup(far), ids, 3) == score_tokens(Lookup(opened), ids, 3)


@pytest.mark.parametrize("name", ["working", "solved"])
def test_a_step_is_one_call_to_each_owner(world: World, name: str) -> None:
    """However many prompts there are: those of a batch advance together."""
    far, owners = in_parts(getattr(world, name), PARTS)
    session, prompts = Session(far, far.tokenizer), [text[20:140] for text in world.texts]
    few, many = (RecallOptions(max_tokens=count) for count in (10, 30))
    session.recall(prompts, few)
    calls = []
    for options in (few, many):
        owners.calls = 0
        found = session.recall(prompts, options)
        calls.append(owners.calls)
    assert all(len(one.tokens) == 30 for one in found)
    assert calls[1] - calls[0] <= 20 * len(PARTS)


def test_what_no_part_has_is_not_answered(world: World) -> None:
    manifest = Manifest.read(world.working)
    part = MemoryPart(world.working, manifest, [0, 1])
    every = np.arange(4)
    with pytest.raises(RangeNotOpenError):
        part.answer("digests", every)
    part.own([2, 3])
    assert part.ranges == [0, 1, 2, 3]
    assert len(part.answer("digests", every)) == 4
    part.drop([1])
    with pytest.raises(RangeNotOpenError):
        part.answer("verify", every)
    with pytest.raises(ValueError, match="is not asked"):
        part.answer("own", every)


@pytest.mark.parametrize("name", ["working", "changed", "sums", "solved"])
def test_every_window_falls_to_one_range_and_every_file_to_one(world: World, name: str) -> None:
    path = getattr(world, name)
    manifest = Manifest.read(path)
    plan = RangePlan.of(manifest)
    files = [record.file for index in range(len(plan)) for record in plan.files(index)]
    there = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert set(files) == {name for name in there if name not in BESIDE and name not in earlier(path)}
    lists = [name for name in files if name.endswith(".places")]  # for batches of several ranges
    assert len(files) - len(lists) == len(set(files) - set(lists))
    assert bool(lists) == (name == "changed")
    for index in range(len(plan)):
        window = plan.first_window(index)
        ranges = plan.of_windows(window) if name != "solved" else plan.of_rungs(np.zeros(len(window), np.int64), window)
        assert ranges.tolist() == [index] * len(window)
    hashes = np.random.default_rng(1).integers(0, 2**64, 999, dtype=np.uint64)
    rungs = np.arange(999) % len(manifest.config.windows)
    spread = plan.of_rungs(rungs, hashes) if name == "solved" else plan.of_windows(hashes)
    assert set(spread.tolist()) == set(range(3 if name == "solved" else 4))


def earlier(path: Path) -> set[str]:
    """Files that only the generation before has."""
    if not (path / PREVIOUS_FILE).exists():
        return set()
    before, now = (Manifest.read(path, name) for name in (PREVIOUS_FILE, MANIFEST_FILE))
    return {*shard_files(before)} - {*shard_files(now)}


@pytest.mark.parametrize("name", ["working", "changed", "sums", "solved"])
def test_a_damaged_range_is_named_by_whoever_has_it(world: World, name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.memo"
    shutil.copytree(getattr(world, name), path)
    files = RangePlan.of(Manifest.read(path)).files(1)
    name_of = files[name == "changed"].file  # of a memory with segments, that of one
    file = path / name_of
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 64
    file.write_bytes(content)

    def check() -> None:
        far, _ = in_parts(path, PARTS)
        far.verify()

    with pytest.raises(DamagedMemoryError, match=re.escape(str(path / name_of))):
        check()


def test_a_part_has_other_files_than_its_own_neither_open_nor_there(world: World, tmp_path: Path) -> None:
    for name in ("working", "changed", "sums", "solved"):
        path = getattr(world, name)
        manifest = Manifest.read(path)
        plan, parts = RangePlan.of(manifest), []
        for some in PARTS:
            place = tmp_path / f"{name}-{some[0]}"
            for record in (record for index in some for record in plan.files(index)):
                (place / record.file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path / record.file, place / record.file)
            parts.append(MemoryPart(place, manifest, some))
        with open_memory(path) as opened:
            far = RangedMemory(path, manifest, opened.tokenizer, owners=OwnersHere(parts))
            far.verify()
            prompts = world.prompts(4)
            sessions = (Session(one, opened.tokenizer) for one in (far, opened))
            found, true = (session.recall(prompts, RecallOptions(max_tokens=5)) for session in sessions)
            assert found == true


def test_a_memory_without_ranges_is_refused(tmp_path: Path) -> None:
    Memory(PaperConfig.of(40, 32, num_heads=4, num_layers=1, seed=1)).save(tmp_path / "paper.memo")
    with pytest.raises(ConfigError, match="one matrix"):
        RangePlan.of(Manifest.read(tmp_path / "paper.memo"))


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("solved", lambda far, hashes: far.read(hashes)),
        ("solved", lambda far, hashes: far.followers(hashes)),
        ("sums", lambda far, hashes: far.followers(hashes)),
        ("working", lambda far, hashes: far.anchors_at(hashes)),
    ],
)
def test_what_a_form_does_not_tell_is_refused(
    world: World, name: str, ask: Callable[[RangedMemory, np.ndarray], object]
) -> None:
    far, _ = in_parts(getattr(world, name), PARTS)
    with pytest.raises(ConfigError, match=r"ledger|matrices|solved"):
        ask(far, np.arange(3, dtype=np.uint64))


@pytest.mark.parametrize("form", ["working", "changed", "sums", "solved"])
def test_files_of_ranges_that_are_let_go_are_closed_at_once(world: World, form: str) -> None:
    path = getattr(world, form)
    manifest = Manifest.read(path)
    every = range(len(RangePlan.of(manifest)))

    def open_here() -> set[str]:
        opened = {os.readlink(file) for file in Path("/proc/self/fd").iterdir() if os.path.lexists(file)}
        mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
        return {name for name in opened | mapped if name.startswith(f"{path}/")}

    gc.collect()
    before = open_here()
    gc.disable()  # a process that rarely collects has files that were purged open for as long
    try:
        part = MemoryPart(path, manifest, every)
        part.warm(every)
        assert open_here() > before
        part.drop(every)
        assert open_here() == before
    finally:
        gc.enable()
