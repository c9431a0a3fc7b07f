"""POST /tokenize, POST /detokenize, GET /tokenizer_info: the memory's tokenizer, as evaluation harnesses ask a service.

Covers: their bodies, asks, answers, as vLLM and lm_eval spell them. Does not cover: the tokenizer (tokenizer.py).

The text of END, by itself, is the token that ends a document, so that a harness can say where a text begins; within
other text it is text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Ask, Refusal
from memo_dist.http.body import body_of
from memo_dist.http.front import Endpoint, Front
from memo_dist.http.openai.bodies import TokenId
from memo_dist.http.openai.completing import END
from memo_dist.recalling.questions import is_unicode
from memo_dist.tokenizer import Tokenizer

_READ = 1024  # characters that are cut into tokens cost about as much as a token that is recalled


class TokenizeBody(BaseModel):
    """What clients send; special tokens are never added, whatever they ask."""

    prompt: StrictStr
    model: StrictStr | None = None


class DetokenizeBody(BaseModel):
    """What clients send."""

    tokens: list[TokenId]
    model: StrictStr | None = None


@dataclass(frozen=True)
class TokenizeAsk(Ask):
    """A text to be cut into tokens, or tokens to be put together: exactly one of both."""

    text: str | None = None
    tokens: list[int] | None = None

    @property
    def weight(self) -> int:
        return len(self.text or self.tokens or "") // _READ

    @classmethod
    def answered(cls, answerer: Answerer, asks: Sequence[Self]) -> list[Any]:
        return [ask._answered(answerer) for ask in asks]

    def _answered(self, answerer: Answerer) -> list[int] | str | Refusal:
        tokenizer, end = answerer.session.tokenizer, answerer.session.lookup.config.vocab_size
        if self.tokens is not None:
            if max(self.tokens, default=0) > end:
                return Refusal(f"tokens has {max(self.tokens)}; expected ids up to {end}")
            return "".join(_texts(tokenizer, self.tokens, end))
        assert self.text is not None
        if self.text == END:
            return [end]
        if not is_unicode(self.text):
            return Refusal("prompt is not text that UTF-8 can spell: it has half a surrogate pair")
        found: list[int] = tokenizer.encode([self.text])[0].tolist()
        return found


def _texts(tokenizer: Tokenizer, tokens: list[int], end: int) -> Iterator[str]:
    """The texts between ends of documents, and these."""
    start = 0
    for place in [*(place for place, token in enumerate(tokens) if token == end), len(tokens)]:
        yield tokenizer.decode(tokens[start:place])
        if place < len(tokens):
            yield END
        start = place + 1


async def tokenize(front: Front, request: Request) -> Response:
    body = await body_of(request, TokenizeBody)
    front.require_model(body.model)
    tokens = await front.ask(request, TokenizeAsk(text=body.prompt))
    return JSONResponse({"count": len(tokens), "max_model_len": front.limits.prompt_tokens, "tokens": tokens})


async def detokenize(front: Front, request: Request) -> Response:
    body = await body_of(request, DetokenizeBody)
    front.require_model(body.model)
    return JSONResponse({"prompt": await front.ask(request, TokenizeAsk(tokens=body.tokens))})


async def info(front: Front, request: Request) -> Response:
    facts = front.about.facts
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "vocab_size": facts["vocab_size"], "hash": facts["tokenizer"]}
    return JSONResponse({**told, "eos_token": END, "bos_token": None, "pad_token": None, "chat_template": None})


ENDPOINTS = (
    Endpoint("/tokenize", tokenize, "POST", says="The tokens of a text", body=TokenizeBody),
    Endpoint("/detokenize", detokenize, "POST", says="The text of tokens", body=DetokenizeBody),
    Endpoint("/tokenizer_info", info, says="Which tokenizer it is, and its token for the end of a text"),
)
