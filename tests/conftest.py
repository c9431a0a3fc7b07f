"""Fixtures shared by tests: one Ray for the whole run, small corpora."""

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from object_store import ObjectStore, object_store


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="run more seeds and histories of what is drawn")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is thorough unless it is asked for; pytest counts what is left out."""
    if not config.getoption("--thorough"):
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    """One Ray for the whole run; builds and readers use the connection that is open."""
    from cluster.ray_session import ray_session

    with ray_session(None, workers=2):
        yield


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store, which libraries of this process find by the environment, too."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("OBJECT STORES NOT TESTED: moto is not installed; make setup installs it")
    import s3fs

    with pytest.MonkeyPatch.context() as patch, object_store(tmp_path_factory.mktemp("cache")) as store:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()  # of the store of another module, which has ended
        yield store


@pytest.fixture(scope="session")
def text_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 text files of a few KB with words that repeat and passages that two files share."""
    rng = np.random.default_rng(5)
    folder = tmp_path_factory.mktemp("corpus")
    words = ["".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), rng.integers(2, 9))) for _ in range(800)]
    shared = " ".join(rng.choice(words, 120))
    for index in range(40):
        body = " ".join(rng.choice(words, rng.integers(100, 900)))
        text = f"{body}\n{shared}\nend of file {index}\n" if index % 3 == 0 else body
        (folder / f"{index:02d}.txt").write_text(text)
    return folder


@pytest.fixture(scope="session")
def documents() -> dict[str, list[int]]:
    """30 documents of token ids below 500; every third contains one shared passage."""
    rng = np.random.default_rng(1)
    shared = rng.integers(0, 500, 90).tolist()
    made = {}
    for index in range(30):
        own = rng.integers(0, 500, int(rng.integers(1, 200))).tolist()
        made[f"doc-{index}"] = own + shared if index % 3 == 0 else own
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB; mounting needs root, as in CI."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"FULL DISK NOT TESTED: cannot mount a tmpfs here: {done.stderr.decode()}")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)
