"""Corpora of token ids: the memory is that of the plain lists, whatever their type, row groups, files and splits.

Covers: pipelines/formats/token_ids.py, `memo-dist build --token-ids`. Truth: `Memory.memorize` of the lists themselves.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.app import main
from memo_dist import Memory, TextConfig
from memo_dist.batches import BatchInfo, read_batch
from memo_dist.document_identities import identities_of
from memo_dist.errors import InputError
from memo_dist.files.opened import open_memory
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, TokenCounts, plan_corpus, plan_token_ids

CONFIG = TextConfig(num_banks=2, vocab_size=500, inner_dim=64, keys="tokens")
LISTS: list[list[int] | None] = [[3, 1, 4, 1, 5], None, [], [9] * 70, [2, 499], [], [0]]
ROWS = [[7, 8, 9], [1, 2, 3], None, [4, 4, 4]]  # of one size
KINDS = {
    "int64": pa.list_(pa.int64()),
    "int32": pa.list_(pa.int32()),
    "uint32": pa.list_(pa.uint32()),
    "uint16": pa.list_(pa.uint16()),
    "large": pa.large_list(pa.int64()),
    "fixed": pa.list_(pa.int32(), 3),
}
Lists = list[list[int] | None]


def write(path: Path, lists: Any, kind: str = "int64", column: str = "tokens", group: int = 3, **more: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    table = pa.table({column: pa.array(lists, KINDS[kind]), **more})
    pq.write_table(table, path, row_group_size=group)
    return path


def read(*paths: Path, **chosen: Any) -> tuple[dict[str, list[int]], list[BatchInfo], TokenCounts]:
    """Documents by name, what the batches say of themselves, and what the plan found."""
    corpus, found = plan_token_ids([str(path) for path in paths], CorpusOptions(**chosen))
    documents, infos = {}, []
    for batch in stream_batches(corpus, None, CONFIG.context_length):
        infos.append(BatchInfo.of(batch))
        for name, segment in read_batch(batch, TextConfig(num_banks=1, vocab_size=2**31)):
            assert (segment.start, len(segment.context), segment.ends) == (0, 0, True)
            assert name not in documents
            documents[name] = segment.tokens.tolist()
    assert [info.batch_id for info in infos] == [split.batch_id for split in corpus.splits]
    assert len({info.batch_id for info in infos}) == len(infos)
    return documents, infos, found


def named(path: Path, lists: Lists) -> dict[str, list[int]]:
    """The documents of a file without ids: by row, without those that are empty."""
    return {f"{path}#{row}": tokens for row, tokens in enumerate(lists) if tokens}


def remembered(documents: dict[str, list[int]]) -> Memory:
    memory = Memory(CONFIG)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["tokens", "input_ids"])
@pytest.mark.parametrize("group", [1, 3, 100])
def test_rows_are_documents_whatever_the_type_of_the_lists(tmp_path: Path, kind: str, column: str, group: int) -> None:
    lists = ROWS if kind == "fixed" else LISTS
    path = write(tmp_path / "a.parquet", lists, kind, column, group)
    documents, infos, found = read(path)
    assert documents == named(path, lists)
    whole = [tokens for tokens in lists if tokens]
    assert found == TokenCounts(sum(map(len, whole)), len(whole), 1 + max(map(max, whole)))
    assert sum(info.empty for info in infos) == len(lists) - len(whole)
    assert {info.tokenizer_hash for info in infos} == {""}


corpora = st.lists(
    st.lists(st.one_of(st.none(), st.lists(st.integers(0, 499), max_size=90)), min_size=1, max_size=12),
    min_size=1,
    max_size=3,
).filter(lambda files: any(tokens for lists in files for tokens in lists))


@settings(max_examples=40, deadline=None)
@given(corpora, st.sampled_from([1, 50, 700, None]), st.sampled_from([1, 2, 5]), st.sampled_from(["int32", "large"]))
def test_the_memory_is_that_of_the_lists_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, files: list[Lists], split_bytes: int | None, group: int, kind: str
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    truth: dict[str, list[int]] = {}
    for index, lists in enumerate(files):
        truth |= named(write(folder / f"{index}.parquet", lists, kind, group=group), lists)
    corpus, found = plan_token_ids([str(folder)], CorpusOptions(split_bytes=split_bytes))
    memory = Memory(CONFIG)
    for batch in stream_batches(corpus, None, CONFIG.context_length):
        assert memory.memorize_batch(batch).fresh
    whole = remembered(truth)
    assert memory.digest() == whole.digest()
    held, expected = (identities_of([m.shard.registry.table()]) for m in (memory, whole))
    assert np.array_equal(held, expected)
    assert (found.documents, found.tokens) == (len(truth), sum(map(len, truth.values())))


def test_small_units_cut_a_file_and_hold_the_same_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [[row % 500] * 20 for row in range(50)])
    many, one = read(path, split_bytes=200), read(path)
    assert len(many[1]) > 10 > len(one[1])
    assert list(many[0].items()) == list(one[0].items())  # in order too
    assert [info.batch_id for info in read(path, split_bytes=200)[1]] == [info.batch_id for info in many[1]]


def test_batches_are_named_by_their_rows_and_their_content(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", LISTS)
    before = read(path)[1]
    assert f"{path} rows 0-{len(LISTS)}" in before[0].source
    write(path, [[3, 1, 4, 1, 6], *LISTS[1:]])
    after = read(path)[1]
    assert [info.batch_id for info in after] == [info.batch_id for info in before]
    assert after[0].content_hash != before[0].content_hash


def test_ids_of_rows_name_documents_and_their_place_does_where_there_is_none(tmp_path: Path) -> None:
    lists = [[1], [2], None, [3], [4]]
    ids = pa.array(["a", None, "b", "c", "d"])
    path = write(tmp_path / "a.parquet", lists, group=2, id=ids, number=pa.array([10, 11, 12, 13, 14]))
    for split_bytes in (1, None):
        assert read(path, split_bytes=split_bytes)[0] == {"a": [1], f"{path}#1": [2], "c": [3], "d": [4]}
        numbered = read(path, split_bytes=split_bytes, id_key="number")[0]
        assert numbered == {"10": [1], "11": [2], "13": [3], "14": [4]}
        assert read(path, split_bytes=split_bytes, id_key="other")[0] == named(path, lists)
    assert list(read(path, id_key="tokens")[0].values()) == [[1], [2], [3], [4]]


@pytest.mark.parametrize("limit", range(1, 2 * len(LISTS) + 1))
def test_a_limit_takes_the_first_rows(tmp_path: Path, limit: int) -> None:
    paths = [write(tmp_path / f"{name}.parquet", LISTS) for name in "ab"]
    truth: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        truth |= named(path, LISTS[: max(0, limit - index * len(LISTS))])
    documents, infos, found = read(*paths, limit=limit)
    assert documents == truth
    assert (found.documents, found.tokens) == (len(truth), sum(map(len, truth.values())))
    assert sum(info.empty for info in infos) == limit - len(truth)
    assert found.vocab_size == 1 + max(map(max, truth.values()))


def test_what_a_limit_leaves_out_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", LISTS)
    (tmp_path / "b.parquet").write_bytes(b"no parquet")
    assert read(path, tmp_path / "b.parquet", limit=len(LISTS))[0] == named(path, LISTS)


def test_token_ids_and_text_count_documents_alike(tmp_path: Path) -> None:
    """A row without tokens is a document that is empty, as a row without text is."""
    texts = pa.array([None if tokens is None else "x" * len(tokens) for tokens in LISTS])
    path = write(tmp_path / "a.parquet", LISTS, text=texts)
    for limit in (None, 3, 5):
        options = CorpusOptions(limit=limit)
        rows = [
            sum(s.stop - s.start for split in plan.splits for s in split.spans)
            for plan in (
                plan_token_ids([str(path)], options)[0],
                plan_corpus([str(path)], options),
            )
        ]
        assert rows[0] == rows[1]


def test_the_column_that_holds_ids_is_taken(tmp_path: Path) -> None:
    words = pa.array([["a", "word"], ["more"]])
    path = write(tmp_path / "a.parquet", [[1, 2], [3]], column="input_ids", tokens=words)
    assert read(path)[0] == named(path, [[1, 2], [3]])
    both = write(tmp_path / "b.parquet", [[1, 2], [3]], input_ids=pa.array([[4], [5]]))
    assert read(both)[0] == named(both, [[1, 2], [3]])


@pytest.mark.parametrize("highest", [2**16, 2**31 - 1])
def test_the_highest_ids_are_kept(tmp_path: Path, highest: int) -> None:
    path = write(tmp_path / "a.parquet", [[0, highest]], "uint32")
    documents, _, found = read(path)
    assert documents == named(path, [[0, highest]])
    assert found.vocab_size == highest + 1


def array(values: Any, kind: pa.DataType) -> dict[str, pa.Array]:
    return {"tokens": pa.array(values, kind)}


BAD: dict[str, tuple[dict[str, pa.Array], str]] = {
    "a null within": (array([[1], None, [2, None, 3]], KINDS["int32"]), "row 2 has a null .*remove"),
    "a null in a fixed list": (array([[1, 2, 3], [2, None, 3]], KINDS["fixed"]), "row 1 has a null"),
    "negative": (array([[1], [], [5, -1, 3]], KINDS["int64"]), r"row 2 has token ids from -1 to 5; expected 0 to 2147"),
    "int8": (array([[1, -128]], pa.list_(pa.int8())), "row 0 has token ids from -128 to 1"),
    "too high": (array([[1, 2**31]], KINDS["int64"]), "row 0 has token ids from 1 to 2147483648; expected 0 to"),
    "far too high": (array([[2**64 - 1]], pa.list_(pa.uint64())), "to 18446744073709551615"),
    "wrong column": ({"ids": pa.array([[1]])}, r"expected a column tokens or input_ids .*found \['ids'\]"),
    "no list": (array([1, 2], pa.int64()), "column 'tokens' is int64; expected lists of whole numbers"),
    "text": (array(["1 2"], pa.string()), "column 'tokens' is string; expected lists"),
    "words": (array([["1"]], pa.list_(pa.string())), "is list<element: string>; expected lists of whole numbers"),
    "floats": (array([[1.0]], pa.list_(pa.float64())), "double>; expected lists of whole numbers"),
    "truths": (array([[True]], pa.list_(pa.bool_())), "bool>; expected lists of whole numbers"),
    "lists of lists": (array([[[1]]], pa.list_(pa.list_(pa.int64()))), "expected lists of whole numbers"),
    "nothing": (array([None, []], KINDS["int64"]), "no token ids at all"),
    "no rows": (array([], KINDS["int64"]), "no token ids at all"),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory; a build that gets as far as Ray fails with exit code 1."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the build went on and would have started Ray")

    monkeypatch.setattr("cluster.build.session", refuse)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a build that must fail as bad input; returns the message."""

    def run(*words: str) -> str:
        before = sorted(place.rglob("*"))
        assert main(["build", "--out", "m.memo", *words, "--json"]) == 2
        answer = json.loads(capsys.readouterr().out)
        assert answer["exit_code"] == 2
        assert sorted(place.rglob("*")) == before
        return str(answer["error"])

    return run


@pytest.mark.parametrize("name", BAD)
def test_bad_ids_are_refused_by_name(place: Path, refused: Callable[..., str], name: str) -> None:
    columns, told = BAD[name]
    write(place / "good.parquet", [] if name in ("nothing", "no rows") else [[1, 2]])
    pq.write_table(pa.table(columns), place / "bad.parquet", row_group_size=2)
    message = refused("--token-ids", "good.parquet", "--token-ids", "bad.parquet")
    assert re.search(told, message)
    assert "bad.parquet" in message


def test_files_that_are_no_parquet_are_refused_by_name(place: Path, refused: Callable[..., str]) -> None:
    whole = write(place / "good.parquet", [list(range(400))] * 9).read_bytes()
    (place / "text.txt").write_text("1 2 3")
    (place / "rows.jsonl").write_text('{"tokens": [1]}\n')
    for name in ("text.txt", "rows.jsonl"):
        assert re.search(rf"{name} is no \.parquet file; --token-ids", refused("--token-ids", name))
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        (place / "cut.parquet").write_bytes(whole[:size])
        assert re.search(r"cut\.parquet cannot be read .*whole", refused("--token-ids", "cut.parquet"))
    assert "nowhere.parquet does not exist" in refused("--token-ids", "nowhere.parquet")


def test_damage_inside_a_file_is_refused_by_name(place: Path, refused: Callable[..., str]) -> None:
    path = write(place / "bad.parquet", [list(range(400))] * 9)
    data = bytearray(path.read_bytes())
    data[4:400] = bytes(396)
    path.write_bytes(bytes(data))
    assert "bad.parquet cannot be read" in refused("--token-ids", "bad.parquet")


def test_contradictions_are_refused(place: Path, refused: Callable[..., str]) -> None:
    write(place / "a.parquet", [[1, 9]])
    (place / "a.txt").write_text("some text")
    assert re.search("either INPUT, --token-ids or --reflections", refused("a.txt", "--token-ids", "a.parquet"))
    assert re.search("either INPUT, --token-ids or --reflections", refused())
    assert re.search(
        "--vocab-size is 9, .*highest token id is 9", refused("--token-ids", "a.parquet", "--vocab-size=9")
    )
    assert re.search("--vocab-size is -1", refused("--token-ids", "a.parquet", "--vocab-size=-1"))
    assert re.search("--vocab-size belongs to --token-ids", refused("a.txt", "--vocab-size", "300"))
    assert re.search("--limit is 0", refused("--token-ids", "a.parquet", "--limit", "0"))
    assert "2147483649" in refused("--token-ids", "a.parquet", "--vocab-size", str(2**31 + 1))
    assert main(["build", "--out", "m.memo", "--token-ids", "a.parquet", "--vocab-size", "10"]) == 1  # up to Ray


@pytest.mark.parametrize("rows", [[[1, 2]] * 5, [[1, 2]] * 19 + [[-5]], [[1, 2]] * 19 + [[None]]])
def test_a_file_that_changed_since_it_was_planned_is_refused(tmp_path: Path, rows: list[list[int]]) -> None:
    path = write(tmp_path / "a.parquet", [[1, 2]] * 20)
    corpus, _ = plan_token_ids([str(path)], CorpusOptions())
    write(path, rows)
    with pytest.raises(InputError, match=r"a\.parquet"):
        list(stream_batches(corpus, None, 64))


@pytest.mark.usefixtures("ray_local")
def test_a_memory_built_from_token_ids_is_that_of_the_lists(
    tmp_path: Path, documents: dict[str, list[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    names, half = list(documents), len(documents) // 2
    for name, part in (("a", names[:half]), ("b", names[half:])):
        write(tmp_path / f"{name}.parquet", [*(documents[n] for n in part), None], id=pa.array([*part, "empty"]))
    words = ["build", "--token-ids", str(tmp_path / "a.parquet"), "--token-ids", str(tmp_path / "b.parquet")]
    shape = ["--banks", "2", "--dim", "64", "--vocab-size", "500", "--shards", "2"]
    assert main([*words, "--out", str(tmp_path / "m.memo"), *shape, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    whole = remembered(documents)
    assert summary["digest"] == whole.digest()
    assert (summary["documents"], summary["empty"]) == (len(documents), 2)
    assert summary["tokens"] == sum(map(len, documents.values()))
    with open_memory(tmp_path / "m.memo") as stored:
        stored.verify()
        assert stored.tokenizer is None
        assert stored.config == CONFIG
    opened = Memory.open(tmp_path / "m.memo")
    held, expected = (identities_of([m.shard.registry.table()]) for m in (opened, whole))
    assert np.array_equal(held, expected)
    prompt = np.array(documents["doc-0"][:70])
    assert opened.recall([prompt], max_tokens=5)[0] == whole.recall([prompt], max_tokens=5)[0]
