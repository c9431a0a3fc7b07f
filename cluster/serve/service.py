"""Service: a memory served until SIGTERM or Ctrl-C. Reads top to bottom.

Covers: starting replicas and the front, draining, ending. Does not cover: requests (front.py).

HTTP is spoken by this process and not by Ray Serve's proxies: one hop less, and draining, limits and metrics are those
of one server. Ray Serve places the replicas, routes to the least busy, notices dead ones and starts them again. For
more HTTP than one process can speak, run several with --address on one cluster, behind a load balancer.
"""

import asyncio
import logging
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from ray import serve

from cluster.ray_session import local_cpus, ray_session
from cluster.serve.replica import replicas_of
from cluster.signals import interrupt_on_sigterm, stop_on_sigterm
from memo_dist.errors import ConfigError
from memo_dist.files.opened import open_memory
from memo_dist.http.answerer import servable
from memo_dist.http.app import application
from memo_dist.http.asks import Answer, Ask, Refusal, TraceAsk
from memo_dist.http.bodies import Limits
from memo_dist.http.guards import read_keys
from memo_dist.http.metrics import Metrics

_DRAIN_SECONDS = 30
_BACKLOG = 1024


@dataclass(frozen=True)
class ServeOptions:
    """What the command line gives; `replicas` None: one a processor."""

    host: str = "127.0.0.1"
    port: int = 8000
    name: str | None = None
    replicas: int | None = None
    address: str | None = None
    api_key_file: Path | None = None
    limits: Limits = field(default_factory=Limits)


def serve_memory(path: Path, options: ServeOptions, on_ready: Callable[[str, str], None]) -> None:
    """Serve a memory until this process is told to stop; then answer what is under way, and return.

    Args:
        on_ready: called once with the URL and the model's name.

    Raises:
        ConfigError: the memory cannot be served, the port is taken, or there is no cluster at the address.
        DamagedMemoryError: the memory is not whole.
    """
    keys = [] if options.api_key_file is None else read_keys(options.api_key_file)
    with open_memory(path) as memory:  # what is wrong is told here, not by replicas that cannot start
        servable(path, memory.config.preset, memory.tokenizer)
    name = options.name or path.absolute().name.removesuffix(".memo")
    count = options.replicas or local_cpus()
    listening = _bound(options.host, options.port)
    with listening, ray_session(options.address, max(count, local_cpus())), stop_on_sigterm():
        replicas = _Served()
        try:
            with interrupt_on_sigterm():  # nothing is under way yet
                replicas.start(path, count, options)
            app = application(replicas, name, options.limits, Metrics(), keys)
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
                backlog=_BACKLOG,
                lifespan="off",
            )
            server = _Announcing(config, lambda: on_ready(_url(listening), name))
            server.run(sockets=[listening])
        finally:
            replicas.end()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error}; give another --host or --port") from error
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Announcing(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()


class _Served:
    """The replicas of one memory in Ray Serve; what the front asks."""

    def __init__(self) -> None:
        # fronts on several machines of one cluster may serve one name at one port
        self._app, self._begun = f"memo-dist-{uuid.uuid4().hex}", False
        self._checked: asyncio.Task[int] | None = None

    def start(self, path: Path, count: int, options: ServeOptions) -> None:
        """Returns when every replica is up."""
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        serve.start(proxy_location="Disabled")
        self._begun = True
        made = replicas_of(path, count, options.limits.prompt_tokens)
        self._handle: Any = serve.run(made, name=self._app, route_prefix=None)

    def complete(self, asks: list[Ask]) -> "asyncio.Future[list[Answer | Refusal]]":
        return asyncio.ensure_future(_result(self._handle.complete.remote(asks)))

    def trace(self, ask: TraceAsk) -> "asyncio.Future[dict[str, Any] | Refusal]":
        return asyncio.ensure_future(_result(self._handle.trace.remote(ask)))

    async def healthy(self) -> int:
        if self._checked is None or self._checked.done():  # whoever asks meanwhile, without a key, shares it
            self._checked = asyncio.create_task(self._running())
        return await asyncio.shield(self._checked)

    async def _running(self) -> int:
        status = await asyncio.to_thread(serve.status)
        deployments = status.applications[self._app].deployments.values() if self._app in status.applications else ()
        # a ReplicaState or its name, by what Ray was asked before; they are equal
        return sum(n for one in deployments for state, n in one.replica_states.items() if state == "RUNNING")

    def end(self) -> None:
        """Take the replicas away; what else the cluster serves stays, and a local Ray ends with its session."""
        if self._begun:
            serve.delete(self._app)


async def _result(response: Any) -> Any:
    try:
        return await response
    except asyncio.CancelledError:
        response.cancel()
        raise
