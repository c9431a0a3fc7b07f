"""A service in this process, without Ray: the application before one Answerer, called directly or over HTTP."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from memo_dist.about import about
from memo_dist.files.opened import open_memory
from memo_dist.http.answerer import Answerer
from memo_dist.http.app import application
from memo_dist.http.asks import Ask, in_turns
from memo_dist.http.front import Front
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics


class Local:
    """Replicas in this process: an Answerer, and errors to be raised first."""

    def __init__(self, path: Path, limits: Limits, *errors: Exception) -> None:
        self._answerer, self._errors = Answerer(path, limits.prompt_tokens), list(errors)
        self.path, self.limits = path, limits
        self.cancelled = self.up = 0

    async def ask(self, ask: Ask) -> Any:
        if self._errors:
            raise self._errors.pop(0)

        async def answer(turn: Ask) -> Any:
            return self._answerer.answer([turn])[0]

        return await in_turns(ask, 500, answer)

    async def healthy(self) -> int:
        return self.up


def front_of(replicas: Local, *, limits: Limits, metrics: Metrics) -> Front:
    """A front that serves the memory of these replicas as "m"."""
    with open_memory(replicas.path) as memory:
        return Front(replicas, "m", limits=limits, metrics=metrics, about=about(memory))


@contextmanager
def over_http(path: Path, limits: Limits, keys: list[bytes] | None = None) -> Iterator[str]:
    """The URL of a service, on a port of its own, until the block ends."""
    app: ASGIApp = application(front_of(Local(path, limits), limits=limits, metrics=Metrics()), keys or [])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
