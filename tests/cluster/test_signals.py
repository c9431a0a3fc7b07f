"""SIGTERM as a request, or as Ctrl-C; handlers are put back."""

import os
import signal
import threading

import pytest

from cluster.signals import interrupt_on_sigterm, stop_on_sigterm


def test_sigterm_is_noted_and_the_block_goes_on() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_sigterm() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    assert signal.getsignal(signal.SIGTERM) == before


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
