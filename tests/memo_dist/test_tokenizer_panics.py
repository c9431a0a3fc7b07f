"""A text on which the tokenizers library panics: an error of its own, and nobody else's."""

import asyncio
import json

import numpy as np
import pytest

from memo_dist.errors import TokenizerError
from memo_dist.http.batcher import Batcher
from memo_dist.tokenizer import Tokenizer

ENDLESS = "a" * 40 + "b"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One whose pattern goes back and forth for ever, on which the library's regular expressions give up."""
    said = json.loads(Tokenizer.bytes().definition)
    pattern = {"Regex": "(a+)+$"}
    said["pre_tokenizer"] = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    return Tokenizer(json.dumps(said))


def test_a_panic_is_a_tokenizer_error(tokenizer: Tokenizer) -> None:
    for encode in (lambda: tokenizer.encode(["fine", ENDLESS]), lambda: tokenizer.encode_with_places(ENDLESS)):
        with pytest.raises(TokenizerError, match="gave up on a text"):
            encode()
    assert tokenizer.encode(["fine"])[0].tolist() == list(b"fine")


def test_others_of_its_batch_are_answered(tokenizer: Tokenizer) -> None:
    def encoded(texts: list[str]) -> list[np.ndarray]:
        return tokenizer.encode(texts)

    async def asked() -> list[object]:
        batcher: Batcher[str, np.ndarray] = Batcher(encoded, 10)
        asks = [batcher.ask(text) for text in ("hello", ENDLESS, "world")]
        return await asyncio.wait_for(asyncio.gather(*asks, return_exceptions=True), 60)

    first, fault, last = asyncio.run(asked())
    assert isinstance(fault, TokenizerError)
    assert [np.asarray(one).tolist() for one in (first, last)] == [list(b"hello"), list(b"world")]
