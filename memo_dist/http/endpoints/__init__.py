"""The endpoints: a file for each. A new endpoint is a new file and a line in ENDPOINTS."""

from memo_dist.http.endpoints import completions, health, metrics, models, trace

ENDPOINTS = (
    completions.ENDPOINT,
    trace.ENDPOINT,
    models.ENDPOINT,
    models.ONE_MODEL,
    health.ENDPOINT,
    metrics.ENDPOINT,
)
