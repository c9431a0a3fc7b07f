"""PublishedBuild: a corpus -> a memory, and the published memory that is made of it, by one command that goes on.

Covers: what comes first, going on after a stop in either half. Does not cover: the halves (build.py, publish.py).

A build leaves nothing of its settings in a memory that is done, so a file beside the published memory, `.NAME.begun`,
has said from the start what the command was; it goes when both are there. The same command finds it, and a memory that
it has made, and only publishes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.build import BuildSummary, build
from cluster.prepare import BuildOptions, settings_of
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.run_state import Progress
from cluster.statement import require_same
from cluster.workspace import workspace_path
from memo_dist.durable import sync_directory, write_text, writing
from memo_dist.errors import ConfigError, DamagedMemoryError
from memo_dist.files.journal import BuildEntry
from memo_dist.files.manifest import Manifest
from memo_dist.files.staging import refuse_existing
from memo_dist.json_text import parse_json
from memo_dist.models import model_named
from memo_dist.planning.memory_plan import MemoryPlan
from pipelines.plan import CorpusPlan


@dataclass(frozen=True)
class PublishedBuild:
    """What was made.

    Attributes:
        summary: of the build; None: an earlier attempt had finished it.
        built: manifest of the memory. published: of the published one.
    """

    summary: BuildSummary | None
    built: Manifest
    published: Manifest


def build_published(
    inputs: list[str],
    out: Path,
    published: Path,
    *,
    options: BuildOptions,
    named: str | None = None,
    on_losses: Callable[[tuple[str, ...]], None] = lambda losses: None,
    on_plan: Callable[[CorpusPlan, MemoryPlan], None] = lambda corpus, plan: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_publishing: Callable[[PublishProgress], None] = lambda progress: None,
) -> PublishedBuild:
    """Memorize a corpus into `out`, and publish that, solved, with the defaults of PublishOptions, as `published`.

    Args:
        named: what the published memory's journal calls the other; None: `out`.
        on_losses, on_plan, on_progress: of the build. on_publishing: of publishing.

    Raises:
        ConfigError: the settings allow no publishing, or the memory of a stopped command is not as it left it.
        OutputExistsError: one of the two exists. MemoError: as `build` and `publish_solved` raise it; what is done is
            kept, and the same command goes on.
    """
    _require_publishable(out, published, options)
    begun, statement = _begun_path(published), {"out": str(out), "inputs": inputs, "settings": settings_of(options)}
    before = _begun(begun)
    summary = None
    if before is None or not out.exists():
        refuse_existing(out)
        made = [parent for parent in published.absolute().parents if not parent.exists()]
        with writing(begun):
            begun.parent.mkdir(parents=True, exist_ok=True)
            write_text(begun, json.dumps(statement, indent=1) + "\n")
            sync_directory(begun.parent)
        try:
            summary = build(inputs, out, options, on_losses=on_losses, on_plan=on_plan, on_progress=on_progress)
        except BaseException:
            if (
                not workspace_path(out).exists() and not out.exists()
            ):  # nothing is done, so there is nothing to go on from
                begun.unlink(missing_ok=True)
                for parent in made:
                    if not any(parent.iterdir()):
                        parent.rmdir()
            raise
    else:
        require_same(statement, before, out, place=begun, what_stopped="command")
    built = _as_it_was_built(out, begun)
    found = publish_solved(
        out, published, PublishOptions(resources=options.resources), named=named, on_progress=on_publishing
    )
    begun.unlink(missing_ok=True)
    return PublishedBuild(summary, built, found)


def _begun_path(published: Path) -> Path:
    named = published if published.name else published.absolute()  # "." has no name
    return named.with_name(f".{named.name}.begun")


def _require_publishable(out: Path, published: Path, options: BuildOptions) -> None:
    """Refuse, before anything is built, what could not be published afterwards."""
    if out.absolute() == published.absolute():
        raise ConfigError(f"--out and --publish are both {out}; give the published memory a name of its own")
    refuse_existing(published)
    if not model_named(options.preset).publishes:
        raise ConfigError(
            f"--publish needs the preset text; a memory of the preset {options.preset!r} does not publish"
        )
    if not options.keep_tokens:
        raise ConfigError(
            "--publish makes a solved memory of the tokens that a memory keeps; leave out --no-keep-tokens"
        )


def _begun(path: Path) -> dict[str, Any] | None:
    """What a stopped command was; None if there is none."""
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedMemoryError(f"{path}, left by a stopped command, cannot be read ({error}); remove it") from error
    return found


def _as_it_was_built(out: Path, begun: Path) -> Manifest:
    manifest = Manifest.read(out)
    if len(manifest.sources) != 1 or not isinstance(manifest.sources[0], BuildEntry):
        raise ConfigError(
            f"{out} was changed since the stopped command built it: remove {begun}, and use memo-dist publish"
        )
    return manifest
