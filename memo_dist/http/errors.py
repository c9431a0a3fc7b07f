"""Errors of the HTTP service, and what a client is told of each.

Covers: exceptions, their responses as OpenAI's clients read them. Does not cover: where they are raised.
"""

import logging
from typing import Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

_log = logging.getLogger("memo_dist.serve")


class ReplicaLostError(ConnectionError):
    """The replica that was asked is gone: asking again, of another replica, may help. Raised by whoever serves."""


class ClientGoneError(ConnectionError):
    """Nobody waits for the answer any more."""


class RefusedError(ValueError):
    """A request cannot be answered as it is; the message is for the client."""

    def __init__(self, message: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class BodyError(RefusedError):
    """A request asks for more than this service gives."""


class BodyRefusedError(RefusedError):
    """A body is too large or too slow; raised where it is read."""


class StalledError(BaseException):
    """A client does not take its answer. No Exception, which Starlette would log as a fault, and try to answer."""


def refusal(status: int, message: str, kind: str = "invalid_request_error", *, code: str | None = None) -> JSONResponse:
    """An error as OpenAI's clients read it."""
    headers = {"Retry-After": "1"} if status in (429, 503) else {"Connection": "close"} if status == 408 else {}
    error = {"message": message, "type": kind, "param": None, "code": code}
    return JSONResponse({"error": error}, status, headers)


async def _bad_body(request: Request, error: ValidationError) -> Response:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where, message = ".".join(str(part) for part in first["loc"][:1]), first["msg"].removeprefix("Value error, ")
    return refusal(400, f"{where}: {message}" if where and not message.startswith(where) else message)


async def _refused(request: Request, error: RefusedError) -> Response:
    return refusal(error.status, str(error), code=error.code)


async def _late(request: Request, error: TimeoutError) -> Response:
    return refusal(503, "no answer in time; ask for less, or come again", "server_error")


async def _gone(request: Request, error: ClientGoneError | ClientDisconnect) -> Response:
    return Response(status_code=499)  # nobody reads it; metrics do


async def _http(request: Request, error: HTTPException) -> Response:
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return refusal(error.status_code, error.detail, kind)


async def _fault(request: Request, error: Exception) -> Response:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refusal(500, "internal error; the service's log says more", "server_error")


#: Exception -> what answers it, for Starlette.
HANDLERS: dict[Any, Any] = {
    ValidationError: _bad_body,
    RefusedError: _refused,
    TimeoutError: _late,
    ClientGoneError: _gone,
    ClientDisconnect: _gone,  # in the middle of its body
    HTTPException: _http,
    Exception: _fault,
}
