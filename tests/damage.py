"""Small memories of several shards, and more than 200 ways to damage one: what test_corruption.py draws from.

Covers: where each region class of a shard file, each part of a Parquet file and each kind of place of a JSON file lies;
flipped, zeroed and random bytes there; shards written again with checksums of their own; files cut, lengthened,
missing, exchanged, taken from another memory. Does not cover: damage made so that it passes on purpose (who alters a
file can alter the manifest, and HDF5's own checksums); directories and permissions (test_cli_errors.py).
"""

import hashlib
import itertools
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa

from memo_dist import Memory, PaperConfig, TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.document_parts import document_key
from memo_dist.files.format import BATCHES_FOLDER
from memo_dist.files.generations import PREVIOUS_FILE, replace_generation
from memo_dist.files.journal import BuildEntry
from memo_dist.files.kept_batches import write_batch
from memo_dist.files.manifest import MANIFEST_FILE, TOKENIZER_FILE, BatchRecord, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.segments import Segment
from memo_dist.shard import Shard

CONFIGS = {
    "text": TextConfig(num_banks=6, vocab_size=256, inner_dim=64),
    "paper": PaperConfig.of(256, 64, num_heads=6, num_layers=1, key_dim=66),
}
EDGES = [0, 2, 4, 6]
KINDS = ("text", "paper", "changed")
PLACES = ("key", "text", "number", "word", "white space", "punctuation")
STYLES = ("bit", "byte", "zeros", "noise")
COLUMNS = ("rows", "uppers", "lowers", "tokens", "token_bounds", "more_rows", "more_bounds", "more")
LEDGER = (*(f"ledger/next/{name}" for name in COLUMNS), *(f"ledger/document/{name}" for name in COLUMNS[:-1]))
# of the preset text; small banks have no cells that need `cells/rest`, which test_cells_file.py damages, and no anchor
# is seen twice in a document
TEXT_DATA = ("cells/low", "cells/low_bounds", "cells/forms", "cells/rest_bounds", *LEDGER, "token_counts")
DATA = (*TEXT_DATA, "cells", "applied", "bank_digests")
HEADERS = ("object header", "header message", "attribute", "free space", "header checksum")
REGIONS = ("superblock", *HEADERS, "chunk checksum", *DATA, "end")
FILES = ("shard", MANIFEST_FILE, TOKENIZER_FILE)
TABLES = ("documents", "batch")
PARQUET = ("magic", "pages", "footer", "footer length")
PREVIOUS = (("previous shard", "cells/low"), (PREVIOUS_FILE, "number"))
Scenario = tuple[str, str, str]
SCENARIOS: list[Scenario] = [
    *itertools.product(["shard"], REGIONS, STYLES),
    *itertools.product([MANIFEST_FILE], PLACES, STYLES),
    *itertools.product([TOKENIZER_FILE], [p for p in PLACES if p != "white space"], STYLES),
    *itertools.product([MANIFEST_FILE, TOKENIZER_FILE], ["punctuation"], ["space"]),
    (MANIFEST_FILE, "white space", "space"),
    *itertools.product(FILES, ["whole"], ["cut"] * 10 + ["empty", "missing"] + ["longer"] * 3),
    (MANIFEST_FILE, "whole", "reordered"),
    *itertools.product(["shard"], ["whole"], ["twin"] * 7 + ["other"] * 3 + ["exchanged"] * 2 + ["annotated"]),
    *itertools.product([MANIFEST_FILE, TOKENIZER_FILE], ["whole"], ["twin"]),
    *itertools.product(["shard"], DATA * 2, ["written again"]),
    *itertools.product(["previous shard", PREVIOUS_FILE], ["whole"], ["cut", "longer", "empty"]),
    ("previous shard", "whole", "missing"),
    *[(file, place, style) for file, place in PREVIOUS for style in STYLES],
    *itertools.product(TABLES, PARQUET, STYLES),
    *itertools.product(TABLES, ["whole"], ["cut"] * 3 + ["empty", "missing", "longer", "twin", "other", "exchanged"]),
]


def shard_of(name: str) -> int:
    return document_key(name) * (len(EDGES) - 1) >> 64


def batches(mark: str, content: int) -> list[pa.Table]:
    """Nine documents, three a shard. `mark` changes names and batch ids but no shard's size, `content` the texts."""
    rng, made = np.random.default_rng(content), []
    for index in range(9):
        names = (f"{mark}-{index}-{again}" for again in itertools.count())
        name = next(name for name in names if shard_of(name) == index % 3)
        tokens = rng.integers(0, 256, 40, dtype=np.uint32)
        tokens[:3] = 7  # all begin alike, so that some associations are counted more than once
        segment = Segment(0, np.zeros(0, np.uint32), tokens, True)
        batch_id = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        made.append(make_batch([(name, segment)], BatchInfo(batch_id, name, "", Tokenizer.bytes().hash)))
    return made


def build(kind: str, tables: list[pa.Table]) -> Memory:
    memory = Memory(CONFIGS[kind], Tokenizer.bytes())
    for table in tables:
        memory.memorize_batch(table)
    return memory


def save(memory: Memory, path: Path, tables: list[pa.Table], prefix: str = "shard-0") -> None:
    memory.save(path.with_suffix(".whole"))
    parts = []
    with staged_output(path) as staging, open_memory(path.with_suffix(".whole")) as stored:
        for start, stop in itertools.pairwise(EDGES):
            shard = Shard(memory.config, range(start, stop), tokenizer=memory.tokenizer)
            stored.require_working().files[0].load_into(shard)
            parts.append(write_shard(shard, staging / f"{prefix}{start}.h5"))
        counts = {"files": 1, "splits": 1, "splits_done": 1, "skipped": 0, "replaced": 0, "empty": 0}
        entry = BuildEntry(when="2026-01-01T00:00:00+00:00", inputs=["a"], **counts)
        tokenizer = memory.tokenizer
        kept = [write_batch(table, staging / BATCHES_FOLDER, memory.config.vocab_size) for table in tables]
        write_contents(
            staging,
            memory.config,
            tokenizer,
            shards=parts,
            tokens=360,
            documents=9,
            sources=[entry],
            keeps_tokens=True,
            batches=[BatchRecord(one.file, one.bytes, one.blake2b, one.tokens) for one in kept],
        )


def make_originals(root: Path) -> None:
    """Memories by kind; of each preset a twin, equal but for names and batch ids, and another, of other texts."""
    texts = {"": batches("a", 0), "-twin": batches("b", 0), "-other": batches("c", 1)}
    for preset in CONFIGS:
        for name, tables in texts.items():
            save(build(preset, tables), root / (preset + name), tables)
    shutil.copytree(root / "text", root / "changed")
    newer = Memory.open(root / "changed")
    newer.memorize("more", list(b"a text that came later"))
    save(newer, root / "newer", texts[""], "shard-1")
    replace_generation(root / "changed", Manifest.read(root / "changed"), root / "newer")
    for name in ("-twin", "-other"):
        save(build("text", texts[name]), root / f"changed{name}", texts[name], "shard-1")


def regions(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Where each region class of a shard file lies; by the HDF5 file format, version 3, chapters III and IV."""
    whole, found = path.read_bytes(), defaultdict(list)
    found["superblock"], found["end"] = [(0, 48)], [(len(whole) - 4, len(whole))]
    with h5py.File(path) as file:
        headers, rest = [h5py.h5o.get_info(file.id).addr], "cells/rest"
        file.visititems(lambda _, item: headers.append(h5py.h5o.get_info(item.id).addr))
        assert rest not in file or not file[rest].size
        for name in DATA:
            if not isinstance(file.get(name), h5py.Dataset):
                continue
            data = file[name].id
            if file[name].chunks:
                for chunk in (data.get_chunk_info(index) for index in range(data.get_num_chunks())):
                    stop = chunk.byte_offset + chunk.size - 4
                    found[name].append((chunk.byte_offset, stop))
                    found["chunk checksum"].append((stop, stop + 4))
            elif data.get_offset() is not None:
                found[name].append((data.get_offset(), data.get_offset() + data.get_storage_size()))
    for at in headers:
        assert whole[at : at + 4] == b"OHDR"
        flags = whole[at + 5]
        start = at + 6 + 16 * bool(flags & 32) + 4 * bool(flags & 16)
        width = 1 << (flags & 3)
        found["object header"].append((at, start + width))
        blocks = [(start + width, start + width + number(whole, start, width))]
        for first, last in blocks:  # grows by what continues elsewhere
            found["header checksum"].append((last, last + 4))
            while first < last:
                body = first + 4 + 2 * bool(flags & 4)
                stop = min(last, body + number(whole, first + 1, 2))
                name = {0: "free space", 12: "attribute"}.get(whole[first], "header message")
                found[name if body <= last else "free space"].append((first, stop))
                if whole[first] == 16:
                    more, size = number(whole, body, 8), number(whole, body + 8, 8)
                    found["object header"].append((more, more + 4))
                    blocks.append((more + 4, more + size - 4))
                first = stop
    return found


def number(whole: bytes, at: int, width: int) -> int:
    return int.from_bytes(whole[at : at + width], "little")


def places(path: Path) -> dict[str, list[tuple[int, int]]]:
    """The same for JSON."""
    kinds = rb'("(?:[^"\\]|\\.)*")(?=:)|("(?:[^"\\]|\\.)*")|(-?\d+)|(\w+)|(\s+)|([^\s\w])'
    found = defaultdict(list)
    for match in re.finditer(kinds, path.read_bytes()):
        found[PLACES[match.lastindex - 1]].append(match.span())
    return found


def pages(path: Path) -> dict[str, list[tuple[int, int]]]:
    """The same for Parquet."""
    whole = path.read_bytes()
    footer = len(whole) - 8 - number(whole, len(whole) - 8, 4)
    edges = [0, 4, footer, len(whole) - 8, len(whole)]
    return {name: [span] for name, span in zip(PARQUET, itertools.pairwise(edges), strict=True)}


def places_of(path: Path) -> dict[str, list[tuple[int, int]]]:
    """Of any file of a memory."""
    return {".h5": regions, ".json": places, ".parquet": pages}[path.suffix](path)


def spoil(path: Path, spans: list[tuple[int, int]], style: str, rng: np.random.Generator) -> None:
    """Change some bytes, beginning in one of the spans."""
    whole = path.read_bytes()
    at = int(rng.integers(*spans[rng.integers(len(spans))]))
    run = int(rng.integers(2, 65))
    new = {
        "bit": bytes([whole[at] ^ 1 << int(rng.integers(8))]),
        "byte": b"\xff" if whole[at] == 0 or (whole[at] < 255 and rng.integers(2)) else b"\0",
        "zeros": bytes(run),
        "noise": rng.bytes(run),
        "space": b"\r"
        if whole[at : at + 1].isspace()
        else rng.choice([b" ", b"\t", b"\r", b"\n"]) + whole[at : at + 1],
    }[style]
    old = 1 if style == "space" else len(new)
    changed = whole[:at] + new + whole[at + old :]
    if style != "space":
        changed = changed[: len(whole)]
    if changed == whole:  # zeros where there were zeros
        changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    path.write_bytes(changed)


def write_again(path: Path, name: str, rng: np.random.Generator) -> None:
    """Other values with HDF5 checksums that fit them."""
    with h5py.File(path, "r+") as file:
        values = file[name][:]
        at = rng.integers(values.size)
        values.reshape(-1)[at] += 1 + rng.integers(100)
        file[name][:] = values


def named(manifest: Manifest, file: str) -> list[str]:
    """The files of documents or of batches."""
    if file == "batch":
        return [f"{BATCHES_FOLDER}/{record.file}" for record in manifest.batches]
    return [shard.documents.file for shard in manifest.shards]


def damage(memory: Path, source: Path, scenario: Scenario, rng: np.random.Generator) -> set[str]:
    """Do it; returns the names of which one is to be told."""
    file, where, style = scenario
    manifest = Manifest.read(memory)
    names = [record.file for record in manifest.shards]
    if file in TABLES:
        names = named(manifest, file)
    if file.startswith("previous"):
        names = [record.file for record in Manifest.read(memory, PREVIOUS_FILE).shards]
    if where in DATA:
        names = [name for name in names if where in regions(memory / name)]
    name = str(rng.choice(names)) if "shard" in file or file in TABLES else file
    path = memory / name
    at, name = names.index(name) if name in names else 0, path.name
    size = path.stat().st_size
    if style == "exchanged":
        one, two = rng.choice(names, 2, replace=False).tolist()
        held = (memory / one).read_bytes()
        shutil.copyfile(memory / two, memory / one)
        (memory / two).write_bytes(held)
        return {Path(one).name, Path(two).name}
    foreign = name
    if file in TABLES and style in ("twin", "other"):
        foreign = named(Manifest.read(source.with_name(f"{source.name}-{style}")), file)[at]
    if style == "twin":
        if name == TOKENIZER_FILE:
            path.write_text(path.read_text().replace('"trim_offsets":true', '"trim_offsets":false'))
        else:
            shutil.copyfile(source.with_name(source.name + "-twin") / foreign, path)
        if name != MANIFEST_FILE:
            return {name}
        foreign = Manifest.read(source.with_name(source.name + "-twin"))
        tables = [Path(one).name for kind in TABLES for m in (manifest, foreign) for one in named(m, kind)]
        return {name, *names, *tables}  # nothing tells which of them is foreign
    if style == "other":  # made as long as the one it stands for
        content = (source.with_name(source.name + "-other") / foreign).read_bytes()
        path.write_bytes(content[:size] + bytes(max(0, size - len(content))))
    elif style in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: int(rng.integers(size)) if style == "cut" else 0])
    elif style == "longer":
        path.write_bytes(path.read_bytes() + rng.bytes(int(rng.integers(1, 100))))
    elif style == "missing":
        path.unlink()
    elif style == "annotated":  # where there was free space: nothing that a reader asks for is touched
        with h5py.File(path, "r+") as opened:
            opened["applied"].attrs["note"] = 1
        assert path.stat().st_size == size
    elif style == "reordered":
        path.write_text(json.dumps(dict(sorted(json.loads(path.read_text()).items())), indent=1) + "\n")
    elif style == "written again":
        write_again(path, where, rng)
    else:
        spoil(path, places_of(path)[where], style, rng)
    return {name}
