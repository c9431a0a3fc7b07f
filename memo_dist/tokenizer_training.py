"""Training: a tokenizer from texts.

Covers: a byte-level BPE. Does not cover: which texts of a corpus it is trained on (pipelines/tokenizing.py).
"""

from memo_dist.tokenizer import Tokenizer

MAX_VOCABULARY = 32_000


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE, so that every text can be encoded; the same texts give the same tokenizer."""
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers, trainers

    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MAX_VOCABULARY,
        min_frequency=2,  # else each word of a small corpus becomes one token, and no prompt meets it halfway
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    model.train_from_iterator(texts, trainer)
    return Tokenizer(model.to_str())
