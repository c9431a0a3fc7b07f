"""Two attempts to publish into one directory: the newer one goes on, wherever the older one is; the older one says so.

Covers: an older attempt that waits while the newer one ends, and one that goes on while the newer one waits.
"""

import threading
from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, PublishProgress, publish_solved
from cluster.resources import Resources
from cluster.workspace import workspace_path
from memo_dist.errors import FencedError
from memo_dist.files.opened import open_memory
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.slow
NONE = Resources(shards=2, address="none")
OPTIONS = PublishOptions(resources=NONE, windows=(2, 4, 8))
STEPS = (1, 3, 6, 8, 11, 13)
PATIENCE = 60.0  # seconds


@pytest.fixture(scope="module")
def memory(text_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("memory") / "m.memo"
    corpus = CorpusOptions(split_bytes=60_000)
    build([str(text_corpus)], out, BuildOptions(tokenizer="bytes", num_banks=8, resources=NONE, corpus=corpus))
    return out


@pytest.fixture(scope="module")
def digest(memory: Path) -> str:
    steps: list[int] = []
    found = publish_solved(
        memory, memory.with_name("p.memo"), OPTIONS, on_progress=lambda progress: steps.append(progress.steps)
    )
    assert steps[-1] >= STEPS[-1]
    return found.digest


def require_whole(out: Path, digest: str) -> None:
    with open_memory(out) as opened:
        opened.verify()
        assert opened.manifest.digest == digest
    assert not workspace_path(out).exists()


@pytest.mark.parametrize("step", STEPS)
def test_an_older_attempt_that_waits_changes_nothing_of_the_newer_ones(
    step: int, memory: Path, digest: str, tmp_path: Path
) -> None:
    out = tmp_path / "p.memo"

    def overtaken(progress: PublishProgress) -> None:
        if progress.steps == step:
            publish_solved(memory, out, OPTIONS)

    with pytest.raises(FencedError, match="another attempt to build"):
        publish_solved(memory, out, OPTIONS, on_progress=overtaken)
    require_whole(out, digest)


@pytest.mark.parametrize("step", STEPS)
def test_an_older_attempt_that_goes_on_takes_nothing_from_the_newer_one(
    step: int, memory: Path, digest: str, tmp_path: Path
) -> None:
    """The newer one has looked for what there is, and waits at its first step until the older one has ended."""
    out, claimed, ended = tmp_path / "p.memo", threading.Event(), threading.Event()

    def waits(progress: PublishProgress) -> None:
        claimed.set()
        assert ended.wait(PATIENCE)

    newer = threading.Thread(target=lambda: publish_solved(memory, out, OPTIONS, on_progress=waits))

    def overtaken(progress: PublishProgress) -> None:
        if progress.steps == step:
            newer.start()
            assert claimed.wait(PATIENCE)

    with pytest.raises(FencedError, match="another attempt to build"):
        publish_solved(memory, out, OPTIONS, on_progress=overtaken)
    ended.set()
    newer.join()
    require_whole(out, digest)
