"""An exact peer: next-token queries of a solved memory against `infini-gram` (PyPI), on the same tokens, in one run.

    pip install infini-gram
    python benchmarks/recall/peer_infini_gram.py INPUT... --include '**/*.py' --json peer.json

Builds a memory of INPUT, publishes it, and has infini-gram sort the same tokens. infini-gram keeps the tokens (2 bytes
each) and a suffix array, and answers with the counts after the longest suffix of the context that occurs. Contexts are
true ones of up to 256 tokens that fill the memory's shortest window. infini-gram has no call for many queries: its
batch is a loop in as many threads as there are processors (its calls release the interpreter's lock).
Answers are compared where infini-gram finds one continuation alone, and where the text has one alone after the longest
window that the memory reads, counted in INPUT without either (memo_dist/measuring/truth.py); each difference is told.
Prints one JSON object.
"""

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.infini_gram import Distribution, index, peer
from benchmarks.common.script import add_corpus, add_json, script_parser, write_json
from benchmarks.common.watched import watched
from cluster.machine import local_cpus
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.measuring import truth
from memo_dist.measuring.evaluation import context_tokens
from memo_dist.measuring.sampling import sample_positions
from memo_dist.recalling.lookup import Lookup, SolvedLookup
from memo_dist.solved.walk import State
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

_MANY = 1024  # queries of a batch
_TIMED = 2000  # single queries
_SHOWN = 20  # differences that are told, and tokens of each context


def latencies(ask: Callable[[np.ndarray], object], contexts: list[np.ndarray]) -> dict[str, float]:
    """Milliseconds of single queries, after as many to warm up."""
    seconds = []
    for context in [*contexts, *contexts]:
        began = time.perf_counter()
        ask(context)
        seconds.append(time.perf_counter() - began)
    half = np.array(seconds[len(contexts) :]) * 1000
    return {"p50_ms": round(float(np.median(half)), 4), "p99_ms": round(float(np.quantile(half, 0.99)), 4)}


def rate(ask_all: Callable[[list[np.ndarray]], object], contexts: list[np.ndarray], repeat: int) -> float:
    """Queries a second over batches, the median of `repeat`, after one to warm up."""
    rates = []
    for _ in range(repeat + 1):
        began = time.perf_counter()
        ask_all(contexts)
        rates.append(len(contexts) / (time.perf_counter() - began))
    return round(float(np.median(rates[1:])), 1)


def speed(lookup: SolvedLookup, theirs: Distribution, contexts: list[np.ndarray]) -> dict[str, Any]:
    """Single queries and batches of both."""
    some, many = contexts[:_TIMED], contexts[:_MANY]
    with ThreadPoolExecutor(local_cpus()) as pool:
        return {
            "single": {
                "memory": latencies(lambda context: lookup.walk_after([context]), some),
                "infini_gram": latencies(theirs, some),
            },
            "queries_per_s_in_batches": {
                "memory": rate(lookup.walk_after, many, 50),
                "infini_gram": rate(lambda asked: list(pool.map(theirs, asked, chunksize=64)), many, 5),
            },
        }


def compared(memory: OpenMemory, corpus: Any, theirs: Distribution, sample: int) -> dict[str, Any]:
    """Agreement, truth, speed."""
    lookup, config = Lookup(memory).solved, memory.config
    batches = list(stream_batches(corpus, memory.tokenizer, config.context_length))
    places = sample_positions(batches, config, sample, before=context_tokens(config))
    contexts = places.contexts()
    cues = lookup.encoder.query(contexts)
    asked = np.flatnonzero(cues.filled[:, 0])
    contexts, names = [contexts[i] for i in asked.tolist()], truth.longest(cues[asked])
    walked = lookup.walk_after(contexts)
    found = [theirs(context) for context in contexts]
    peers = np.array([max(one, key=lambda token: (one[token], -token)) for one in found])
    text = truth.count_following(batches, lookup.encoder, names)
    after = [text[name] for name in names.tolist()]
    alone = {
        "infini_gram finds one": np.array([len(one) == 1 for one in found]),
        "the text has one": np.array([len(one) == 1 for one in after]),
    }
    same = walked.tokens == peers
    differs = np.flatnonzero(~same & (alone["infini_gram finds one"] | alone["the text has one"]))
    right = places.following[asked, 0]
    return {
        "positions": len(contexts),
        "too_short": len(places) - len(contexts),
        "agreement": {"all": float(same.mean()), **{name: float(same[rows].mean()) for name, rows in alone.items()}},
        "of": {"all": len(same), **{name: int(rows.sum()) for name, rows in alone.items()}},
        "right": {"memory": float((walked.tokens == right).mean()), "infini_gram": float((peers == right).mean())},
        "differences": [
            {
                "context": memory.tokenizer.decode(contexts[i][-_SHOWN:].tolist()) if memory.tokenizer else "",
                "true": int(right[i]),
                "memory": int(walked.tokens[i]),
                "state": State(int(walked.states[i])).name,
                "rung": config.windows[int(walked.rungs[i])],
                "infini_gram": found[i],
                "text": dict(after[i]),
            }
            for i in differs[:_SHOWN].tolist()
        ],
        "differences_in_all": len(differs),
        **speed(lookup, theirs, contexts),
    }


def main() -> None:
    parser = script_parser(__doc__)
    add_corpus(parser)
    parser.add_argument("--sample", type=int, default=10_000)
    parser.add_argument("--directory", default=None, help="where the memories go meanwhile; else the system's")
    add_json(parser)
    asked = parser.parse_args()
    options = ["--include", asked.include, "--errors", asked.errors]
    with tempfile.TemporaryDirectory(dir=asked.directory) as place:
        working, solved, folder = (Path(place) / name for name in ("m.memo", "p.memo", "index"))
        folder.mkdir()
        built, build_seconds, build_peak = watched("build", *asked.inputs, *options, "--out", working)
        _, publish_seconds, publish_peak = watched("publish", working, "--out", solved)
        corpus = plan_corpus(asked.inputs, CorpusOptions(include=asked.include, errors=asked.errors))
        with open_memory(solved) as memory:
            seconds, size = index(memory, corpus, folder)
            tokens, record = memory.manifest.tokens, memory.manifest.solved
            assert record is not None
            result = {
                "tokens": tokens,
                "bytes_per_token": {
                    "memory": round(memory.bytes_on_disk / tokens, 3),
                    "memory, tables alone": round(sum(file.bytes for file in record.files) / tokens, 3),
                    "infini_gram": round(size / tokens, 3),
                },
                "seconds": {
                    "build, with tokenizer": round(build_seconds, 2),
                    "build by stage": built["seconds"],
                    "publish": round(publish_seconds, 2),
                    "infini_gram sorts": round(seconds, 2),
                },
                "publish_tokens_per_s": round(tokens / publish_seconds),
                "infini_gram_sorts_tokens_per_s": round(tokens / seconds),
                "peak_bytes": {"build": build_peak, "publish": publish_peak},
                **compared(memory, corpus, peer(folder, memory.config.end_of_document), asked.sample),
            }
    print(json.dumps(result, indent=1))
    write_json(asked.json, result)


if __name__ == "__main__":
    main()
