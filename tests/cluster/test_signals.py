"""SIGTERM as a request, or as Ctrl-C; handlers are put back."""

import os
import signal
import subprocess
import threading

import pytest

from cluster.own_ray import without_sigterm
from cluster.signals import interrupt_on_sigterm, stop_on_sigterm
from memo_dist.errors import ClusterError, StoppedError


def test_sigterm_is_noted_and_the_block_goes_on() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) == before


def test_ctrl_c_is_noted_and_said_and_a_second_one_ends_the_block(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_sigterm() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        assert "stopping after what is under way; Ctrl-C again" in capfd.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before
    with stop_on_sigterm(says=False) as stop:
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.requested
    assert capfd.readouterr().err == ""


def test_a_cluster_that_ends_around_sigterm_is_a_stop() -> None:
    """The signal may come a moment after the cluster's own processes got theirs."""
    sender = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    sender.start()
    with pytest.raises(StoppedError, match="the processes of the cluster ended as well"), stop_on_sigterm():
        raise ClusterError("a node was lost")
    with pytest.raises(ClusterError, match="a node was lost"), stop_on_sigterm():
        raise ClusterError("a node was lost")


def test_processes_that_are_started_without_sigterm_go_on() -> None:
    """This thread gets what is sent meanwhile, afterwards."""
    with stop_on_sigterm() as stop:
        with without_sigterm():
            signal.raise_signal(signal.SIGTERM)
            child = subprocess.Popen(["sleep", "60"])
            assert not stop.requested
        assert stop.requested
    child.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.3)
    child.kill()
    assert child.wait(10) == -signal.SIGKILL


def test_sigterm_interrupts_where_nothing_is_under_way() -> None:
    with stop_on_sigterm() as stop:
        outer = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt), interrupt_on_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) == outer
        assert not stop.requested


def test_outside_the_main_thread_there_is_no_handler_to_set() -> None:
    found: list[bool] = []
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with stop_on_sigterm() as stop, interrupt_on_sigterm():
            found.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGTERM) == before
