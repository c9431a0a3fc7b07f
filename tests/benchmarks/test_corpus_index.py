"""The benchmarks' search for the truth, against slices of lists."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from memo_dist import TextConfig
from memo_dist.batches import BatchInfo, make_batch
from memo_dist.segments import Segment

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.common.corpus_index import CorpusIndex, token_index

CONFIG = TextConfig(num_banks=1, vocab_size=3)
DOCUMENTS = {f"d{i}": np.random.default_rng(i).integers(0, 3, 400).tolist() for i in range(4)}


def index() -> CorpusIndex:
    """The documents, cut into segments of 70 tokens that come in reverse."""
    segments = []
    for name, tokens in DOCUMENTS.items():
        ids = np.array(tokens, np.uint32)
        for at in range(0, len(ids), 70):
            segments.append((name, Segment(at, ids[max(0, at - 64) : at], ids[at : at + 70], at + 70 >= len(ids))))
    return token_index([make_batch(segments[::-1], BatchInfo("b", "b", "", ""))], CONFIG)


def occurs(run: list[int]) -> bool:
    return any(
        tokens[i : i + len(run)] == run for tokens in DOCUMENTS.values() for i in range(len(tokens) - len(run) + 1)
    )


def test_following_counts_every_place_and_the_ends() -> None:
    corpus = index()
    for context in ([0, 1, 2, 0], [2, 2, 2, 2], DOCUMENTS["d1"][-4:], DOCUMENTS["d2"][60:76]):
        expected: Counter[int] = Counter()
        for tokens in DOCUMENTS.values():
            whole = [*tokens, CONFIG.end_of_document]
            for i in range(len(whole) - len(context)):
                expected[whole[i + len(context)]] += whole[i : i + len(context)] == context
        assert corpus.following(np.array(context)) == +expected


def test_the_longest_stretch_equals_a_plain_search() -> None:
    corpus, rng = index(), np.random.default_rng(9)
    lengths = set()
    for _ in range(300):
        tokens = DOCUMENTS[f"d{rng.integers(4)}"]
        at, true, size = int(rng.integers(40, 390)), int(rng.integers(0, 30)), int(rng.integers(1, 8))
        prompt = [*rng.integers(0, 3, 30 - true).tolist(), *tokens[at - true : at]]
        answer = tokens[at : at + size] if rng.random() < 0.8 else rng.integers(0, 3, size).tolist()
        expected = max((c for c in range(4, 31) if occurs(prompt[30 - c :] + answer)), default=0)
        assert corpus.longest_before(np.array(prompt), answer) == expected
        lengths.add(expected)
    assert len(lengths) > 15
    assert 0 in lengths
