"""Columns of text in parquet files, in every dress that writers give them."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from memo_dist import Tokenizer
from memo_dist.batches import BatchInfo, rejects_of
from memo_dist.errors import InputError
from pipelines.batching import split_batch
from pipelines.plan import CorpusOptions, plan_corpus

TEXTS = ["first row", None, "zweite Reihe, é", "", "first row"]
DATA = [None if text is None else text.encode() for text in TEXTS]
DRESSES = {
    "string": pa.array(TEXTS),
    "large_string": pa.array(TEXTS, pa.large_string()),
    "string_view": pa.array(TEXTS, pa.string_view()),
    "categories": pa.array(TEXTS).dictionary_encode(),
    "binary": pa.array(DATA, pa.binary()),
    "large_binary": pa.array(DATA, pa.large_binary()),
    "binary_view": pa.array(DATA, pa.binary_view()),
    "binary_categories": pa.array(DATA).dictionary_encode(),
}


def batch_of(path: Path, **chosen: str) -> pa.Table:
    corpus = plan_corpus([str(path)], CorpusOptions(**chosen))
    (split,) = corpus.splits
    return split_batch(split, corpus.options, tokenizer=Tokenizer.bytes(), context_length=8)


@pytest.mark.parametrize("dress", DRESSES)
def test_strings_are_texts_in_whatever_dress(dress: str, tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": DRESSES[dress]}), tmp_path / "rows.parquet")
    batch = batch_of(tmp_path / "rows.parquet")
    assert [bytes(ids).decode() for ids in batch.column("tokens").to_pylist()] == [text for text in TEXTS if text]
    assert BatchInfo.of(batch).empty == 2


def test_bytes_that_are_no_text_meet_the_policy(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([b"a text", b"\xff\xfe"], pa.binary())}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"rows\.parquet#1 is not valid UTF-8"):
        batch_of(tmp_path / "rows.parquet")
    batch = batch_of(tmp_path / "rows.parquet", errors="skip")
    assert [place for place, _ in rejects_of(batch)] == [f"{tmp_path / 'rows.parquet'}#1"]


@pytest.mark.parametrize("values", [[1, 2], [["a"], ["b"]], [True, False]])
def test_columns_that_are_no_text_are_refused(values: list[object], tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array(values)}), tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=r"column 'text' is .*; expected strings"):
        batch_of(tmp_path / "rows.parquet")
