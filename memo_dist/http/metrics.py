"""Metrics: what /metrics tells Prometheus.

Covers: counters and histograms of one front, gauges of its memory. Does not cover: Ray's own metrics, which it
exports itself.
"""

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from memo_dist.http.range_metrics import RangeGauges
from memo_dist.ranges.health import RangesHealth

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
        gauges = {"tokens": "Tokens held.", "documents": "Documents held.", "bytes_on_disk": "Bytes of its files."}
        gauges["load"] = "Associations for each parameter of the matrices; none of a solved memory."
        self._memory = {n: Gauge(f"memo_dist_memory_{n}", says, registry=registry) for n, says in gauges.items()}
        which = "Which memory it is; always 1."
        self._info = Gauge("memo_dist_memory_info", which, ["digest", "form"], registry=registry)
        self._ranges: RangeGauges | None = None

    def tell(self, facts: dict[str, Any]) -> None:
        """Gauges of the memory that is served: what About.facts says of it, in place of what was said before."""
        for name, gauge in self._memory.items():
            if name in facts:
                gauge.set(facts[name])
        self._info.clear()
        self._info.labels(facts["digest"], facts["form"]).set(1)

    def tell_ranges(self, health: RangesHealth | None) -> None:
        """Gauges of the bank servers; none where there are none."""
        if health is None:
            return
        if self._ranges is None:
            self._ranges = RangeGauges(self._registry)
        self._ranges.tell(health)

    def text(self) -> bytes:
        """In Prometheus's format."""
        return generate_latest(self._registry)
