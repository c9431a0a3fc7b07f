"""Progress metrics: how far a run is, for Prometheus, while it works.

Covers: the gauges, the address and port. Does not cover: the record that they are of (progress_file.py), the service's
own metrics (memo_dist/http/metrics.py).
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from cluster.progress_file import ProgressFile
from cluster.resources import Resources
from memo_dist.errors import ConfigError

PREFIX = "memo_dist_build_"
_GAUGES = {
    "splits": "Splits of the run.",
    "splits_done": "Splits that are done.",
    "tokens": "Tokens of the memory so far.",
    "documents": "Documents of the memory so far.",
    "files": "Files of the memory, once they are written.",
    "files_done": "Files that are written.",
    "losses": "Processes or nodes lost.",
    "attempts": "Attempts of this process.",
    "began": "When the run of this process began, in seconds since 1970.",
}
_PHASES = ("splits", "count", "merge")


def exposition(progress: ProgressFile) -> str:
    """The gauges in Prometheus's text format."""
    record = asdict(progress.record())
    lines = []
    for name, told in _GAUGES.items():
        metric = f"{PREFIX}began_timestamp_seconds" if name == "began" else f"{PREFIX}{name}"
        lines += [f"# HELP {metric} {told}", f"# TYPE {metric} gauge", f"{metric} {record[name]}"]
    metric = f"{PREFIX}phase"
    lines += [f"# HELP {metric} 1 for the phase that the run is in.", f"# TYPE {metric} gauge"]
    lines += [f'{metric}{{phase="{phase}"}} {int(phase == record["phase"])}' for phase in _PHASES]
    return "\n".join(lines) + "\n"


@contextmanager
def watched(progress: ProgressFile, resources: Resources) -> Iterator[None]:
    """Keep a run's record while the block runs, and tell Prometheus of it, if it is to be told.

    Raises:
        ConfigError: the address or the port cannot be listened on.
    """
    with _served(progress, resources.metrics_host, resources.metrics_port), progress.kept():
        yield


@contextmanager
def _served(progress: ProgressFile, host: str, port: int | None) -> Iterator[None]:
    """Answer http://host:port/metrics while the block runs; no port: nobody asks."""
    if port is None:
        yield
        return

    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        del environ
        start("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        return [exposition(progress).encode()]

    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        kind = _Server6 if family == socket.AF_INET6 else WSGIServer
        server = make_server(str(place[0]), port, answer, server_class=kind, handler_class=_Silent)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"--metrics-port {port} of --metrics-host {host} cannot be listened on: {error}; give another"
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="progress metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server6(WSGIServer):
    """Listens on an IPv6 address."""

    address_family = socket.AF_INET6


class _Silent(WSGIRequestHandler):
    """Says nothing of requests on stderr."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
