"""The service's HTTP side, without Ray: answers equal recall's own, bad requests are refused, faults stay inside."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_service import Local, front_of
from starlette.testclient import TestClient
from starlette.types import ASGIApp
from tokenizers_of_all_makes import make

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import ConfigError
from memo_dist.files.opened import open_memory
from memo_dist.files.published_writer import publish
from memo_dist.http.answerer import Answerer
from memo_dist.http.app import application
from memo_dist.http.asks import Ask
from memo_dist.http.errors import ReplicaLostError
from memo_dist.http.guards import read_keys
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.http.openai.choices import PromptAsk
from memo_dist.http.openai.completing import CompletionAsk
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session

TEXT = "".join(f"entry {i}: {i * i % 977} beside {i * 31 % 889};\n" for i in range(150))
SNOW = "and then there fell some snow on it, as ☃ ☃ ☄ ☂ ☃ ☀ ☁ ☂ ☃ say: ☃"
FORK = "where two roads part, and that after a long way in common which both of them share, "
ENDINGS = ("one goes to the north.", "another to the warm south.")
LIMITS = Limits(body_bytes=20_000, prompts=8, prompt_tokens=2000, max_tokens=300)


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serving") / "m.memo"
    made = Memory(TextConfig(num_banks=30, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    for name, text in (("text", TEXT), ("one", FORK + ENDINGS[0]), ("two", FORK + ENDINGS[1]), ("snow", SNOW)):
        made.memorize(name, np.frombuffer(text.encode(), np.uint8))
    made.save(path)
    return path


def served(replicas: Local, limits: Limits, metrics: Metrics, keys: list[bytes]) -> ASGIApp:
    return application(front_of(replicas, limits=limits, metrics=metrics), keys)


def client_of(replicas: Local, limits: Limits = LIMITS, keys: list[bytes] | None = None) -> TestClient:
    return TestClient(served(replicas, limits, Metrics(), keys or []))


@pytest.fixture(scope="module")
def client(memory: Path) -> Iterator[TestClient]:
    with client_of(Local(memory, LIMITS)) as made:
        yield made


def ask(client: TestClient, **words: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json={"model": "m", **words})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(client: TestClient, **words: Any) -> list[dict[str, Any]]:
    answer = client.post("/v1/completions", json={"model": "m", "stream": True, **words})
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def plainly(memory: Path, prompt: str, max_tokens: int) -> Continuation:
    return Memory.open(memory).recall(prompt, max_tokens=max_tokens)


def test_answers_are_those_of_recall(client: TestClient, memory: Path) -> None:
    prompts = [TEXT[s : s + 70] for s in (100, 1000, 2222)] + ["never was this said before, nor will it be again"]
    found = ask(client, prompt=prompts, max_tokens=30)
    for choice, prompt in zip(found["choices"], prompts, strict=True):
        plain = plainly(memory, prompt, 30)
        assert choice["text"] == plain.text
        assert choice["memo"]["stop"] == plain.stop
        assert choice["memo"]["confidences"] == pytest.approx(plain.confidences)
    assert [c["finish_reason"] for c in found["choices"]] == ["length", "length", "length", "stop"]
    assert found["choices"][3]["text"] == ""
    assert found["usage"] == {"prompt_tokens": 210 + 48, "completion_tokens": 90, "total_tokens": 348}
    assert (found["object"], found["model"]) == ("text_completion", "m")


def test_a_document_that_ends_is_told(client: TestClient) -> None:
    (choice,) = ask(client, prompt=TEXT[-100:-20], max_tokens=60)["choices"]
    assert choice["text"] == TEXT[-20:]
    assert choice["finish_reason"] == "stop"
    assert choice["memo"]["stop"] == "end_of_document"


def test_token_ids_are_prompts_too(client: TestClient) -> None:
    prompt = TEXT[500:570]
    for ids in (list(prompt.encode()), [list(prompt.encode())]):
        (choice,) = ask(client, prompt=ids, max_tokens=20)["choices"]
        assert choice["text"] == TEXT[570:590]


def test_stop_texts_end_the_answer_before_them(client: TestClient) -> None:
    for stop in ("beside", ["nowhere", "beside", ";"]):
        (choice,) = ask(client, prompt=TEXT[500:570], max_tokens=80, stop=stop, logprobs=1)["choices"]
        rest = TEXT[570:]
        assert (
            choice["text"]
            == rest[: min(rest.find(s) for s in ("beside", ";")) if stop != "beside" else rest.find("beside")]
        )
        assert (choice["finish_reason"], choice["memo"]["stop"]) == ("stop", "stop_text")
        assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
        assert len(choice["memo"]["confidences"]) == len(choice["logprobs"]["tokens"])


def test_n_gives_different_continuations_and_no_invented_ones(client: TestClient) -> None:
    choices = ask(client, prompt=[FORK, TEXT[500:570]], max_tokens=15, n=3)["choices"]
    assert [c["index"] for c in choices] == list(range(6))
    texts = [c["text"] for c in choices]
    assert {texts[0], texts[1]} == {ENDINGS[0][:15], ENDINGS[1][:15]}
    assert texts[2:] == ["", TEXT[570:585], "", ""]


def test_echo_puts_the_prompt_first(client: TestClient) -> None:
    prompt = TEXT[500:570]
    (choice,) = ask(client, prompt=prompt, max_tokens=10, echo=True)["choices"]
    assert choice["text"] == prompt + TEXT[570:580]


def test_log_probabilities_are_the_softmax_of_log_odds(client: TestClient, memory: Path) -> None:
    whole = Memory.open(memory)
    prompt = TEXT[500:570]
    (choice,) = ask(client, prompt=prompt, max_tokens=12, logprobs=3, read="matrices")["choices"]
    logs, line = choice["logprobs"], TEXT[:582].encode()
    assert "".join(logs["tokens"]) == choice["text"]
    assert logs["text_offset"] == list(range(12))
    for step in range(12):
        found = whole.retrieve([list(line[501 : 570 + step])])
        odds = np.exp(np.sort(found.log_odds[0])[::-1])
        assert np.exp(logs["token_logprobs"][step]) == pytest.approx(odds[0] / (1 + odds.sum()), rel=1e-3)
        top = logs["top_logprobs"][step]
        assert len(top) == 3
        assert max(top, key=top.__getitem__) == logs["tokens"][step]


def test_echo_scores_the_prompt_itself(client: TestClient) -> None:
    """What evaluation harnesses ask: no new tokens, the log-probability of those given."""
    known = ask(client, prompt=TEXT[500:600], max_tokens=0, echo=True, logprobs=1)["choices"][0]
    foreign = ask(client, prompt="".join(reversed(TEXT[500:600])), max_tokens=0, echo=True, logprobs=1)["choices"][0]
    assert known["text"] == TEXT[500:600]
    logs = known["logprobs"]["token_logprobs"]
    assert [place for place, log in enumerate(logs) if log is None] == [0]
    assert np.mean(logs[20:]) > -0.1
    assert np.mean(foreign["logprobs"]["token_logprobs"][20:]) < -5


def test_a_stream_says_the_same_in_pieces(client: TestClient) -> None:
    words: dict[str, Any] = {"prompt": [TEXT[500:570], FORK], "max_tokens": 14, "logprobs": 2, "n": 2, "echo": True}
    whole = ask(client, **words)
    parts = events(client, stream_options={"include_usage": True}, **words)
    assert parts.pop()["usage"] == whole["usage"]
    assert len({part["id"] for part in parts}) == 1
    for choice in whole["choices"]:
        mine = [c for part in parts for c in part["choices"] if c["index"] == choice["index"]]
        assert "".join(c["text"] for c in mine) == choice["text"]
        assert [c["finish_reason"] for c in mine] == [None] * (len(mine) - 1) + [choice["finish_reason"]]
        for name in ("tokens", "token_logprobs", "text_offset"):
            joined = [x for c in mine if c["logprobs"] for x in c["logprobs"][name]]
            assert joined == choice["logprobs"][name]


def test_characters_of_several_tokens_come_whole(client: TestClient) -> None:
    parts = events(client, prompt=SNOW[: SNOW.index("☄")], max_tokens=8)
    texts = [c["text"] for part in parts for c in part["choices"]]
    assert "".join(texts) == "☄ ☂ "
    assert all("\ufffd" not in text for text in texts)


BAD = {
    "no body": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "no prompt": b'{"model": "m"}',
    "a number": b'{"model": "m", "prompt": 5}',
    "mixed prompts": b'{"model": "m", "prompt": ["text", [1, 2]]}',
    "negative id": b'{"model": "m", "prompt": [1, 2, 3, -4]}',
    "huge id": b'{"model": "m", "prompt": [1, 2, 3, 99999999999999999999999]}',
    "foreign id": b'{"model": "m", "prompt": [1, 2, 3, 70000]}',
    "negative max_tokens": b'{"model": "m", "prompt": "long enough", "max_tokens": -1}',
    "too many tokens": b'{"model": "m", "prompt": "long enough", "max_tokens": 301}',
    "n of 0": b'{"model": "m", "prompt": "long enough", "n": 0}',
    "logprobs of 6": b'{"model": "m", "prompt": "long enough", "logprobs": 6}',
    "a penalty": b'{"model": "m", "prompt": "long enough", "presence_penalty": 0.5}',
    "a suffix": b'{"model": "m", "prompt": "long enough", "suffix": "x"}',
    "not UTF-8": b'{"model": "m", "prompt": "\xff\xfe long enough"}',
    "a lone surrogate": b'{"model": "m", "prompt": "\\ud800 long enough"}',
    "too long": json.dumps({"model": "m", "prompt": "x" * 2001}).encode(),
    "too many prompts": json.dumps({"model": "m", "prompt": ["long enough"] * 9}).encode(),
    "deep": b"[" * 5000,
}


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
def test_bad_bodies_are_refused_with_a_reason(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/completions", content=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) > 5
    assert "Traceback" not in answer.text
    assert ask(client, prompt=TEXT[500:570], max_tokens=5)["choices"][0]["text"] == TEXT[570:575]


def test_no_prompt_is_refused_and_an_empty_one_is_answered_with_nothing(client: TestClient) -> None:
    assert client.post("/v1/completions", json={"model": "m", "prompt": []}).status_code == 400
    for prompt in ([[]], "", "abc", ["abc", TEXT[500:570]]):
        first, *others = ask(client, prompt=prompt, max_tokens=5)["choices"]
        assert (first["text"], first["memo"]["reason"]["code"]) == ("", "too_short")
        assert [one["text"] for one in others] == [TEXT[570:575]] * (len(prompt) - 1 if isinstance(prompt, list) else 0)


def test_unknown_models_paths_and_methods(client: TestClient) -> None:
    answer = client.post("/v1/completions", json={"model": "other", "prompt": "long enough"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    assert "'m'" in answer.json()["error"]["message"]
    assert client.get("/v1/completions").status_code == 405
    assert client.get("/v1/chat").json()["error"]["message"]
    assert client.get("/v1/models").json()["data"][0]["id"] == "m"
    assert client.get("/v1/models/m").json()["object"] == "model"
    assert client.get("/v1/models/x").status_code == 404


def test_bodies_are_limited_whether_or_not_they_tell_their_size(client: TestClient) -> None:
    assert client.post("/v1/completions", content=b"x" * 20_001).status_code == 413
    chunks = (b"x" * 5000 for _ in range(9))
    assert client.post("/v1/completions", content=chunks).status_code == 413
    assert client.post("/v1/completions", content=b"{}", headers={"content-length": "-5"}).status_code in (400, 413)


def test_keys_are_asked_for(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# ours\nsecret-one\n\nsecret-two\n")
    client = client_of(Local(memory, LIMITS), keys=read_keys(tmp_path / "keys"))
    for header, status in (("", 401), ("Bearer wrong", 401), ("secret-one", 401), ("Bearer secret-two", 200)):
        assert client.get("/v1/models", headers={"Authorization": header}).status_code == status
    assert client.get("/metrics").status_code == 401
    assert client.get("/healthz").status_code == 503  # no key needed, and no replica is up
    (tmp_path / "keys").write_text("# none\n")
    with pytest.raises(ConfigError, match="no key"):
        read_keys(tmp_path / "keys")


def test_a_lost_replica_costs_a_retry(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memo_dist.http.front._AGAIN_SECONDS", 0.0)
    client = client_of(Local(memory, LIMITS, ReplicaLostError("one"), ReplicaLostError("two")))
    assert ask(client, prompt=TEXT[500:570], max_tokens=5)["choices"][0]["text"] == TEXT[570:575]
    assert "memo_dist_retries_total 2.0" in client.get("/metrics").text
    lost = client_of(Local(memory, LIMITS, *[ReplicaLostError("again")] * 9)).post(
        "/v1/completions", json={"model": "m", "prompt": FORK}
    )
    assert (lost.status_code, lost.headers["retry-after"]) == (503, "1")


def test_faults_are_logged_and_not_told(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = client_of(Local(memory, LIMITS, RuntimeError("the secret of /etc/passwd")))
    answer = client.post("/v1/completions", json={"model": "m", "prompt": FORK})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "the secret of /etc/passwd" in caplog.text
    assert 'status="500"} 1.0' in client.get("/metrics").text


def test_too_many_at_once_are_sent_away(memory: Path) -> None:
    answer = client_of(Local(memory, LIMITS), Limits(waiting=0)).post(
        "/v1/completions", json={"model": "m", "prompt": FORK}
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_client_that_leaves_is_not_answered(memory: Path) -> None:
    """The question is taken back from the replica."""
    body, sent, taken_back = json.dumps({"model": "m", "prompt": FORK}).encode(), [], []

    class Slow(Local):
        async def ask(self, ask: Ask) -> Any:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                taken_back.append(ask)
                raise

    messages = iter([{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": [], "query_string": b""}
    metrics = Metrics()
    asyncio.run(served(Slow(memory, LIMITS), LIMITS, metrics, [])(scope, receive, send))
    assert len(taken_back) == 1
    assert b"memo_dist_abandoned_total 1.0" in metrics.text()


def test_slow_answers_are_given_up(memory: Path) -> None:
    class Slow(Local):
        async def ask(self, ask: Ask) -> Any:
            await asyncio.sleep(60)

    client = client_of(Slow(memory, LIMITS), Limits(answer_seconds=0.05))
    assert client.post("/v1/completions", json={"model": "m", "prompt": FORK}).status_code == 503


def test_slow_bodies_are_given_up(memory: Path) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.04)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": [], "query_string": b""}
    asyncio.run(served(Local(memory, LIMITS), Limits(body_seconds=0.2), Metrics(), [])(scope, receive, send))
    assert sent[0]["status"] == 408


def test_trace_is_that_of_the_command(client: TestClient, memory: Path, tmp_path: Path, capsys: Any) -> None:
    text = "a beginning that nobody knows, then " + TEXT[300:400] + " and an end"
    (tmp_path / "t.txt").write_text(text)
    assert main(["trace", str(memory), "--text", str(tmp_path / "t.txt"), "--json"]) == 0
    assert client.post("/v1/trace", json={"text": text}).json() == json.loads(capsys.readouterr().out)
    assert client.post("/v1/trace", json={"text": text, "least": 900}).status_code == 400
    assert client.post("/v1/trace", json={"text": 5}).status_code == 400


def test_health_tells_whether_a_replica_is_up(memory: Path) -> None:
    replicas = Local(memory, LIMITS)
    client = client_of(replicas)
    assert client.get("/healthz").status_code == 503
    replicas.up = 2
    assert client.get("/healthz").json() == {"status": "ok", "replicas": 2}


def test_metrics_count_what_was_asked(memory: Path) -> None:
    client = client_of(Local(memory, LIMITS))
    ask(client, prompt=TEXT[500:570], max_tokens=5)
    client.get("/made/up/by/somebody")
    said = client.get("/metrics").text
    assert "memo_dist_completion_tokens_total 5.0" in said
    assert "memo_dist_prompt_tokens_total 70.0" in said
    assert 'memo_dist_requests_total{path="/v1/completions",status="200"} 1.0' in said
    assert 'memo_dist_requests_total{path="other",status="404"} 1.0' in said


def test_published_memories_answer_alike(memory: Path, client: TestClient, tmp_path: Path) -> None:
    publish(memory, tmp_path / "p.memo", 16)
    other = client_of(Local(tmp_path / "p.memo", LIMITS))
    words = {"prompt": [TEXT[s : s + 70] for s in range(100, 400, 50)], "max_tokens": 20}
    assert texts_of(ask(other, **words)) == texts_of(ask(client, **words))  # it has matrices alone
    words = {**words, "logprobs": 2, "read": "matrices"}
    for one, two in zip(ask(other, **words)["choices"], ask(client, **words)["choices"], strict=True):
        assert one["memo"].pop("documents") == []  # it keeps no anchors
        assert two["memo"].pop("documents") == ["text"]
        assert (one["memo"].pop("num_documents"), two["memo"].pop("num_documents")) == (0, 1)
        assert one == two
    answer = other.post("/v1/completions", json={"model": "m", **words, "read": "exact"})
    assert answer.status_code == 400
    assert "keeps no ledger" in answer.json()["error"]["message"]


def texts_of(answer: dict[str, Any]) -> list[str]:
    return [choice["text"] for choice in answer["choices"]]


def test_an_unknown_reading_is_refused_by_name(client: TestClient) -> None:
    answer = client.post("/v1/completions", json={"model": "m", "prompt": TEXT[500:570], "read": "tea leaves"})
    assert answer.status_code == 400
    assert "read is 'tea leaves'; expected one of auto, exact, matrices" in answer.json()["error"]["message"]


def test_a_slip_is_told(client: TestClient) -> None:
    prompt = TEXT[500:570].replace("beside", "besdie", 1)
    (choice,) = ask(client, prompt=prompt, max_tokens=20)["choices"]
    assert choice["text"] == TEXT[570:590]
    assert choice["memo"]["snapped"]["text"] == TEXT[500:570]
    assert ask(client, prompt=TEXT[500:570], max_tokens=20)["choices"][0]["memo"]["snapped"] is None


def test_memories_that_cannot_be_served_say_why(tmp_path: Path) -> None:
    bare = Memory(TextConfig(num_banks=2, vocab_size=50))
    bare.memorize("a", list(range(30)))
    bare.save(tmp_path / "bare.memo")
    with pytest.raises(ConfigError, match="no tokenizer"):
        Answerer(tmp_path / "bare.memo", 100)


def test_several_continuations_against_recall(memory: Path) -> None:
    with open_memory(memory) as opened:
        options = RecallOptions(max_tokens=100, count=5)
        (found,) = Session(opened).recall_several([np.frombuffer(FORK.encode(), np.uint8)], options)
    assert {bytes(one.tokens).decode() for one in found} == set(ENDINGS)
    assert {one.stop for one in found} == {"end_of_document"}


def test_an_empty_stop_text_stops_nothing(client: TestClient) -> None:
    for stop in ("", [""], ["", "beside"]):
        (choice,) = ask(client, prompt=TEXT[500:570], max_tokens=5, stop=stop)["choices"]
        assert (choice["text"], choice["finish_reason"]) == (TEXT[570:575], "length")


@pytest.mark.parametrize("path", ["/v1/trace", "/v1/completions"])
def test_damage_is_logged_and_not_told(
    memory: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    publish(memory, tmp_path / "secret-place.memo", 16)
    replicas = Local(tmp_path / "secret-place.memo", LIMITS)
    (shard,) = (tmp_path / "secret-place.memo").glob("shard*")
    whole = shard.read_bytes()
    with shard.open("r+b") as file:  # the mapped file changes under the replica
        file.seek(len(whole) // 4)
        file.write(bytes(byte ^ 255 for byte in whole[len(whole) // 4 : len(whole) // 2]))
    answer = client_of(replicas).post(path, json={"model": "m", "text": TEXT[:500], "prompt": TEXT[:500]})
    assert answer.status_code == 500
    assert "secret-place" not in answer.text
    assert "secret-place" in caplog.text


def test_a_client_that_leaves_in_its_body_is_no_fault(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    messages = iter([{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": [], "query_string": b""}
    metrics = Metrics()
    asyncio.run(served(Local(memory, LIMITS), LIMITS, metrics, [])(scope, receive, send))
    assert b'status="499"} 1.0' in metrics.text()
    assert caplog.text == ""


def test_nobody_is_sent_elsewhere(client: TestClient) -> None:
    answer = client.get("/v1/completions/", headers={"host": "elsewhere.example"}, follow_redirects=False)
    assert answer.status_code == 404


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_takes_nothing_is_given_up(
    memory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """As uvicorn has it: a send waits while what was sent before has not been taken."""
    monkeypatch.setattr("memo_dist.http.guards._PIECE", 1000)
    words = {"model": "m", "prompt": [TEXT[:1000]] * 8, "max_tokens": 0, "echo": True}
    messages = iter([{"type": "http.request", "body": json.dumps({**words, "stream": stream}).encode()}])
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        message = next(messages, None)
        if message is None:
            await asyncio.sleep(60)
        return message or {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if sum(len(one.get("body", b"")) for one in sent) > 4000:
            await asyncio.sleep(60)
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": [], "query_string": b""}
    metrics = Metrics()
    asyncio.run(served(Local(memory, LIMITS), Limits(send_seconds=0.1), metrics, [])(scope, receive, send))
    assert b'status="499"} 1.0' in metrics.text()
    assert caplog.text == ""


def test_many_long_continuations_at_once_are_refused(memory: Path) -> None:
    client = client_of(Local(memory, LIMITS), Limits(request_tokens=100))
    words = {"model": "m", "prompt": [FORK] * 4, "n": 2}
    answer = client.post("/v1/completions", json={**words, "max_tokens": 13})
    assert (answer.status_code, "104 tokens" in answer.text) == (400, True)
    assert client.post("/v1/completions", json={**words, "max_tokens": 12}).status_code == 200


def test_a_large_request_takes_turns() -> None:
    def asks(count: int, max_tokens: int, echo: bool = False) -> CompletionAsk:
        one = PromptAsk(prompt="x" * 3200, options=RecallOptions(max_tokens=max_tokens), scored=echo, echoed=echo)
        return CompletionAsk([one] * count)

    for large, turn in ((asks(64, 1000), 8), (asks(9, 5000), 1), (asks(99, 0, echo=True), 81)):
        lists = [part.prompts for part in large.turns(8192)]
        assert [len(some) for some in lists[:-1]] == [turn] * (len(lists) - 1)
        assert [ask for some in lists for ask in some] == large.prompts
    assert [len(part.prompts) for part in asks(128, 64).turns(8192)] == [128]
    assert list(asks(0, 1).turns(8192)) == []


@pytest.mark.parametrize("name", ["byte fallback", "Metaspace, Unigram"])
def test_the_service_says_what_a_session_says_with_tokenizers_that_strip(tmp_path: Path, name: str) -> None:
    """The space before the first word, no half character, and a name of its own for every rival."""
    tokenizer = make(name)
    text = "the quick brown fox jumps over \N{GRINNING FACE}\N{GRINNING FACE} dogs and does not stop, as they say"
    made = Memory(TextConfig(num_banks=30, vocab_size=tokenizer.vocab_size, inner_dim=128), tokenizer)
    made.memorize("a", tokenizer.encode([text])[0])
    made.save(tmp_path / "m.memo")
    with client_of(Local(tmp_path / "m.memo", LIMITS)) as client:
        for end in (23, 25, 26, 30):
            for most in (4, 7, 8):
                body = {"model": "m", "prompt": text[:end], "max_tokens": most, "logprobs": 5}
                (choice,) = client.post("/v1/completions", json=body).json()["choices"]
                said = made.recall(text[:end], max_tokens=most).text
                assert choice["text"] == said == "".join(choice["logprobs"]["tokens"])
                assert name != "byte fallback" or (said and text[end:].startswith(said))
                tops, spelled = choice["logprobs"]["top_logprobs"], choice["logprobs"]["tokens"]
                assert all(word in top or not word for word, top in zip(spelled[1:], tops[1:], strict=True))
        echoed = {"model": "m", "prompt": text, "max_tokens": 0, "echo": True}
        (choice,) = client.post("/v1/completions", json=echoed).json()["choices"]
        assert choice["text"] == tokenizer.decode(tokenizer.encode([text])[0].tolist())
