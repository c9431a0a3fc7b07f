"""An exact peer: next-token queries of a published memory against `infini-gram` (PyPI), on the same tokens, in one run.

    pip install infini-gram
    python benchmarks/recall/peer_infini_gram.py SMALL.memo INPUT... --include '**/*.py'

INPUT is the corpus of the memory. infini-gram keeps the tokens (2 bytes each) and a suffix array, and answers with the
counts after the longest suffix of the context that occurs. Contexts are true ones of up to 256 tokens. infini-gram has
no call for many queries: its batch is a loop in as many threads as there are processors (its calls release the
interpreter's lock). Prints one JSON object.
"""

import importlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.script import add_memory_and_corpus, script_parser
from cluster.machine import local_cpus
from memo_dist.batches import read_batch
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.measuring.evaluation import context_tokens
from memo_dist.measuring.sampling import Positions, sample_positions
from memo_dist.models import cleanup_for
from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Reader
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

_SEPARATOR = 0xFFFF
Ask = Callable[[list[np.ndarray]], list[int]]


def index(memory: OpenMemory, corpus: Any, folder: Path) -> tuple[float, int]:
    """Write the corpus's tokens as infini-gram keeps them, have it sort them; (seconds of sorting, bytes)."""
    offsets, at = [], 0
    with open(folder / "tokenized.0", "wb") as tokens:
        for batch in stream_batches(corpus, memory.tokenizer, memory.config.context_length):
            for _, segment in read_batch(batch, memory.config):
                if segment.start == 0:
                    offsets.append(at)
                    at += tokens.write(np.array([_SEPARATOR], "<u2").tobytes())
                at += tokens.write(segment.tokens.astype("<u2").tobytes())
    (folder / "offset.0").write_bytes(np.array(offsets, "<u8").tobytes())
    words = ["--data_dir", str(folder), "--save_dir", str(folder), "--mem", "8", "--cpus", str(local_cpus())]
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "infini_gram.indexing", *words, "--ulimit", "1024"], check=True, stdout=2)
    return time.perf_counter() - began, sum(file.stat().st_size for file in folder.iterdir())


def peer(folder: Path, end: int) -> Callable[[np.ndarray], int]:
    """The most frequent token after the longest suffix that occurs; `end` stands for the end of a document."""
    engine = importlib.import_module("infini_gram.engine").InfiniGramEngine(str(folder), eos_token_id=_SEPARATOR - 1)

    def ask(context: np.ndarray) -> int:
        found = engine.infgram_ntd(prompt_ids=context.tolist())["result_by_token_id"]
        best = max(found, key=lambda token: found[token]["prob"])
        return end if best in (_SEPARATOR, _SEPARATOR - 1) else int(best)

    return ask


def asker(reader: Reader, cleanup: Cleanup, reach: int) -> Ask:
    def ask(contexts: list[np.ndarray]) -> list[int]:
        begins = np.array([len(context) < reach for context in contexts])
        cues = cleanup.encoder.query(contexts, at_start=begins)
        found = cleanup.rank(cleanup.encoder.retrieve(reader, cues), cues.filled)
        return [int(token) for token in found.tokens[:, 0]]

    return ask


def latencies(ask: Callable[[np.ndarray], object], contexts: list[np.ndarray]) -> dict[str, float]:
    """Milliseconds of single queries, after as many to warm up."""
    seconds = []
    for context in [*contexts, *contexts]:
        began = time.perf_counter()
        ask(context)
        seconds.append(time.perf_counter() - began)
    half = np.array(seconds[len(contexts) :]) * 1000
    return {"p50_ms": round(float(np.median(half)), 3), "p99_ms": round(float(np.quantile(half, 0.99)), 3)}


def rate(ask_all: Callable[[list[np.ndarray]], object], contexts: list[np.ndarray]) -> float:
    """Queries a second over batches of 1,024, the median of five, after one to warm up."""
    rates = []
    for _ in range(6):
        began = time.perf_counter()
        ask_all(contexts)
        rates.append(len(contexts) / (time.perf_counter() - began))
    return round(float(np.median(rates[1:])), 1)


def compared(memory: OpenMemory, places: Positions, theirs: Callable[[np.ndarray], int]) -> dict[str, Any]:
    cleanup = cleanup_for(memory.config, memory.encoder, prior=memory.token_counts())
    ours = asker(memory, cleanup, places.before)
    contexts, truth = [c for c in places.contexts() if len(c)], places.following[:, 0]
    truth = np.array([t for t, c in zip(truth, places.contexts(), strict=True) if len(c)])
    answers = np.concatenate([ours(contexts[i : i + 1024]) for i in range(0, len(contexts), 1024)])
    peers = np.array([theirs(context) for context in contexts])
    many = contexts[:1024]
    with ThreadPoolExecutor(local_cpus()) as pool:
        return {
            "positions": len(contexts),
            "agreement": round(float((answers == peers).mean()), 4),
            "recall": {"memory": float((answers == truth).mean()), "infini_gram": float((peers == truth).mean())},
            "single": {
                "memory": latencies(lambda context: ours([context]), contexts[:500]),
                "infini_gram": latencies(theirs, contexts[:500]),
            },
            "queries_per_s": {
                "memory": rate(ours, many),
                "infini_gram": rate(lambda asked: list(pool.map(theirs, asked, chunksize=64)), many),
            },
        }


def main() -> None:
    parser = script_parser(__doc__)
    add_memory_and_corpus(parser)
    parser.add_argument("--sample", type=int, default=4000)
    asked = parser.parse_args()
    corpus = plan_corpus(asked.inputs, CorpusOptions(include=asked.include, errors=asked.errors))
    with open_memory(asked.memory) as memory, tempfile.TemporaryDirectory() as folder:
        if not memory.is_published:
            parser.error(f"{asked.memory} is not published; memo-dist publish makes a small memory of it")
        seconds, size = index(memory, corpus, Path(folder))
        batches = stream_batches(corpus, memory.tokenizer, memory.config.context_length)
        places = sample_positions(batches, memory.config, asked.sample, before=context_tokens(memory.config))
        tokens = memory.manifest.tokens
        result = {
            "tokens": tokens,
            "bits": memory.manifest.bits,
            "bytes_per_token": {
                "memory": round(memory.bytes_on_disk / tokens, 2),
                "infini_gram": round(size / tokens, 2),
            },
            "infini_gram_sorts_tokens_per_s": round(tokens / seconds),
            **compared(memory, places, peer(Path(folder), memory.config.end_of_document)),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
