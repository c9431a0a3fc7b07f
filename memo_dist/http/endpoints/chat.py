"""POST /v1/chat/completions: a question is answered from reflections, as OpenAI's chat API has it.

Covers: one request. Does not cover: its words (openai/chat_bodies.py), its answer (openai/chat.py).

A memory of texts refuses: what goes on from a question is no answer to it, and a chat client would take it for one.
"""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from memo_dist.http.body import body_of
from memo_dist.http.errors import RefusedError
from memo_dist.http.front import Endpoint, Front
from memo_dist.http.openai.chat import ChatAsk, ChatCompletion, Said
from memo_dist.http.openai.chat_bodies import ChatBody

_NO_REFLECTIONS = (
    "/v1/chat/completions is not answered here: this memory holds texts, and no reflections, which memo-dist build "
    "--reflections memorizes. A memory of texts holds no conversations: POST /v1/completions with the beginning of a "
    'text as "prompt" (openai: client.completions.create)'
)


async def chat(front: Front, request: Request) -> Response:
    body = await body_of(request, ChatBody)
    front.require_model(body.model)
    said: Said = await front.ask(request, ChatAsk(body.question().question, tuple(body.forms)))
    if said.answered is None:
        raise RefusedError(_NO_REFLECTIONS, 404, "unsupported_endpoint")
    if body.message is None:
        raise RefusedError('messages: there is none with the role "user"; the last such message is the question')
    completion = ChatCompletion(body, said, front.name)
    front.metrics.prompt_tokens.inc(completion.usage["prompt_tokens"])
    front.metrics.tokens.inc(completion.usage["completion_tokens"])
    front.metrics.stops.labels(completion.stop).inc()
    if body.stream:
        return StreamingResponse(_in_turn(completion), media_type="text/event-stream")
    return JSONResponse(completion.whole())


async def _in_turn(completion: ChatCompletion) -> AsyncIterator[str]:
    for event in completion.events():
        yield event


ENDPOINT = Endpoint(
    "/v1/chat/completions", chat, "POST", says="A question, answered from reflections or not at all", body=ChatBody
)
