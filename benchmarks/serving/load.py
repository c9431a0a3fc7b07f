"""The service under load: OpenAI's own client, many at once, beside clients that behave badly and a replica that dies.

    python benchmarks/serving/load.py M.memo INPUT... --include '**/*.py' --seconds 60

Starts `memo-dist serve` as a process of its own and asks from this one; with --also P.memo, another memory of the same
corpus after it. Every answer is compared with recall in this
process on the same memory. Three stages: one client; many clients; many clients beside malformed bodies, oversized
prompts, clients that send and read slowly and streams that are cancelled, while one replica is killed. Prints requests
a second, p50 and p99, and what was wrong, as one JSON object for each memory.
"""

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openai
import psutil

from benchmarks.common.script import add_memory_and_corpus, script_parser
from memo_dist.batches import read_batch
from memo_dist.files.opened import open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from pipelines.batching import stream_batches
from pipelines.plan import CorpusOptions, plan_corpus

TOKENS = 16
_RETRIES = 4  # of OpenAI's client, for a replica that is lost
_ABUSERS = 8


@dataclass
class Tally:
    """What one stage saw."""

    seconds: list[float] = field(default_factory=list)
    checked: int = 0
    wrong: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    abuse: dict[str, int] = field(default_factory=dict)

    def report(self, elapsed: float) -> dict[str, Any]:
        p50, p99 = np.percentile(self.seconds, [50, 99]) if self.seconds else (0.0, 0.0)
        return {
            "requests_per_s": round(len(self.seconds) / elapsed, 1),
            "answers_per_s": round(self.checked / elapsed, 1),
            "p50_ms": round(1000 * float(p50), 1),
            "p99_ms": round(1000 * float(p99), 1),
            "answers_checked": self.checked,
            "wrong": self.wrong,
            "failed": self.failed,
            "abuse": self.abuse,
        }


def questions(memory: Path, corpus: list[str], options: CorpusOptions, count: int) -> dict[str, str]:
    """Prompts of real text (every eighth with its end reversed) -> what recall in this process says."""
    rng = random.Random(1)
    with open_memory(memory) as opened:
        tokenizer, config = opened.tokenizer, opened.config
        assert tokenizer is not None
        batches = stream_batches(plan_corpus(corpus, options), tokenizer, config.context_length)
        lines = [segment.tokens for batch in batches for _, segment in read_batch(batch, config)]
        lines = [line for line in lines if len(line) > 200]
        prompts: list[str] = []
        while len(prompts) < count:
            line = rng.choice(lines)
            start, length = rng.randrange(len(line) - 100), rng.choice((24, 40, 80))
            text = tokenizer.decode(line[start : start + length].tolist())
            prompts.append(text if rng.random() < 0.875 else text[: len(text) // 2] + text[len(text) // 2 :][::-1])
        session, answers = Session(opened, tokenizer), []
        for first in range(0, count, 64):
            answers += session.recall(prompts[first : first + 64], RecallOptions(max_tokens=TOKENS))
    return {prompt: found.text or "" for prompt, found in zip(prompts, answers, strict=True)}


async def honest(client: openai.AsyncOpenAI, truth: dict[str, str], model: str, until: float, tally: Tally) -> None:
    """Asks one after the other: whole, as a stream, with log-probabilities, or eight prompts at once."""
    rng, prompts = random.Random(id(tally) ^ random.getrandbits(32)), list(truth)
    while time.perf_counter() < until:
        kind = rng.choice(("whole", "whole", "stream", "logprobs", "many"))
        asked = rng.sample(prompts, 8 if kind == "many" else 1)
        began = time.perf_counter()
        try:
            found = await answer(client, model, asked, kind)
        except openai.OpenAIError as error:
            name = type(error).__name__
            tally.failed[name] = tally.failed.get(name, 0) + 1
            continue
        tally.seconds.append(time.perf_counter() - began)
        tally.checked += len(asked)
        tally.wrong += sum(text != truth[prompt] for prompt, text in zip(asked, found, strict=True))


async def answer(client: openai.AsyncOpenAI, model: str, asked: list[str], kind: str) -> list[str]:
    words: dict[str, Any] = {"model": model, "prompt": asked if kind == "many" else asked[0], "max_tokens": TOKENS}
    if kind == "stream":
        return ["".join([part.choices[0].text async for part in await client.completions.create(**words, stream=True)])]
    if kind == "logprobs":
        words["logprobs"] = 3
    found = await client.completions.create(**words)
    if kind == "logprobs":
        logs = found.choices[0].logprobs
        assert logs is not None
        assert "".join(logs.tokens or []) == found.choices[0].text
        assert all(log is None or log <= 0 for log in logs.token_logprobs or [])  # exact reading tells none
    return [choice.text for choice in found.choices]


async def abuser(host: str, port: int, model: str, prompt: str, until: float, tally: Tally) -> None:
    """Malformed, oversized, slow, and gone before the end, in turn; counts the status of each."""
    good = json.dumps({"model": model, "prompt": prompt, "max_tokens": TOKENS, "stream": True}).encode()
    bodies = {
        "malformed": b'{"model": ' + b"[" * 2000,
        "oversized": json.dumps({"model": model, "prompt": "x" * 3_000_000}).encode(),
        "long prompt": json.dumps({"model": model, "prompt": "word " * 100_000}).encode(),
        "slow to send": good,
        "slow to read": good,
        "cancelled": good,
    }
    while time.perf_counter() < until:
        for name, body in bodies.items():
            status = await one_abuse(host, port, name, body)
            tally.abuse[f"{name}: {status}"] = tally.abuse.get(f"{name}: {status}", 0) + 1


async def one_abuse(host: str, port: int, name: str, body: bytes) -> str:
    writer = None
    try:
        reader, writer = await asyncio.open_connection(host, port)
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(head)
        if name == "slow to send":
            for start in range(0, len(body), 20):
                writer.write(body[start : start + 20])
                await writer.drain()
                await asyncio.sleep(0.05)
        else:
            writer.write(body)
        if name == "cancelled":
            await writer.drain()
            await asyncio.sleep(random.random() * 0.05)
            return "left"
        if name == "slow to read":
            await asyncio.sleep(1.0)
        line = await asyncio.wait_for(reader.readline(), 60)
        return line.decode().split()[1] if line else "closed"
    except (OSError, IndexError, TimeoutError) as error:
        return type(error).__name__
    finally:
        if writer is not None:
            writer.close()


def replicas_of(server: int) -> list[psutil.Process]:
    return [p for p in psutil.Process(server).children(recursive=True) if "ServeReplica" in " ".join(p.cmdline()[:1])]


async def stage(
    url: str, model: str, truth: dict[str, str], clients: int, seconds: float, abused: bool, server: int
) -> dict[str, Any]:
    tally, began = Tally(), time.perf_counter()
    until = began + seconds
    host, port = url.removeprefix("http://").split(":")
    async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=_RETRIES) as client:
        tasks = [honest(client, truth, model, until, tally) for _ in range(clients)]
        if abused:
            prompt = next(iter(truth))
            tasks += [abuser(host, int(port), model, prompt, until, tally) for _ in range(_ABUSERS)]
            tasks.append(killer(server, seconds / 2, tally))
        await asyncio.gather(*tasks)
    return {"clients": clients, **tally.report(time.perf_counter() - began)}


async def killer(server: int, wait: float, tally: Tally) -> None:
    await asyncio.sleep(wait)
    victims = replicas_of(server)
    for victim in victims[:1]:
        victim.send_signal(signal.SIGKILL)
    tally.abuse["replicas killed"] = len(victims[:1])


def main() -> None:
    parser = script_parser(__doc__)
    add_memory_and_corpus(parser)
    parser.add_argument("--questions", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="P.memo")
    asked = parser.parse_args()
    results = [served(memory, asked) for memory in (asked.memory, *asked.also)]
    print(json.dumps(results, indent=1))


def served(memory: Path, asked: argparse.Namespace) -> dict[str, Any]:
    """One memory's service, from its start to its end."""
    options = CorpusOptions(include=asked.include, errors=asked.errors)
    truth = questions(memory, asked.inputs, options, asked.questions)
    command = [sys.executable, "-m", "console", "serve", str(memory), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = json.loads(server.stdout.readline())
            url, model = said["url"], said["model"]
            stages = []
            for clients, seconds, abused in (
                (1, 10.0, False),
                (asked.clients, 20.0, False),
                (asked.clients, asked.seconds, True),
            ):
                stages.append(asyncio.run(stage(url, model, truth, clients, seconds, abused, server.pid)))
                print(stages[-1], file=sys.stderr, flush=True)
            time.sleep(5)
            alive = asyncio.run(stage(url, model, truth, 1, 3.0, False, server.pid))
            server.send_signal(signal.SIGTERM)
            ended = server.wait(60)
        finally:
            server.terminate()  # else a failure here would wait for it for ever
    answered = sum(text != "" for text in truth.values()) / len(truth)
    return {
        "memory": memory.name,
        "prompts": len(truth),
        "continued": round(answered, 4),
        "stages": stages,
        "afterwards": alive,
        "exit": ended,
    }


if __name__ == "__main__":
    main()
