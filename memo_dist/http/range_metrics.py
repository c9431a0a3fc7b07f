"""RangeGauges: what /metrics tells of bank servers and of the ranges that they have.

Covers: gauges of one registry. Does not cover: finding the figures (cluster/bank_servers).
"""

from prometheus_client import CollectorRegistry, Gauge

from memo_dist.ranges.health import RangesHealth


class RangeGauges:
    """Set each time that metrics are read.

    Args:
        registry: to which the gauges belong.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def of_range(name: str, says: str) -> Gauge:
            return Gauge(f"memo_dist_range_{name}", says, ["range"], registry=registry)

        def of_server(name: str, says: str) -> Gauge:
            return Gauge(f"memo_dist_bank_server_{name}", says, ["server"], registry=registry)

        self._epoch = Gauge("memo_dist_range_map_epoch", "Of the map of who has which range.", registry=registry)
        self._owners = of_range("owners", "Bank servers that have the range open.")
        self._rows = of_range("rows", "Windows asked of the range so far.")
        self._sizes = of_range("bytes", "Bytes of the range's files.")
        self._up = of_server("up", "Whether the bank server answers.")
        self._calls = of_server("calls", "Questions that it has answered.")
        self._seconds = of_server("seconds", "Seconds that it took for them.")
        self._held = of_server("held_bytes", "Proportional set size of its process.")

    def tell(self, health: RangesHealth) -> None:
        """Say how they are now."""
        self._epoch.set(health.epoch)
        for index, owners in enumerate(health.owners):
            self._owners.labels(str(index)).set(len(owners))
            self._rows.labels(str(index)).set(health.rows[index])
            self._sizes.labels(str(index)).set(health.sizes[index])
        for number in range(health.servers):
            self._up.labels(str(number)).set(number in health.up)
        figures = (self._calls, health.calls), (self._seconds, health.seconds), (self._held, health.held_bytes)
        for gauge, found in figures:
            for number, value in found.items():
                gauge.labels(str(number)).set(value)
