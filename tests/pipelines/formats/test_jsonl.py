"""JSON lines by all their names; JSON that is not in lines is refused before the corpus is read."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from memo_dist import Tokenizer
from memo_dist.batches import BatchInfo, rejects_of
from memo_dist.errors import InputError
from pipelines.batching import split_batch
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.reading import MOST_NAMED

if sys.version_info >= (3, 14):
    from compression import gzip, zstd
else:
    import gzip

    from backports import zstd

COMPRESS = {"": bytes, ".gz": gzip.compress, ".zst": zstd.compress}
ROWS = [{"text": "first row", "id": "a"}, {"text": "zweite Reihe, é"}, {"text": "a\nthird"}]


def write(path: Path, text: str) -> str:
    path.write_bytes(COMPRESS["".join(path.suffixes[1:])](text.encode()))
    return str(path)


def texts(path: str) -> list[str]:
    corpus = plan_corpus([path], CorpusOptions())
    batches = (split_batch(s, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8) for s in corpus.splits)
    return [bytes(ids).decode() for batch in batches for ids in batch.column("tokens").to_pylist()]


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("ending", [".jsonl", ".ndjson", ".json"])
def test_rows_are_read_whatever_the_file_is_called(tmp_path: Path, ending: str, compression: str) -> None:
    lines = "\n" + "\n\n".join(json.dumps(row) for row in ROWS)
    expected = [row["text"] for row in ROWS]
    assert texts(write(tmp_path / f"rows{ending}{compression}", lines)) == expected
    assert texts(str(tmp_path)) == expected


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(ROWS[0], indent=2),
        "".join(json.dumps(row, indent=1) for row in ROWS),
        '"words"',
        "[" + "\n" * 100_000 + "]",
        "17",
        "{",
    ],
)
def test_json_that_is_not_in_lines_is_refused_by_name_with_a_way_out(
    tmp_path: Path, text: str, compression: str
) -> None:
    name = f"one.json{compression}"
    with pytest.raises(InputError, match=rf"{name} does not hold an object on each line.*jq -c.*--exclude"):
        plan_corpus([write(tmp_path / name, text)], CorpusOptions())


def test_one_object_on_a_line_is_a_row_and_so_is_a_long_one(tmp_path: Path) -> None:
    for text in ("short", "long " * 50_000):
        assert texts(write(tmp_path / "one.json", json.dumps({"text": text}))) == [text]


def test_a_line_further_on_that_is_no_object_says_how_lines_are_made(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.json", json.dumps(ROWS[0]) + "\n[1, 2]\n")
    with pytest.raises(InputError, match=r"rows\.json@33: expected an object .*found a list\. .*jq -c"):
        texts(path)
    path = write(tmp_path / "rows.jsonl", json.dumps(ROWS[0]) + "\n{\n}\n")
    with pytest.raises(InputError, match=r"rows\.jsonl@\d+: the line that begins there is not JSON .*jq -c"):
        texts(path)


BAD = ["not JSON", '"a text"', '{"no": 1}', '{"text": 3}', '{"text": ["a"]}', '{"text": "cut']


@pytest.mark.parametrize("compression", COMPRESS)
def test_bad_rows_are_left_out_counted_and_named(tmp_path: Path, compression: str) -> None:
    lines = ['{"text": "one"}', *BAD, '{"text": "two"}', ""]
    path = write(tmp_path / f"rows.jsonl{compression}", "\n".join(lines))
    corpus = plan_corpus([path], CorpusOptions(errors="skip"))
    (split,) = corpus.splits
    batch = split_batch(split, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)
    assert [bytes(ids) for ids in batch.column("tokens").to_pylist()] == [b"one", b"two"]
    assert BatchInfo.of(batch).skipped == len(BAD)
    places = [f"{path}@{sum(len(line) + 1 for line in lines[:row])}" for row in range(1, 1 + len(BAD))]
    assert [place for place, _ in rejects_of(batch)] == places
    assert all(place in reason for place, reason in rejects_of(batch))
    for errors in ("strict", "replace"):
        with pytest.raises(InputError, match=f"{path}@16"):
            split_batch(split, replace(corpus.options, errors=errors), tokenizer=Tokenizer.bytes(), context_length=8)


def test_a_text_that_is_null_is_an_empty_document(tmp_path: Path) -> None:
    corpus = plan_corpus([write(tmp_path / "rows.jsonl", '{"text": null}\n{"text": "a"}\n')], CorpusOptions())
    (split,) = corpus.splits
    info = BatchInfo.of(split_batch(split, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8))
    assert (info.empty, info.skipped) == (1, 0)


def test_no_more_rows_are_named_than_a_split_may(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", "[]\n" * 3 * MOST_NAMED + '{"text": "a"}\n')
    corpus = plan_corpus([path], CorpusOptions(errors="skip", split_bytes=1 << 20))
    (split,) = corpus.splits
    batch = split_batch(split, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)
    assert BatchInfo.of(batch).skipped == 3 * MOST_NAMED
    assert len(rejects_of(batch)) == MOST_NAMED
