"""Metrics: what /metrics tells Prometheus.

Covers: counters and histograms of one front, gauges of its memory. Does not cover: Ray's own metrics, which it
exports itself.
"""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counted by guards, front and endpoints; a registry of its own, so that two fronts in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        with_path, registry = ["path", "status"], self._registry
        self.requests = Counter("memo_dist_requests_total", "Requests answered.", with_path, registry=registry)
        self.seconds = Histogram(
            "memo_dist_request_seconds",
            "From a request's headers to its last byte.",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.under_way = Gauge("memo_dist_requests_under_way", "Requests not yet answered.", registry=registry)
        self.prompt_tokens = Counter("memo_dist_prompt_tokens_total", "Tokens of prompts.", registry=registry)
        self.tokens = Counter("memo_dist_completion_tokens_total", "Tokens recalled.", registry=registry)
        self.stops = Counter("memo_dist_stops_total", "Why recall stopped.", ["reason"], registry=registry)
        self.retries = Counter("memo_dist_retries_total", "Asked again: a replica was lost.", registry=registry)
        self.abandoned = Counter("memo_dist_abandoned_total", "Clients left before the answer.", registry=registry)

    def tell(self, facts: dict[str, Any]) -> None:
        """Gauges of the memory that is served, which do not change: what About.facts says of it."""
        gauges = {"tokens": "Tokens held.", "documents": "Documents held.", "bytes_on_disk": "Bytes of its files."}
        gauges["load"] = "Associations for each parameter of the matrices; none of a solved memory."
        for name, says in gauges.items():
            if name in facts:
                Gauge(f"memo_dist_memory_{name}", says, registry=self._registry).set(facts[name])
        info = Gauge(
            "memo_dist_memory_info", "Which memory it is; always 1.", ["digest", "form"], registry=self._registry
        )
        info.labels(facts["digest"], facts["form"]).set(1)

    def text(self) -> bytes:
        """In Prometheus's format."""
        return generate_latest(self._registry)
