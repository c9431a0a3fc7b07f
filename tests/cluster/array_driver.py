"""`memo-dist` of small splits, each of whose runs and files takes a while: for tests that kill tasks in the middle."""

import os
import time
from typing import Any

import cluster.merge_actor
import cluster.run_tasks
import pipelines.plan
from console.app import entry

SECONDS = float(os.environ.get("SECONDS_OF_A_THING", "0.15"))
pipelines.plan.MIN_SPLIT_BYTES = 8000


def slowly(module: Any, name: str) -> None:
    """Sleep before and after: a kill may come before a thing is begun, in the middle of it, or once it is there."""
    done = getattr(module, name)

    def waiting(*values: Any, **named: Any) -> Any:
        time.sleep(SECONDS)
        result = done(*values, **named)
        time.sleep(SECONDS)
        return result

    setattr(module, name, waiting)


slowly(cluster.run_tasks, "make_run")
slowly(cluster.merge_actor, "merge_into")
entry()
