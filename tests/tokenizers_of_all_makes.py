"""Tokenizers of every make, trained here on a few thousand words: what the `tokenizers` library can be asked to do.

Covers: byte-level BPE with and without a pattern, groups of digits, SentencePiece's kinds (Metaspace with Unigram, byte
fallback), WordPiece, words. Does not cover: real tokenizers, which cannot be had without a network.
"""

from collections.abc import Callable

import numpy as np
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Model

from memo_dist import Tokenizer

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
SAMPLE = (
    "def f(x):\n    return [x + 1 for x in range(1000)]\n\n\nclass A:\n        pass\n" * 20
    + "The quick brown fox, as they say, jumps over 12345 lazy dogs; don't stop at 2.5% or $100.\n" * 20
    + "größer als 漢字漢語 und naïve Café 日本語の文章、テキスト。\n" * 20
    + " " * 64
    + "ab" * 60
    + "\n\n\n\n" * 8
    + "\t\tindented\n" * 8
)


def byte_level(size: int = 600) -> Model:
    """As GPT-2 and what `auto` trains."""
    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    return _trained(model, _bpe(size))


def byte_level_digits() -> Model:
    """As Llama 3 and GPT-4: digits in groups of three, line ends with the spaces before them."""
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    )
    model = Model(models.BPE())
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    model.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    model.decoder = decoders.ByteLevel()
    return _trained(model, _bpe(700))


def one_word() -> Model:
    """Byte-level BPE without a pattern: the whole text is one word."""
    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.decoder = decoders.ByteLevel()
    return _trained(model, _bpe(600))


def prefixed() -> Model:
    """Byte-level BPE that puts a space before a text, as RoBERTa: a first space does not come back."""
    model = byte_level()
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return model


def metaspace_unigram() -> Model:
    """As T5 and XLM-R, without their normalizer."""
    model = Model(models.Unigram())
    model.pre_tokenizer = pre_tokenizers.Metaspace()
    model.decoder = decoders.Metaspace()
    return _trained(
        model,
        trainers.UnigramTrainer(
            vocab_size=500,
            unk_token="<unk>",
            special_tokens=["<unk>"],
            initial_alphabet=sorted(set(SAMPLE)),
            show_progress=False,
        ),
    )


def byte_fallback() -> Model:
    """As Llama 2 and Mistral: no pattern, a character that is no token is one id a byte."""
    model = Model(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    model.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    model.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *BYTES]
    latin = "".join(character for character in SAMPLE if ord(character) < 256)
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    return _trained(model, trainer, latin)


def word_piece() -> Model:
    """As BERT, uncased."""
    model = Model(models.WordPiece(unk_token="[UNK]"))
    model.normalizer = normalizers.BertNormalizer(lowercase=True)
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    model.decoder = decoders.WordPiece()
    return _trained(
        model, trainers.WordPieceTrainer(vocab_size=600, special_tokens=["[UNK]", "[CLS]"], show_progress=False)
    )


def words() -> Model:
    """Whole words and no decoder."""
    model = Model(models.WordLevel(unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _trained(model, trainers.WordLevelTrainer(vocab_size=600, special_tokens=["[UNK]"], show_progress=False))


def with_holes() -> Model:
    """Byte-level BPE whose ids are not all there: the ids of its merges begin at 1,000."""
    model = byte_level()
    vocabulary = {token: id_ if id_ < 300 else id_ + 700 for token, id_ in model.get_vocab().items()}
    by_id = sorted(vocabulary, key=vocabulary.__getitem__)
    merges = _merges(model)
    holed = Model(models.BPE(vocab={token: vocabulary[token] for token in by_id}, merges=merges))
    holed.pre_tokenizer, holed.decoder = model.pre_tokenizer, model.decoder
    holed.add_special_tokens([AddedToken("<|end|>")])
    return holed


def _merges(model: Model) -> list[tuple[str, str]]:
    import json

    return [(a, b) for a, b in json.loads(model.to_str())["model"]["merges"]]


def _bpe(size: int) -> trainers.BpeTrainer:
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)


def _trained(model: Model, trainer: object, sample: str = SAMPLE) -> Model:
    model.train_from_iterator([sample], trainer)
    return model


MAKES: dict[str, Callable[[], Model]] = {
    "byte-level BPE": byte_level,
    "byte-level BPE, groups of digits": byte_level_digits,
    "byte-level BPE, one word": one_word,
    "byte-level BPE, a space before": prefixed,
    "byte-level BPE, holes in the ids": with_holes,
    "Metaspace, Unigram": metaspace_unigram,
    "byte fallback": byte_fallback,
    "WordPiece": word_piece,
    "words": words,
}


def make(name: str) -> Tokenizer:
    """The tokenizer of one make."""
    return Tokenizer(MAKES[name]().to_str())


def mixed_text(seed: int, size: int, longest: int = 200) -> str:
    """Text of about `size` characters: indented code, prose, CJK, digits, runs of spaces and line ends; words of up to
    `longest` characters."""
    rng = np.random.default_rng(seed)
    words_ = ["def", "return", "fox", "größer", "naïve", "x1", "don't", "漢字", "日本語", "Text", "1234567", "=", "."]
    kinds: list[Callable[[], str]] = [
        lambda: " " * int(rng.integers(0, 13)) + " ".join(rng.choice(words_, int(rng.integers(1, 12)))) + "\n",
        lambda: "\n" * int(rng.integers(1, 9)),
        lambda: " " * int(rng.integers(1, 200)),
        lambda: "\t" * int(rng.integers(1, 9)) + "pass\r\n",
        lambda: "".join(chr(int(code)) for code in rng.integers(0x4E00, 0x9000, int(rng.integers(1, 60)))),
        lambda: "".join(rng.choice(list("0123456789"), int(rng.integers(1, longest // 2)))),
        lambda: "ab" * int(rng.integers(1, longest // 3)),
        lambda: "".join(rng.choice(list("abcdefghij"), int(rng.integers(1, longest)))) + " ",
    ]
    found: list[str] = []
    length = 0
    while length < size:
        found.append(kinds[int(rng.integers(len(kinds)))]())
        length += len(found[-1])
    return "".join(found)
