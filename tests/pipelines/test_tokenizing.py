"""Tokenizers: bytes are the UTF-8 bytes, a trained one is the same every time, and sizes are estimated honestly.

Covers: memo_dist/tokenizer.py and pipelines/tokenizing.py.
"""

import gzip
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memo_dist import Tokenizer
from memo_dist.errors import MemoError, TokenizerError
from memo_dist.tokenizer_training import MAX_VOCABULARY
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

BYTES = Tokenizer.bytes()
WORDS = ["memory", "matrix", "exact", "Wörter", "漢字", "\N{GRINNING FACE}", "def f(x):\n    return x\n", "1234"]


def choose(*paths: Path, name: str = "auto", **chosen: Any) -> TokenizerChoice:
    return choose_tokenizer(plan_corpus([str(path) for path in paths], CorpusOptions(**chosen)), name)


def some_texts(seed: int, count: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, int(rng.integers(20, 200)))) for _ in range(count)]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for index, text in enumerate(some_texts(0, 12)):
        (folder / f"{index:02}.txt").write_bytes(text.encode())
    return folder


@pytest.fixture(scope="module")
def trained(corpus: Path) -> Tokenizer:
    return choose(corpus).tokenizer


@given(st.lists(st.text(), max_size=4))
def test_byte_tokens_are_the_bytes_of_the_text(texts: list[str]) -> None:
    encoded = BYTES.encode(texts)
    assert [bytes(tokens.tolist()) for tokens in encoded] == [text.encode() for text in texts]
    assert all(tokens.dtype == np.uint32 for tokens in encoded)
    assert [BYTES.decode(tokens.tolist()) for tokens in encoded] == texts


def test_there_is_one_token_a_byte_and_half_characters_show_as_such() -> None:
    assert BYTES.vocab_size == 256
    assert BYTES.decode(list(b"a\xc3")) == "a�"


@given(st.text())
def test_a_trained_tokenizer_gives_every_text_back(trained: Tokenizer, text: str) -> None:
    tokens = trained.encode([text])[0]
    assert trained.decode(tokens.tolist()) == text
    assert len(tokens) <= len(text.encode())


def test_training_learns_the_corpus_and_knows_every_byte(corpus: Path, trained: Tokenizer) -> None:
    text = (corpus / "00.txt").read_bytes().decode()
    assert 256 < trained.vocab_size <= MAX_VOCABULARY
    assert len(trained.encode([text])[0]) < len(text.encode()) / 3
    assert len(trained.encode([" memory"])[0]) == 1


def test_training_twice_gives_the_same_tokenizer_here_and_in_another_process(corpus: Path, trained: Tokenizer) -> None:
    assert choose(corpus).tokenizer.definition == trained.definition
    program = (
        "import sys; from pipelines.plan import *; from pipelines.tokenizing import *; "
        "print(choose_tokenizer(plan_corpus([sys.argv[1]], CorpusOptions())).tokenizer.hash)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(corpus)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == trained.hash


def test_the_trained_tokenizer_does_not_depend_on_units_or_format(
    corpus: Path, trained: Tokenizer, tmp_path: Path
) -> None:
    texts = some_texts(0, 12)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    assert choose(corpus, split_bytes=1000).tokenizer.hash == trained.hash
    assert choose(tmp_path / "a.jsonl.gz").tokenizer.hash == trained.hash
    assert choose(tmp_path / "a.parquet").tokenizer.hash == trained.hash


def test_another_corpus_gives_another_tokenizer(trained: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("altogether different words, altogether")
    assert choose(tmp_path).tokenizer.hash != trained.hash


def test_the_hash_names_the_definition_whatever_its_layout(trained: Tokenizer) -> None:
    body = json.loads(trained.definition)
    assert Tokenizer(json.dumps(body, indent=3)).hash == trained.hash
    merged = body["model"]["vocab"]
    first, second = list(merged)[:2]
    merged[first], merged[second] = merged[second], merged[first]
    assert Tokenizer(json.dumps(body)).hash != trained.hash


def test_a_pickled_tokenizer_is_the_same(trained: Tokenizer) -> None:
    again = pickle.loads(pickle.dumps(trained))
    assert again.hash == trained.hash
    assert np.array_equal(again.encode(["memory matrix"])[0], trained.encode(["memory matrix"])[0])


def test_a_tokenizer_file_is_used_as_it_is(corpus: Path, trained: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(trained.definition, encoding="utf-8")
    choice = choose(corpus, name=str(path))
    assert choice.tokenizer.hash == trained.hash
    assert choice.trained_bytes == 0
    assert choose(corpus, name="bytes").tokenizer.hash == BYTES.hash


def test_a_given_tokenizer_never_pads_or_truncates(trained: Tokenizer) -> None:
    body = json.loads(trained.definition)
    body["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    body["padding"] = {
        "strategy": {"Fixed": 512}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "!",
    }  # fmt: skip
    limited = Tokenizer(json.dumps(body))
    for text in ("exact", "memory matrix exact " * 50):
        assert np.array_equal(limited.encode([text])[0], trained.encode([text])[0])


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b"[1]", b"words", b"\xff\xfe", b'{"version": "1.0", "model": 3}']
)
def test_a_path_that_is_no_tokenizer_is_refused_by_name(corpus: Path, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TokenizerError, match=r"mine\.json"):
        choose(corpus, name=str(path))


def written(folder: Path, ending: str, texts: list[str]) -> Path:
    """The texts in one file, beside fields that are no text."""
    path = folder / f"corpus{ending}"
    if ending == ".jsonl":
        path.write_text("".join(json.dumps({"text": text, "url": "u" * 500}) + "\n" for text in texts))
    elif ending == ".parquet":
        pq.write_table(pa.table({"text": texts, "url": ["u" * 500] * len(texts)}), path)
    else:
        path.mkdir()
        for index, text in enumerate(texts):
            (path / f"{index}.txt").write_bytes(text.encode())
    return path


@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".parquet"])
def test_sizes_are_exact_if_the_sample_is_the_corpus(tmp_path: Path, ending: str) -> None:
    texts = [*some_texts(1, 30), *["the same passage " * 60] * 30]
    path = written(tmp_path, ending, texts)
    choice = choose(path, name="bytes")
    assert choice.documents == pytest.approx(len(texts), rel=0.01)
    assert choice.tokens == pytest.approx(sum(len(text.encode()) for text in texts), rel=0.01)


def test_sizes_are_estimated_from_a_part_of_a_larger_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.tokenizing.SAMPLE_BYTES", 40_000)
    texts = some_texts(2, 400)
    path = written(tmp_path, ".txt", texts)
    choice = choose(path, name="bytes", split_bytes=5000)
    assert choice.tokens == sum(len(text.encode()) for text in texts)  # one token a byte: known without reading
    assert choice.documents == pytest.approx(len(texts), rel=0.2)
    assert choose(path, split_bytes=5000).trained_bytes < choice.tokens / 2


@pytest.mark.parametrize("rows", ["\n\n", '{"text": ""}\n', '{"text": "\\ud800"}\n'])
def test_a_corpus_whose_every_document_is_empty_or_skipped_is_refused_by_its_name(tmp_path: Path, rows: str) -> None:
    (tmp_path / "nothing.jsonl").write_text(rows)
    with pytest.raises(MemoError, match=r"nothing\.jsonl"):
        choose(tmp_path / "nothing.jsonl", errors="skip")
