"""Questions over HTTP, bare or as the published executive wraps them: what is held is said, else "I don't know"."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from few_reflections import reflections
from local_service import Local, front_of, over_http
from starlette.testclient import TestClient

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.http.app import application
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.http.openai.wrappers import Wrapped, unwrapped
from memo_dist.reflections.building import build_reflections

LIMITS = Limits(prompt_tokens=400)
HELD, UNKNOWN = "Who is the mentor of Ada Finch?", "In which year was Ada Finch born?"
ANSWER = "mentor of number 0. "


def wrapped(question: str) -> str:
    """A message of the shape that the published executive sends, in words of our own."""
    return f"""Answer the following: {question}

    Say it only when certain; else say "I don't know".

    Reply in strict JSON:
    {{
        "answer": "<it>",
        "reasoning": "<why>"
    }}
    """


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chat")
    (folder / "r.jsonl").write_text("".join(row.to_json() + "\n" for row in reflections()), encoding="utf-8")
    build_reflections(folder / "r.jsonl", folder / "m.memo", num_banks=9)
    return folder / "m.memo"


@pytest.fixture(scope="module")
def client(memory: Path) -> Iterator[TestClient]:
    with TestClient(application(front_of(Local(memory, LIMITS), limits=LIMITS, metrics=Metrics()), [])) as made:
        yield made


def chat(client: TestClient, content: Any, **words: Any) -> dict[str, Any]:
    answer = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": content}], **words})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_bare_question_is_answered_with_its_form_and_documents(client: TestClient) -> None:
    found = chat(client, HELD, model="m", temperature=0.1, max_tokens=5)
    (choice,) = found["choices"]
    assert choice["message"] == {"role": "assistant", "content": ANSWER, "refusal": None}
    assert choice["finish_reason"] == "stop"
    memo = choice["memo"]
    assert (memo["form"], memo["documents"], memo["confidence"]) == (f"as it is written: {HELD}", ["doc-0"], 1.0)
    assert found["usage"] == {"prompt_tokens": 31, "completion_tokens": 20, "total_tokens": 51}
    assert (found["object"], found["model"]) == ("chat.completion", "m")


def test_what_is_not_held_is_not_known(client: TestClient) -> None:
    (choice,) = chat(client, UNKNOWN)["choices"]
    assert choice["message"]["content"] == "I don't know"
    assert choice["memo"]["answer"] is None
    assert "no form of this question is stored" in choice["memo"]["reason"]


@pytest.mark.parametrize(("question", "answer"), [(HELD, ANSWER), (UNKNOWN, "I don't know")])
def test_the_executives_message_gets_strict_json(client: TestClient, question: str, answer: str) -> None:
    (choice,) = chat(client, wrapped(question), max_tokens=512, temperature=0.3)["choices"]
    told = json.loads(choice["message"]["content"])
    assert set(told) == {"answer", "reasoning"}
    assert told["answer"] == answer
    assert ("i don't know" in choice["message"]["content"].lower()) is (question == UNKNOWN)
    assert choice["memo"]["wrapper"] == "executive"


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (wrapped("Who?\nAnd when?"), Wrapped("Who?\nAnd when?", "executive", True)),
        (
            wrapped("Which: A or B?").replace("Answer the following", "answer"),
            Wrapped("Which: A or B?", "executive", True),
        ),
        ("Answer this: who?\n\nin words", Wrapped("Answer this: who?\n\nin words")),
        ("  Who?\n", Wrapped("Who?")),
        ("", Wrapped("")),
    ],
)
def test_a_wrapper_is_known_by_its_shape(message: str, found: Wrapped) -> None:
    assert unwrapped(message) == found


def test_the_last_message_of_the_user_is_the_question(client: TestClient) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": UNKNOWN},
        {"role": "assistant", "content": "I don't know"},
        {"role": "user", "content": [{"type": "text", "text": HELD}, {"type": "image_url", "image_url": {}}]},
    ]
    answer = client.post("/v1/chat/completions", json={"messages": messages}).json()
    assert answer["choices"][0]["message"]["content"] == ANSWER


def test_forms_vote_and_json_may_be_asked_for(client: TestClient) -> None:
    words = {"forms": ["Who mentored Ada Finch?"], "response_format": {"type": "json_object"}}
    (choice,) = chat(client, "Who taught Ada Finch?", **words)["choices"]
    assert json.loads(choice["message"]["content"])["answer"] == ANSWER
    assert choice["memo"]["confidence"] == 0.5


def test_a_stream_says_the_same(client: TestClient) -> None:
    words = {"messages": [{"role": "user", "content": HELD}], "stream": True, "stream_options": {"include_usage": True}}
    answer = client.post("/v1/chat/completions", json=words)
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    events = [json.loads(line) for line in lines]
    assert "".join(one["choices"][0]["delta"].get("content", "") for one in events[:-1]) == ANSWER
    assert events[-2]["choices"][0]["memo"]["documents"] == ["doc-0"]
    assert events[-1]["usage"]["completion_tokens"] == 20


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": []}, "none with the role"),
        ({"messages": [{"role": "system", "content": "x"}]}, "none with the role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 401}]}, "401 tokens; this service takes 400"),
        ({"messages": [{"role": "user", "content": "x"}], "n": 2}, "expected 1"),
        ({"prompt": "x"}, "messages"),
    ],
)
def test_what_cannot_be_asked_is_said(client: TestClient, body: dict[str, Any], said: str) -> None:
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_half_a_surrogate_pair_is_refused(client: TestClient) -> None:
    text = json.dumps({"messages": [{"role": "user", "content": "\ud800"}]})
    assert client.post("/v1/chat/completions", content=text).status_code == 400


def test_a_memory_of_texts_says_what_to_use_instead(tmp_path: Path) -> None:
    made = Memory(TextConfig(num_banks=1, vocab_size=256), Tokenizer.bytes())
    made.memorize("a", "Who won? He did.")
    made.save(tmp_path / "m.memo")
    front = front_of(Local(tmp_path / "m.memo", LIMITS), limits=LIMITS, metrics=Metrics())
    with TestClient(application(front, [])) as client:
        answer = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Who won?"}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unsupported_endpoint")
    assert "POST /v1/completions" in answer.json()["error"]["message"]


def test_openais_client_is_answered(memory: Path) -> None:
    openai = pytest.importorskip("openai", reason="NO openai, NOT TESTED: install the extra clients")
    with (
        over_http(memory, LIMITS) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as service,
    ):
        (name,) = [one.id for one in service.models.list()]
        asked = [{"role": "user", "content": wrapped(HELD)}]
        found = service.chat.completions.create(model=name, messages=asked, max_tokens=512, temperature=0.1)
        assert json.loads(found.choices[0].message.content)["answer"] == ANSWER
        assert found.choices[0].memo["documents"] == ["doc-0"]
        stream = service.chat.completions.create(
            model=name, messages=[{"role": "user", "content": UNKNOWN}], stream=True
        )
        assert "".join(one.choices[0].delta.content or "" for one in stream) == "I don't know"
