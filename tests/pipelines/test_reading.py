"""Reading: which documents a corpus holds, what is refused, and where long texts are cut.

Covers: pipelines/reading.py, pieces.py, formats and --limit, through plans of small corpora. What a document should
read as is worked out here from its bytes.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memo_dist.errors import InputError
from pipelines import pieces
from pipelines.formats import passages
from pipelines.plan import CorpusOptions, plan_corpus

PIECE, SLACK = 256, 64
SMILE = "\N{GRINNING FACE}"
GAP = "�"


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", PIECE)
        patch.setattr(pieces, "SLACK", SLACK)
        yield


def read(*paths: Path, **chosen: Any) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """(document id without folder, text) in order, and what was skipped, replaced and empty."""
    corpus = plan_corpus([str(path) for path in paths], CorpusOptions(**chosen))
    texts: dict[str, str] = {}
    counts = dict.fromkeys(("skipped", "replaced", "empty"), 0)
    for split in corpus.splits:
        state = corpus.options.reading()
        for span in split.spans:
            for passage in passages(span, state):
                name = passage.document_id.rsplit("/", 1)[-1]
                texts[name] = texts.get(name, "") + "".join(passage.pieces())
        counts = {name: count + getattr(state, name) for name, count in counts.items()}
    return list(texts.items()), {name: count for name, count in counts.items() if count}


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def parquet(path: Path, **columns: list[object]) -> Path:
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def test_a_text_file_is_one_document_named_by_its_path_to_the_byte(tmp_path: Path) -> None:
    body = f"\ufeffone\r\ntwo {SMILE}\x00\n\n"
    (tmp_path / "a.txt").write_bytes(body.encode())
    assert read(tmp_path / "a.txt") == ([("a.txt", body)], {})


def test_rows_are_named_by_place_or_by_their_id(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"text": "one"}, {"text": "two", "id": "B"}, {"text": "three", "id": 7})
    second = len('{"text": "one"}\n')
    assert second == 16
    assert read(path)[0] == [("a.jsonl@0", "one"), ("B", "two"), ("7", "three")]
    assert [name for name, _ in read(path, id_key="key")[0]][1] == "a.jsonl@16"
    path = parquet(tmp_path / "a.parquet", body=list("abcdefgh"), key=list("ABCDEFGH"))
    assert read(path, text_key="body", id_key="key")[0] == list(zip("ABCDEFGH", "abcdefgh", strict=True))
    places = [f"a.parquet#{row}" for row in range(8)]
    assert read(path, text_key="body")[0] == list(zip(places, "abcdefgh", strict=True))
    assert read(path, text_key="body", split_bytes=1)[0] == list(zip(places, "abcdefgh", strict=True))


def test_a_row_whose_id_is_null_is_named_by_its_place(tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", {"text": "one", "id": None}, {"text": "two", "id": "B"})
    assert read(path)[0] == [("a.jsonl@0", "one"), ("B", "two")]
    assert read(parquet(tmp_path / "a.parquet", text=["x", "y"], id=[None, "B"]))[0][0] == ("a.parquet#0", "x")


def test_blank_lines_and_line_ends_of_jsonl_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'\n{"text": "one"}\r\n   \n{"text": "two"}')
    assert [text for _, text in read(tmp_path / "a.jsonl")[0]] == ["one", "two"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"body": "x"}', r"a\.jsonl@16.*'text'.*'body'"),
        ('{"text": 5}', r"a\.jsonl@16"),
        ('["text"]', r"a\.jsonl@16.*list"),
        ('{"text": "x"', r"a\.jsonl@16.*not JSON"),
        ("plain words", r"a\.jsonl@16.*not JSON"),
        ("[" * 100_000, r"a\.jsonl"),
    ],
)
def test_a_line_that_is_no_document_is_refused_by_file_and_byte(tmp_path: Path, line: str, told: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n' + line + "\n")
    with pytest.raises(InputError, match=told):
        read(tmp_path / "a.jsonl")


def test_a_parquet_file_without_a_column_of_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"p\.parquet.*'text'.*'body'.*--text-key"):
        read(parquet(tmp_path / "p.parquet", body=["x"]))
    with pytest.raises(InputError, match=r"p\.parquet.*int64"):
        read(parquet(tmp_path / "p.parquet", text=[1]))


def test_empty_files_and_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    rows = lines(tmp_path / "b.jsonl", {"text": ""}, {"text": "x"})
    table = parquet(tmp_path / "c.parquet", text=["", None, "y"])
    assert read(tmp_path / "a.txt", rows, table) == ([("b.jsonl@13", "x"), ("c.parquet#2", "y")], {"empty": 4})


def test_limit_takes_the_first_documents_across_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    rows = lines(tmp_path / "b.jsonl", *[{"text": f"b{i}"} for i in range(4)])
    table = parquet(tmp_path / "c.parquet", text=[f"c{i}" for i in range(8)])
    everything = ["a", "b0", "b1", "b2", "b3", *[f"c{i}" for i in range(8)]]
    for limit in range(1, 15):
        texts = [text for _, text in read(tmp_path / "a.txt", rows, table, limit=limit)[0]]
        assert texts == everything[:limit]


@pytest.mark.parametrize("ending", [".txt", ".jsonl"])
def test_invalid_utf8_follows_the_policy(tmp_path: Path, ending: str) -> None:
    body = b"ab\xffcd\xe2\x82 \xf0\x9f\x98\x80"
    bad, good = tmp_path / f"bad{ending}", tmp_path / "good.txt"
    bad.write_bytes(body if ending == ".txt" else b'{"id": "bad.jsonl", "text": "' + body + b'"}\n')
    good.write_text("good")
    with pytest.raises(InputError, match=rf"bad{ending}"):
        read(good, bad)
    expected = [(f"bad{ending}", f"ab{GAP}cd{GAP} {SMILE}"), ("good.txt", "good")]
    assert read(bad, good, errors="replace") == (expected, {"replaced": 1})
    assert read(bad, good, errors="skip") == (expected[1:], {"skipped": 1})


@pytest.mark.parametrize("split_bytes", [1, PIECE, 3 * PIECE, 10**9])
def test_invalid_utf8_in_a_document_of_many_units_follows_the_policy_as_a_whole(
    tmp_path: Path, split_bytes: int
) -> None:
    clean = "a line of words\n" * 40
    (tmp_path / "big.txt").write_bytes(b"".join(clean.encode() + end for end in (b"\xff\n", b"\xfe\n", b"end\n")))
    (tmp_path / "good.txt").write_text("good")
    both = tmp_path / "big.txt", tmp_path / "good.txt"
    with pytest.raises(InputError, match=r"big\.txt"):
        read(*both, split_bytes=split_bytes)
    assert read(*both, errors="skip", split_bytes=split_bytes) == ([("good.txt", "good")], {"skipped": 1})
    texts, counts = read(*both, errors="replace", split_bytes=split_bytes)
    assert dict(texts)["big.txt"] == f"{clean}{GAP}\n{clean}{GAP}\n{clean}end\n"
    assert counts == {"replaced": 1}  # documents, not splits


def test_a_valid_document_of_many_units_is_kept_whole_by_skip(tmp_path: Path) -> None:
    body = f"{SMILE} words " * 300
    (tmp_path / "big.txt").write_bytes(body.encode())
    assert read(tmp_path / "big.txt", errors="skip", split_bytes=1) == ([("big.txt", body)], {})


def test_lone_surrogates_of_json_follow_the_policy_and_pairs_are_characters(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "bad", "text": "a\\ud800b"}\n{"id": "ok", "text": "\\ud83d\\ude00"}\n')
    with pytest.raises(InputError, match=r"document bad of .*a\.jsonl is not valid UTF-8"):
        read(tmp_path / "a.jsonl")
    assert read(tmp_path / "a.jsonl", errors="skip") == ([("ok", SMILE)], {"skipped": 1})
    expected = [("bad", f"a{GAP}b"), ("ok", SMILE)]
    assert read(tmp_path / "a.jsonl", errors="replace") == (expected, {"replaced": 1})


def invalid_parquet(path: Path) -> Path:
    """Three rows, the middle one not UTF-8; Arrow does not look at what it is given."""
    data = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 2, 5, 6], np.int32)), pa.py_buffer(b"aab\xffcd")]
    )
    pq.write_table(pa.table({"text": data}), path)
    return path


@pytest.mark.parametrize(
    ("errors", "texts"), [("strict", None), ("replace", ["aa", f"b{GAP}c", "d"]), ("skip", ["aa", "d"])]
)
def test_invalid_utf8_in_parquet_follows_the_policy(tmp_path: Path, errors: str, texts: list[str] | None) -> None:
    path = invalid_parquet(tmp_path / "bad.parquet")
    if texts is None:
        with pytest.raises(InputError, match=r"bad\.parquet"):
            read(path, errors=errors)
    else:
        assert [text for _, text in read(path, errors=errors)[0]] == texts


def test_a_file_that_shrinks_after_planning_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words " * 100)
    corpus = plan_corpus([str(tmp_path / "a.txt")], CorpusOptions())
    (tmp_path / "a.txt").write_text("words")
    with pytest.raises(InputError, match=r"a\.txt became shorter"):
        list(passages(corpus.splits[0].spans[0], corpus.options.reading()))


def cuts_by_the_rule(data: bytes) -> list[int]:
    """The first line end after each multiple of PIECE, or the first character boundary if none is near."""
    cuts = []
    for multiple in range(PIECE, len(data), PIECE):
        end = data.find(b"\n", multiple, multiple + SLACK)
        cut = (
            end + 1
            if end >= 0
            else next(i for i in range(multiple, len(data) + 1) if i == len(data) or is_first(data[i]))
        )
        cuts += [cut] if cut < len(data) else []
    return cuts


def is_first(byte: int) -> bool:
    return not 0x80 <= byte < 0xC0


fragments = st.sampled_from(["word ", "a line\n", "é", "漢字", SMILE, "\n", "x" * 90, SMILE * 30, "\r\n"])


@given(st.lists(fragments, max_size=60).map("".join))
def test_long_texts_are_cut_by_the_stated_rule_and_nothing_is_lost(text: str) -> None:
    data = text.encode()
    cuts = pieces.piece_cuts(data, 0, len(data))
    assert cuts == cuts_by_the_rule(data)
    texts = [data[a:b].decode() for a, b in itertools.pairwise([0, *cuts, len(data)])]
    assert "".join(texts) == text
    for first in range(0, len(data), PIECE):  # what a reader of a range sees of the same text
        assert pieces.piece_cuts(data[first:], first, len(data)) == [cut for cut in cuts if cut >= max(first, 1)]
