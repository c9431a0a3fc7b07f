"""infini-gram (PyPI): an exact peer of the same tokens, asked for the next one.

Covers: its files of a corpus, sorting them, how often each token follows. Does not cover: what is measured by it.
infini-gram keeps the tokens (2 bytes each) and a suffix array; it is installed by whoever measures it.
"""

import importlib
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cluster.machine import local_cpus
from memo_dist.batches import read_batch
from memo_dist.files.opened import OpenMemory
from pipelines.batching import stream_batches

_SEPARATOR = 0xFFFF
Distribution = Callable[[np.ndarray], dict[int, int]]


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


def peer(folder: Path, end: int) -> Distribution:
    """How often each token follows the longest suffix that occurs; `end` stands for the end of a document."""
    engine = importlib.import_module("infini_gram.engine").InfiniGramEngine(str(folder), eos_token_id=_SEPARATOR - 1)

    def ask(context: np.ndarray) -> dict[int, int]:
        found = engine.infgram_ntd(prompt_ids=context.tolist())["result_by_token_id"]
        return {end if token >= _SEPARATOR - 1 else int(token): int(one["cont_cnt"]) for token, one in found.items()}

    return ask
