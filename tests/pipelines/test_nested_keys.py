"""Keys by dots: a text, and an id, inside another field, whatever the format."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from memo_dist.errors import InputError
from pipelines.plan import CorpusOptions

TEXTS = {f"d{n}": f"the keeper of light {n} wrote down every ship that passed at {n} in the night\n" for n in range(40)}
NESTED = [{"meta": {"id": name, "n": 1}, "body": {"told": {"text": text}}} for name, text in TEXTS.items()]
KEYS = {"text_key": "body.told.text", "id_key": "meta.id"}


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    return path


def arrow(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=9)
    return path


def tar(path: Path, rows: list[dict[str, Any]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for row in rows:
            data, member = json.dumps(row).encode(), tarfile.TarInfo(f"{row['meta']['id']}.json")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "jsonl": lines, "parquet": parquet, "arrow": arrow, "tar": tar,
}  # fmt: skip


def digest(source: Path, out: Path, **keys: str) -> str:
    options = BuildOptions(
        corpus=CorpusOptions(**keys),
        num_banks=3,
        inner_dim=64,
        tokenizer="bytes",
        resources=Resources(shards=1, address="none"),
    )
    return build([str(source)], out, options).digest


@pytest.mark.parametrize("ending", WRITERS)
def test_a_text_inside_another_field_is_the_text(ending: str, tmp_path: Path) -> None:
    flat = lines(tmp_path / "flat.jsonl", [{"id": name, "text": text} for name, text in TEXTS.items()])
    nested = WRITERS[ending](tmp_path / f"nested.{ending}", NESTED)
    assert digest(nested, tmp_path / "nested.memo", **KEYS) == digest(flat, tmp_path / "flat.memo")


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "arrow"])
def test_a_name_that_has_the_dot_itself_goes_before(ending: str, tmp_path: Path) -> None:
    rows = [{"id": name, "a.b": text, "a": {"b": "another text than that\n"}} for name, text in TEXTS.items()]
    flat = lines(tmp_path / "flat.jsonl", [{"id": name, "text": text} for name, text in TEXTS.items()])
    dotted = WRITERS[ending](tmp_path / f"dotted.{ending}", rows)
    assert digest(dotted, tmp_path / "d.memo", text_key="a.b") == digest(flat, tmp_path / "flat.memo")


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "arrow"])
def test_a_text_in_a_field_that_is_null_is_empty(ending: str, tmp_path: Path) -> None:
    rows = [{"id": name, "a": {"text": text}} for name, text in TEXTS.items()]
    some = WRITERS[ending](tmp_path / f"some.{ending}", [*rows, {"id": "last", "a": {"text": None}}])
    flat = lines(tmp_path / "flat.jsonl", [{"id": name, "text": text} for name, text in TEXTS.items()])
    assert digest(some, tmp_path / "s.memo", text_key="a.text") == digest(flat, tmp_path / "flat.memo")


@pytest.mark.parametrize("ending", WRITERS)
def test_a_key_that_leads_nowhere_is_named(ending: str, tmp_path: Path) -> None:
    source = WRITERS[ending](tmp_path / f"nested.{ending}", NESTED)
    with pytest.raises(InputError, match=r"body\.told\.nothing"):
        digest(source, tmp_path / "m.memo", text_key="body.told.nothing", id_key="meta.id")


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_column_of_fields_says_how_one_is_named(ending: str, tmp_path: Path) -> None:
    source = WRITERS[ending](tmp_path / f"nested.{ending}", NESTED)
    with pytest.raises(InputError, match=r"--text-key body\.told"):
        digest(source, tmp_path / "m.memo", text_key="body")
