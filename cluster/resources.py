"""Resources: the processes, memory and time that a command may take.

Covers: the fields that build, add, forget, merge and rebank share, and their only defaults. Does not cover: what is
built (prepare.py, change.py, combine.py), how a plan spends them (memo_dist/planning/memory_plan.py).

The result of a command does not depend on its resources, so every field may change from one attempt of a stopped
command to the next.
"""

from dataclasses import dataclass
from pathlib import Path

from memo_dist.errors import ConfigError

LOCAL = "local"  # an address: Ray on this machine, started for the command
NO_CLUSTER = "none"  # an address: threads of this process


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a command may take.

    Attributes:
        shards: shard actors; None: one for each processor.
        device: "cpu", "gpu", or "auto": a GPU if CuPy finds one here and the cluster has one for every shard.
        address: of a Ray cluster; "local": one of this machine, which ends with the command; "none": threads of this
            process; None: threads where there is little to do, else "local".
        memory_budget: bytes of all processes together; None: most of what is free.
        checkpoint_every: seconds of work that may be lost: of the published memory, and where an input turns out to be
            bad; else it is some splits.
        log_file: to which the driver adds what it does and what is lost; None: nowhere.
        metrics_port: where Prometheus may ask how far a build or a change is; None: nowhere.
        metrics_host: the address of this machine at which it may.

    Raises:
        ConfigError: `checkpoint_every` is not above 0.
    """

    shards: int | None = None
    device: str = "auto"
    address: str | None = None
    memory_budget: int | None = None
    checkpoint_every: float = 60.0
    log_file: Path | None = None
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"

    @property
    def on_cluster(self) -> bool:
        """Whether they are those of a cluster that runs already."""
        return self.address not in (None, LOCAL, NO_CLUSTER)

    def __post_init__(self) -> None:
        if self.checkpoint_every <= 0:
            raise ConfigError(f"--checkpoint-every is {self.checkpoint_every}; expected seconds of work, such as 60")
