"""A Ray session: join a cluster by address, or start a local one and stop it again.

Covers: ray.init and ray.shutdown, errors from remote code. Does not cover: what runs on it, what keeps others out of
it (private_ray.py).
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path

import ray
from ray.exceptions import (
    AuthenticationError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RaySystemError,
    RayTaskError,
    WorkerCrashedError,
)

from cluster.own_ray import OwnRay, without_sigterm
from cluster.private_ray import joined, on_loopback, private_ray
from cluster.resources import LOCAL
from memo_dist.errors import BudgetError, ClusterError, ConfigError, MemoError
from memo_dist.planning.processes import STORE_BYTES

_TOKEN = "Where the cluster asks for a token, name the file that has it in RAY_AUTH_TOKEN_PATH"


@contextmanager
def ray_session(address: str | None, workers: int = 1, store_bytes: int = STORE_BYTES) -> Iterator[None]:
    """Connect to the Ray cluster at `address`; None or "local" starts one on this machine and stops it at the end.

    A connection that this process has already is used, and left open. Errors raised by remote code come out as
    they were raised there.

    Raises:
        ConfigError: the address does not answer. ClusterError: Ray does not start here, or a process died.
    """
    if ray.is_initialized():
        with unwrapped():
            yield
        return
    with ExitStack() as kept:
        place = kept.enter_context(private_ray() if address is None or address == LOCAL else joined(address))
        with without_sigterm():
            _start(address, workers, store_bytes, place=place)
        own = OwnRay()
        try:
            with unwrapped(), redirect_stdout(sys.stderr):  # Ray reports lost nodes on stdout, which is for results
                yield
        finally:
            gone = bool(own.ended)
            own.end(all_of_them=gone)
            if not gone:  # who asks a Ray that has ended to end waits for it, and is ended by it
                ray.shutdown()


def _start(address: str | None, workers: int, store_bytes: int, *, place: Path | None) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with _elsewhere():
            if place is None:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                with on_loopback():
                    ray.init(
                        address="local",
                        num_cpus=max(workers, 1),
                        object_store_memory=store_bytes,
                        include_dashboard=False,
                        log_to_driver=False,
                        logging_level=logging.ERROR,
                        _temp_dir=str(place),
                    )
    except AuthenticationError as error:
        raise ConfigError(
            f"RAY_AUTH_MODE asks for a token, and there is none for the cluster at {address}. {_TOKEN}"
        ) from error
    except (ConnectionError, ValueError, RuntimeError, SystemExit) as error:  # Ray exits where no cluster answers
        if getattr(error, "code", None) == signal.SIGTERM:  # another thread got it, and Ray's own handler took it
            signal.signal(signal.SIGTERM, handler)
            signal.raise_signal(signal.SIGTERM)
        if address in (None, LOCAL):
            raise ClusterError(f"Ray did not start on this machine: {error}") from error
        raise ConfigError(f"no Ray cluster at {address} that lets this command in: {error}. {_TOKEN}") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # ray.init puts its own in place


@contextmanager
def _elsewhere() -> Iterator[None]:
    """Work in the root directory meanwhile: Ray has its workers import from the directory that it is started in before
    all others, and a corpus there may have folders and files that are called as packages are."""
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir("/")
        yield
    finally:
        os.fchdir(here)
        os.close(here)


@contextmanager
def unwrapped() -> Iterator[None]:
    """Raise what remote code raised instead of Ray's wrapping of it; a fault of this program keeps the wrapping.

    Raises:
        ClusterError: a process or a node was lost. BudgetError: Ray ended a process that took too much memory.
    """
    try:
        yield
    except RayTaskError as error:
        cause: object = error
        while isinstance(cause, RayTaskError):
            cause = cause.cause
        if isinstance(cause, MemoError | OSError | MemoryError | UnicodeError):  # not this program's fault
            raise cause from None
        raise
    except RayActorError as error:
        raise ClusterError(f"a shard's process died: {error}. Nothing was published; run the command again") from error
    except OutOfMemoryError as error:
        raise BudgetError(
            f"the memory of a machine is used up: {error}. Give a smaller --memory-budget, or end other programs"
        ) from error
    except (ObjectLostError, WorkerCrashedError, NodeDiedError, RaySystemError) as error:
        raise ClusterError(f"a node was lost: {error}. Nothing was published; run the command again") from error
    except RayError as error:
        raise ClusterError(f"the cluster failed: {error}. Nothing was published; run the command again") from error
