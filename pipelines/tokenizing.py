"""Tokenizing: a corpus's tokenizer, and how many tokens its text gives.

Covers: a deterministic sample to train on, loading one, measuring tokens per byte and what is lost. Does not cover:
training (memo_dist/tokenizer_training.py), encoding of batches (batching.py).
"""

from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from memo_dist.errors import InputError, TokenizerError
from memo_dist.tokenizer import Tokenizer
from memo_dist.tokenizer_training import train_tokenizer
from pipelines.formats import passages
from pipelines.pieces import PIECE
from pipelines.plan import CorpusPlan
from pipelines.release_memory import return_freed_memory
from pipelines.round_trip import SampleText, losses

SAMPLE_BYTES = 16 << 20
_SAMPLE_SPLITS = 64
_AT_ONCE = 1 << 19  # characters: nothing else runs while the sample is encoded


@dataclass(frozen=True, kw_only=True)
class TokenizerChoice:
    """A tokenizer and what a sample of the corpus says of it.

    Attributes:
        tokenizer: None for a corpus of token ids.
        vocab_size: V.
        trained_bytes: bytes of text that the tokenizer was trained on here; 0 if it was given.
        tokens: estimated number for the whole corpus; exact if the sample is all of it.
        documents: likewise, the number of documents.
        sample: token ids of the sample's pieces.
        losses: what of the sample does not come back from the tokenizer's ids, in words (round_trip.py).
    """

    tokenizer: Tokenizer | None
    vocab_size: int
    trained_bytes: int
    tokens: int
    documents: int
    sample: tuple[np.ndarray, ...] = ()
    losses: tuple[str, ...] = ()


def choose_tokenizer(plan: CorpusPlan, name: str = "auto") -> TokenizerChoice:
    """The tokenizer called `name`: "auto" trains one, "bytes" is one token a byte, else the path of a tokenizer.json.

    Raises:
        TokenizerError: no such tokenizer. InputError: the sample cannot be read.
    """
    choice = _chosen(plan, name)
    return_freed_memory()
    return choice


def _chosen(plan: CorpusPlan, name: str) -> TokenizerChoice:
    sample = _sample(plan)
    if not sample.texts:
        raise InputError(f"no text was found in {plan.splits[0].describe()}: all documents are empty or left out")
    lost: tuple[str, ...] = ()
    if name == "auto":
        tokenizer = train_tokenizer(sample.texts)
    elif name == "bytes":
        tokenizer = Tokenizer.bytes()
    else:
        tokenizer = Tokenizer.from_file(name)
        lost = losses(tokenizer, map(SampleText, sample.texts, sample.begins))
    pieces: list[np.ndarray] = []
    for first in range(0, len(sample.texts), 256):
        pieces += tokenizer.encode(sample.texts[first : first + 256], at_once=_AT_ONCE)
    tokens = sum(len(ids) for ids in pieces)
    if not tokens:
        raise TokenizerError(f"tokenizer {name} gives no tokens for this corpus; choose another")
    scale = plan.text_bytes / max(sample.consumed, 1)
    trained = sum(len(text.encode()) for text in sample.texts) if name == "auto" else 0
    return TokenizerChoice(
        tokenizer=tokenizer,
        vocab_size=tokenizer.vocab_size,
        trained_bytes=trained,
        tokens=round(tokens * scale),
        documents=max(1, round(sample.documents * scale)),
        sample=tuple(pieces),
        losses=lost,
    )


@dataclass
class _Sample:
    """Pieces of text, which of them begin documents, how many documents end in them, and the bytes of source that they
    came from."""

    texts: list[str] = field(default_factory=list)
    begins: list[bool] = field(default_factory=list)
    documents: int = 0
    consumed: int = 0


def _sample(plan: CorpusPlan) -> _Sample:
    """Text from splits spread evenly over the corpus, the same number of bytes from each; all of a small corpus."""
    count = min(len(plan.splits), _SAMPLE_SPLITS)
    chosen = [plan.splits[i * len(plan.splits) // count] for i in range(count)]
    share = SAMPLE_BYTES // count
    sample = _Sample()
    for split in chosen:
        reading = plan.options.reading()
        untaken = 0
        for passage in (p for span in split.spans for p in passages(span, reading)):
            most = 1 + share // PIECE
            taken = list(islice(passage.pieces(), most))
            behind = passage.text.edge(passage.last) - passage.text.edge(min(passage.last, passage.first + most))
            untaken += behind
            sample.texts += taken
            sample.begins += [passage.first + place == 0 for place in range(len(taken))]
            sample.documents += passage.ends and not behind
            if reading.consumed - untaken >= share:
                break
        sample.consumed += reading.consumed - untaken
    return sample
