"""Service: a memory served until SIGTERM or Ctrl-C. Reads top to bottom.

Covers: starting replicas and the front, draining, ending. Does not cover: requests (memo_dist/http), asking
replicas (replicas.py).

HTTP is spoken by this process and not by Ray Serve's proxies: one hop less, and draining, limits and metrics are those
of one server. Ray Serve places the replicas, routes to the least busy, notices dead ones and starts them again. For
more HTTP than one process can speak, run several with --address on one cluster, behind a load balancer.
"""

import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from cluster.bank_servers.following import FollowedServers, health_of
from cluster.bank_servers.owners import BankServers
from cluster.bank_servers.servers import bank_servers
from cluster.machine import local_cpus
from cluster.ray_session import ray_session
from cluster.serve.replicas import ServeReplicas
from cluster.signals import interrupt_on_sigterm, stop_on_sigterm
from memo_dist.about import AboutNow
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.http.answerer import servable
from memo_dist.http.app import application
from memo_dist.http.following import FollowedMemory
from memo_dist.http.front import Front
from memo_dist.http.guards import read_keys
from memo_dist.http.hosts import own_names
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.ranges.plan import RangePlan

_DRAIN_SECONDS = 30
_BACKLOG = 1024


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How a memory is served.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        name: of the model; None takes the directory's.
        replicas: processes that answer; None: one for each processor.
        bank_servers: actors that have the memory's ranges, for the replicas to ask; 0: every replica opens all of it.
        range_replicas: bank servers that have each range; None: two, or one of one server.
        address: of a Ray cluster; None starts a local one.
        api_key_file: has the keys that are let in; None lets everyone in.
        cors_origins: of other pages whose scripts may ask; "*": of all.
        hosts: other names by which the service may be asked; "*": all.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    name: str | None = None
    replicas: int | None = None
    bank_servers: int = 0
    range_replicas: int | None = None
    address: str | None = None
    api_key_file: Path | None = None
    cors_origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
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
    if options.bank_servers:
        RangePlan.of(Manifest.read(path))
    else:
        with open_memory(path) as memory:  # what is wrong is told here, not by replicas that cannot start
            servable(path, memory, memory.tokenizer)
    name = options.name or path.absolute().name.removesuffix(".memo")
    count = options.replicas or local_cpus()
    listening = _bound(options.host, options.port)
    with (
        listening,
        ray_session(options.address, max(count, local_cpus())),
        stop_on_sigterm(says=False),
        ExitStack() as opened,
    ):
        replicas = ServeReplicas()
        with interrupt_on_sigterm():  # nothing is under way yet
            servers = _servers(path, options, opened)
            opened.callback(replicas.end)
            now: Callable[[], OpenMemory] = FollowedMemory(path) if servers is None else FollowedServers(servers)
            servable(path, now(), now().tokenizer)
            replicas.start(path, count, options.limits.prompt_tokens, servers=servers)
        told = AboutNow(now)
        front = Front(
            replicas,
            name,
            limits=options.limits,
            metrics=Metrics(),
            about=told(),
            now=told,
            ranges=None if servers is None else lambda: health_of(servers.state(memory=True)),
        )
        config = uvicorn.Config(
            application(front, keys, options.cors_origins, hosts=own_names(options.host, options.hosts)),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            backlog=_BACKLOG,
            lifespan="off",
        )
        server = _Announcing(config, lambda: on_ready(_url(listening), name))
        server.run(sockets=[listening])


def _servers(path: Path, options: ServeOptions, opened: ExitStack) -> BankServers | None:
    """Bank servers until `opened` is closed, if any are asked for."""
    if not options.bank_servers:
        return None
    replicas = options.range_replicas
    return opened.enter_context(bank_servers(path, options.bank_servers, replicas=replicas, follows=True))


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
    except (OSError, UnicodeError) as error:
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
