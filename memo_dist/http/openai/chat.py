"""Chat: a question to a memory of reflections, and its answer as OpenAI's chat completions say it.

Covers: the ask of POST /v1/chat/completions, the response whole and as a stream. Does not cover: answering
(reflections/answering.py), HTTP (endpoints/chat.py).

Beside OpenAI's fields the choice has `memo`: which stored form matched, the documents, the share of the asked forms
that agree, and why there is no answer. Tokens of `usage` are the memory's own, bytes.
"""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from memo_dist.errors import InputError
from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Ask, Refusal
from memo_dist.http.openai.chat_bodies import ChatBody
from memo_dist.reflections.answered import Answered
from memo_dist.reflections.answering import answer_questions
from memo_dist.reflections.layout import holds_reflections

_COSTS = 64  # recalled tokens that reading an answer costs about as much as


@dataclass(frozen=True)
class Said:
    """The answer of a memory; None: it holds no reflections. `digest`: of the memory that was asked."""

    answered: Answered | None
    digest: str


@dataclass(frozen=True)
class ChatAsk(Ask):
    """A question in all forms that are asked; answered by a Said."""

    question: str
    forms: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        return _COSTS * (1 + len(self.forms))

    @classmethod
    def answered(cls, answerer: Answerer, asks: Sequence[Self]) -> list[Said | Refusal]:
        lookup, digest = answerer.session.lookup, answerer.digest
        if not holds_reflections(lookup.config):
            return [Said(None, digest) for _ in asks]
        long = [max(len(text.encode(errors="replace")) for text in (ask.question, *ask.forms)) for ask in asks]
        most = answerer.most_tokens
        fitting = [(ask.question, ask.forms) for ask, size in zip(asks, long, strict=True) if size <= most]
        try:
            found = iter(answer_questions(lookup, fitting))
        except InputError as error:  # half a surrogate pair; the batcher asks each alone
            return [Refusal(str(error)) for _ in asks]
        return [
            Said(next(found), digest)
            if size <= most
            else Refusal(f"the question has {size:,} tokens; this service takes {most:,} at most")
            for size in long
        ]


class ChatCompletion:
    """One response: `whole` or `events`; `model` is named in it."""

    def __init__(self, body: ChatBody, said: Said, model: str) -> None:
        assert said.answered is not None  # who answers a memory of texts refuses before
        self._body, self._answered = body, said.answered
        self._common = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}
        self._common["system_fingerprint"] = said.digest or None

    @property
    def content(self) -> str:
        """The reply: the answer alone, or in strict JSON where that was asked."""
        found = self._answered
        if not self._body.question().in_json:
            return found.text
        drawn = f", from {', '.join(found.documents)}" if found.documents else ""
        why = found.reason if found.answer is None else f"held: the question {found.form}{drawn}"
        return json.dumps({"answer": found.text, "reasoning": why}, ensure_ascii=False)

    @property
    def usage(self) -> dict[str, int]:
        asked, given = len((self._body.message or "").encode()), len(self.content.encode())
        return {"prompt_tokens": asked, "completion_tokens": given, "total_tokens": asked + given}

    @property
    def stop(self) -> str:
        """Why it ended, for metrics."""
        return "abstained" if self._answered.answer is None else "answered"

    def whole(self) -> dict[str, Any]:
        """The response in one piece."""
        message = {"role": "assistant", "content": self.content, "refusal": None}
        choice = {**self._ended, "message": message}
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": self.usage}

    def events(self) -> Iterator[str]:
        """Server-sent events: who speaks, the reply, why it ended."""
        for delta in ({"role": "assistant", "content": ""}, {"content": self.content}):
            yield self._event([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}])
        yield self._event([{**self._ended, "delta": {}}])
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield self._event([], usage=self.usage)
        yield "data: [DONE]\n\n"

    @property
    def _ended(self) -> dict[str, Any]:
        extra = {**asdict(self._answered), "wrapper": self._body.question().wrapper}
        return {"index": 0, "logprobs": None, "finish_reason": "stop", "memo": extra}

    def _event(self, choices: list[dict[str, Any]], **fields: Any) -> str:
        told = {**self._common, "object": "chat.completion.chunk", "choices": choices, **fields}
        return f"data: {json.dumps(told)}\n\n"
