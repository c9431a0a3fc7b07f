"""POST /v1/completions: prompts are continued, as OpenAI's completions API has it.

Covers: one request. Does not cover: its words (openai/bodies.py, openai/spelling.py), its answer
(openai/completing.py).

An answer is confirmed by what follows it, so it is known only as a whole; a stream begins when it is.
"""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from memo_dist.http.body import body_of
from memo_dist.http.front import Endpoint, Front
from memo_dist.http.metrics import Metrics
from memo_dist.http.openai.bodies import CompletionBody
from memo_dist.http.openai.completing import CompletionAsk
from memo_dist.http.openai.spelling import Completion


async def complete(front: Front, request: Request) -> Response:
    body = await body_of(request, CompletionBody)
    front.require_model(body.model)
    answers = await front.ask(request, CompletionAsk(body.asks(front.limits)))
    completion = Completion(body, answers, front.name)
    _count(front.metrics, completion)
    if body.stream:
        return StreamingResponse(_in_turn(completion), media_type="text/event-stream")
    return JSONResponse(completion.whole())


def _count(metrics: Metrics, completion: Completion) -> None:
    metrics.prompt_tokens.inc(completion.usage["prompt_tokens"])
    metrics.tokens.inc(completion.usage["completion_tokens"])
    for one in completion.told:
        metrics.stops.labels(one.stop).inc()


async def _in_turn(completion: Completion) -> AsyncIterator[str]:
    for event in completion.events():
        yield event


ENDPOINT = Endpoint(
    "/v1/completions", complete, "POST", says="Prompts, continued verbatim or not at all", body=CompletionBody
)
