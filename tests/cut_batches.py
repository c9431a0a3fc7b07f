"""Batches of documents that are cut anywhere, in any order, and their runs: for memo_dist/runs/.

Covers: segments with their context, batches, runs of them. Does not cover: what is made of runs (test_merging.py).
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from memo_dist import TextConfig, Tokenizer
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.models import encoder_for
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.runs.run_folder import RunRecord, make_run
from memo_dist.segments import Segment

Documents = Mapping[str, list[int]]
PASSAGES = [np.random.default_rng(seed).integers(0, 40, 45).tolist() for seed in range(4)]
#: Of a few passages and single tokens: documents share windows, and repeat them.
lines = st.lists(st.one_of(st.sampled_from(PASSAGES), st.integers(0, 39).map(lambda t: [t])), min_size=1, max_size=5)
texts = lines.map(lambda parts: [*itertools.chain(*parts)])
CONFIG = TextConfig(num_banks=5, vocab_size=40, inner_dim=64, windows=(4, 16, 64), seed=3)


def segment(config: TextConfig, tokens: list[int], start: int = 0, stop: int | None = None) -> Segment:
    """Tokens [start, stop) of a document, with their context."""
    last, ids = len(tokens) if stop is None else stop, np.array(tokens, np.uint32)
    context = ids[max(0, start - config.context_length) : start]
    return Segment(start=start, context=context, tokens=ids[start:last], ends=last == len(tokens))


def batch_of(pieces: list[tuple[str, Segment]], number: int, tokenizer_hash: str = "") -> pa.Table:
    """One batch."""
    return make_batch(pieces, BatchInfo(f"{number:032x}", f"batch {number}", "", tokenizer_hash))


def whole_batch(documents: Documents, number: int = 0, *, config: TextConfig = CONFIG) -> pa.Table:
    """Whole documents in one batch."""
    return batch_of([(name, segment(config, tokens)) for name, tokens in documents.items()], number)


def batches_of(
    documents: Documents, data: st.DataObject, *, first: int = 0, config: TextConfig = CONFIG
) -> list[pa.Table]:
    """Documents cut anywhere, dealt to a few batches, in any order."""
    pieces = []
    for name, tokens in documents.items():
        inner = data.draw(st.lists(st.integers(1, max(1, len(tokens) - 1)), max_size=2))
        edges = sorted({0, len(tokens), *(edge for edge in inner if edge < len(tokens))})
        pieces += [(name, segment(config, tokens, a, b)) for a, b in itertools.pairwise(edges)]
    pieces = data.draw(st.permutations(pieces))
    size = data.draw(st.integers(1, max(1, len(pieces))))
    return [batch_of(pieces[at : at + size], first + at) for at in range(0, len(pieces), size)]


def encoder_of(config: TextConfig, tokenizer: Tokenizer | None = None) -> HashedEncoder:
    """As a build gives its tasks: of one bank."""
    encoder = encoder_for(replace(config, num_banks=1), tokenizer)
    assert isinstance(encoder, HashedEncoder)
    return encoder


def run_of(batch: pa.Table, folder: Path, *, sign: int = 1, config: TextConfig = CONFIG) -> RunRecord:
    """The run of a batch of a memory without a tokenizer."""
    return make_run(batch, folder, encoder=encoder_of(config), sign=sign, tokenizer_hash="")
