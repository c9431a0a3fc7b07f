"""Spelling: answers as OpenAI's completions API says them, whole or as a stream of events.

Covers: choices, log-probabilities, stop texts, usage. Does not cover: HTTP (endpoints/completions.py).

Beside OpenAI's fields every choice has `memo`: why recall stopped, how sure it was of each token, what of the prompt it
rests on, and in which documents that stands.
"""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from memo_dist.http.openai.bodies import CompletionBody
from memo_dist.http.openai.choices import Answer, Choice, SpelledToken
from memo_dist.models.candidates import Alternative

_FINISH = {"length": "length", "end_of_document": "stop", "abstained": "stop", "stop_text": "stop"}


@dataclass(frozen=True)
class Told:
    """A choice as it is told: cut at a stop text, after the prompt if that is echoed."""

    index: int
    prompt: list[SpelledToken]
    tokens: list[SpelledToken]
    stop: str
    choice: Choice

    def _steps(self, kept: int) -> list[list[Alternative]]:
        """The alternatives of the tokens that are told, where they were asked for."""
        steps = self.choice.alternatives[:kept]
        return steps if any(steps) else []

    @property
    def extra(self) -> dict[str, Any]:
        kept = len(self.tokens)
        return {
            "stop": self.stop,
            "stop_confidence": self.choice.stop_confidence,
            "confidences": self.choice.confidences[:kept],
            "windows": self.choice.windows[:kept],
            "alternatives": [[_alternative(one) for one in step] for step in self._steps(kept)],
            "reason": None if self.choice.reason is None else asdict(self.choice.reason),
            "matched": self.choice.matched,
            "matched_text": self.choice.matched_text,
            "snapped": None if self.choice.snapped is None else asdict(self.choice.snapped),
            "documents": self.choice.documents,
            "num_documents": self.choice.num_documents,
        }


def _alternative(one: Alternative) -> dict[str, Any]:
    """What else could stand in a token's place; without a text it ends the document."""
    return {"text": one.text, "count": one.count, "probability": one.probability}


class Completion:
    """One response to a completion request: `whole` or `events`; `model` is named in it."""

    def __init__(self, body: CompletionBody, answers: list[Answer], model: str) -> None:
        self._body, self._answers = body, answers
        made = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time())}
        digest = answers[0].digest if answers else ""
        self._common: dict[str, Any] = {**made, "model": model, "system_fingerprint": digest or None}
        self.told = list(_told(body, answers))

    @property
    def usage(self) -> dict[str, int]:
        asked = sum(answer.prompt_tokens for answer in self._answers)
        given = sum(len(one.tokens) for one in self.told)
        return {"prompt_tokens": asked, "completion_tokens": given, "total_tokens": asked + given}

    def whole(self) -> dict[str, Any]:
        """The response in one piece."""
        choices = []
        for one in self.told:
            text, logs = self._pieces(one, [*one.prompt, *one.tokens, *self._closing(one)], 0)
            choices.append(self._choice(one, text, logs, ended=True))
        return {**self._common, "choices": choices, "usage": self.usage}

    def events(self) -> Iterator[str]:
        """Server-sent events: the prompt if it is echoed, a token each, and why it ended."""
        for one in self.told:
            offset = 0
            further = [[token] for token in [*one.tokens, *self._closing(one)]]
            for some in [one.prompt, *further] if one.prompt else further:
                text, logs = self._pieces(one, some, offset)
                offset += len(text)
                yield self._event(choices=[self._choice(one, text, logs)])
            yield self._event(choices=[self._choice(one, "", None, ended=True)])
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield self._event(choices=[], usage=self.usage)
        yield "data: [DONE]\n\n"

    def _closing(self, one: Told) -> list[SpelledToken]:
        """A token without text where the answer ends before its length, beside a scored prompt: harnesses ask for one
        token more than they score, and take the last one for it."""
        ended = not one.tokens or one.stop in ("abstained", "end_of_document")
        asked = bool(one.prompt) and self._body.logprobs is not None and self._body.max_tokens != 0
        return [SpelledToken("", 0.0, [("", 0.0)])] if ended and asked else []

    def _event(self, **fields: Any) -> str:
        return f"data: {json.dumps({**self._common, **fields})}\n\n"

    def _choice(self, one: Told, text: str, logs: dict[str, Any] | None, *, ended: bool = False) -> dict[str, Any]:
        said = {"index": one.index, "text": text, "logprobs": logs, "finish_reason": None}
        return {**said, "finish_reason": _FINISH[one.stop], "memo": one.extra} if ended else said

    def _pieces(self, one: Told, tokens: list[SpelledToken], offset: int) -> tuple[str, dict[str, Any] | None]:
        text = "".join(token.text for token in tokens)
        if self._body.logprobs is None:
            return text, None
        offsets = []
        for token in tokens:
            offsets.append(offset)
            offset += len(token.text)
        tops = [dict(token.rivals[: self._body.logprobs]) if token.rivals else None for token in tokens]
        return text, {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.log_probability for token in tokens],
            "top_logprobs": tops if self._body.logprobs else None,
            "text_offset": offsets,
        }


def _told(body: CompletionBody, answers: list[Answer]) -> Iterator[Told]:
    """`n` choices for each prompt, numbered through; where the memory knows fewer, the others are empty."""
    count = body.n or 1
    for number, answer in enumerate(answers):
        nothing = Choice(tokens=[], confidences=[], windows=[], stop="abstained", stop_confidence=0.0)
        choices = [*answer.choices, *[nothing] * (count - len(answer.choices))]
        for place, choice in enumerate(choices):
            tokens, stopped = _cut(choice.tokens, body.stops())
            stop = "stop_text" if stopped else choice.stop
            yield Told(index=number * count + place, prompt=answer.prompt, tokens=tokens, stop=stop, choice=choice)


def _cut(tokens: list[SpelledToken], stops: list[str]) -> tuple[list[SpelledToken], bool]:
    """The tokens before the first stop text, the last of them perhaps shortened."""
    text = "".join(token.text for token in tokens)
    ends = [place for place in (text.find(stop) for stop in stops) if place >= 0]
    if not ends:
        return tokens, False
    left, kept = min(ends), []
    for token in tokens:
        if left <= 0:
            break
        kept.append(SpelledToken(token.text[:left], token.log_probability, token.rivals))
        left -= len(token.text)
    return kept, True
