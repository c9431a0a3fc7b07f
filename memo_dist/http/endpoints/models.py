"""GET /v1/models: the one model that is served.

Covers: the list of models, and a model by its name. Does not cover: what the model holds.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from memo_dist.http.front import Endpoint, Front


def _described(front: Front) -> dict[str, Any]:
    return {"id": front.name, "object": "model", "created": front.created, "owned_by": "memo-dist"}


async def models(front: Front, request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_described(front)]})


async def model(front: Front, request: Request) -> Response:
    front.require_model(request.path_params["name"])
    return JSONResponse(_described(front))


ENDPOINT = Endpoint("/v1/models", models, says="The one model")
ONE_MODEL = Endpoint("/v1/models/{name:path}", model, says="A model by its name")
