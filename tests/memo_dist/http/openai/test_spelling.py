"""Spelling: the stream put together is the whole response, and both are what the answers say, counted by hand.

Covers: choices, numbers, stop texts, echoed prompts, log-probabilities, usage. Does not cover: HTTP (test_serving.py).
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist.http.openai.bodies import CompletionBody
from memo_dist.http.openai.choices import Answer, Choice, SpelledToken
from memo_dist.http.openai.spelling import Completion

texts = st.text("ab \n.é🙂", max_size=3)
probabilities = st.none() | st.floats(-9, 0)
tokens = st.builds(
    SpelledToken, texts, probabilities, st.lists(st.tuples(st.text("xyz", min_size=1, max_size=2), st.floats(-9, 0)))
)
stops = st.sampled_from(["length", "end_of_document", "abstained"])


@st.composite
def choice(draw: st.DrawFn) -> Choice:
    said = draw(st.lists(tokens, max_size=5))
    numbers = list(range(len(said)))
    return Choice(
        tokens=said,
        confidences=[n / 8 for n in numbers],
        windows=[4**n for n in numbers],
        stop=draw(stops),
        stop_confidence=0.25,
    )


@st.composite
def request(draw: st.DrawFn) -> tuple[CompletionBody, list[Answer]]:
    echo, count = draw(st.booleans()), draw(st.integers(1, 3))
    body = CompletionBody(
        model="m",
        prompt="p",
        n=count,
        echo=echo,
        stop=draw(st.none() | st.sampled_from(["a", "b.", ""]) | st.lists(texts, max_size=3)),
        logprobs=draw(st.none() | st.integers(0, 5)),
        stream_options={"include_usage": draw(st.booleans())},
    )
    answers = [
        Answer(
            prompt_tokens=draw(st.integers(0, 9)),
            prompt=draw(st.lists(tokens, max_size=3)) if echo else [],
            choices=draw(st.lists(choice(), min_size=1, max_size=count)),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    return body, answers


def events_of(completion: Completion) -> list[dict[str, Any]]:
    lines = list(completion.events())
    assert all(line.startswith("data: ") and line.endswith("\n\n") and "\n" not in line[:-2] for line in lines)
    assert lines[-1] == "data: [DONE]\n\n"
    return [json.loads(line[6:]) for line in lines[:-1]]


def put_together(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The choices of a stream as a client adds them up."""
    made: dict[int, dict[str, Any]] = {}
    for event in events:
        for part in event["choices"]:
            whole = made.setdefault(part["index"], {"index": part["index"], "text": "", "logprobs": None})
            assert "finish_reason" not in whole  # nothing comes after it
            whole["text"] += part["text"]
            for name, values in (part["logprobs"] or {}).items():
                logs = whole["logprobs"] = whole["logprobs"] or {}
                logs[name] = None if values is None else (logs.get(name) or []) + values
            if part["finish_reason"] is not None:
                whole |= {"finish_reason": part["finish_reason"], "memo": part["memo"]}
            else:
                assert "memo" not in part
    return list(made.values())


def cut(text: str, stops: list[str]) -> tuple[str, bool]:
    """A text up to the first stop text in it."""
    for place in range(len(text) + 1):
        if any(stop and text.startswith(stop, place) for stop in stops):
            return text[:place], True
    return text, False


@settings(max_examples=100, deadline=None)
@given(request())
def test_the_stream_put_together_is_the_whole(asked: tuple[CompletionBody, list[Answer]]) -> None:
    body, answers = asked
    completion = Completion(body, answers, "m")
    whole, events = json.loads(json.dumps(completion.whole())), events_of(completion)
    nothing = {name: [] for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")}
    if body.logprobs == 0:
        nothing["top_logprobs"] = None
    for one, streamed in zip(whole["choices"], put_together(events), strict=True):
        if one["logprobs"] == nothing:  # a stream without tokens has no event that could tell
            one["logprobs"] = None
        assert one == streamed
    usages = [event["usage"] for event in events if not event["choices"]]
    assert usages == ([whole["usage"]] if body.stream_options.include_usage else [])
    for event in events:
        assert {name: event[name] for name in ("id", "object", "created", "model")} == {
            name: whole[name] for name in ("id", "object", "created", "model")
        }


@settings(max_examples=100, deadline=None)
@given(request())
def test_the_whole_is_what_the_answers_say(asked: tuple[CompletionBody, list[Answer]]) -> None:
    body, answers = asked
    whole = Completion(body, answers, "m").whole()
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    count, given_tokens = body.n or 1, 0
    assert [one["index"] for one in whole["choices"]] == list(range(count * len(answers)))
    for index, said in enumerate(whole["choices"]):
        answer, place = answers[index // count], index % count
        echoed = "".join(token.text for token in answer.prompt)
        if place >= len(answer.choices):
            assert (said["text"], said["finish_reason"]) == (echoed, "stop")
            nothing = {"confidences": [], "windows": [], "alternatives": [], "documents": [], "num_documents": 0}
            unknown = dict.fromkeys(("reason", "snapped", "matched", "matched_text"))
            assert said["memo"] == {"stop": "abstained", "stop_confidence": 0.0, **nothing, **unknown}
            continue
        choice = answer.choices[place]
        text, stopped = cut("".join(token.text for token in choice.tokens), stops)
        memo, kept = said["memo"], len(said["memo"]["confidences"])
        given_tokens += kept
        assert said["text"] == echoed + text
        assert memo["stop"] == ("stop_text" if stopped else choice.stop)
        assert said["finish_reason"] == ("length" if memo["stop"] == "length" else "stop")
        assert (memo["confidences"], memo["windows"]) == (choice.confidences[:kept], choice.windows[:kept])
        assert stopped or kept == len(choice.tokens)
        assert len("".join(token.text for token in choice.tokens[:kept])) >= len(text)
        ended = not kept or memo["stop"] in ("abstained", "end_of_document")
        closing = [SpelledToken("", 0.0, [("", 0.0)])] if answer.prompt and ended and body.max_tokens != 0 else []
        check_logs(body, said, [*answer.prompt, *choice.tokens[:kept], *closing])
    asked_tokens = sum(answer.prompt_tokens for answer in answers)
    assert whole["usage"] == {
        "prompt_tokens": asked_tokens,
        "completion_tokens": given_tokens,
        "total_tokens": asked_tokens + given_tokens,
    }


def check_logs(body: CompletionBody, said: dict[str, Any], told: list[SpelledToken]) -> None:
    logs = said["logprobs"]
    if body.logprobs is None:
        assert logs is None
        return
    assert "".join(logs["tokens"]) == said["text"]
    assert logs["text_offset"] == [len("".join(logs["tokens"][:n])) for n in range(len(told))]
    assert logs["token_logprobs"] == [token.log_probability for token in told]
    if not body.logprobs:
        assert logs["top_logprobs"] is None
        return
    expected = [dict(token.rivals[: body.logprobs]) if token.rivals else None for token in told]
    assert logs["top_logprobs"] == expected


@pytest.mark.parametrize(
    ("stop", "text", "kept"),
    [
        (None, "one two three", 3),
        (" three", "one two", 2),
        ("wo", "one t", 2),
        ("e t", "on", 1),
        (["three", "two"], "one ", 1),
        ("one", "", 0),
        ("four", "one two three", 3),
        ("", "one two three", 3),
    ],
)
def test_a_stop_text_ends_the_continuation_wherever_tokens_begin(
    stop: "str | list[str] | None", text: str, kept: int
) -> None:
    said = [SpelledToken("one "), SpelledToken("two"), SpelledToken(" three")]
    choice = Choice(tokens=said, confidences=[0.9, 0.8, 0.7], windows=[4, 16, 64], stop="length", stop_confidence=0.7)
    body = CompletionBody(model="m", prompt="p", stop=stop)
    (found,) = Completion(body, [Answer(prompt_tokens=2, prompt=[], choices=[choice])], "m").whole()["choices"]
    assert found["text"] == text
    assert found["memo"]["windows"] == [4, 16, 64][:kept]
    assert found["finish_reason"] == ("length" if kept == 3 else "stop")
