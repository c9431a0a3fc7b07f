"""sync, replace, compact: a memory that follows its text is, to the bit, the one that is built of what the text is now.

Truth is a memory built at once. One build is copied by every test.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster import beside
from cluster.build import build
from cluster.change import add, forget, replace_document, sync
from cluster.change_prepare import ChangeOptions
from cluster.combine import CombineOptions, merge, rebank
from cluster.compact import compact
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from cluster.workspace import workspace_path
from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist import open as opened
from memo_dist.batches import read_batch
from memo_dist.errors import ConfigError, DamagedMemoryError, InputError, NotMemorizedError
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.generations import PREVIOUS_FILE, shard_files, undo
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.files.purging import Purge
from pipelines.plan import CorpusOptions

Texts = dict[str, str]
ALONE = Resources(shards=2, address="none")
OPTIONS = ChangeOptions(resources=ALONE, corpus=CorpusOptions(split_bytes=2000), fold_share=9.0)
BUILD = BuildOptions(tokenizer="bytes", num_banks=40, inner_dim=64, resources=ALONE, corpus=OPTIONS.corpus)
CONFIG = TextConfig(num_banks=40, vocab_size=256, inner_dim=64)


def some_texts(seed: int, count: int) -> list[str]:
    """Texts of one vocabulary; every third ends with a passage that they share."""
    rng, same = np.random.default_rng(seed), np.random.default_rng(9)
    words = ["".join(same.choice(list("abcdefghij"), same.integers(2, 8))) for _ in range(200)]
    shared = " ".join(same.choice(words, 30))
    return [" ".join(rng.choice(words, rng.integers(40, 70))) + f" {shared}" * (i % 3 == 0) for i in range(count)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("original")
    (place / "corpus").mkdir()
    for number, text in enumerate(some_texts(3, 24)):
        (place / "corpus" / f"{number:02d}.txt").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        build(["corpus"], Path("m.memo"), BUILD)
    return place


@pytest.fixture
def place(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with corpus and m.memo of its own."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def original_synced(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """After `edit`, with a segment."""
    place = tmp_path_factory.mktemp("synced")
    shutil.copytree(original, place, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        edit()
        sync(MEMORY, ["corpus"], OPTIONS)
    return place


@pytest.fixture
def synced(original_synced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a memory that has a segment."""
    shutil.copytree(original_synced, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


MEMORY = Path("m.memo")


def texts_of(folder: Path = Path("corpus")) -> Texts:
    return {str(path): path.read_text() for path in sorted(folder.iterdir())}


def write(name: str, seed: int) -> None:
    Path("corpus", name).write_text(some_texts(seed, 1)[0])


def edit() -> None:
    """A document changed, one gone, one new."""
    write("03.txt", 50)
    Path("corpus/05.txt").unlink()
    write("90.txt", 51)


def memory_of(texts: Texts) -> Memory:
    memory = Memory(CONFIG, Tokenizer.bytes())
    for name, text in texts.items():
        memory.memorize(name, np.frombuffer(text.encode(), np.uint8))
    return memory


def kept_texts(memory: Path) -> Texts:
    """The documents of the kept batches, put together again."""
    found: dict[str, dict[int, bytes]] = {}
    with open_memory(memory) as stored:
        for record in stored.kept.records:
            for name, segment in read_batch(stored.kept.read(record), CONFIG):
                found.setdefault(name, {})[segment.start] = segment.tokens.astype(np.uint8).tobytes()
    return {name: b"".join(parts[at] for at in sorted(parts)).decode() for name, parts in found.items()}


def settled(texts: Texts, memory: Path = MEMORY) -> Manifest:
    """The memory is whole, holds just these documents, and nothing lies about."""
    with open_memory(memory) as stored:
        stored.verify()
        manifest = stored.manifest
        assert len(stored.require_working().identities()) == len(texts)
    truth = memory_of(texts)
    assert manifest.digest == truth.digest()
    assert (manifest.documents, manifest.associations) == (len(texts), truth.num_associations)
    assert manifest.tokens == sum(len(text.encode()) for text in texts.values())
    assert kept_texts(memory) == texts
    generations, names = [manifest], {MANIFEST_FILE, "tokenizer.json"}
    if (memory / PREVIOUS_FILE).exists():
        generations.append(Manifest.read(memory, PREVIOUS_FILE))
        names.add(PREVIOUS_FILE)
    names |= {name for one in generations for name in shard_files(one)}
    names |= {batch.file for one in generations for batch in one.batches}
    assert {path.name for path in memory.rglob("*") if path.is_file()} == names
    assert not workspace_path(memory).exists()
    return manifest


def test_a_synced_memory_is_the_one_that_is_built_of_what_the_text_is_now(place: Path) -> None:
    before = Manifest.read(MEMORY)
    edit()
    summary = sync(MEMORY, ["corpus"], OPTIONS)
    assert (summary.added, summary.replaced, summary.forgotten, summary.unchanged) == (2, 1, 2, 22)
    manifest = settled(texts_of())
    assert (len(manifest.segments), manifest.shards, summary.digest) == (1, before.shards, manifest.digest)
    assert [entry.action for entry in manifest.sources] == ["build", "sync"]
    again = sync(MEMORY, ["corpus"], OPTIONS)
    assert (again.changed, again.unchanged, Manifest.read(MEMORY)) == (0, 24, manifest)
    write("03.txt", 52)
    Path("corpus/90.txt").unlink()
    assert sync(MEMORY, ["corpus"], OPTIONS).segments == 2
    settled(texts_of())
    assert undo(MEMORY) == manifest
    with pytest.raises(NotMemorizedError):
        undo(MEMORY)


def test_every_answer_is_that_of_a_memory_built_at_once(synced: Path) -> None:
    """Exact and by matrices, where and trace, counts and ledger, loaded into this process."""
    forget(MEMORY, [], replace(OPTIONS, documents=("corpus/07.txt",)))
    Path("corpus/07.txt").unlink()
    write("91.txt", 53)
    assert add(MEMORY, ["corpus"], OPTIONS).segments == 3
    build(["corpus"], Path("at-once.memo"), BUILD)
    prompts = [text[10:60] for text in list(texts_of().values())[::6]] + [
        "nothing of this is held anywhere, not a word"
    ]
    assert asked(MEMORY, prompts) == asked(Path("at-once.memo"), prompts)
    assert Memory.open(MEMORY).digest() == Memory.open("at-once.memo").digest()


def asked(path: Path, prompts: list[str]) -> list[Any]:
    """What a memory answers."""
    with opened(path) as memory, open_memory(path) as stored:
        counts = stored.token_counts()
        assert counts is not None
        entries = [
            (held.names.tobytes(), held.tokens.tobytes(), held.counts.tobytes())
            for group in [list(stored.require_working().entries_between(0, 1 << 64))]
            for held in (joined([a for a, _ in group]), joined([b for _, b in group]))
        ]
        return [
            [
                str(vars(answer))
                for read in ("exact", "matrices")
                for answer in memory.recall(prompts, read=read, count=2)
            ],
            [memory.where(prompt).to_dict() for prompt in prompts],
            [memory.trace(prompt).to_dict() for prompt in prompts],
            memory.documents().select(["id", "tokens"]).sort_by("id").to_pylist(),
            counts.tolist(),
            entries,
        ]


def joined(parts: list[Any]) -> Any:
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("names", "tokens", "counts")]
    return type(parts[0])(*columns)


def test_missing_documents_stay_where_that_is_asked(place: Path) -> None:
    held = texts_of()
    edit()
    assert sync(MEMORY, ["corpus/*.txt"], replace(OPTIONS, keep_missing=True)).forgotten == 1
    settled({**texts_of(), "corpus/05.txt": held["corpus/05.txt"]})


def test_a_document_is_replaced(place: Path) -> None:
    Path("new.txt").write_text("an entirely new text of document 8, of some words")
    summary = replace_document(MEMORY, "corpus/08.txt", "new.txt", options=OPTIONS)
    assert (summary.replaced, summary.changed, summary.segments) == (1, 2, 1)
    assert settled({**texts_of(), "corpus/08.txt": Path("new.txt").read_text()}).sources[-1].action == "replace"
    with pytest.raises(InputError, match=r"no document 'corpus/99\.txt' to be replaced"):
        replace_document(MEMORY, "corpus/99.txt", "new.txt", options=OPTIONS)
    with pytest.raises(InputError, match="not the text of one document"):
        replace_document(MEMORY, "corpus/08.txt", "corpus", options=OPTIONS)


def test_compacting_changes_nothing_but_the_files(synced: Path) -> None:
    forget(MEMORY, [], replace(OPTIONS, documents=("corpus/07.txt",)))
    Path("corpus/07.txt").unlink()
    segmented = settled(texts_of())
    summary = compact(MEMORY, ALONE)
    assert (summary.segments, summary.digest) == (2, segmented.digest)
    manifest = settled(texts_of())
    assert not manifest.is_segmented
    assert compact(MEMORY, ALONE).segments == 0
    assert undo(MEMORY) == segmented
    settled(texts_of())
    with open_memory(MEMORY) as stored:
        kept = {record.file for record in stored.kept.records}
    assert kept != {record.file for record in manifest.batches}


def test_a_large_change_is_written_into_the_files(synced: Path) -> None:
    write("08.txt", 60)
    assert sync(MEMORY, ["corpus"], replace(OPTIONS, fold_share=ChangeOptions().fold_share)).segments == 0
    assert not settled(texts_of()).is_segmented


@pytest.mark.slow
def test_many_segments_become_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "MOST_SEGMENTS", 2)
    counts = []
    for number in range(4):
        write("03.txt", 70 + number)
        counts.append(sync(MEMORY, ["corpus"], OPTIONS).segments)
        settled(texts_of())
    assert counts == [1, 2, 1, 2]


@pytest.mark.slow
def test_what_makes_new_memories_sees_the_whole(synced: Path) -> None:
    """merge, rebank and both forms of publishing."""
    assert Manifest.read(MEMORY).is_segmented
    build(["corpus"], Path("at-once.memo"), BUILD)
    Path("other").mkdir()
    Path("other/a.txt").write_text("another text, of another memory, that is merged with it")
    build(["other"], Path("other.memo"), BUILD)
    combined = CombineOptions(resources=ALONE)
    for name, memory in (("ours", MEMORY), ("theirs", Path("at-once.memo"))):
        merge([memory, Path("other.memo")], Path(f"{name}-merged.memo"), combined)
        rebank(memory, 30, Path(f"{name}-rebanked.memo"), options=combined)
        publish(memory, Path(f"{name}-sums.memo"), 4)
        publish_solved(memory, Path(f"{name}-solved.memo"), PublishOptions(resources=ALONE))
    settled({**texts_of(), **texts_of(Path("other"))}, Path("ours-merged.memo"))
    for made in ("merged", "rebanked", "sums", "solved"):
        ours, theirs = (Manifest.read(Path(f"{name}-{made}.memo")).digest for name in ("ours", "theirs"))
        assert ours == theirs, made


def test_a_purge_leaves_nothing_of_what_was_forgotten(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = Path("corpus/07.txt").read_text()
    assert main(["forget", "m.memo", "--document", "corpus/07.txt", "--shards", "2", "--address", "none"]) == 0
    with pytest.raises(ConfigError, match=r"memo-dist compact m\.memo"):
        Purge(MEMORY).finish()
    words = ["forget", "m.memo", "--document", "corpus/07.txt", "--missing", "ok", "--purge", "--json"]
    capsys.readouterr()
    assert main([*words, "--shards", "2", "--address", "none"]) == 0
    told = json.loads(capsys.readouterr().out)["certificate"]
    assert [one["id"] for one in told["documents"]] == ["corpus/07.txt"]
    Path("corpus/07.txt").unlink()
    assert not settled(texts_of()).is_segmented
    assert {path.name for path in (MEMORY / BATCHES_FOLDER).iterdir()} == {
        b.file for b in Manifest.read(MEMORY).batches
    }
    assert gone not in kept_texts(MEMORY).values()


def test_commands_say_what_they_did(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--address", "none", "--shards", "2"]
    Path("corpus/90.txt").write_text("a few new words")
    assert main(["sync", "m.memo", "corpus", *flags]) == 0
    assert "1 added, 0 replaced, 0 forgotten; 24 as they were" in flat(capsys)
    assert main(["sync", "m.memo", "corpus", *flags]) == 0
    assert "all 25 as they were: nothing to do" in flat(capsys)
    Path("new.txt").write_text("new words")
    assert main(["replace", "m.memo", "new.txt", "--document", "corpus/03.txt", *flags]) == 0
    assert "2 beside the memory's files; memo-dist compact folds them in" in flat(capsys)
    assert main(["inspect", "m.memo"]) == 0
    assert "segments 2" in flat(capsys)
    assert main(["compact", "m.memo", *flags]) == 0
    assert "2 folded" in flat(capsys)
    assert main(["verify", "m.memo"]) == 0


def flat(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_a_memory_without_tokens_cannot_be_taken_from(place: Path) -> None:
    shutil.rmtree(MEMORY)
    build(["corpus"], MEMORY, replace(BUILD, keep_tokens=False))
    write("91.txt", 53)
    assert sync(MEMORY, ["corpus"], OPTIONS).added == 1
    edit()
    with pytest.raises(ConfigError, match="keeps no tokens, and 2 documents are to be taken out"):
        sync(MEMORY, ["corpus"], OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("step", ["segment", "seal", "commit", "rename"])
def test_a_change_that_ends_at_any_step_leaves_the_memory_and_goes_on(
    step: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, before = texts_of(), Manifest.read(MEMORY)
    edit()
    where = {
        "segment": "cluster.merge_actor.segment_into",
        "seal": "cluster.workspace.Workspace.seal",
        "commit": "cluster.workspace.Workspace.commit",
        "rename": "memo_dist.files.generations.write_text",
    }

    def ended(*_: object, **__: object) -> None:
        raise OSError("ended")

    with monkeypatch.context() as patch:
        patch.setattr(where[step], ended)
        with pytest.raises(Exception, match="ended"):
            sync(MEMORY, ["corpus"], OPTIONS)
    with open_memory(MEMORY) as stored:
        stored.verify()
        assert stored.manifest == before
    assert memory_of(held).digest() == before.digest
    sync(MEMORY, ["corpus"], OPTIONS)
    assert len(settled(texts_of()).segments) == 1


def test_a_stopped_sync_of_texts_that_have_changed_begins_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(*_: object) -> None:
        raise OSError("ended")

    write("03.txt", 50)
    with monkeypatch.context() as patch:
        patch.setattr("cluster.workspace.Workspace.commit", ended)
        with pytest.raises(OSError, match="ended"):
            sync(MEMORY, ["corpus"], OPTIONS)
    assert workspace_path(MEMORY).exists()
    write("03.txt", 51)
    sync(MEMORY, ["corpus"], OPTIONS)
    settled(texts_of())


def spoilt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def test_files_of_segments_are_checked(synced: Path) -> None:
    manifest = Manifest.read(MEMORY)
    records = manifest.segments[0].files
    taken = {name for batch in manifest.batches for name in batch.taken}
    for name in [records[0].file, records[1].documents.file, *taken]:  # type: ignore[union-attr]  # a segment has them
        content = (MEMORY / name).read_bytes()
        spoilt(MEMORY / name)
        with pytest.raises(DamagedMemoryError, match=name.replace(".", r"\.")), open_memory(MEMORY) as stored:
            stored.verify()
        (MEMORY / name).unlink()
        with pytest.raises(DamagedMemoryError, match=name.replace(".", r"\.")), open_memory(MEMORY) as stored:
            stored.verify()
        (MEMORY / name).write_bytes(content)
    settled(texts_of())


def elsewhere(manifest: Manifest) -> Manifest:
    (first, *others), *more = (segment.files for segment in manifest.segments)
    del more
    moved = replace(first, file="../shard-00000.g0001-00000000.h5")
    return replace(manifest, segments=[replace(manifest.segments[0], files=[moved, *others])])


def other_banks(manifest: Manifest) -> Manifest:
    first, *others = manifest.segments[0].files
    return replace(manifest, segments=[replace(manifest.segments[0], files=[replace(first, stop_bank=1), *others])])


def list_elsewhere(manifest: Manifest) -> Manifest:
    first, *others = manifest.batches
    return replace(manifest, batches=[replace(first, taken=("/etc/passwd",)), *others])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (elsewhere, "no name of a file of a segment"),
        (other_banks, "other banks than the shard files"),
        (list_elsewhere, "no name of a list of what was taken"),
    ],
)
def test_a_manifest_cannot_name_files_elsewhere(
    synced: Path, change: Callable[[Manifest], Manifest], said: str
) -> None:
    change(Manifest.read(MEMORY)).write(MEMORY)
    with pytest.raises(DamagedMemoryError, match=said):
        Manifest.read(MEMORY)
