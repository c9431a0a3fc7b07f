"""Records what the program answers: digests, file bytes, recalled tokens, traces, measures, messages of errors.

Covers, through the command line alone: `build` of text (2 shards), of token ids and with the preset paper (both
compositions), `forget` and `add`, `rebank`, `merge`, `publish`, `recall` (whole, published, merged and paper memories,
beginnings of documents, three alternatives a step, greedy, by shard actors, into a file), `trace`, `evaluate`,
`inspect`, `verify` and the messages of refused prompts. Does not cover: serving, `plan`, `bench`, `reproduce`, `undo`,
GPUs, resumed builds, banks on disk, remote files, a corpus of several units, what is printed without --json.

Left out, because two runs of one program differ in it: seconds and bytes of memory in what `build`, `add` and `forget`
print, "when" in a journal, the random part of the names of shard files, and the manifest's checksum, which covers both.
Of memories changed by `forget` and `add` the file bytes and `blake2b` and `records` of the manifest are left out too:
ids of a change's batches are stored, and depend on the manifest it began with, which has a time. Their `digest` and
`digests`, of matrices and ledger, are kept. Paper memories have one shard: sums of floats depend on their order.

The program runs in `directory`, on copies of the inputs under relative names: ids of documents begin with those names,
and digests and file bytes depend on the ids. All that commands printed is kept under `directory`/said.

    python tests/golden/record.py --program "python -m memo_dist" --directory NEW --out recorded.json.gz
"""

import argparse
import gzip
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

HERE = Path(__file__).parent
PROMPTS = ("prompts.jsonl", "prompts_start.jsonl", "prompts_tokens.jsonl", "prompts_paper.jsonl")
TEXTS = ("traced.txt", "traced_changed.txt")
BANKS = 26  # of 256 x 256 cells for 37,570 tokens: 45 parameters a token
PART = 40  # prompts of the runs that do not ask all
MEASURED = re.compile("seconds|.*peak_bytes|ray_bytes")
SHARD_TOKEN = re.compile(r"(\.g\d{4})-[0-9a-f]+(?=\.(?:documents\.parquet|h5)$)")
DECISIONS = "corpus/text/docs/decisions"
SMALL = [f"{DECISIONS}/0001-names-that-sort-by-bank.md", f"{DECISIONS}/0003-the-batch-contract.md"]
CHANGED = "corpus/text/docs/published.md"

Recorded = dict[str, dict[str, Any]]


class Recorder:
    """Runs commands in one directory and keeps what they say, under a section and a name."""

    def __init__(self, program: list[str], directory: Path) -> None:
        self.program, self.directory = program, directory
        self.recorded: Recorded = {}
        paths = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(HERE.parents[1])]
        self._environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        (directory / "said").mkdir(parents=True)

    def keep(self, section: str, name: str, what: Any) -> None:
        self.recorded.setdefault(section, {})[name] = what

    def run(self, section: str, name: str, *words: str, code: int = 0) -> None:
        """Run a command, which must end with `code`, and record its JSON; that of an error has message and code."""
        line = [*self.program, *words, "--json"]
        done = subprocess.run(
            line, cwd=self.directory, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != code:
            raise RuntimeError(f"{shlex.join(line)} ended with {done.returncode}, not {code}:\n{done.stderr}")
        (self.directory / "said" / f"{section}-{name}.json").write_text(done.stdout, encoding="utf-8")
        self.keep(section, name, _timeless(json.loads(done.stdout)))

    def memory(self, name: str, changed: str = "") -> None:
        """Record a memory's digest, manifest and file bytes; of one that was `changed`, under that name, no bytes."""
        folder = self.directory / name
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        del manifest["checksum"]
        segments = [file for segment in manifest.get("segments", []) for file in segment["files"]]
        for shard in [*manifest["shards"], *segments]:
            shard["file"] = SHARD_TOKEN.sub(r"\1", shard["file"])
            if shard["documents"]:
                shard["documents"]["file"] = SHARD_TOKEN.sub(r"\1", shard["documents"]["file"])
            if changed:  # ids of a change's batches follow from the time in the journal
                del shard["blake2b"], shard["records"], shard["documents"]
        if changed:
            del manifest["batches"]
        self.keep("digests", changed or name, manifest["digest"])
        self.keep("manifests", changed or name, _timeless(manifest))
        if not changed:
            files = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("manifest")]
            named = {SHARD_TOKEN.sub(r"\1", str(path.relative_to(folder))): path for path in files}
            sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items()}
            self.keep("bytes", name, dict(sorted(sums.items())))


def _timeless(said: dict[str, Any]) -> dict[str, Any]:
    """What is said without measures, nor the times in the journal of a memory."""
    kept = {key: value for key, value in said.items() if not MEASURED.fullmatch(key)}
    if "sources" in kept:
        kept["sources"] = [{key: value for key, value in entry.items() if key != "when"} for entry in kept["sources"]]
    return kept


def _text_memories(it: Recorder) -> None:
    made = ["--shards", "2", "--banks", str(BANKS), "--tokenizer", "tokenizer.json"]
    it.run("build", "text", "build", "corpus/text", "--out", "text.memo", *made)
    published = ["--out", "published.memo", "--form", "sums", "--bits", "2", "--banks", str(BANKS)]
    it.run("build", "published", "publish", "text.memo", *published)
    shutil.copytree(it.directory / "text.memo", it.directory / "changed.memo")
    it.run("change", "forget", "forget", "changed.memo", "--document", CHANGED, "--shards", "2")
    it.memory("changed.memo", "forgotten")
    it.run("change", "add", "add", "changed.memo", CHANGED, "--shards", "2")
    it.run("change", "rebank", "rebank", "text.memo", "--banks", "20", "--out", "rebanked.memo", "--shards", "2")
    for name in ("text.memo", "published.memo", "rebanked.memo"):
        it.memory(name)
    it.memory("changed.memo", "added again")
    by_actors = "text.memo --prompts part.jsonl --max-tokens 8 --shards 2"
    it.run("recall", "by actors", "recall", *by_actors.split())


def _other_memories(it: Recorder) -> None:
    ids = ["--vocab-size", "500", "--banks", "6", "--shards", "2"]
    for name, file in (("ids", "token_ids"), ("more", "more_token_ids")):
        it.run("build", name, "build", "--token-ids", f"corpus/{file}.parquet", "--out", f"{name}.memo", *ids)
    it.run("change", "merge", "merge", "ids.memo", "more.memo", "--out", "merged.memo", "--shards", "2")
    paper = ["--preset", "paper", "--dim", "256", "--shards", "1"]
    it.run("build", "paper", "build", *SMALL, "--out", "paper.memo", "--tokenizer", "tokenizer.json", *paper)
    few = ["--token-ids", "corpus/token_ids.parquet", "--limit", "4", "--composition", "product"]
    it.run("build", "product", "build", *few, "--out", "product.memo", *paper)
    for name in ("ids.memo", "more.memo", "merged.memo"):
        it.memory(name)


def _answers(it: Recorder) -> list[Callable[[], None]]:
    """What is asked of the memories, each to be run at any time once they are there."""
    recalls = {
        "full": "text.memo --prompts prompts.jsonl --max-tokens 16",
        "published": "published.memo --prompts prompts.jsonl --max-tokens 8",
        "start": "text.memo --prompts prompts_start.jsonl --from-start --max-tokens 16",
        "alternatives": "text.memo --prompts part.jsonl --max-tokens 50 --top-k 3",
        "greedy": "text.memo --prompts part.jsonl --max-tokens 24 --beam 1 --min-confidence 0.8",
        "paper": "paper.memo --prompts prompts_paper.jsonl --max-tokens 12 --min-confidence 0.5 --top-k 3",
        "ids": "ids.memo --prompts prompts_tokens.jsonl --max-tokens 24",
        "merged": "merged.memo --prompts prompts_tokens.jsonl --max-tokens 8 --top-k 3",
        "product": "product.memo --prompts prompts_tokens.jsonl --max-tokens 12 --min-confidence 0.5",
    }
    measures = {
        "text": "text.memo corpus/text --unseen corpus/unseen.txt --sample 300 --prompts 10",
        "paper": f"paper.memo {' '.join(SMALL)} --sample 100 --prompts 5",
        "ids": "ids.memo --token-ids corpus/token_ids.parquet --sample 200 --prompts 5",
    }
    short = {
        "short": ["recall", "text.memo", "--prompt", "a"],
        "second of two": ["recall", "text.memo", "--prompt", "Equal digests mean equal matrices", "--prompt", "to be"],
        "few ids": ["recall", "ids.memo", "--prompt", "3 1 4"],
    }
    refused = {
        "unknown id": ["recall", "ids.memo", "--prompt", "3 1 4 1 500"],
        "text to ids": ["recall", "ids.memo", "--prompt", "Equal digests mean"],
        "trace of ids": ["trace", "ids.memo", "--text", TEXTS[0]],
    }
    asked = [("recall", name, ["recall", *line.split()], 0) for name, line in recalls.items()]
    asked += [("recall", name, words, 0) for name, words in short.items()]
    asked += [("evaluate", name, ["evaluate", *line.split()], 0) for name, line in measures.items()]
    asked += [("trace", text, ["trace", "text.memo", "--text", text], 0) for text in TEXTS]
    asked += [("inspect", name, ["inspect", f"{name}.memo"], 0) for name in ("text", "paper")]
    asked += [("inspect", "verify", ["verify", "changed.memo"], 0)]
    asked += [("errors", name, words, 2) for name, words in refused.items()]
    return [lambda one=one: it.run(one[0], one[1], *one[2], code=one[3]) for one in asked]  # type: ignore[misc]


def _job(it: Recorder) -> None:
    words = "text.memo --prompts part.jsonl --out answers.parquet --max-tokens 8"
    it.run("job", "summary", "recall", *words.split())
    it.keep("job", "answers", {"rows": pq.read_table(it.directory / "answers.parquet").to_pylist()})


def record(program: list[str], directory: Path) -> Recorded:
    """What `program`, the beginning of a command line, does in `directory`, which must not exist or be empty."""
    it = Recorder(program, directory)
    for name in ("corpus", "tokenizer.json", *PROMPTS, *TEXTS):
        copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy
        copy(HERE / name, directory / name)
    lines = (HERE / "prompts.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (directory / "part.jsonl").write_text("".join(lines[:PART]), encoding="utf-8")
    with ThreadPoolExecutor(2) as two:  # starting Ray is mostly waiting
        list(two.map(lambda make: make(it), (_text_memories, _other_memories)))
        list(two.map(lambda ask: ask(), [lambda: _job(it), *_answers(it)]))
    return {section: dict(sorted(found.items())) for section, found in sorted(it.recorded.items())}


def packed(recorded: Recorded) -> bytes:
    """The recording as a file: equal recordings are equal bytes."""
    return gzip.compress(json.dumps(recorded, indent=0, ensure_ascii=False).encode(), mtime=0)


def main() -> None:
    """Record into a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="how a command line begins, such as 'python -m memo_dist'")
    parser.add_argument("--directory", required=True, type=Path, help="where the memories and answers go; new")
    parser.add_argument("--out", required=True, type=Path, help="the .json.gz to write")
    given = parser.parse_args()
    given.out.write_bytes(packed(record(shlex.split(given.program), given.directory.absolute())))


if __name__ == "__main__":
    main()
