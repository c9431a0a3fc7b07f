"""Records of a corpus: those of its documents however they are cut; a driver compares many in a few bytes each.

Truth: documents are their bytes, with one token a byte, and identities and places are made one by one.
"""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cluster.change_prepare import _COMPARED_BYTES
from cluster.change_selection import held_places, named_records, select
from memo_dist import TextConfig, Tokenizer
from memo_dist.document_identities import IDENTITIES
from memo_dist.document_parts import DocumentPart, document_key, place_key
from memo_dist.documents import table_of
from memo_dist.errors import InputError
from memo_dist.fingerprints import fingerprints
from memo_dist.segments import Origin
from pipelines import pieces
from pipelines.plan import CorpusOptions, plan_corpus
from pipelines.records import RECORDS, SplitRecords, gathered, identities_in, split_records

CONFIG = TextConfig(num_banks=2, vocab_size=256, inner_dim=64)
MANY = 200_000


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", 256)
        patch.setattr(pieces, "SLACK", 64)
        yield


def record(name: str, text: str, origin: Origin) -> tuple[int, int, int, int]:
    key, tokens = document_key(name), np.frombuffer(text.encode(), np.uint8).astype(np.uint32)
    return key, len(tokens), fingerprints([tokens], [key])[0], place_key(name, origin)


@pytest.mark.parametrize("split_bytes", [None, 1, 600, 5000])
def test_records_are_those_of_the_documents_however_they_are_cut(tmp_path: Path, split_bytes: int | None) -> None:
    texts = {tmp_path / f"{i}.txt": f"text number {i}, " * (1 + 40 * i) for i in range(8)}
    for path, text in texts.items():
        path.write_text(text)
    truth = [record(str(path), text, Origin(str(path))) for path, text in texts.items()]
    rows, at = [{"text": f"row {i}", "id": f"r{i % 3}"} for i in range(9)], 0
    with open(tmp_path / "rows.jsonl", "w") as handle:
        for row in rows:
            place = Origin(str(tmp_path / "rows.jsonl"), at, "bytes")
            truth.append(record(row["id"], row["text"], place))
            at += handle.write(json.dumps(row) + "\n")
    corpus = plan_corpus([str(tmp_path)], CorpusOptions(split_bytes=split_bytes))
    found = [split_records(s, corpus.options, tokenizer=Tokenizer.bytes(), config=CONFIG) for s in corpus.splits]
    assert sorted(map(tuple, gathered(found).tolist())) == sorted(truth)
    if split_bytes == 1:
        with pytest.raises(InputError, match="a file changed while it was read"):
            gathered(found[:-3])


def of_numbers(start: int, count: int) -> np.ndarray:
    rows = np.zeros(count, RECORDS)
    rows["key"] = np.random.default_rng(1).permutation(2 * MANY)[start : start + count]
    rows["place"] = rows["key"] * 7
    rows["tokens"] = rows["fingerprint"] = 3
    return rows


@pytest.mark.parametrize(("action", "first"), [("add", MANY), ("add", MANY // 2), ("forget", 0)])
def test_a_driver_compares_documents_in_a_few_bytes_each(action: str, first: int) -> None:
    held = np.sort(identities_in(of_numbers(0, MANY)))
    nothing = table_of([])
    inputs = of_numbers(first, MANY)
    tracemalloc.start()
    found = [SplitRecords(inputs[i::8].copy(), nothing) for i in range(8)]
    choice = select(action, gathered(found), held=held, named={})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    expected = inputs["place"][np.isin(inputs["key"], held["key"]) == (action == "forget")]
    assert sorted(choice.taken.tolist()) == sorted(expected.tolist())
    assert peak <= _COMPARED_BYTES * 2 * MANY, f"{peak / 2 / MANY:.0f} bytes a document"


def test_places_of_held_documents_are_found_by_identity_and_by_name() -> None:
    def part(name: str, at: int, tokens: int) -> DocumentPart:
        return DocumentPart(name, "a.jsonl", at, "bytes", 0, 9, tokens=tokens, fingerprint=5, ends=True)

    parts = [part("a", 0, 1), part("a", 9, 1), part("b", 18, 2), part("c", 27, 3)]
    tables = [table_of((document_key(p.id), p) for p in some) for some in (parts[:2], parts[2:], [])]
    places = [place_key(p.id, p.origin) for p in parts]
    asked = np.array([parts[0].identity(document_key("a")), parts[2].identity(document_key("b"))], IDENTITIES)
    assert held_places(tables, asked).tolist() == [places[0], places[2]]
    assert held_places(tables, asked[:0]).tolist() == []
    choice = named_records(tables, {document_key(name): name for name in ("a", "c", "x")})
    assert choice.taken.tolist() == [places[0], places[1], places[3]]
    assert (len(choice.identities), choice.left) == (3, 1)
