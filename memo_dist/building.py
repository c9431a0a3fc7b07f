"""Building: texts that a program has -> a memory in this process.

Covers: the tokenizer, the number of banks, memorizing them. Does not cover: files and corpora larger than this
machine's memory (the command `memo-dist build`).
"""

from pathlib import Path

from memo_dist.askable import Texts, named_texts
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.staging import refuse_existing
from memo_dist.memory import Memory
from memo_dist.models import encoder_for, model_of
from memo_dist.models.repetition import TextSize
from memo_dist.models.text.config import TextConfig
from memo_dist.planning.repetition import SAMPLE_TOKENS, measure_repetition
from memo_dist.tokenizer import Tokenizer
from memo_dist.tokenizer_training import train_tokenizer


def build(
    texts: Texts,
    out: str | Path | None = None,
    *,
    tokenizer: Tokenizer | str = "auto",
    target_recall: float = 0.996,
    num_banks: int | None = None,
) -> Memory:
    """Memorize texts that this program has; files are memorized by the command `memo-dist build`, whatever their size.

    Example:
        >>> memory = memo_dist.build({"a.txt": "It was the best of times ...", "b.txt": "Call me Ishmael ..."})
        >>> memory.recall("It was the best").text
        >>> memo_dist.build((row["text"] for row in rows), "rows.memo")    # ids are 1, 2, 3 ...

    Args:
        texts: texts, (id, text) pairs, or a mapping of ids to texts; all are in memory at once.
        out: a new directory to save the memory in as well, which memo_dist.open opens.
        tokenizer: "auto" trains one on the texts, "bytes" is one token a byte, a path is a tokenizer.json.
        target_recall: that the number of banks is chosen for. num_banks: the number itself; then SciPy is not needed.

    Raises:
        ConfigError: a setting is out of range.
        InputError: there is no text, or an id is there twice; it is named. OutputExistsError: `out` exists.
        MissingExtraError: SciPy, of the extra cluster, is absent, and the number of banks is not given.
    """
    if not 0 < target_recall < 1:
        raise ConfigError(f"target_recall is {target_recall}; expected a number between 0 and 1, such as 0.99")
    if out is not None:
        refuse_existing(Path(out))
    named = list(named_texts(texts))
    if not any(text for _, text in named):
        raise InputError(f"{len(named)} texts were given, without a character in them; expected some text")
    chosen = _tokenizer(tokenizer, [text for _, text in named])
    encoded = chosen.encode([text for _, text in named])
    config = TextConfig(num_banks=num_banks or 1, vocab_size=chosen.vocab_size)
    if num_banks is None:
        repetition = measure_repetition(encoded, encoder_for(config, chosen), SAMPLE_TOKENS)
        size = TextSize(sum(map(len, encoded)), len(encoded), repetition)
        config = model_of(config).sized(config, target_recall, size)
    memory = Memory(config, chosen)
    memory.memorize_several((name, ids) for (name, _), ids in zip(named, encoded, strict=True) if len(ids))
    if out is not None:
        memory.save(out)
    return memory


def _tokenizer(asked: Tokenizer | str, texts: list[str]) -> Tokenizer:
    if isinstance(asked, Tokenizer):
        return asked
    if asked == "auto":
        return train_tokenizer(texts)
    return Tokenizer.bytes() if asked == "bytes" else Tokenizer.from_file(asked)
