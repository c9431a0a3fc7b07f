"""StoredBuild: a corpus -> a memory, and a published one if asked, of which one or both are put in an object store.

Covers: what is made where, what an earlier attempt has made. Does not cover: making (build.py, published_build.py), one
output (stored_output.py).
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from cluster.build import BuildSummary, build
from cluster.prepare import BuildOptions, settings_of
from cluster.publish import PublishProgress
from cluster.published_build import build_published
from cluster.rejects import bring_rejects
from cluster.run_state import Progress
from cluster.stored_output import StoredOutput
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import Manifest
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.remote.address import address_in
from pipelines.plan import CorpusPlan


@dataclass(frozen=True)
class StoredBuild:
    """What was made.

    Attributes:
        summary: of the build; None: an earlier attempt had finished it.
        built: manifest of the memory. published: of the published one; None: none was asked for.
        published_bytes: of its files.
    """

    summary: BuildSummary | None
    built: Manifest
    published: Manifest | None
    published_bytes: int


def build_to_store(
    inputs: list[str],
    out: str,
    published: str | None,
    *,
    options: BuildOptions,
    work: Path | None = None,
    on_losses: Callable[[tuple[str, ...]], None] = lambda losses: None,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_publishing: Callable[[PublishProgress], None] = lambda progress: None,
    on_upload: Callable[[int, int], None] = lambda done, total: None,
) -> StoredBuild:
    """Memorize a corpus, and publish the memory if `published` is given; of these two one or both are addresses.

    A killed command goes on when it is given again: from what was made, and from what was uploaded.

    Args:
        work: a directory for what is made here before it is put in a store; None: the cache's.
        on_upload: called with bytes of a memory that are in the store, and of all. Others: as of `build_published`.

    Raises:
        OutputExistsError: one of the two exists. FencedError: another command was faster; it is named.
        StorageError: the store does not take or give an object. MemoError: as `build_published` raises it.
    """
    statement = {
        "command": "build",
        "out": out,
        "publish": published,
        "inputs": inputs,
        "settings": settings_of(options),
    }
    if out == published:
        raise ConfigError(f"--out and --publish are both {out}; give the published memory a name of its own")
    addresses = [None if place is None else address_in(place) for place in (out, published)]
    first, second = (None if one is None else StoredOutput(one, work, statement) for one in addresses)
    built_here = Path(out) if first is None else first.local
    published_here = None if published is None else Path(published) if second is None else second.local
    outputs = [one for one in (first, second) if one is not None]
    last = second or (first if published is None else None)  # what is made last; a directory tells its own state
    summary = None
    if last is None or not last.is_made:
        with ExitStack() as making:
            for one in outputs:
                making.enter_context(one.making())
            if published_here is None:
                summary = build(
                    inputs, built_here, options, on_losses=on_losses, on_plan=on_plan, on_progress=on_progress
                )
            else:
                summary = build_published(
                    inputs,
                    built_here,
                    published_here,
                    options=options,
                    named=out,
                    on_losses=on_losses,
                    on_plan=on_plan,
                    on_progress=on_progress,
                    on_publishing=on_publishing,
                ).summary
    for one in outputs:
        one.require_here()
    built = Manifest.read(built_here)
    made = None if published_here is None else Manifest.read(published_here)
    size = 0 if published_here is None else sum(file.stat().st_size for file in published_here.iterdir())
    for one in outputs:
        one.commit(on_upload)
    rejects = None if first is None else bring_rejects(first.local)  # its directory goes
    for one in reversed(outputs):
        one.leave()
    if summary is not None:
        summary = replace(summary, out=out, rejects=summary.rejects if rejects is None else str(rejects))
    return StoredBuild(summary, built, made, size)
