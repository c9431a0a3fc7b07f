"""A Ray that a command starts for itself: who reaches it, and what it leaves; the token of one that is joined."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
import ray

from cluster.private_ray import joined, private_ray, serve_on_loopback
from memo_dist.errors import ConfigError

_NAMES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_SESSION = """
import sys, time
from cluster.ray_session import ray_session
with ray_session(None):
    print("up", file=sys.__stdout__, flush=True)
    time.sleep(600)
"""


def listens(process: psutil.Process) -> set[str]:
    """The addresses at which a process and all that it has started listen."""
    pids = {one.pid for one in (process, *process.children(recursive=True))}
    found = psutil.net_connections("inet")
    return {one.laddr.ip.removeprefix("::ffff:") for one in found if one.status == "LISTEN" and one.pid in pids}


@pytest.fixture
def settings_again() -> Iterator[None]:
    """After all else of a test: what Ray's settings were before, which other tests' Ray needs, are read again."""
    yield
    with joined("auto"):
        pass


@pytest.fixture
def place(settings_again: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a short name, and no settings of Ray's from outside."""
    del settings_again
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    made = Path("/tmp") / f"t{os.getpid()}"
    made.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(made))
    yield made
    shutil.rmtree(made)


def test_only_this_user_enters_the_directory_and_reads_the_token(place: Path) -> None:
    with private_ray() as sessions:
        directory = sessions.parent
        assert directory.parent == place
        assert directory.stat().st_mode & 0o777 == 0o700
        file = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
        assert (file.parent, file.stat().st_mode & 0o777) == (directory, 0o600)
        assert len(token := file.read_text()) == 64
        assert os.environ["RAY_AUTH_MODE"] == "token"
        with private_ray():
            assert Path(os.environ["RAY_AUTH_TOKEN_PATH"]).read_text() != token
    assert not any(place.iterdir())
    assert not any(name in os.environ for name in _NAMES)


def test_a_token_from_outside_is_not_that_of_an_own_ray(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "of a cluster")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with private_ray():
        assert "RAY_AUTH_TOKEN" not in os.environ
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_AUTH_TOKEN"] == "of a cluster"
    assert os.environ["RAY_AUTH_MODE"] == "disabled"


def test_what_killed_processes_have_left_is_removed_and_nothing_else(place: Path) -> None:
    left, held, foreign = (place / name for name in ("memo-ray-a", "memo-ray-b", "memo-ray-c"))
    for directory in (left, held, foreign):
        directory.mkdir()
    for directory in (left, held):
        (directory / "token").write_text("x")
    handle = os.open(held, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with private_ray():
        assert (left.exists(), held.exists(), foreign.exists()) == (False, True, True)
    os.close(handle)
    with private_ray():
        assert not held.exists()


def test_a_directory_whose_name_is_too_long_for_sockets_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del place
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/" + "x" * 19)
    with pytest.raises(ConfigError, match=r"RAY_TMPDIR is /tmp/x*, of 24 characters; expected at most 23"):
        private_ray().__enter__()


def test_who_joins_a_cluster_shows_the_token_that_is_given(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without RAY_AUTH_MODE Ray would show none; where that says otherwise, it counts."""
    del place
    with joined("auto"):
        assert "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/some/where")
    with joined("auto"):
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_MODE" not in os.environ
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with joined("auto"):
        assert os.environ["RAY_AUTH_MODE"] == "disabled"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_nothing_of_an_own_ray_listens_to_other_machines() -> None:
    @ray.remote
    def working() -> int:
        return os.getpid()

    ray.get([working.remote() for _ in range(4)])
    assert listens(psutil.Process()) == {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_a_replica_of_ray_serve_does_not_either() -> None:
    """Its address is its own matter: [::]."""

    class Server:
        def add_insecure_port(self, address: str) -> str:
            return address

    @ray.remote
    def bound() -> Any:
        from ray.serve._private import replica

        serve_on_loopback()
        return replica.add_port_to_grpc_server(Server(), "[::]:0")

    assert ray.get(bound.remote()) == "127.0.0.1:0"


@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_another_process_joins_it_by_its_address() -> None:
    """Ray would look for it at this machine's address, where it does not listen, for ever."""
    address = ray.get_runtime_context().gcs_address
    command = "import sys\nfrom cluster.ray_session import ray_session\nwith ray_session(sys.argv[1]): pass"
    subprocess.run([sys.executable, "-c", command, address], check=True, timeout=60)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_local")
def test_who_has_no_token_is_not_let_in() -> None:
    """Another program of this machine, without a token and with a wrong one."""
    call = "/ray.rpc.InternalKVGcsService/InternalKVGet"
    file = Path(os.environ["RAY_AUTH_TOKEN_PATH"])
    assert file.parent.stat().st_mode & 0o777 == 0o700
    token = file.read_text()
    with grpc.insecure_channel(ray.get_runtime_context().gcs_address) as channel:
        asked = channel.unary_unary(call)
        for shown in ([], [("authorization", "Bearer not-that-one")]):
            with pytest.raises(grpc.RpcError) as refused:
                asked(b"", metadata=shown, timeout=20)
            assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED
        asked(b"", metadata=[("authorization", f"Bearer {token}")], timeout=20)


@pytest.mark.slow
def test_a_killed_command_leaves_a_session_to_the_next_one_that_removes_it(place: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _SESSION], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    for child in children:  # they would end by themselves, in a minute
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=60)
    assert len(list(place.glob("memo-ray-*/r/session_2*"))) == 1
    with private_ray():
        assert len(list(place.iterdir())) == 1
    assert not any(place.iterdir())


@pytest.mark.slow
def test_a_cluster_that_asks_for_a_token_where_there_is_none(place: Path, tmp_path: Path) -> None:
    """Ray would print its traceback."""
    command = "from cluster.ray_session import ray_session\nwith ray_session('127.0.0.1:1'): pass"
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "HOME": str(tmp_path), "RAY_TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert "ConfigError: RAY_AUTH_MODE" in done.stderr.splitlines()[-1].replace("memo_dist.errors.", "")
    assert "name the file that has it in RAY_AUTH_TOKEN_PATH" in done.stderr
