"""What real clients found: what each sends, by plain HTTP, and what it must hear. With the clients: test_clients.py."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_service import Local, front_of
from pydantic import ValidationError
from starlette.testclient import TestClient

from memo_dist import Memory, TextConfig, Tokenizer, __version__
from memo_dist.about import About, about
from memo_dist.files.opened import open_memory
from memo_dist.http.app import ENDPOINTS, application
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.http.openai.bodies import CompletionBody
from memo_dist.http.openai.completing import END

TEXT = "".join(f"entry {i}: {i * i % 977} beside {i * 31 % 889};\n" for i in range(150))
LIMITS = Limits(prompts=8, prompt_tokens=2000, max_tokens=300)
LONG = TEXT[500:570]


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clients") / "m.memo"
    made = Memory(TextConfig(num_banks=30, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("text", np.frombuffer(TEXT.encode(), np.uint8))
    made.save(path)
    return path


@pytest.fixture(scope="module")
def client(memory: Path) -> Iterator[TestClient]:
    front = front_of(Local(memory, LIMITS), limits=LIMITS, metrics=Metrics())
    with TestClient(application(front, [], ["https://notes.example"])) as made:
        yield made


def complete(client: TestClient, **words: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json=words)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


@pytest.mark.parametrize("prompt", ["Hi", "", "never was this said before, nor will it be again", [1, 2], [250] * 9])
def test_a_prompt_that_cannot_be_answered_does_not_refuse_the_others(client: TestClient, prompt: Any) -> None:
    (alone,) = complete(client, prompt=prompt)["choices"]
    assert (alone["text"], alone["finish_reason"], alone["memo"]["stop"]) == ("", "stop", "abstained")
    good: Any = LONG if isinstance(prompt, str) else list(LONG.encode())
    first, silent, last = complete(client, prompt=[good, prompt, good], max_tokens=5)["choices"]
    assert (first["text"], silent["text"], last["text"]) == (TEXT[570:575], "", TEXT[570:575])
    assert silent["memo"]["reason"]["text"]


WRONG = {
    "an object": ({"a": 1}, "prompt is an object; expected a text"),
    "nothing": ([], "prompt is an empty list; expected a text"),
    "a number among texts": ([LONG, 5], "prompt[1] is the number 5; expected a text, as prompt[0] is one"),
    "a list among texts": ([LONG, [1]], "prompt[1] is a list; expected a text"),
    "a text among lists": ([[1, 2], LONG], "prompt[1] is a text; expected a list of token ids"),
    "a text among ids": ([1, 2, "3"], "prompt[2] is a text; expected a token id"),
    "a negative id": ([[1, 2], [3, -4]], "prompt[1][1] is the number -4; expected a token id"),
    "a truth": ([True, False], "prompt[0] is true; expected a token id"),
    "half a number": ([1, 2.5], "prompt[1] is the number 2.5; expected a token id"),
    "null": (None, "prompt is null; expected a text"),
    "an unknown id": ([[1, 2, 3, 4], [1, 2, 3, 70000]], "prompt[1] has token id 70000; the vocabulary has 256"),
    "too long": ([LONG, "x" * 2001], "prompt[1] has 2,001 tokens; this service takes 2,000 at most"),
    "an unknown id alone": ([1, 2, 3, 70000], "the prompt has token id 70000; the vocabulary has 256"),
}


@pytest.mark.parametrize(("prompt", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_element_is_named_with_what_was_expected(client: TestClient, prompt: Any, said: str) -> None:
    answer = client.post("/v1/completions", content=json.dumps({"prompt": prompt}))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(said)


def logs_of(client: TestClient, prompt: Any, **words: Any) -> dict[str, Any]:
    words = {"max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0, "seed": 1234, **words}
    logs: dict[str, Any] = complete(client, prompt=prompt, **words)["choices"][0]["logprobs"]
    return logs


@pytest.mark.parametrize("prompt", [LONG, LONG[:3], "ab", "of this it knows nothing at all, not a word"])
def test_a_harness_finds_numbers_for_every_token_but_the_first_and_one_token_more(
    client: TestClient, prompt: str
) -> None:
    """lm_eval sums token_logprobs[context:-1] and takes the largest of each top_logprobs."""
    logs = logs_of(client, list(prompt.encode()))
    assert logs["token_logprobs"][0] is None
    assert len(logs["tokens"]) == len(prompt) + 1
    assert all(log is not None and log <= 0 for log in logs["token_logprobs"][1:])
    for log, top in zip(logs["token_logprobs"][1:-1], logs["top_logprobs"][1:-1], strict=True):
        assert log <= max(top.values()) + 1e-9
    assert len(logs["text_offset"]) == len(logs["tokens"]) == len(logs["top_logprobs"])


def test_no_token_is_added_where_none_was_asked_for(client: TestClient) -> None:
    assert len(logs_of(client, "ab", max_tokens=0)["tokens"]) == 2
    (choice,) = complete(client, prompt="nobody ever said this", logprobs=1, max_tokens=4)["choices"]
    assert choice["logprobs"]["tokens"] == []


def test_tokens_after_too_few_are_as_likely_as_they_are_common(client: TestClient, memory: Path) -> None:
    counts = np.array(Memory.open(memory).token_counts(), np.float64)
    counts[counts == 0] = 0.5
    logs = logs_of(client, list(b"ent"))
    expected = np.log(counts[[ord("n"), ord("t")]] / counts.sum())
    assert logs["token_logprobs"][1:3] == pytest.approx(expected.tolist())


def test_a_rolling_harness_begins_with_the_token_for_the_end_of_a_text(client: TestClient) -> None:
    """What it asks for perplexity: that token, then the text from its first token on."""
    assert client.get("/tokenizer_info").json()["eos_token"] == END
    (end,) = client.post("/tokenize", json={"prompt": END, "add_special_tokens": False}).json()["tokens"]
    assert end == 256
    ids = client.post("/tokenize", json={"prompt": TEXT[:60], "add_special_tokens": False}).json()["tokens"]
    logs = logs_of(client, [end, *ids])
    assert logs["tokens"][:2] == [END, "e"]
    assert None not in logs["token_logprobs"][1:]
    inside = logs_of(client, ids)
    assert np.mean(logs["token_logprobs"][1:-1]) > -0.1  # a document begins so
    assert logs["token_logprobs"][2] > inside["token_logprobs"][1]
    (alone,) = complete(client, prompt=[end], max_tokens=9)["choices"]
    assert alone["text"] == TEXT[:9]
    answer = client.post("/v1/completions", json={"prompt": [*ids, end]})
    assert "the prompt has token id 256" in answer.json()["error"]["message"]


def test_tokens_are_a_text_again(client: TestClient) -> None:
    text = f"☃ and {END} within a text"
    found = client.post("/tokenize", json={"prompt": text}).json()
    assert found["count"] == len(found["tokens"]) == len(text.encode())
    assert client.post("/detokenize", json={"tokens": found["tokens"]}).json() == {"prompt": text}
    assert client.post("/detokenize", json={"tokens": [256, 65, 256]}).json() == {"prompt": f"{END}A{END}"}
    assert "expected ids up to 256" in client.post("/detokenize", json={"tokens": [257]}).text
    assert client.post("/tokenize", content=json.dumps({"prompt": "\ud800"})).status_code == 400


@pytest.mark.parametrize(
    ("path", "instead"),
    [("chat/completions", "/v1/completions"), ("responses", "/v1/completions"), ("embeddings", "/v1/trace")],
)
def test_what_a_memory_does_not_have_says_what_to_use(client: TestClient, path: str, instead: str) -> None:
    answer = client.post(f"/v1/{path}", json={"model": "m", "messages": [], "input": "x"})
    assert answer.status_code == 404  # a client does not ask again
    assert f"POST {instead}" in answer.json()["error"]["message"]


def test_a_model_need_not_be_named_and_beginnings_may_be_short(client: TestClient) -> None:
    told = complete(client, prompt="en", from_start=True, max_tokens=8)
    assert (told["model"], told["choices"][0]["text"]) == ("m", TEXT[2:10])
    assert client.post("/v1/trace", json={"text": LONG, "model": "other"}).status_code == 404


def test_a_trace_may_leave_the_tokens_out(client: TestClient) -> None:
    whole = client.post("/v1/trace", json={"text": LONG}).json()
    assert len(whole.pop("tokens")) == len(LONG)
    assert client.post("/v1/trace", json={"text": LONG, "tokens": False}).json() == whole


def test_the_version_and_the_interface_are_told(client: TestClient) -> None:
    assert client.get("/version").json() == {"version": __version__}
    told = client.get("/openapi.json").json()
    paths = {endpoint.path.replace(":path}", "}") for endpoint in ENDPOINTS if endpoint.says}
    assert set(told["paths"]) == paths >= {"/v1/completions", "/v1/trace", "/v1/memory", "/v1/models/{name}"}
    body = told["paths"]["/v1/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fields = told["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert {"prompt", "max_tokens", "from_start", "min_confidence"} <= set(fields["properties"])
    assert fields["required"] == ["prompt"]


def test_pages_of_others_may_ask_only_if_the_option_names_them(client: TestClient, memory: Path) -> None:
    asks = {"Origin": "https://notes.example", "Access-Control-Request-Method": "POST"}
    asks["Access-Control-Request-Headers"] = "authorization,content-type"
    first = client.options("/v1/completions", headers=asks)
    assert (first.status_code, first.headers["access-control-allow-origin"]) == (200, "https://notes.example")
    for path in ("/v1/models", "/v1/none"):
        assert "access-control-allow-origin" in client.get(path, headers=asks).headers
    assert client.options("/v1/completions", headers={**asks, "Origin": "https://else.example"}).status_code == 400
    plain = TestClient(application(front_of(Local(memory, LIMITS), limits=LIMITS, metrics=Metrics()), []))
    assert "access-control-allow-origin" not in plain.get("/v1/models", headers=asks).headers


def test_metrics_tell_which_memory_it_is(client: TestClient, memory: Path) -> None:
    with open_memory(memory) as opened:
        manifest = opened.manifest
    said = client.get("/metrics").text
    assert f"memo_dist_memory_tokens {float(manifest.tokens)}" in said
    load = float(said.partition("\nmemo_dist_memory_load ")[2].partition("\n")[0])
    assert load == pytest.approx(manifest.associations / manifest.config.num_parameters)
    assert f'memo_dist_memory_info{{digest="{manifest.digest}",form="working"}} 1.0' in said


def test_the_memory_says_what_it_is_and_no_path(client: TestClient, memory: Path) -> None:
    told = client.get("/v1/memory").json()
    assert (told["model"], told["form"], told["tokens"], told["documents"]) == ("m", "working", len(TEXT), 1)
    assert told["limits"]["prompt_tokens"] == 2000
    assert str(memory.parent) not in client.get("/v1/memory").text
    capacity = client.get("/v1/memory/capacity").json()
    recalls = [point["recall"] for point in capacity["curve"]]
    assert recalls == sorted(recalls, reverse=True)
    assert capacity["now"]["tokens"] == len(TEXT)
    assert [one["window"] for one in capacity["answered"]] == told["windows"]


def test_the_capacity_is_worked_out_once(memory: Path) -> None:
    with open_memory(memory) as opened:
        facts = about(opened).facts
    asked: list[int] = []

    def capacity() -> dict[str, Any]:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("once")
        return {"curve": [], "now": None, "answered": []}

    front = front_of(Local(memory, LIMITS), limits=LIMITS, metrics=Metrics())
    front.about = About(facts, capacity)
    with TestClient(application(front, [])) as client:
        said = [client.get("/v1/memory/capacity").status_code for _ in range(3)]
    assert (said, len(asked)) == ([500, 200, 200], 2)


def test_a_body_full_of_what_is_no_prompt_makes_one_error() -> None:
    """An error for each element, four times over, took the event loop ten seconds for a body of 1 MB."""
    with pytest.raises(ValidationError) as refused:
        CompletionBody.model_validate_json(b'{"prompt":[' + b",".join([b"[[]]"] * 198_000) + b"]}")
    assert refused.value.error_count() == 1
