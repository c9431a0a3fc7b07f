"""GET /openapi.json: the interface, for programs that make clients of it.

Covers: paths, bodies. Does not cover: the forms of answers, which docs/guide/serve.md tells.
"""

from functools import partial
from typing import Any

from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist import __version__
from memo_dist.http.front import Endpoint, Front

PATH = "/openapi.json"
_PARTS = "#/components/schemas/{model}"


def openapi(endpoints: tuple[Endpoint, ...]) -> Endpoint:
    """The endpoint that describes these."""
    return Endpoint(PATH, partial(_answer, described(endpoints)), needs_key=False)


def described(endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    """OpenAPI 3.1 of those that say what they answer."""
    told = [one for one in endpoints if one.says]
    bodies = [(one.body, "validation") for one in told if one.body is not None]
    refs, parts = models_json_schema(bodies, ref_template=_PARTS)  # type: ignore[arg-type]  # a list is no sequence
    paths: dict[str, Any] = {}
    for one in told:
        schema = None if one.body is None else refs[(one.body, "validation")]
        path, named = one.path.replace(":path}", "}"), "{" in one.path
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, schema, named)
    return {
        "openapi": "3.1.0",
        "info": {"title": "memo-dist", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": parts.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint, schema: Any, named: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": endpoint.says, "responses": {"200": {"description": "The answer"}}}
    if schema is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
        operation["responses"]["400"] = {"description": "What is wrong with the request, in `error.message`"}
    if named:
        operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
    if endpoint.needs_key:
        operation["security"] = [{"key": []}, {}]
    return operation


async def _answer(told: dict[str, Any], front: Front, request: Request) -> Response:
    return JSONResponse(told)
