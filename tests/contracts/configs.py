"""Small configs of both models, the tokenizer that some have, and documents for them.

Covers: one config of every kind that the suites beside this file run on. Does not cover: what is built of them
(makers.py).
"""

from functools import cache

import numpy as np

from memo_dist import MemoryConfig, PaperConfig, TextConfig
from memo_dist.tokenizer import Tokenizer

#: Of a tokenizer's 40 tokens: words and parts of words, white space of several kinds, other characters, and bytes that
#: are no text alone. Any ids in a row are a text, in which words and white space go over the edges of tokens.
TEXTS = [
    *(" a", " b", " the", " end", "a", "b", "ab", "A", "é", "e\u0301", "ß", "SS", "_", "1", "0", "日", "語", "ﬁ", "½"),
    *(" ", "  ", "\n", "\t", "\u00a0", "a ", "ba ", ".", "..", ",", "-", "--", ". ", " . ", "x-y", "a. b", "\u0301"),
    *("´", "\ufffd", "\ufffd\ufffd", "’"),
]
OPAQUE = (37, 38)  # tokens that are no text alone
BLANK = 19  # the token of one space

Documents = dict[str, list[int]]


def text_config(
    banks: int = 5, vocab: int = 40, *, dim: int = 64, windows: tuple[int, ...] = (4, 16, 64), keys: str = "text"
) -> TextConfig:
    """A small memory of the model text."""
    return TextConfig(num_banks=banks, vocab_size=vocab, inner_dim=dim, windows=windows, keys=keys, seed=3)


def paper_config(
    vocab: int = 40, dim: int = 32, *, heads: int = 4, layers: int = 3, composition: str = "jlt", key_dim: int = 0
) -> PaperConfig:
    """A small memory of the model paper; `key_dim` is d unless given."""
    return PaperConfig.of(
        vocab,
        dim,
        num_heads=heads,
        num_layers=layers,
        composition=composition,
        key_dim=key_dim or None,
        seed=3,
    )


CONFIGS: dict[str, MemoryConfig] = {
    "text": text_config(),
    "text of two layers": text_config(3, windows=(3, 9)),
    "text with a tokenizer": text_config(4, windows=(2, 4, 7, 20)),
    "text of tokens": text_config(4, windows=(4, 16), keys="tokens"),
    "jlt": paper_config(),
    "jlt of one layer": paper_config(heads=2, layers=1),
    "product": paper_config(composition="product", layers=2),
    "direct": paper_config(layers=1, composition="direct", key_dim=20),
}


def tokenizer_of(config: MemoryConfig) -> Tokenizer | None:
    """The tokenizer of a config's memories; some have none."""
    return _tokenizer() if config in (CONFIGS["text with a tokenizer"], CONFIGS["text of tokens"]) else None


@cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models

    model = Model(models.WordLevel({text: token for token, text in enumerate(TEXTS)}, unk_token="´"))
    model.decoder = decoders.Fuse()
    return Tokenizer(model.to_str())


def texts_of(config: MemoryConfig) -> list[str | None] | None:
    """What tokens say to the keys of a config; None where each is a unit."""
    if tokenizer_of(config) is None or not config.reads_text:
        return None
    return [None if token in OPAQUE else text for token, text in enumerate(TEXTS)]


def is_text(config: MemoryConfig) -> bool:
    return isinstance(config, TextConfig)


def documents_of(vocab: int = 40, seed: int = 0, count: int = 6) -> Documents:
    """Documents of 1 to 90 tokens; every other one ends with a passage that they share."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, vocab, 30).tolist()
    return {
        f"{seed}-{n}": rng.integers(0, vocab, int(rng.integers(1, 60))).tolist() + shared * (n % 2)
        for n in range(count)
    }
