"""A sync or compact in a process of its own that kills itself; its words are ACTION MEMORY CORPUS STEP.

STEP is a number: of all that makes something durable (fsync and rename), the one before which the process dies; 0: it
lives. Prints how many there were.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from cluster.change import sync
from cluster.change_prepare import ChangeOptions
from cluster.compact import compact
from cluster.resources import Resources
from pipelines.plan import CorpusOptions


def main() -> None:
    action, memory, corpus, step = sys.argv[1:]
    done = 0

    def counted(function: Any) -> Any:
        def stepped(*arguments: Any, **named: Any) -> Any:
            nonlocal done
            done += 1
            if done == int(step):
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **named)

        return stepped

    os.fsync, os.rename = counted(os.fsync), counted(os.rename)
    Path.rename = counted(Path.rename)  # type: ignore[method-assign]  # for this process alone
    resources = Resources(shards=1, address="none")
    if action == "compact":
        compact(Path(memory), resources)
    else:
        options = ChangeOptions(resources=resources, corpus=CorpusOptions(split_bytes=400), fold_share=9.0)
        sync(Path(memory), [corpus], options)
    print(done)
