"""Token texts: what each token adds to a text that it stands in the middle of.

Covers: the table of a tokenizer. Does not cover: what keys make of it (models/text/units.py), decoding a continuation
(tokenizer.py).
"""

from memo_dist.tokenizer import Tokenizer

BROKEN = "\ufffd"  # what the library shows for bytes that are no whole character
_ANCHORS = "aeiotnsrhl0 .,\n"  # one of them is a token of any tokenizer


def token_texts(tokenizer: Tokenizer) -> list[str | None]:
    """(V,) the text of each token after another one; None where a token alone is no text: a part of a character, an id
    that the tokenizer leaves out, a token that shows as nothing.

    Decoders treat the beginning of a text in their own ways (they strip a space, say), so each token is decoded after
    one that stands for what comes before.
    """
    anchor = _anchor(tokenizer)
    before = tokenizer.decode([anchor])
    decoded = tokenizer.decode_several([[anchor, token] for token in range(tokenizer.vocab_size)])
    texts = [text[len(before) :] if text.startswith(before) else "" for text in decoded]
    return [text if text and BROKEN not in text else None for text in texts]


def _anchor(tokenizer: Tokenizer) -> int:
    """A token that is text by itself, and stays it whatever follows."""
    for character in _ANCHORS:
        ids = tokenizer.encode([character])[0]
        if len(ids) and BROKEN not in tokenizer.decode([int(ids[-1])]) and tokenizer.decode([int(ids[-1])]):
            return int(ids[-1])
    return 0
