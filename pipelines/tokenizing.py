"""Tokenizing: a corpus's tokenizer, and how many tokens its text gives.

Covers: training a byte-level BPE on a deterministic sample, loading one, measuring tokens per byte.
Does not cover: encoding of batches (batching.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from memo_dist.errors import TokenizerError
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusPlan

MAX_VOCABULARY = 32_000
SAMPLE_BYTES = 16 << 20
_SAMPLE_UNITS = 64


@dataclass(frozen=True)
class TokenizerChoice:
    """A tokenizer and what a sample of the corpus says of it.

    Attributes:
        trained_bytes: bytes of text it was trained on here; 0 for one that was given.
        tokens: estimate for the whole corpus; exact if the sample is all of it.
        documents: likewise.
    """

    tokenizer: Tokenizer
    trained_bytes: int
    tokens: int
    documents: int


def choose_tokenizer(plan: CorpusPlan, name: str = "auto") -> TokenizerChoice:
    """The tokenizer called `name`: "auto" trains one, "bytes" is one token a byte, else the path of a tokenizer.json.

    Raises:
        TokenizerError: no such tokenizer. InputError: the sample cannot be read.
    """
    sample = list(_sample(plan))
    texts = [text for text, _ in sample]
    if name == "auto":
        tokenizer = _train(texts)
    elif name == "bytes":
        tokenizer = Tokenizer.bytes()
    else:
        tokenizer = Tokenizer.from_file(name)
    seen = sum(len(text.encode()) for text in texts)
    tokens = 0
    for first in range(0, len(texts), 256):
        tokens += sum(len(ids) for ids in tokenizer.encode(texts[first : first + 256]))
    share = plan.text_bytes / max(seen, 1)
    if not tokens:
        raise TokenizerError(f"tokenizer {name} gives no tokens for this corpus; choose another")
    documents = sum(ends for _, ends in sample)
    trained = seen if name == "auto" else 0
    return TokenizerChoice(tokenizer, trained, round(tokens * share), max(1, round(documents * share)))


def _sample(plan: CorpusPlan) -> Iterator[tuple[str, bool]]:
    """(piece, ends a document) from units spread evenly over the corpus, the same number of bytes from each."""
    count = min(len(plan.units), _SAMPLE_UNITS)
    chosen = [plan.units[i * len(plan.units) // count] for i in range(count)]
    share = SAMPLE_BYTES // count
    for unit in chosen:
        left = share
        reading = plan.options.reading()
        for span in unit.spans:
            for passage in reading.passages(span):
                for index, piece in enumerate(passage.pieces):
                    if left > 0:
                        left -= len(piece.encode())
                        yield piece, passage.ends and index == len(passage.pieces) - 1
            if left <= 0:
                break


def _train(texts: list[str]) -> Tokenizer:
    """Byte-level BPE, so that every text can be encoded; the same texts give the same tokenizer."""
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers, trainers

    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    model.train_from_iterator(texts, trainer)
    return Tokenizer(model.to_str())
