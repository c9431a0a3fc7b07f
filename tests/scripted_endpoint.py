"""A language model's endpoint of this process: rules answer, scripts make it fail, and every request is written down.

Covers: /v1/models, /v1/chat/completions. A script is a function that sees each request before the rules do, and may
answer in their place.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from memo_dist.experiments.world_model import reply


@dataclass(frozen=True)
class Said:
    """An answer in place of the rules': a text, or a status with a body; `seconds` late; `headers` besides."""

    text: str = ""
    status: int = 200
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What was asked, the how manieth of its stage (from 0 on), and everything else that was sent."""

    stage: str
    message: str
    number: int
    body: dict[str, Any]


Script = Callable[[Request], Said | None]


class ScriptedEndpoint(ThreadingHTTPServer):
    """Attributes: url; requests, in the order in which they came; most_at_once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, rules: Callable[[str], str], script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.rules, self.script = rules, script
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.requests: list[Request] = []
        self.lock, self.now, self.most_at_once = threading.Lock(), 0, 0

    def stages(self) -> list[str]:
        """The stages of all requests, in order."""
        return [request.stage for request in self.requests]

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: a client waits 40 ms for the second of two
    server: ScriptedEndpoint

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "rules", "object": "model"}]}, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = body["messages"][-1]["content"]
        stage = message.partition("\n")[0].removeprefix("Stage: ")
        server = self.server
        with server.lock:
            number = sum(one.stage == stage for one in server.requests)
            request = Request(stage, message, number, body)
            server.requests.append(request)
            server.now += 1
            server.most_at_once = max(server.most_at_once, server.now)
        try:
            said = server.script(request) or Said(server.rules(message))
            time.sleep(said.seconds)
        finally:
            with server.lock:
                server.now -= 1
        if said.status != 200:
            self._send(said.status, {"error": {"message": said.text}}, said.headers)
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": said.text}, "finish_reason": "stop"}
        self._send(200, {"id": "chat", "object": "chat.completion", "choices": [choice]}, said.headers)

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        with suppress(OSError):  # a client that no longer waits
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """`requests` is the log."""


@contextmanager
def scripted_endpoint(
    script: Script = lambda request: None, rules: Callable[[str], str] = reply
) -> Iterator[ScriptedEndpoint]:
    """An endpoint on a port of its own, until the block ends."""
    server = ScriptedEndpoint(rules, script)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
