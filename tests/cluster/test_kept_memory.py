"""Memories that keep their tokens: forgetting without a source, what merge, rebank, publish and undo do with them; ids
that several documents have; texts that are not those that are held.

Truth is `Memory` in one process, of what is to be left.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cluster.change
from cluster.build import BuildSummary, build
from cluster.change import add, forget
from cluster.change_prepare import ChangeOptions
from cluster.combine import CombineOptions, merge, rebank
from cluster.compared import documents_held
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.statement import CombineStatement
from cluster.workspace import Workspace, workspace_path
from console.app import main
from memo_dist import Memory
from memo_dist.batches import read_batch
from memo_dist.errors import DamagedMemoryError, InputError
from memo_dist.files.generations import undo
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.files.shard_writer import write_shard
from memo_dist.models.text.config import TextConfig
from memo_dist.segments import NO_TOKENS, Segment
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.usefixtures("ray_local")
ONE = Resources(shards=1)
OPTIONS = ChangeOptions(resources=ONE)
TEXT = BuildOptions(tokenizer="bytes", num_banks=6, inner_dim=64, resources=ONE, corpus=CorpusOptions(split_bytes=400))
PAPER = replace(TEXT, preset="paper", num_banks=None, num_heads=2, num_layers=1)
LINES = ["the first line of it all", "another line, the second", "a third one comes here"]
Texts = dict[str, str]


def list_of(order: list[int]) -> str:
    """A text whose orders have equal counts of all short runs of tokens."""
    return "--- list\n" + "".join("\n - " + LINES[index] for index in order) + "\n - end\n"


def files(folder: Path, texts: Texts) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def rows(path: Path, texts: list[tuple[Any, str]]) -> str:
    path.write_text("".join(json.dumps({"id": name, "text": text}) + "\n" for name, text in texts))
    return str(path)


def built(inputs: list[str], out: Path, options: BuildOptions = TEXT) -> BuildSummary:
    return build(inputs, out, options)


def kept(memory: Path) -> dict[str, int]:
    """Tokens by document, of the kept batches."""
    found: dict[str, int] = {}
    with open_memory(memory) as stored:
        stored.verify()
        for record in stored.kept.records:
            for name, segment in read_batch(stored.kept.read(record), stored.config):
                found[name] = found.get(name, 0) + len(segment.tokens)
    return found


def sizes(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.iterdir()}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    shared = "a passage that several of the documents share, word by word; " * 3
    texts = {f"{i}.txt": f"document {i} says {i * 7919} and more {shared * (i % 2)}" for i in range(9)}
    return files(tmp_path / "corpus", {**texts, "list.txt": list_of([0, 1, 2])})


@pytest.mark.slow
@pytest.mark.parametrize("options", [TEXT, PAPER])
def test_a_document_is_forgotten_without_its_source(corpus: Path, tmp_path: Path, options: BuildOptions) -> None:
    memory, rest = tmp_path / "m.memo", tmp_path / "rest.memo"
    built([str(corpus)], memory, options)
    before = Manifest.read(memory)
    names = [str(corpus / "3.txt"), str(corpus / "list.txt")]
    copy = shutil.copytree(corpus, tmp_path / "copy")
    expected = sizes(corpus)
    shutil.rmtree(corpus)
    summary = forget(memory, [], replace(OPTIONS, documents=(*names, "unknown")))
    assert (summary.changed, summary.unchanged, summary.documents) == (2, 1, 8)
    assert kept(memory) == {name: size for name, size in expected.items() if name not in names}
    shutil.move(copy, corpus)
    for name in names:
        Path(name).unlink()
    if options is TEXT:
        assert summary.digest == built([str(corpus)], rest, options).digest
    assert undo(memory) == before
    assert kept(memory) == expected


@pytest.mark.slow
def test_what_is_forgotten_leaves_the_kept_tokens_also_where_the_input_is_given(corpus: Path, tmp_path: Path) -> None:
    memory = tmp_path / "m.memo"
    built([str(corpus)], memory)
    whole = kept(memory)
    added = files(tmp_path / "more", {"more.txt": "one more text, which comes later"})
    assert add(memory, [str(added)], OPTIONS).changed == 1
    assert kept(memory) == {**whole, **sizes(added)}
    assert forget(memory, [str(corpus)], OPTIONS).changed == 10
    assert kept(memory) == sizes(added)
    assert add(memory, [str(corpus)], OPTIONS).changed == 10
    assert kept(memory) == {**whole, **sizes(added)}
    generations = [Manifest.read(memory, name) for name in ("manifest.json", "manifest.previous.json")]
    listed = {record.file for manifest in generations for record in manifest.batches}
    assert {path.name for path in (memory / "batches").iterdir()} == listed


@pytest.mark.slow
@pytest.mark.parametrize("options", [TEXT, PAPER, replace(TEXT, keep_tokens=False)])
def test_a_text_in_another_order_is_not_forgotten(corpus: Path, tmp_path: Path, options: BuildOptions) -> None:
    """Blocks exchanged, reversed, one token moved: nothing changes, and other documents of the input still go."""
    memory = tmp_path / "m.memo"
    built([str(corpus)], memory, options)
    before = Manifest.read(memory)
    text = list_of([0, 1, 2])
    others = [list_of([1, 0, 2]), list_of([2, 1, 0]), text[::-1], text[1:] + text[0], text[:-1]]
    for other in others:
        (corpus / "list.txt").write_text(other)
        summary = forget(memory, [str(corpus / "list.txt")], OPTIONS)
        assert (summary.changed, summary.unchanged, summary.other_text) == (0, 1, 1)
        assert Manifest.read(memory) == before
    summary = forget(memory, [str(corpus)], OPTIONS)
    assert (summary.changed, summary.unchanged, summary.other_text) == (9, 1, 1)
    with open_memory(memory) as stored:
        stored.verify()
    (corpus / "list.txt").write_text(text)
    assert forget(memory, [str(corpus)], OPTIONS).documents == 0


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False])
def test_ids_that_repeat_are_said_and_told_apart_by_their_texts(
    tmp_path: Path, keep: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows numbered from 0 in each file, some of one text, are taken out file by file."""
    a, b, c = (
        rows(tmp_path / f"{x}.jsonl", [(i, f"row {i} of {x if i % 5 else 'all'} has words") for i in range(20)])
        for x in "abc"
    )
    memory, alone = tmp_path / "m.memo", tmp_path / "b.memo"
    flags = ["--tokenizer", "bytes", "--banks", "6", "--dim", "64", "--shards", "1", "--json"]
    flags += [] if keep else ["--no-keep-tokens"]
    assert main(["build", a, b, "--out", str(memory), *flags]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["repeated_ids"] == 20
    assert "20 ids repeat" in said.err
    assert "--id-key" in said.err
    assert Manifest.read(memory).keeps_tokens is keep
    truth = built([b], alone, replace(TEXT, keep_tokens=keep))
    assert truth.repeated_ids == 0
    assert main(["add", str(memory), c, "--shards", "1", "--json"]) == 0
    said = capsys.readouterr()
    summary = json.loads(said.out)
    assert (summary["changed"], summary["unchanged"], summary["other_text"]) == (0, 20, 16)
    assert "16 documents have an id that is held with another text" in said.err
    summary = forget(memory, [a], OPTIONS)
    assert (summary.changed, summary.unchanged, summary.repeated_ids) == (20, 0, 0)
    assert (summary.digest, summary.documents) == (truth.digest, 20)
    again = forget(memory, [a], OPTIONS)
    assert (again.changed, again.unchanged, again.other_text) == (4, 16, 16)  # four rows are also those of b.jsonl
    assert again.documents == 16


@pytest.mark.slow
def test_one_row_of_an_id_that_repeats_is_forgotten_once(tmp_path: Path) -> None:
    """Two rows of one id and one text: as many go as the input has."""
    memory = tmp_path / "m.memo"
    built([rows(tmp_path / "a.jsonl", [("x", "a text"), ("x", "a text"), ("x", "another"), ("y", "a text")])], memory)
    one = rows(tmp_path / "one.jsonl", [("x", "a text")])
    for left in (3, 2):
        assert forget(memory, [one], OPTIONS).changed == 1
        assert Manifest.read(memory).documents == left
    assert forget(memory, [one], OPTIONS).other_text == 1
    assert forget(memory, [], replace(OPTIONS, documents=("x", "y"))).changed == 2
    assert kept(memory) == {}
    assert not (memory / "batches").exists() or Manifest.read(memory).batches == []


@pytest.mark.slow
def test_what_is_added_later_is_kept_if_the_rest_is(corpus: Path, tmp_path: Path) -> None:
    memory = tmp_path / "m.memo"
    assert built([str(corpus)], memory, replace(TEXT, keep_tokens=False)).kept_bytes == 0
    more = files(tmp_path / "more", {"more.txt": "one more text, which comes later"})
    add(memory, [str(more)], OPTIONS)
    manifest = Manifest.read(memory)
    assert (manifest.keeps_tokens, manifest.batches) == (False, [])
    assert not (memory / "batches").exists()
    assert forget(memory, [], replace(OPTIONS, documents=(str(more / "more.txt"),))).changed == 1  # read again
    shutil.rmtree(corpus)
    shutil.rmtree(more)
    with pytest.raises(InputError, match=r"keeps no tokens, and what it was made from is gone .*give INPUT"):
        forget(memory, [], replace(OPTIONS, documents=(str(corpus / "1.txt"),)))


@pytest.mark.slow
def test_merge_and_rebank_keep_what_all_keep_and_publish_nothing(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, bare = (tmp_path / f"{name}.memo" for name in ("one", "two", "bare"))
    built([str(corpus)], one)
    for name, keep in ((two, True), (bare, False)):
        more = files(tmp_path / f"{name.stem}-more", {"more.txt": f"a text of {name.stem} alone"})
        built([str(more)], name, replace(TEXT, keep_tokens=keep))
    options = CombineOptions(resources=ONE)
    summary = merge([one, two], tmp_path / "all.memo", options)
    assert (summary.keeps_tokens, summary.without_tokens) == (True, [])
    assert kept(tmp_path / "all.memo") == {**kept(one), **kept(two)}
    assert forget(tmp_path / "all.memo", [], replace(OPTIONS, documents=(str(corpus / "1.txt"),))).changed == 1
    assert len(kept(one)) == 10  # files that are linked are never changed
    assert main(["merge", str(one), str(bare), "--out", str(tmp_path / "some.memo"), "--shards", "1"]) == 0
    assert f"the new memory keeps no tokens: {bare} had none" in capsys.readouterr().err
    assert Manifest.read(tmp_path / "some.memo").keeps_tokens is False
    assert not (tmp_path / "some.memo" / "batches").exists()
    assert rebank(one, 9, tmp_path / "nine.memo", options=options).keeps_tokens
    assert kept(tmp_path / "nine.memo") == kept(one)
    publish(one, tmp_path / "p.memo", 4)
    assert not (tmp_path / "p.memo" / "batches").exists()
    with open_memory(tmp_path / "p.memo") as stored:
        stored.verify()
        assert (stored.manifest.keeps_tokens, stored.manifest.batches) == (False, [])
    assert not list((tmp_path / "p.memo").glob("*.parquet"))


@pytest.mark.slow
def test_a_damaged_batch_is_named_before_anything_changes(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = tmp_path / "m.memo"
    built([str(corpus)], memory)
    name = Manifest.read(memory).batches[0].file
    path = memory / "batches" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    assert main(["verify", str(memory)]) == 2
    assert name in capsys.readouterr().err
    more = [str(files(tmp_path / "more", {"m.txt": "a text"}))]
    for act in (
        lambda: add(memory, more, replace(OPTIONS, fold_share=0)),  # a change beside the files does not read this one
        lambda: forget(memory, [str(corpus)], OPTIONS),
    ):
        with pytest.raises(DamagedMemoryError, match=name):
            act()
        assert not workspace_path(memory).exists()
    path.unlink()
    with pytest.raises(DamagedMemoryError, match=f"{name} is missing"):
        forget(memory, [], replace(OPTIONS, documents=(str(corpus / "1.txt"),)))
    with pytest.raises(DamagedMemoryError, match=f"{name} is missing"):
        rebank(memory, 9, tmp_path / "n.memo", options=CombineOptions(resources=ONE))
    assert not (tmp_path / "n.memo").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("change", "keep"), [(add, True), (forget, False)])
def test_a_text_that_changes_between_two_readings_changes_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., Any], keep: bool
) -> None:
    memory = tmp_path / "m.memo"
    built([str(corpus)], memory, replace(TEXT, keep_tokens=keep))
    inputs = files(tmp_path / "more", {"m.txt": list_of([0, 1, 2])}) if change is add else corpus
    before = Manifest.read(memory)
    read = cluster.change.records_of

    def then_changed(*given: Any) -> Any:
        found = read(*given)
        text = next(inputs.glob("[lm]*.txt"))
        text.write_text(list_of([1, 0, 2]))
        return found

    monkeypatch.setattr(cluster.change, "records_of", then_changed)
    with pytest.raises(InputError, match="documents had another text when they were read a second time"):
        change(memory, [str(inputs)], OPTIONS)
    assert Manifest.read(memory) == before
    assert not workspace_path(memory).exists()
    with open_memory(memory) as stored:
        stored.verify()


def test_a_document_of_which_a_part_is_missing_is_not_committed(tmp_path: Path) -> None:
    out, config = tmp_path / "m.memo", TextConfig(num_banks=2, vocab_size=256, inner_dim=64)
    memory = Memory(config)
    memory.shard.memorize_segments([("a.txt", Segment(0, NO_TOKENS, np.arange(9, dtype=np.uint32), False))])
    statement = CombineStatement(action="merge", memories=["a"], digests=["0"])
    workspace = Workspace(out, statement, None)
    written = [write_shard(memory.shard, workspace.path / workspace.shard_files(1)[0])]
    workspace.checkpoint(config, written, tokens=9, documents=1, journal=[])
    with pytest.raises(InputError, match=r"a file changed while it was read: document 'a\.txt'"):
        documents_held(workspace)
    assert not workspace.resumable
    assert not workspace.abandon()
    assert not workspace.path.exists()


@pytest.mark.slow
def test_documents_are_listed(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = rows(tmp_path / "rows.jsonl", [("[bold]x\t", "some words"), ("y", "other words")])
    memory = tmp_path / "m.memo"
    built([str(corpus), more], memory)
    assert main(["inspect", str(memory), "--documents", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["documents"]
    assert len(listed) == 12
    assert listed[0] == {
        "id": str(corpus / "0.txt"),
        "tokens": (corpus / "0.txt").stat().st_size,
        "source": str(corpus / "0.txt"),
        "position": 0,
        "position_in": "bytes",
    }
    second = len(Path(more).read_bytes().splitlines()[0]) + 1
    assert [(row["id"], row["source"], row["position"]) for row in listed[-2:]] == [
        ("[bold]x\t", more, 0),
        ("y", more, second),
    ]
    assert main(["inspect", str(memory), "--documents"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[-2].split("\t")[0] == "[bold]x\\t"
    assert main(["inspect", str(memory), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["keeps_tokens"] is True
    assert facts["kept_bytes"] == sum(path.stat().st_size for path in (memory / "batches").iterdir())
