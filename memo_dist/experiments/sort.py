"""SORT: which of two segments of a text came first, told from a memory of the text.

Covers: the two ways to tell it, one run with its controls. Does not cover: pairs (sort_pairs.py), tables and plots
(sort_report.py).

A memory holds no order but that of words after words. So it is recalled onward from one segment until the other
appears; nothing else is needed. Or, where it keeps its tokens, `where` says at which token each stands.
"""

import hashlib
import re
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memo_dist.batches import BatchInfo, make_batch
from memo_dist.experiments.evaluation_run import Run
from memo_dist.experiments.sort_pairs import Pair, Words, drawn_pairs, folded
from memo_dist.files.format import BATCHES_FOLDER, shard_file
from memo_dist.files.kept_batches import write_batch
from memo_dist.files.manifest import BatchRecord
from memo_dist.files.opened import open_memory
from memo_dist.files.shard_writer import write_shard
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.memory import Memory
from memo_dist.models.text.config import TextConfig
from memo_dist.recalling.where import Finder
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer
from memo_dist.tokenizer_training import train_tokenizer

_BANKS = 64
_PIECE = 160  # tokens recalled at a time
_CONTEXT = 64  # words that a walk remembers: as many units as the longest window has
_ONE_IN = 32  # words at which a walk may pause: by what they are, so that walks that meet go on as one


def keep_text(text: str, tokenizer: Tokenizer, out: Path) -> Memory:
    """Memorize a text as one document, and write the memory to `out` with its tokens."""
    (ids,) = tokenizer.encode([text])
    info = BatchInfo(hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), "text", "", tokenizer.hash)
    batch = make_batch([("text", Segment(0, NO_TOKENS, ids, True))], info)
    memory = Memory(TextConfig(num_banks=_BANKS, vocab_size=tokenizer.vocab_size), tokenizer)
    memory.memorize_batch(batch)
    with staged_output(out) as staging:
        kept = write_batch(batch, staging / BATCHES_FOLDER, tokenizer.vocab_size)
        write_contents(
            staging,
            memory.config,
            tokenizer,
            shards=[write_shard(memory.shard, staging / shard_file(0))],
            tokens=len(ids),
            documents=1,
            sources=[],
            keeps_tokens=True,
            batches=[BatchRecord(kept.file, kept.bytes, kept.blake2b, kept.tokens)],
        )
    return memory


class Walks:
    """Recalls onward from any segment, as far as it is surely told; what walks have in common is recalled once."""

    def __init__(self, memory: Memory) -> None:
        self._memory, self._pieces = memory, dict[str, str]()

    def meets(self, start: str, other: str, most: int) -> bool:
        """Whether `other` is told within `most` words after `start`."""
        wanted, told, count = folded(other), start, 0
        for piece in self._onward(start):
            told = told[-2 * len(other) - 2 * _CONTEXT :] + piece
            count += len(piece.split())
            if wanted in folded(told):
                return True
            if count > most:
                return False
        return False

    def _onward(self, prompt: str) -> Iterator[str]:
        while piece := self._piece(prompt):
            yield piece
            whole = prompt + piece
            words = [found.start() for found in re.finditer(r"\S+", whole)]
            prompt = whole[words[-_CONTEXT] :] if len(words) > _CONTEXT else whole

    def _piece(self, prompt: str) -> str:
        if prompt not in self._pieces:
            found = self._memory.recall(prompt, max_tokens=_PIECE, read="exact", exact_prompt=True)
            said = found.text or ""
            words = list(re.finditer(r"\S+", said))[1:-1]  # those that are whole for certain
            pauses = [word.end() for word in words if zlib.crc32(word[0].encode()) % _ONE_IN == 0]
            self._pieces[prompt] = said[: pauses[-1]] if pauses else said
        return self._pieces[prompt]


class SortBook:
    """A text, memorized; the same with its paragraphs in random order; both in a folder, with their tokens.

    Args:
        folder: there, empty.
    """

    def __init__(self, paragraphs: Sequence[str], folder: Path) -> None:
        self.words = Words(paragraphs)
        tokenizer = train_tokenizer(list(paragraphs))
        mixed = np.random.default_rng(0).permutation(len(paragraphs))
        self.walks = Walks(keep_text(self.words.text, tokenizer, folder / "text.memo"))
        keep_text("\n\n".join(paragraphs[place] for place in mixed), tokenizer, folder / "mixed.memo")
        self._folder = folder

    def first_by_walk(self, pair: Pair, most: int) -> bool | None:
        """Whether the first shown came first, by recall within `most` words; None: nothing is told."""
        one, other = pair.shown
        if self.walks.meets(one, other, most):
            return True
        return False if self.walks.meets(other, one, most) else None

    def first_by_place(self, pairs: Sequence[Pair], name: str) -> list[bool | None]:
        """The same by where each segment stands in a memory of the folder; None where one has not one place."""
        told: list[bool | None] = []
        with open_memory(self._folder / name) as memory:
            finder = Finder(memory)
            for pair in pairs:
                first, second = (_place(finder, segment) for segment in pair.shown)
                told.append(None if first is None or second is None else first < second)
        return told


def _place(finder: Finder, segment: str) -> int | None:
    """The token at which the longest piece of a segment stands, if it stands once."""
    pieces = finder.where(segment).pieces
    occurrences = max(pieces, key=lambda piece: piece.units).occurrences if pieces else ()
    return occurrences[0].first_token if len(occurrences) == 1 else None


@dataclass(frozen=True)
class SortRow:
    """What a run gave; shares in [0, 1] of its pairs.

    Attributes:
        distance: words between the segments' beginnings, the mean.
        forward_right, forward_wrong: by recall onward; the rest is silence. where_right, where_wrong: by places.
        shown_first: control: right, if the segment shown first is said to be the first, without a memory.
        mixed_right, mixed_wrong: control: by places in a memory of the same paragraphs in another order.
    """

    excerpt: int
    segment: int
    pairs: int
    text: str
    seed: int
    words: int
    distance: float
    forward_right: float
    forward_wrong: float
    where_right: float
    where_wrong: float
    shown_first: float
    mixed_right: float
    mixed_wrong: float
    seconds: float


@dataclass(frozen=True)
class SortRun(Run):
    """One run: `pairs` pairs of segments of so many words, from excerpts of so many words."""

    excerpt: int
    segment: int
    pairs: int
    text: str
    seed: int


def run_sort(run: SortRun, book: SortBook) -> SortRow:
    """Draw the pairs and ask for each."""
    began = time.perf_counter()
    draws = np.random.default_rng([run.seed, run.excerpt, run.segment])
    pairs = drawn_pairs(book.words, run.excerpt, run.segment, count=run.pairs, draws=draws)
    told = {
        "forward": [book.first_by_walk(pair, run.excerpt) for pair in pairs],
        "where": book.first_by_place(pairs, "text.memo"),
        "mixed": book.first_by_place(pairs, "mixed.memo"),
    }
    shares = {}
    for name, answers in told.items():
        right = [answer == pair.first for answer, pair in zip(answers, pairs, strict=True)]
        shares[f"{name}_right"] = float(np.mean(right))
        shares[f"{name}_wrong"] = float(np.mean([answer is not None for answer in answers])) - float(np.mean(right))
    return SortRow(
        excerpt=run.excerpt,
        segment=run.segment,
        pairs=run.pairs,
        text=run.text,
        seed=run.seed,
        words=len(book.words.spans),
        distance=float(np.mean([pair.distance for pair in pairs])),
        **shares,
        shown_first=float(np.mean([pair.first for pair in pairs])),
        seconds=round(time.perf_counter() - began, 3),
    )
