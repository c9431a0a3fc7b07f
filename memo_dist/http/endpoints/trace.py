"""POST /v1/trace: which passages of a text the memory holds.

Covers: the request's body, its ask, its answer. Does not cover: finding the passages (recalling/trace.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist.errors import ConfigError, PromptError
from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Ask, Refusal
from memo_dist.http.body import body_of
from memo_dist.http.front import Endpoint, Front
from memo_dist.recalling.near import with_near
from memo_dist.recalling.options import DEFAULTS
from memo_dist.recalling.trace import DEFAULT_LEAST, trace_text

_READ = 32  # characters of a text that is traced cost about as much as a token that is recalled


class TraceBody(BaseModel):
    """What clients send; see recalling/trace.py. Without `tokens` only the passages are told, not every token."""

    text: StrictStr
    least: StrictInt = DEFAULT_LEAST
    tokens: StrictBool = True
    min_confidence: Annotated[float, Field(ge=0, le=1)] = DEFAULTS.min_confidence
    fuzzy: StrictBool = False
    model: StrictStr | None = None


@dataclass(frozen=True)
class TraceAsk(Ask):
    """A text to look up; answered by what `memo-dist trace --json` says of it."""

    text: str
    least: int
    min_confidence: float
    fuzzy: bool = False
    tokens: bool = True

    @property
    def weight(self) -> int:
        return len(self.text) // _READ

    @classmethod
    def answered(cls, answerer: Answerer, asks: Sequence[Self]) -> list[dict[str, Any] | Refusal]:
        return [ask._answered(answerer) for ask in asks]

    def _answered(self, answerer: Answerer) -> dict[str, Any] | Refusal:
        session = answerer.session
        try:
            traced = trace_text(
                session.lookup,
                session.tokenizer,
                self.text,
                least=self.least,
                min_confidence=self.min_confidence,
                most_tokens=answerer.most_tokens,
            )
        except (ConfigError, PromptError) as error:  # of the question; what is wrong with the memory is not for clients
            return Refusal(str(error))
        if self.fuzzy:
            traced = with_near(session.lookup, session.tokenizer, traced)
        told = traced.to_dict()
        return told if self.tokens else {name: value for name, value in told.items() if name != "tokens"}


async def look_up(front: Front, request: Request) -> Response:
    body = await body_of(request, TraceBody)
    front.require_model(body.model)
    ask = TraceAsk(body.text, body.least, body.min_confidence, fuzzy=body.fuzzy, tokens=body.tokens)
    return JSONResponse(await front.ask(request, ask))


ENDPOINT = Endpoint("/v1/trace", look_up, "POST", says="Which passages of a text the memory holds", body=TraceBody)
