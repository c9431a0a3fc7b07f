"""A service follows its memory: a newer generation is answered from, and said to be; a broken one is not.

Covers: the HTTP side and the answerer, without Ray; health and metrics of ranges. Does not cover: bank servers that
follow (tests/cluster/test_bank_servers.py).
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from local_service import Local
from newer_generation import change_to
from starlette.testclient import TestClient

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.about import AboutNow
from memo_dist.errors import ReplacedError
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.http import answerer as answering
from memo_dist.http import shared
from memo_dist.http.answerer import Answerer
from memo_dist.http.app import application
from memo_dist.http.asks import Ask
from memo_dist.http.following import FollowedMemory
from memo_dist.http.front import Front
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.http.shared import Shared
from memo_dist.ranges.health import RangesHealth

OLD = "it was the best of times, it was the worst of times, it was the age of wisdom"
NEW = "call me Ishmael; some years ago, never mind how long precisely, having little money"


def saved(path: Path, *texts: str) -> Path:
    memory = Memory(TextConfig(num_banks=8, vocab_size=256, inner_dim=64), Tokenizer.bytes())
    for index, text in enumerate(texts):
        memory.memorize(f"d{index}", np.frombuffer(text.encode(), np.uint8))
    memory.save(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return saved(tmp_path / "m.memo", OLD)


class Service:
    """A memory served in this process, as `memo-dist serve` puts it together."""

    def __init__(self, path: Path) -> None:
        self.health = RangesHealth(
            epoch=7, digest="d", servers=2, up=[1], owners=[[1], []], replicas=2, rows=[5, 0], sizes=[10, 20]
        )
        told = AboutNow(FollowedMemory(path))
        self.replicas = Local(path, Limits())
        self.replicas.up = 1
        self.front = Front(
            self.replicas,
            "m",
            limits=Limits(),
            metrics=Metrics(),
            about=told(),
            now=told,
            ranges=lambda: self.health,
        )
        self.client = TestClient(application(self.front, []))

    def says(self, prompt: str) -> tuple[str, str]:
        """Its continuation, and which memory that is of."""
        body = {"model": "m", "prompt": prompt, "max_tokens": 20}
        answer = self.client.post("/v1/completions", json=body).json()
        return answer["choices"][0]["text"], answer["system_fingerprint"]


@pytest.fixture
def service(path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(shared, "_KEPT_SECONDS", 0.0)
    return Service(path)


def test_a_newer_generation_is_answered_from_and_told(service: Service, path: Path, tmp_path: Path) -> None:
    before = Manifest.read(path).digest
    assert service.says(OLD[:40]) == (OLD[40:60], before)
    assert service.says(NEW[:40])[0] == ""
    after = change_to(path, saved(tmp_path / "newer.memo", OLD, NEW))
    assert service.says(NEW[:40]) == (NEW[40:60], after)
    assert service.says(OLD[:40]) == (OLD[40:60], after)
    told = service.client.get("/v1/memory").json()
    assert (told["digest"], told["documents"]) == (after, 2)
    metrics = service.client.get("/metrics").text
    assert f'digest="{after}"' in metrics
    assert f'digest="{before}"' not in metrics
    assert "memo_dist_memory_documents 2.0" in metrics


def test_what_cannot_be_opened_is_not_taken(service: Service, path: Path) -> None:
    before = service.says(OLD[:40])
    whole = (path / MANIFEST_FILE).read_bytes()
    (path / MANIFEST_FILE).write_bytes(whole[:-20])
    assert service.says(OLD[:40]) == before
    assert service.client.get("/v1/memory").json()["digest"] == before[1]
    (path / MANIFEST_FILE).write_bytes(whole)
    assert service.says(OLD[:40]) == before


class OfTheNewer(Ask):
    """Is told at first that the memory was replaced; then which one answers."""

    weight = 1

    def __init__(self, old: str) -> None:
        self.old = old

    @classmethod
    def answered(cls, answerer: Answerer, asks: Sequence["OfTheNewer"]) -> list[str]:
        if answerer.digest == asks[0].old:
            raise ReplacedError("the memory was changed while it was asked; ask again")
        return [answerer.digest] * len(asks)


def test_what_was_asked_of_a_memory_that_is_replaced_meanwhile_is_asked_of_the_newer(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "_AGAIN_SECONDS", 0.0)
    after, known, asked = saved(tmp_path / "newer.memo", OLD, NEW), [open_memory(path)], [0]
    question = OfTheNewer(known[0].manifest.digest)

    def now() -> OpenMemory:
        asked[0] += 1
        if asked[0] == 4:  # whoever follows may hear of it a while after
            known[0] = open_memory(after)
        return known[0]

    answerer = Answerer(path, 100, now)
    assert answerer.answer([question, question]) == [Manifest.read(after).digest] * 2
    monkeypatch.setattr(answering, "_PATIENCE_SECONDS", 0.0)
    with pytest.raises(ReplacedError, match="ask again"):
        Answerer(path, 100, lambda: open_memory(path)).answer([question])


def test_health_and_metrics_tell_of_ranges(service: Service) -> None:
    answer = service.client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "no bank server has 1 of 2 ranges"
    ranges = answer.json()["ranges"]
    assert (ranges["without_owner"], ranges["with_fewer_owners"]) == ([1], [0])
    assert (ranges["servers"], ranges["servers_up"], ranges["epoch"]) == (2, 1, 7)
    metrics = service.client.get("/metrics").text
    for line in (
        'memo_dist_range_owners{range="1"} 0.0',
        'memo_dist_range_rows{range="0"} 5.0',
        'memo_dist_bank_server_up{server="0"} 0.0',
        'memo_dist_bank_server_up{server="1"} 1.0',
        "memo_dist_range_map_epoch 7.0",
    ):
        assert line in metrics, line
    service.health = RangesHealth(
        epoch=8, digest="d", servers=2, up=[0, 1], owners=[[1], [0]], replicas=1, rows=[5, 0], sizes=[10, 20]
    )
    assert service.client.get("/healthz").status_code == 200
    assert 'memo_dist_range_owners{range="1"} 1.0' in service.client.get("/metrics").text


def test_what_is_found_once_is_found_for_all_who_ask_meanwhile() -> None:
    found = []

    def find() -> int:
        found.append(len(found))
        if len(found) == 1:
            raise ValueError("not yet")
        return len(found)

    async def ask() -> list[object]:
        once = Shared(find)
        first = await asyncio.gather(once(), once(), return_exceptions=True)
        return [*first, *await asyncio.gather(once(), once())]

    told = asyncio.run(ask())
    assert [type(one) for one in told[:2]] == [ValueError, ValueError]
    assert told[2:] == [2, 2]
