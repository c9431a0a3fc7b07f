"""add, forget, undo: exact, resumable, taken back; a memory that cannot be changed stays what it was.

Truth is `Memory` in one process, and for that the plain reference. One build is copied by every test.
"""

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ReferenceMemory

from cluster.build import build
from cluster.change import ChangeSummary, add, forget
from cluster.change_prepare import ChangeOptions
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_state import Progress
from cluster.workspace import workspace_path
from console.app import main
from console.change import NOT_THERE
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch, read_batch
from memo_dist.errors import ConfigError, DamagedMemoryError, InputError, NotMemorizedError, StorageError
from memo_dist.files.format import documents_file
from memo_dist.files.generations import PREVIOUS_FILE, replace_generation, shard_files, undo
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.models.protocol import ShardRoom
from memo_dist.segments import Segment
from memo_dist.shard import Shard
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.usefixtures("ray_local")
Texts = dict[str, str]
OPTIONS = ChangeOptions(corpus=CorpusOptions(split_bytes=200), resources=Resources(shards=1))
EVERY_UNIT = replace(OPTIONS, resources=Resources(shards=1))
CONFIG = TextConfig(num_banks=40, vocab_size=256, inner_dim=64)


@dataclass(frozen=True)
class World:
    """`memory` holds `old`, built from `held`: a folder and rows.jsonl; `more` is a folder of `new`."""

    place: Path
    old: Texts
    new: Texts
    held: list[str]
    more: list[str]

    @property
    def memory(self) -> Path:
        return self.place / "m.memo"

    def rows(self, texts: Texts) -> list[str]:
        return [written(self.place / "more.jsonl", texts)]


def written(path: Path, texts: Texts) -> str:
    path.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts.items()))
    return str(path)


def memory_of(texts: Texts) -> Memory:
    memory = Memory(CONFIG, Tokenizer.bytes())
    for name, text in texts.items():
        memory.memorize(name, np.frombuffer(text.encode(), np.uint8))
    return memory


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> World:
    rng = np.random.default_rng(3)
    words = ["".join(rng.choice(list("abcdefghij"), rng.integers(2, 8))) for _ in range(200)]
    shared = " ".join(rng.choice(words, 30))
    texts = [" ".join(rng.choice(words, rng.integers(60, 110))) + shared * (i % 3 == 0) for i in range(27)]
    place = tmp_path_factory.mktemp("world")
    for folder in ("old", "new"):
        (place / folder).mkdir()
    old = {str(place / "old" / f"{i:02d}.txt"): texts[i] for i in range(11)}
    new = {str(place / "new" / f"{i:02d}.txt"): texts[i] for i in range(11, 23)}
    for name, text in {**old, **new}.items():
        Path(name).write_text(text)
    rows = {f"row-{i}": texts[i] for i in range(23, 27)}
    held = [str(place / "old"), written(place / "rows.jsonl", rows)]
    build(
        held,
        place / "m.memo",
        BuildOptions(
            tokenizer="bytes",
            num_banks=40,
            inner_dim=64,
            resources=Resources(shards=2),
            corpus=CorpusOptions(split_bytes=200),
        ),
    )
    return World(place, {**old, **rows}, new, held, [str(place / "new")])


@pytest.fixture
def world(original: World, tmp_path: Path) -> World:
    """With a memory of its own; the corpus is shared."""
    shutil.copytree(original.memory, tmp_path / "m.memo")
    return replace(original, place=tmp_path)


def settled(memory: Path, texts: Texts) -> Manifest:
    """The memory is whole, holds just these documents, and nothing lies about."""
    with open_memory(memory) as stored:
        stored.verify()
        manifest = stored.manifest
        assert len(stored.require_working().identities()) == len(texts)
    assert manifest.digest == memory_of(texts).digest()
    assert (manifest.documents, manifest.tokens) == (len(texts), sum(len(t.encode()) for t in texts.values()))
    generations, names = [manifest], {MANIFEST_FILE, "tokenizer.json"}
    if (memory / PREVIOUS_FILE).exists():
        generations.append(Manifest.read(memory, PREVIOUS_FILE))
        names.add(PREVIOUS_FILE)
    names |= {name for one in generations for name in shard_files(one)}
    names |= {batch.file for one in generations for batch in one.batches}
    assert {path.name for path in memory.rglob("*") if path.is_file()} == names
    if manifest.keeps_tokens:
        assert kept_texts(memory) == texts
    assert not workspace_path(memory).exists()
    return manifest


def kept_texts(memory: Path) -> Texts:
    """The documents of the kept batches, put together again."""
    found: dict[str, dict[int, bytes]] = {}
    with open_memory(memory) as stored:
        for record in stored.kept.records:
            for name, segment in read_batch(stored.kept.read(record), CONFIG):
                found.setdefault(name, {})[segment.start] = segment.tokens.astype(np.uint8).tobytes()
    return {name: b"".join(parts[at] for at in sorted(parts)).decode() for name, parts in found.items()}


def with_more(world: World, more: Texts) -> Path:
    """A memory of more documents, its files named anew, as a change would make it; without Ray."""
    newer, out = Memory.open(world.memory), world.place / f"with-{len(more)}.memo"
    for name, text in more.items():
        newer.memorize(name, list(text.encode()))
    newer.save(out)
    manifest = Manifest.read(out)
    documents = replace(manifest.shards[0].documents, file=documents_file(f"shard-{len(more)}.h5"))
    record = replace(manifest.shards[0], file=f"shard-{len(more)}.h5", documents=documents)
    for before, now in zip(shard_files(manifest), (record.file, documents.file), strict=True):
        (out / before).rename(out / now)
    replace(manifest, shards=[record]).write(out)
    return out


def second_generation(world: World) -> None:
    replace_generation(world.memory, Manifest.read(world.memory), with_more(world, {"more": "a text in between"}))


@pytest.mark.slow
def test_add_forget_and_undo_are_exact(world: World) -> None:
    both = {**world.old, **world.new}
    summary = add(world.memory, world.more, replace(OPTIONS, resources=Resources(shards=2)))
    manifest = settled(world.memory, both)
    assert (summary.digest, summary.changed, summary.unchanged) == (manifest.digest, 12, 0)
    assert [entry.action for entry in manifest.sources] == ["build", "add"]
    assert (manifest.sources[1].inputs, manifest.sources[1].files) == (world.more, 12)
    again = add(world.memory, [*world.held, *world.more], OPTIONS)
    assert (again.changed, again.unchanged, again.digest) == (0, 27, summary.digest)
    assert Manifest.read(world.memory) == manifest
    forgotten = forget(world.memory, world.more, OPTIONS)
    assert (forgotten.changed, forgotten.documents) == (12, 15)
    assert [entry.action for entry in settled(world.memory, world.old).sources] == ["build", "add", "forget"]
    assert undo(world.memory) == manifest
    settled(world.memory, both)
    before = sorted(world.memory.iterdir())
    with pytest.raises(NotMemorizedError, match="no earlier generation"):
        undo(world.memory)
    assert sorted(world.memory.iterdir()) == before


@pytest.mark.slow
def test_a_memory_that_forgot_everything_is_empty_and_takes_it_again(world: World) -> None:
    assert forget(world.memory, world.held, OPTIONS).changed == 15
    settled(world.memory, {})
    assert forget(world.memory, world.rows({"row-1": "text"}), OPTIONS).unchanged == 1
    assert add(world.memory, world.held, OPTIONS).changed == 15
    settled(world.memory, world.old)


@pytest.mark.slow
def test_only_what_is_held_with_this_text_is_forgotten(world: World) -> None:
    """row-24 shares a passage with others; row-25 is given with another text, two rows are unknown."""
    given = {"row-24": world.old["row-24"], "row-25": "another text", "row-90": "unknown", "row-91": "too"}
    rows = world.rows(given)
    summary = forget(world.memory, rows, OPTIONS)
    assert (summary.changed, summary.unchanged) == (1, 3)
    rest = {name: text for name, text in world.old.items() if name != "row-24"}
    settled(world.memory, rest)
    summary = add(world.memory, rows, OPTIONS)
    assert (summary.changed, summary.unchanged) == (3, 1)
    settled(world.memory, {**given, **rest})


def test_forgetting_the_unknown_says_so(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in world.memory.rglob("*")}
    assert main(["forget", str(world.memory), *world.rows({"x": "a text", "y": "b text"})]) == NOT_THERE
    assert "2 not held with this text" in capsys.readouterr().out
    assert main(["forget", str(world.memory), "--document", "nowhere", "--document", "x", "--json"]) == NOT_THERE
    summary = json.loads(capsys.readouterr().out)
    assert (summary["changed"], summary["unchanged"]) == (0, 2)
    assert {path.name: path.stat().st_mtime_ns for path in world.memory.rglob("*")} == before
    settled(world.memory, world.old)


def without_tokens(memory: Path) -> None:
    """Make a memory one that keeps no tokens."""
    replace(Manifest.read(memory), keeps_tokens=False, batches=[]).write(memory)
    shutil.rmtree(memory / "batches")


@pytest.mark.slow
@pytest.mark.parametrize("keeps", [True, False])
def test_documents_are_forgotten_by_id(world: World, keeps: bool) -> None:
    if not keeps:
        without_tokens(world.memory)
    file, other = list(world.old)[3:5]
    forget(world.memory, [], replace(OPTIONS, documents=("row-24", file)))
    rest = {name: text for name, text in world.old.items() if name not in ("row-24", file)}
    settled(world.memory, rest)
    text = world.place / "copy.txt"  # of a document whose file is gone
    text.write_text(world.old[other])
    assert forget(world.memory, [str(text)], replace(OPTIONS, documents=(other,))).changed == 1
    settled(world.memory, {name: text for name, text in rest.items() if name != other})


def test_a_text_that_is_gone_is_asked_for(world: World) -> None:
    with pytest.raises(InputError, match=r"row-24 is held, but no longer where .*; give INPUT"):
        forget(world.memory, world.more, replace(OPTIONS, documents=("row-24", "unknown")))
    manifest = Manifest.read(world.memory)
    gone = [replace(manifest.sources[0], inputs=["elsewhere/texts", "elsewhere/*.txt"])]
    replace(manifest, sources=gone).write(world.memory)
    without_tokens(world.memory)
    with pytest.raises(InputError, match=r"is gone \(elsewhere/texts, .*give INPUT, the text of row-24"):
        forget(world.memory, [], replace(OPTIONS, documents=("row-24",)))
    settled(world.memory, world.old)


class InterruptionError(Exception):
    """What ends a change from within."""


@pytest.mark.slow
@pytest.mark.parametrize("change", [add, forget])
def test_a_stopped_change_goes_on(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[..., ChangeSummary],
) -> None:
    monkeypatch.setattr("cluster.sorted_run.SortedRun._most_under_way", lambda self: 4)
    inputs = world.more if change is add else world.held
    counts: list[int] = []

    def interrupt(progress: Progress) -> None:
        if progress.splits_done == 7:
            raise InterruptionError

    with pytest.raises(InterruptionError) as caught:
        change(
            world.memory,
            inputs,
            replace(EVERY_UNIT, resources=Resources(shards=2)),
            on_progress=interrupt,
        )
    assert "the same command goes on" in " ".join(caught.value.__notes__)
    with open_memory(world.memory) as stored:
        stored.verify()
        assert stored.manifest.digest == memory_of(world.old).digest()
    other = forget if change is add else add
    with pytest.raises(ConfigError, match="action differs"):
        other(world.memory, inputs, EVERY_UNIT)
    with pytest.raises(ConfigError, match="settings: id_key differs"):
        change(world.memory, inputs, replace(EVERY_UNIT, corpus=replace(EVERY_UNIT.corpus, id_key="name")))
    change(world.memory, inputs, EVERY_UNIT, on_progress=lambda progress: counts.append(progress.splits_before))
    assert counts[0] > 0
    settled(world.memory, {**world.old, **world.new} if change is add else {})


@pytest.mark.slow
def test_an_older_generation_is_not_published_over_a_newer_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its workspace, of a generation that is no more, is discarded by the next change."""
    second_generation(world)
    undone: list[Manifest] = []

    def meanwhile(progress: Progress) -> None:
        if progress.splits_done == 10 and not undone:
            undone.append(undo(world.memory))

    with pytest.raises(ConfigError, match="changed by another command meanwhile"):
        add(world.memory, world.more, EVERY_UNIT, on_progress=meanwhile)
    assert Manifest.read(world.memory).digest == memory_of(world.old).digest()
    assert (workspace_path(world.memory) / "runs").exists()
    more = {"one": "one text more"}
    assert add(world.memory, world.rows(more), EVERY_UNIT).changed == 1
    settled(world.memory, {**world.old, **more})


def test_damage_is_refused_before_anything_is_written(world: World) -> None:
    shard = world.memory / Manifest.read(world.memory).shards[1].file
    content = bytearray(shard.read_bytes())
    content[len(content) // 4] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DamagedMemoryError, match=shard.name):
        add(world.memory, world.more, OPTIONS)
    assert not workspace_path(world.memory).exists()
    assert not (world.memory / PREVIOUS_FILE).exists()
    shard.write_bytes(content[:-1])
    with pytest.raises(DamagedMemoryError, match=shard.name):
        forget(world.memory, world.more, OPTIONS)


@pytest.mark.parametrize(
    "harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\0" * path.stat().st_size)]
)
def test_undo_does_not_go_back_to_a_damaged_generation(world: World, harm: Callable[[Path], None]) -> None:
    older = world.memory / Manifest.read(world.memory).shards[0].file
    second_generation(world)
    harm(older)
    with pytest.raises(DamagedMemoryError, match=older.name):
        undo(world.memory)
    with open_memory(world.memory) as stored:
        stored.verify()
        assert stored.manifest.documents == 16


@pytest.mark.parametrize("fails", ["manifest.next.json", PREVIOUS_FILE, "link_file"])
def test_a_disk_that_fills_while_publishing_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Nor what undo goes back to."""
    second_generation(world)
    third = with_more(world, {"a": "one text", "b": "and another"})
    before = {path.name: path.read_bytes() for path in world.memory.rglob("*") if path.is_file()}

    def refuse(path: Path, *_: object) -> None:
        if fails in (path.name, "link_file"):
            raise OSError(28, "No space left on device")
        path.write_text("half")

    monkeypatch.setattr(f"memo_dist.files.generations.{fails if fails == 'link_file' else 'write_text'}", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        replace_generation(world.memory, Manifest.read(world.memory), third)
    assert {path.name: path.read_bytes() for path in world.memory.rglob("*") if path.is_file()} == before
    undo(world.memory)
    settled(world.memory, world.old)


@pytest.mark.slow
def test_a_full_disk_leaves_the_memory_whole(world: World, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    memory = Path(shutil.copytree(world.memory, small_disk / "m.memo"))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 200_000))
    with pytest.raises(StorageError, match="KB free; the memory will take"):
        add(memory, world.more, OPTIONS)
    settled(memory, world.old)
    monkeypatch.setattr("cluster.room._free_bytes", lambda path: 10**12)
    with pytest.raises(StorageError, match="the disk is full"):
        add(memory, world.more, OPTIONS)
    with open_memory(memory) as stored:
        stored.verify()
        assert stored.manifest.digest == memory_of(world.old).digest()
    filler.unlink()
    add(memory, world.more, OPTIONS)
    settled(memory, {**world.old, **world.new})


@pytest.mark.slow
def test_a_document_of_several_units_is_added_and_forgotten(world: World) -> None:
    rng = np.random.default_rng(8)
    lines = [" ".join(map(str, rng.integers(0, 99, 12))) for _ in range(60)]
    text = "\n".join(lines[i] for i in rng.integers(0, 60, 20_000))
    assert len(text) > 600_000
    big = world.place / "big.txt"
    big.write_text(text)
    splits: list[int] = []
    add(world.memory, [str(big)], OPTIONS, on_progress=lambda progress: splits.append(progress.splits))
    assert splits[0] > 2
    settled(world.memory, {**world.old, str(big): text})
    assert forget(world.memory, [str(big)], OPTIONS).changed == 1
    settled(world.memory, world.old)


@pytest.mark.slow
def test_token_ids_and_text_do_not_mix(world: World) -> None:
    path = world.place / "ids.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "tokens": [[1, 2, 3], [2, 3, 4], [3, 2, 3]]}), path)
    with pytest.raises(InputError, match=r"m\.memo takes text, not --token-ids"):
        add(world.memory, [str(path)], replace(OPTIONS, token_ids=True))
    bare = world.place / "bare.memo"
    held = Memory(TextConfig(num_banks=4, vocab_size=10, inner_dim=64))
    held.memorize("z", [2, 3, 4, 5])
    held.save(bare)
    with pytest.raises(InputError, match=r"bare\.memo takes --token-ids"):
        forget(bare, world.more, OPTIONS)
    assert add(bare, [str(path)], replace(OPTIONS, token_ids=True)).changed == 3
    assert forget(bare, [], replace(OPTIONS, documents=("b",))).changed == 1  # read again as the journal says
    for name, ids in (("a", [1, 2, 3]), ("c", [3, 2, 3])):
        held.memorize(name, ids)
    assert Memory.open(bare).digest() == held.digest()
    pq.write_table(pa.table({"tokens": [[10]]}), path)
    with pytest.raises(ConfigError, match=r"highest token id is 10; .* vocabulary of 10"):
        add(bare, [str(path)], replace(OPTIONS, token_ids=True))


SMALL = TextConfig(num_banks=3, vocab_size=20, inner_dim=64)
passages = st.lists(st.integers(0, 3), min_size=1, max_size=60)
steps = st.lists(st.tuples(st.sampled_from(["add", "forget", "merge", "take back"]), st.randoms()), max_size=6)


def batch(name: str, documents: dict[str, list[int]], cut: int) -> pa.Table:
    """Documents whole or, if longer than `cut`, in two segments, the second first."""
    segments = []
    for document, tokens in documents.items():
        ids = np.array(tokens, np.uint32)
        if len(ids) > cut:
            segments.append((document, Segment(cut, ids[max(0, cut - 64) : cut], ids[cut:], True)))
        whole = len(ids) <= cut
        segments.append((document, Segment(0, ids[:0], ids if whole else ids[:cut], whole)))
    return make_batch(segments, BatchInfo(name, name, "", ""))


@settings(max_examples=200, deadline=None)
@given(st.lists(passages, min_size=2, max_size=6), steps, st.integers(1, 70), st.integers(1, 300))
def test_any_history_of_changes_equals_the_reference_of_what_is_left(
    parts: list[list[int]], history: list[tuple[str, object]], cut: int, buffer: int
) -> None:
    documents = {f"d{i}": part + parts[(2 * i + 1) % len(parts)] for i, part in enumerate(parts)}
    memory, held = Memory(SMALL), dict[str, list[int]]()
    memory.shard = Shard(SMALL, range(SMALL.num_banks), room=ShardRoom(buffer=buffer))
    last: tuple[pa.Table, dict[str, list[int]]] | None = None
    for step, (action, random) in enumerate([*history, ("add", None)]):
        pool = {n: t for n, t in documents.items() if (n in held) == (action == "forget")}
        chosen = {n: t for n, t in pool.items() if random is None or random.random() < 0.6}  # type: ignore[attr-defined]
        table = batch(f"{step:032x}", chosen, cut)
        if action == "add":
            memory.memorize_batch(table)
            last, held = (table, chosen), {**held, **chosen}
        elif action == "forget":
            for _ in range(2):  # the second changes nothing
                memory.shard.forget_contents_of(table)
            last, held = None, {n: t for n, t in held.items() if n not in chosen}
        elif action == "merge":
            other = Memory(SMALL)
            other.memorize_batch(table)
            memory.merge(other)
            last, held = None, {**held, **chosen}
        elif last is not None:
            memory.forget_batch(last[0])
            held, last = {n: t for n, t in held.items() if n not in last[1]}, None
    reference = ReferenceMemory(3, 20, windows=SMALL.windows)
    for tokens in held.values():
        reference.memorize(tokens)
    assert memory.num_associations == len(reference.counts)
    assert np.array_equal(memory.shard.contents.matrices.cells, reference.matrices())
    found: dict[tuple[int, int], int] = {}
    for part in memory.shard.contents.entries():
        hashes = part.associations.hashes.tolist()
        found |= dict(zip(zip(hashes, part.tokens.tolist(), strict=True), part.counts.tolist(), strict=True))
    assert found == dict(reference.counts)
    assert (len(memory.shard.registry), memory.shard.registry.num_tokens) == (len(held), sum(map(len, held.values())))
