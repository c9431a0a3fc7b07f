"""Batches: a document's tokens and segments are the same however the corpus is cut, packed or compressed.

Covers: pipelines/batching.py and what it needs of plan.py and reading.py. Truth: with one token a byte, a document's
tokens are its UTF-8 bytes. Pieces are made small, so that short texts are cut like long ones.
"""

import gzip
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import Memory, MemoryConfig, TextConfig, Tokenizer
from memo_dist.batches import SCHEMA, BatchInfo, read_batch
from memo_dist.document_identities import identities_of
from memo_dist.segments import Segment
from pipelines import pieces
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.tokenizing import choose_tokenizer

PIECE, SLACK, CONTEXT = 256, 64, 64
BYTES = Tokenizer.bytes()
CONFIG = TextConfig(num_banks=2, vocab_size=256, inner_dim=64)
FORMATS = ("texts", "texts.gz", "jsonl", "jsonl.gz", "parquet")
SMILE = "\N{GRINNING FACE}"

fragments = st.sampled_from(
    ["word ", "a line\n", "é", "漢字", SMILE, "\n", "x" * 120, SMILE * 40, "\r\n", "a line\n" * 60]
)
texts_of_corpora = st.lists(st.lists(fragments, max_size=25).map("".join), min_size=1, max_size=4).filter(any)
unit_sizes = st.one_of(st.none(), st.integers(1, 3000))


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", PIECE)
        patch.setattr(pieces, "SLACK", SLACK)
        yield


def write_corpus(folder: Path, texts: list[str], kind: str) -> Path:
    """The same texts, documents "0", "1", ..., in one kind of file."""
    path = folder / kind
    if kind == "parquet":
        path = folder / "corpus.parquet"
        pq.write_table(pa.table({"id": [str(i) for i in range(len(texts))], "text": texts}), path, row_group_size=2)
    elif kind.startswith("jsonl"):
        path = folder / f"corpus.{kind}"
        rows = [json.dumps({"id": i, "text": t}, ensure_ascii=bool(i % 2)) + "\n" for i, t in enumerate(texts)]
        data = "".join(rows).encode()
        path.write_bytes(gzip.compress(data) if kind.endswith(".gz") else data)
    else:
        path.mkdir(parents=True)
        for index, text in enumerate(texts):
            data = text.encode()
            if kind.endswith(".gz"):
                (path / f"{index}.txt.gz").write_bytes(gzip.compress(data[:100]) + gzip.compress(data[100:]))
            else:
                (path / f"{index}.txt").write_bytes(data)
    return path


def batches(path: Path, tokenizer: Tokenizer = BYTES, context: int = CONTEXT, **chosen: Any) -> list[pa.Table]:
    return list(stream_batches(plan_corpus([str(path)], CorpusOptions(**chosen)), tokenizer, context))


def documents(tables: list[pa.Table], config: MemoryConfig = CONFIG) -> dict[str, list[Segment]]:
    """Segments by document, in the order in which they come; the name is that within the corpus."""
    found: dict[str, list[Segment]] = {}
    for table in tables:
        for name, segment in read_batch(table, config):
            found.setdefault(os.path.basename(name).split(".")[0], []).append(segment)
    return found


def tokens_of(segments: list[Segment]) -> list[int]:
    return list(itertools.chain.from_iterable(segment.tokens.tolist() for segment in segments))


def check_segments(segments: list[Segment], truth: list[int], context: int = CONTEXT) -> None:
    """The segments are `truth`, cut: each with the true tokens before it, one that begins and one that ends."""
    assert tokens_of(segments) == truth
    at = 0
    for segment in segments:
        assert segment.context.tolist() == truth[max(0, at - context) : at]
        at += len(segment.tokens)
    pairs = list(itertools.pairwise(segments))
    assert all(one.next_start == two.start for one, two in pairs)  # also where a segment has no tokens
    assert [segment.start == 0 for segment in segments] == [True, *[False] * (len(segments) - 1)]
    assert [segment.ends for segment in segments] == [*[False] * (len(segments) - 1), True]


@settings(max_examples=30, deadline=None)
@given(texts_of_corpora, unit_sizes, st.sampled_from([1, 16, CONTEXT]))
def test_documents_are_their_bytes_however_the_corpus_is_cut_and_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], split_bytes: int | None, context: int
) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    truth = {str(index): list(text.encode()) for index, text in enumerate(texts) if text}
    for kind in FORMATS:
        tables = batches(write_corpus(folder, texts, kind), context=context, split_bytes=split_bytes)
        found = documents(tables)
        assert found.keys() == truth.keys(), kind
        for name, segments in found.items():
            check_segments(segments, truth[name], context)
            starts = np.cumsum([0, *[len(s.tokens) for s in segments]])[:-1]
            assert [segment.start for segment in segments] == starts.tolist()  # one token a byte
        assert sum(BatchInfo.of(table).empty for table in tables) == len(texts) - len(truth)


@pytest.mark.parametrize("past", [1, 2, 3])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_character_across_the_last_cut_at_the_end_of_a_text_stays_whole(tmp_path: Path, kind: str, past: int) -> None:
    text = "a" * (PIECE + past - 4) + SMILE
    assert len(text.encode()) == PIECE + past
    check_segments(documents(batches(write_corpus(tmp_path, [text], kind)))["0"], list(text.encode()))


@pytest.mark.parametrize("past", [1, 10, SLACK, SLACK + 1])
def test_a_text_whose_last_line_ends_near_a_cut_ends_once(tmp_path: Path, past: int) -> None:
    for multiple in (1, 3):
        text = "a" * (multiple * PIECE + past - 1) + "\n"
        path = write_corpus(tmp_path / str(multiple), [text], "texts")
        check_segments(documents(batches(path, split_bytes=1))["0"], list(text.encode()))


def test_lines_that_begin_where_a_unit_begins_are_read_once(tmp_path: Path) -> None:
    for width in (PIECE // 2, PIECE, 2 * PIECE):
        rows = [f'{{"id": "{i:03}", "text": "'.ljust(width - 3, "x") + '"}\n' for i in range(20)]
        assert {len(row) for row in rows} == {width}
        (tmp_path / "a.jsonl").write_text("".join(rows))
        names = [
            name for table in batches(tmp_path / "a.jsonl", split_bytes=1) for name, _ in read_batch(table, CONFIG)
        ]
        assert names == [f"{i:03}" for i in range(20)]


@settings(max_examples=25, deadline=None)
@given(texts_of_corpora, unit_sizes)
def test_the_memory_of_the_batches_is_that_of_the_whole_documents(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], split_bytes: int | None
) -> None:
    path = write_corpus(tmp_path_factory.mktemp("corpus"), texts, "jsonl")
    whole, pieces = Memory(CONFIG), Memory(CONFIG)
    for index, text in enumerate(texts):
        if text:
            whole.memorize(str(index), list(text.encode()))
    for table in batches(path, split_bytes=split_bytes):
        pieces.memorize_batch(table)
    assert pieces.digest() == whole.digest()
    held, expected = (identities_of([m.shard.registry.table()]) for m in (pieces, whole))
    assert np.array_equal(held, expected)


@pytest.mark.parametrize("kind", FORMATS)
def test_trained_tokens_are_those_of_each_text_as_a_whole(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    words = [str(number) for number in rng.integers(10**3, 10**6, 400)]
    starts = ["", "    ", "\n\n        "]  # a line end is one token with the spaces after it
    texts = [
        "".join(" ".join(rng.choice(words, 5)) + "\n" + str(rng.choice(starts)) for _ in range(n))
        for n in (1, 40, 300, 9)
    ]
    path = write_corpus(tmp_path, texts, kind)
    tokenizer = choose_tokenizer(plan_corpus([str(path)], CorpusOptions())).tokenizer
    config = TextConfig(num_banks=1, vocab_size=tokenizer.vocab_size, inner_dim=64)
    for split_bytes in (1, 700, None):
        found = documents(batches(path, tokenizer, 16, split_bytes=split_bytes), config)
        assert len(found) == len(texts)
        for name, segments in found.items():
            check_segments(segments, tokenizer.encode([texts[int(name)]])[0].tolist(), 16)
            assert tokenizer.decode(tokens_of(segments)) == texts[int(name)]


@pytest.mark.parametrize(("keys", "reach"), [("tokens", 16), pytest.param("text", 4096, marks=pytest.mark.slow)])
def test_context_is_whole_where_a_run_makes_few_tokens_of_a_piece(tmp_path: Path, keys: str, reach: int) -> None:
    """A run of one character becomes long tokens, so the piece before a segment does not hold its whole context."""
    text = "some words before the run " * 30 + " " * 6000 + "and after"
    path = write_corpus(tmp_path, [text], "texts")
    tokenizer = choose_tokenizer(plan_corpus([str(path)], CorpusOptions())).tokenizer
    config = TextConfig(num_banks=1, vocab_size=tokenizer.vocab_size, inner_dim=64, windows=(4, 16), keys=keys)
    assert reach == config.context_length
    truth = tokens_of(documents(batches(path, tokenizer, reach), config)["0"])
    assert len(truth) > PIECE // 2
    check_segments(documents(batches(path, tokenizer, reach, split_bytes=1), config)["0"], truth, reach)


def test_pieces_without_tokens_are_no_gap_and_hide_no_end(tmp_path: Path) -> None:
    """A tokenizer of words makes nothing of white space."""
    from tokenizers import Tokenizer as Model
    from tokenizers import models, pre_tokenizers

    model = Model(models.WordLevel({"a": 0, "b": 1}, unk_token=None))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    gap = " " * (3 * PIECE)
    path = write_corpus(tmp_path, ["a b " * 200 + gap + "b a " * 200 + gap], "texts")
    truth = [0, 1] * 200 + [1, 0] * 200
    for split_bytes in (10**6, 1):
        found = documents(batches(path, Tokenizer(model.to_str()), 16, split_bytes=split_bytes))
        check_segments(found["0"], truth, 16)


def test_a_batch_says_what_it_is(tmp_path: Path) -> None:
    path = write_corpus(tmp_path, ["one\n" * 200, "two", ""], "texts")
    corpus = plan_corpus([str(path)], CorpusOptions(split_bytes=PIECE))
    tables = list(stream_batches(corpus, BYTES, CONTEXT))
    infos = [BatchInfo.of(table) for table in tables]
    assert all(table.schema.remove_metadata() == SCHEMA for table in tables)
    assert [info.batch_id for info in infos] == [split.batch_id for split in corpus.splits]
    assert len({info.batch_id for info in infos}) == len(infos) > 1
    assert {info.tokenizer_hash for info in infos} == {BYTES.hash}
    assert f"{path}/0.txt bytes 0-{PIECE}" in infos[0].source
    again = [BatchInfo.of(table) for table in stream_batches(corpus, BYTES, CONTEXT)]
    assert again == infos
    (path / "1.txt").write_text("too")
    changed = [BatchInfo.of(table) for table in batches(path, split_bytes=PIECE)]
    assert [a.content_hash == b.content_hash for a, b in zip(changed, infos, strict=True)].count(False) == 1


def test_a_row_whose_id_is_a_lone_surrogate_is_refused_or_named_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "\\ud800", "text": "words"}\n')
    try:
        assert len(documents(batches(path, errors="replace"))) == 1
    except ValueError as error:
        assert "a.jsonl" in str(error)  # noqa: PT017  # it may be refused, not must
