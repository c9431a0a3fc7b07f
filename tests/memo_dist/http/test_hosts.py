"""Names by which a service is asked: its own and addresses; no page of the web whose name leads here."""

from pathlib import Path

import pytest
from local_service import Local, front_of
from starlette.testclient import TestClient

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.http.app import application
from memo_dist.http.hosts import is_known, own_names
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics

OWN = ["localhost", "LOCALHOST:8000", "127.0.0.1:9", "[::1]:8000", "[::1]", "192.0.2.7", "notes.lan:80", ""]
FOREIGN = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "a:b:c", "[evil]"]


@pytest.mark.parametrize("host", OWN + FOREIGN)
def test_names_are_known_or_not(host: str) -> None:
    names = own_names("127.0.0.1", ["Notes.LAN"])
    assert names is not None
    assert is_known(host, names) == (host in OWN)


def test_all_names_can_be_let_in() -> None:
    assert own_names("0.0.0.0", ["*"]) is None


def test_a_page_of_another_name_reads_nothing(tmp_path: Path) -> None:
    memory = Memory(TextConfig(num_banks=2, vocab_size=256), Tokenizer.bytes())
    memory.memorize("text", list(b"what this memory holds is nobody else's"))
    memory.save(tmp_path / "m.memo")
    front = front_of(Local(tmp_path / "m.memo", Limits()), limits=Limits(), metrics=Metrics())
    client = TestClient(application(front, [], hosts=own_names("127.0.0.1", [])), base_url="http://127.0.0.1")
    body = {"prompt": "what this memory holds"}
    assert client.post("/v1/completions", json=body).status_code == 200
    for path in ("/", "/v1/memory", "/healthz", "/v1/completions"):
        refused = client.request("POST" if path.endswith("ns") else "GET", path, headers={"Host": "evil.example"})
        assert refused.status_code == 403
        assert "--allow-host" in refused.json()["error"]["message"]
    with_keys = TestClient(
        application(front, [b"key"], hosts=own_names("127.0.0.1", [])), base_url="http://any.example"
    )
    assert with_keys.post("/v1/completions", json=body, headers={"Authorization": "Bearer key"}).status_code == 200
