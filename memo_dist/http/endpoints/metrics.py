"""GET /metrics: what Prometheus reads.

Covers: one answer. Does not cover: what is counted (http/metrics.py).
"""

from starlette.requests import Request
from starlette.responses import Response

from memo_dist.http.front import Endpoint, Front


async def metrics(front: Front, request: Request) -> Response:
    await front.follow()
    front.metrics.tell_ranges(await front.ranges())
    return Response(front.metrics.text(), media_type="text/plain; version=0.0.4")


ENDPOINT = Endpoint("/metrics", metrics, says="Metrics for Prometheus")
