"""Guards: what every request passes before its handler: the key, the size and the time of its body, the queue.

Covers: one ASGI middleware, API keys. Does not cover: what a body means (openai/bodies.py), errors (errors.py).
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, MutableMapping
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse

from memo_dist.errors import ConfigError
from memo_dist.http.errors import BodyRefusedError, StalledError, refusal
from memo_dist.http.front import Front
from memo_dist.http.hosts import is_known

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
_PIECE = 1 << 16  # bytes of an answer


def read_keys(path: Path) -> list[bytes]:
    """API keys of a file, one key on each line; blank lines and lines that begin with # are none.

    Raises:
        ConfigError: the file cannot be read, or has no key.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--api-key-file {path} cannot be read: {error}") from error
    keys = [line.encode() for line in lines if line and not line.startswith("#")]
    if not keys:
        raise ConfigError(f"--api-key-file {path} has no key; write one key on each line")
    return keys


class Guards:
    """Wraps an ASGI application.

    Args:
        front: whose limits hold, and whose metrics count.
        keys: bearer tokens that are let in; none: everyone is.
        paths: that metrics name; open_paths: that need no key.
        hosts: names by which the service may be asked (hosts.py); None: any, as where there are keys.
    """

    def __init__(
        self,
        app: App,
        front: Front,
        *,
        keys: list[bytes],
        paths: Collection[str],
        open_paths: Collection[str],
        hosts: Collection[str] | None = None,
    ) -> None:
        self._app, self._limits, self._metrics, self._keys = app, front.limits, front.metrics, keys
        self._paths, self._open = frozenset(paths), frozenset(open_paths)
        self._hosts = None if keys else hosts
        self._under_way = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, started = time.perf_counter(), 500, False

        async def counted(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = int(message["status"]), True
            for piece in _pieces(message):
                try:
                    await asyncio.wait_for(send(piece), self._limits.send_seconds)
                except TimeoutError:
                    raise StalledError from None

        self._under_way += 1
        self._metrics.under_way.set(self._under_way)
        try:
            denied = self._denied(scope)
            if denied is not None:
                await denied(scope, receive, counted)
            else:
                await self._app(scope, self._bounded(receive), counted)
        except StalledError:
            status = 499
        except Exception:  # errors.py has logged it
            if not started:
                await refusal(500, "internal error", "server_error")(scope, receive, counted)
        finally:
            self._under_way -= 1
            self._metrics.under_way.set(self._under_way)
            path = (
                scope["path"] if scope["path"] in self._paths else "other"
            )  # clients make up paths; labels must be few
            self._metrics.requests.labels(path, str(status)).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - began)

    def _denied(self, scope: Message) -> JSONResponse | None:
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and not is_known(host, self._hosts):
            return refusal(403, f"{host[:80]!r} is no name of this service; ask by its address, or give --allow-host")
        if scope["path"] in self._open:
            return None
        if self._keys and not self._knows(headers.get(b"authorization", b"")):
            return refusal(401, "the API key is missing or unknown", "authentication_error", code="invalid_api_key")
        size = headers.get(b"content-length", b"0")
        if not size.isdigit() or int(size) > self._limits.body_bytes:
            return refusal(413, self._too_large())
        if self._under_way > self._limits.waiting:
            return refusal(429, "too many requests are under way; come again in a second", "rate_limit_error")
        return None

    def _knows(self, header: bytes) -> bool:
        kind, _, given = header.partition(b" ")
        matches = [hmac.compare_digest(given.strip(), key) for key in self._keys]  # all of them: in constant time
        return kind.lower() == b"bearer" and any(matches)

    def _too_large(self) -> str:
        return f"the body is larger than {self._limits.body_bytes:,} bytes, which this service takes at most"

    def _bounded(self, receive: Receive) -> Receive:
        """`receive`, until the body is too large or too slow; after the body it waits as long as it takes."""
        deadline, taken, whole = time.monotonic() + self._limits.body_seconds, 0, False

        async def bounded() -> Message:
            nonlocal taken, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), deadline - time.monotonic())
            except TimeoutError:
                raise BodyRefusedError(f"no body within {self._limits.body_seconds:.0f} s", 408) from None
            taken += len(message.get("body", b""))
            if taken > self._limits.body_bytes:
                raise BodyRefusedError(self._too_large(), 413)
            whole = not message.get("more_body", False)
            return message

        return bounded


def _pieces(message: Message) -> Iterator[Message]:
    """A message, its body in pieces of which each has its time to be taken; a server waits before the next piece."""
    body, whole = message.get("body", b""), not message.get("more_body", False)
    if len(body) <= _PIECE:
        yield message
        return
    for start in range(0, len(body), _PIECE):
        yield {**message, "body": body[start : start + _PIECE], "more_body": True}
    if whole:
        yield {**message, "body": b"", "more_body": False}
