"""`memo-dist serve` as a process: OpenAI's own client, a replica that dies, draining, what cannot be served."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import psutil
import pytest
from newer_generation import change_to

from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.files.manifest import Manifest

TEXT = "".join(f"entry {i}: {i * i % 977} beside {i * 31 % 889};\n" for i in range(150))


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("serve") / "entries.memo"
    made = Memory(TextConfig(num_banks=30, vocab_size=256, inner_dim=128), Tokenizer.bytes())
    made.memorize("text", np.frombuffer(TEXT.encode(), np.uint8))
    made.save(path)
    return path


class Service:
    """A `memo-dist serve` of our own."""

    def __init__(self, memory: Path, *words: str) -> None:
        command = [sys.executable, "-m", "console", "serve", str(memory), "--port", "0", "--json", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = json.loads(self.process.stdout.readline())
        self.url, self.model = said["url"], said["model"]

    def client(self, key: str = "none", retries: int = 0) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=retries, timeout=60)

    def replicas(self) -> list[psutil.Process]:
        return self.processes("ServeReplica")

    def processes(self, kind: str) -> list[psutil.Process]:
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [p for p in found if kind in " ".join(p.cmdline()[:1])]

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def service(memory: Path) -> Iterator[Service]:
    made = Service(memory, "--replicas", "2")
    yield made
    assert made.end() == 0


@pytest.mark.slow
def test_openai_clients_are_answered(service: Service) -> None:
    client, prompt = service.client(), TEXT[500:570]
    assert [model.id for model in client.models.list().data] == ["entries"]
    with urllib.request.urlopen(f"{service.url}/healthz", timeout=60) as health:
        assert json.load(health) == {"status": "ok", "replicas": 2}
    whole = client.completions.create(model="entries", prompt=prompt, max_tokens=20, logprobs=2)
    choice = whole.choices[0]
    assert (choice.text, choice.finish_reason) == (TEXT[570:590], "length")
    assert choice.logprobs is not None
    assert choice.logprobs.tokens == list(TEXT[570:590])
    assert all(log is not None and -0.1 < log <= 0 for log in choice.logprobs.token_logprobs or [None])
    assert whole.usage is not None
    assert whole.usage.total_tokens == 90
    stream = client.completions.create(model="entries", prompt=prompt, max_tokens=20, stream=True)
    assert "".join(part.choices[0].text for part in stream) == TEXT[570:590]
    both = client.completions.create(model="entries", prompt=[prompt, TEXT[900:960]], max_tokens=5)
    assert [c.text for c in both.choices] == [TEXT[570:575], TEXT[960:965]]
    with pytest.raises(openai.NotFoundError, match="entries"):
        client.completions.create(model="gpt", prompt=prompt)
    assert client.completions.create(model="entries", prompt="ab").choices[0].text == ""
    with pytest.raises(openai.BadRequestError, match="the prompt has token id 70000"):
        client.completions.create(model="entries", prompt=[1, 2, 3, 70000])
    with urllib.request.urlopen(f"{service.url}/", timeout=60) as page:
        assert b"/page/page.css" in page.read()
    with urllib.request.urlopen(f"{service.url}/v1/memory", timeout=60) as told:
        assert json.load(told)["tokens"] == len(TEXT)


@pytest.mark.slow
def test_nothing_of_a_service_listens_to_other_machines(service: Service) -> None:
    process = psutil.Process(service.process.pid)
    pids = {one.pid for one in (process, *process.children(recursive=True))}
    found = [one for one in psutil.net_connections("inet") if one.status == "LISTEN" and one.pid in pids]
    assert {one.laddr.ip.removeprefix("::ffff:") for one in found} == {"127.0.0.1"}


@pytest.mark.slow
def test_a_killed_replica_costs_retries_not_answers(service: Service) -> None:
    """Clients without retries of their own: the service asks again by itself."""
    wrong: list[str] = []
    done = threading.Event()

    def ask(start: int) -> None:
        client = service.client()
        while not done.is_set():
            start = (start + 97) % 3000
            found = client.completions.create(model="entries", prompt=TEXT[start : start + 70], max_tokens=20)
            if found.choices[0].text != TEXT[start + 70 : start + 90]:
                wrong.append(found.choices[0].text)

    def caught(start: int) -> None:
        try:
            ask(start)
        except openai.OpenAIError as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=caught, args=(100 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    before = service.replicas()
    assert len(before) == 2
    before[0].kill()
    time.sleep(8)
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    deadline = time.monotonic() + 60
    while len(service.replicas()) < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(service.replicas()) == 2  # Ray Serve started another
    assert before[0].pid not in {p.pid for p in service.replicas()}


def asked_of(url: str, path: str) -> str:
    with urllib.request.urlopen(f"{url}{path}", timeout=60) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
def test_bank_servers_behind_a_service_may_be_lost_and_follow_the_memory(memory: Path, tmp_path: Path) -> None:
    path = tmp_path / "entries.memo"
    shutil.copytree(memory, path)
    service = Service(path, "--replicas", "1", "--bank-servers", "2")
    try:
        client = service.client()

        def says(prompt: str) -> tuple[str, str | None]:
            found = client.completions.create(model="entries", prompt=prompt, max_tokens=20)
            return found.choices[0].text, found.system_fingerprint

        assert says(TEXT[500:570]) == (TEXT[570:590], Manifest.read(path).digest)
        told = json.loads(asked_of(service.url, "/healthz"))["ranges"]
        assert (told["servers_up"], told["replicas"], told["without_owner"]) == (2, 2, [])
        metrics = asked_of(service.url, "/metrics")
        assert 'memo_dist_range_owners{range="0"} 2.0' in metrics
        assert 'memo_dist_bank_server_held_bytes{server="1"}' in metrics
        killed = service.processes("BankServer")
        assert len(killed) == 2
        killed[0].kill()
        for start in range(0, 1000, 97):
            assert says(TEXT[start : start + 70])[0] == TEXT[start + 70 : start + 90]
        newer = Memory(TextConfig(num_banks=30, vocab_size=256, inner_dim=128), Tokenizer.bytes())
        newer.memorize("other", np.frombuffer(b"what was not held before is held now, and all of it", np.uint8))
        newer.save(tmp_path / "newer.memo")
        digest, until = change_to(path, tmp_path / "newer.memo"), time.monotonic() + 60
        while says("what was not held before is")[1] != digest and time.monotonic() < until:
            time.sleep(0.5)
        assert says("what was not held before is") == (" held now, and all o", digest)
        assert json.loads(asked_of(service.url, "/v1/memory"))["digest"] == digest
    finally:
        assert service.end() == 0


@pytest.mark.slow
def test_sigterm_answers_what_is_under_way_and_asks_for_keys_until_then(memory: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("opensesame\n")
    service = Service(memory, "--replicas", "1", "--api-key-file", str(tmp_path / "keys"), "--name", "cave")
    with pytest.raises(openai.AuthenticationError):
        service.client().models.list()
    client, texts = service.client("opensesame"), []

    def ask() -> None:
        found = client.completions.create(model="cave", prompt=[TEXT[100:170]] * 30, max_tokens=500)
        texts.extend(choice.text for choice in found.choices)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(1)
    assert service.end() == 0
    thread.join(60)
    assert texts == [TEXT[170:670]] * 30
    assert service.process.stderr is not None
    assert "Traceback" not in service.process.stderr.read()
    with pytest.raises(openai.APIConnectionError):
        client.models.list()


@pytest.mark.slow
def test_sigterm_ends_it_before_it_is_ready(memory: Path) -> None:
    command = [sys.executable, "-m", "console", "serve", str(memory), "--port", "0", "--json", "--replicas", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not _has_child(process.pid, "ServeController") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said, complained = process.communicate(timeout=60)
    assert (said, process.returncode) == ("", 130)
    assert "Traceback" not in complained


def _has_child(pid: int, name: str) -> bool:
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if name in " ".join(child.cmdline()[:1]):
                return True
        except psutil.Error:  # it ended meanwhile
            continue
    return False


def test_what_cannot_be_served_is_told_before_ray_starts(
    memory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(memory), "--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "nothing.memo")]) == 2
    assert "nothing.memo" in capsys.readouterr().err
    assert main(["serve", str(memory), "--api-key-file", str(tmp_path / "none")]) == 2
    assert "--api-key-file" in capsys.readouterr().err
    bare = Memory(TextConfig(num_banks=2, vocab_size=50))
    bare.memorize("a", list(range(30)))
    bare.save(tmp_path / "bare.memo")
    assert main(["serve", str(tmp_path / "bare.memo")]) == 2
    assert "no tokenizer" in capsys.readouterr().err
