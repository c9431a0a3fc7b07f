"""PrivateRay: where a Ray of this process's own is kept, and what keeps others out of it.

Covers: its directory, its token, its address, what a killed process has left of one; the token of a cluster that is
joined. Does not cover: starting and ending Ray (ray_session.py), its processes (own_ray.py).

Whoever reaches a port of Ray's and knows its token runs code as this user. So such a Ray has a directory of its own
that only this user can enter, with the session's logs and sockets and a token made for it alone, and its processes
listen on the loopback interface. All of it goes when the command ends [0028].

Ray has no setting for that address: it turns 127.0.0.1, given as its node's, into that of the machine's network. Only
where it takes a machine for one that has no clusters, as on macOS, is its node at 127.0.0.1, and then each of its
processes binds to that address and no other.
"""

import fcntl
import logging
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import ray
from ray import _raylet
from ray._private import ray_constants

from memo_dist.durable import writing
from memo_dist.errors import ConfigError

LOOPBACK = "127.0.0.1"
_PREFIX, _FILE = "memo-ray-", "token"
_MODE, _TOKEN, _TOKEN_FILE = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
_SESSIONS = "r"  # Ray lets everyone write into the directory that it is given, so that is one within ours
_LONGEST_PLACE = 23  # characters: the names of sockets in a session may have 107, and Ray takes 64 of them
_ANSWERS = 5.0  # seconds that a port may take to
_SECONDS = 5.0  # that processes take to end which still write into the directory
_SWITCH, _SERVES, _ANYWHERE = "ENABLE_RAY_CLUSTER", "add_port_to_grpc_server", "[::]"  # names in Ray's own code
_log = logging.getLogger("memo_dist.cluster")


@contextmanager
def private_ray() -> Iterator[Path]:
    """A new directory for the files of a Ray that this process starts, in one that nobody else can enter, and a token
    that holds within; removed at the end.

    Raises:
        ConfigError: the name of the directory for temporary files is too long. StorageError: it cannot be written.
    """
    place = _parent()
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        _sweep(place)
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))  # 0700
    try:
        with _held(directory), _settings(_token(directory)):
            yield directory / _SESSIONS
    finally:
        _remove(directory)


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Around a connection to somebody's cluster: a token that the environment has is also shown, without
    RAY_AUTH_MODE; one that listens on the loopback interface alone is found there."""
    has_token = any(os.environ.get(name) for name in (_TOKEN, _TOKEN_FILE))
    token = _settings({_MODE: "token"} if has_token and _MODE not in os.environ else {})
    with token, _switched_off() if _only_on_loopback(address) else nullcontext():
        yield


@contextmanager
def on_loopback() -> Iterator[None]:
    """Around the start of Ray: its processes listen on the loopback interface alone.

    A Ray that does so no longer is warned of: its token is what keeps others out then.
    """
    with _switched_off():
        yield
        if (address := ray.util.get_node_ip_address()) != LOOPBACK:
            _log.warning("Ray %s listens on %s, not only on %s: its token keeps others out", *_told(address))


@contextmanager
def _switched_off() -> Iterator[None]:
    before = getattr(ray_constants, _SWITCH, None)
    setattr(ray_constants, _SWITCH, False)
    try:
        yield
    finally:
        setattr(ray_constants, _SWITCH, before)


def _only_on_loopback(address: str) -> bool:
    """Whether the address is of this machine, and its port answers at 127.0.0.1 but not at the machine's address, which
    Ray would put in its place."""
    host, _, port = address.rpartition(":")
    if host not in (LOOPBACK, "localhost") or not port.isdigit():
        return False
    return _answers(LOOPBACK, int(port)) and not _answers(ray.util.get_node_ip_address(), int(port))


def _answers(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port), timeout=_ANSWERS):
        return True
    return False


def serve_on_loopback() -> None:
    """In a process of Ray Serve's, before it listens: on the loopback interface alone, where its node does.

    A replica listens on all interfaces for other replicas that ask it by gRPC, which none of ours does; Ray Serve has
    no setting for that either.
    """
    from ray.serve._private import replica

    before = getattr(replica, _SERVES, None)
    if before is not None and ray.util.get_node_ip_address() == LOOPBACK:
        setattr(replica, _SERVES, lambda server, address: before(server, address.replace(_ANYWHERE, LOOPBACK)))


def _told(address: str) -> tuple[str, str, str]:
    return ray.__version__, address, LOOPBACK


def _parent() -> Path:
    """RAY_TMPDIR, as for any Ray; else the directory for temporary files, where its name is short enough."""
    asked, usual = os.environ.get("RAY_TMPDIR"), tempfile.gettempdir()
    if asked and len(asked) > _LONGEST_PLACE:
        raise ConfigError(
            f"RAY_TMPDIR is {asked}, of {len(asked)} characters; expected at most {_LONGEST_PLACE}, for the names of "
            "Ray's sockets are limited: name a shorter directory, such as /tmp"
        )
    return Path(asked or (usual if len(usual) <= _LONGEST_PLACE else "/tmp"))


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Lock the directory, for as long as this process lives at most."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _token(directory: Path) -> dict[str, str | None]:
    """A new token in a file of the directory, and what tells Ray of it."""
    file = directory / _FILE
    with writing(file), open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(secrets.token_hex(32))
    return {_MODE: "token", _TOKEN_FILE: str(file), _TOKEN: None}


@contextmanager
def _settings(variables: dict[str, str | None]) -> Iterator[None]:
    """Ray's settings of this process and those that it starts meanwhile: Ray takes them from the environment alone."""
    before = {name: os.environ.get(name) for name in (_MODE, _TOKEN_FILE, _TOKEN)}  # Ray itself sets the mode, too
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    compiled: Any = _raylet
    compiled.Config.initialize("")  # what was read before
    compiled.AuthenticationTokenLoader.instance().reset_cache()


def _sweep(place: Path) -> None:
    """Remove what processes have left that were killed: nobody holds the lock, which is taken before a token is."""
    for token in place.glob(f"{_PREFIX}*/{_FILE}"):
        with suppress(OSError):  # it is another user's, or held
            handle = os.open(token.parent, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(token.parent, ignore_errors=True)
            finally:
                os.close(handle)


def _remove(directory: Path) -> None:
    until = time.monotonic() + _SECONDS
    while directory.exists() and time.monotonic() < until:
        shutil.rmtree(directory, ignore_errors=True)
        if directory.exists():
            time.sleep(0.1)
