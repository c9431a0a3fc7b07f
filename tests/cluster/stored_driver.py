"""A build into an object store in a process of its own, for tests that kill it: python stored_driver.py CORPUS OUT
PUBLISH WORK.

A line is printed at every step: of making both memories, of uploading them, before and after a root is put; last, the
digests.
"""

import sys
import time
from pathlib import Path
from typing import Any

from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.stored_build import build_to_store
from memo_dist.remote.store import Store
from pipelines.plan import CorpusOptions

OPTIONS = BuildOptions(
    tokenizer="bytes",
    num_banks=8,
    inner_dim=64,
    resources=Resources(shards=2, address="none"),
    corpus=CorpusOptions(split_bytes=9000),
)
STEP_SECONDS = 0.02  # so that a kill meets seconds, not milliseconds


def main() -> None:
    """Build, publish, upload; print a line at every step."""
    corpus, out, publish, work = sys.argv[1:]

    def step(what: str) -> None:
        print(what, flush=True)
        time.sleep(STEP_SECONDS)

    put, put_new = Store.put, Store.put_new

    def slowly(store: Store, *given: Any) -> None:
        step("putting")
        put(store, *given)

    def at_last(store: Store, *given: Any) -> bool:
        step("committing")
        done = put_new(store, *given)
        step("committed")
        return done

    Store.put, Store.put_new = slowly, at_last  # type: ignore[method-assign,assignment]
    made = build_to_store(
        [corpus],
        out,
        publish,
        options=OPTIONS,
        work=Path(work),
        on_progress=lambda progress: step("memorizing"),
        on_publishing=lambda progress: step("publishing"),
        on_upload=lambda done, total: step("uploading"),
    )
    assert made.published is not None
    print(made.built.digest, made.published.digest, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # shown as the program shows it, without a trace
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
