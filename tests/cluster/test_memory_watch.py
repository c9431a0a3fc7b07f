"""The measured peak: memory that this process and its children take is seen, and stays the peak once it is freed."""

import subprocess
import sys
import time

import pytest

from cluster.memory_watch import MemoryWatch

TAKEN = 200 * 10**6


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.memory_watch._PERIOD_SECONDS", 0.01)
    monkeypatch.setattr("cluster.memory_watch._SHARE", 1.0)


def settled(watch: MemoryWatch) -> int:
    """The peak once a few samples were taken."""
    time.sleep(0.3)
    return watch.peak_bytes


def test_the_peak_of_this_process_is_seen_and_stays() -> None:
    with MemoryWatch() as watch:
        before = settled(watch)
        block = bytearray(b"\1") * TAKEN
        during = settled(watch)
        del block
        assert settled(watch) == during or watch.peak_bytes > during
    assert before > 0
    assert during - before > 0.8 * TAKEN


def test_the_memory_of_children_counts() -> None:
    code = f"block = bytearray(b'\\1') * {TAKEN}; print('up', flush=True); input()"
    with MemoryWatch() as watch:
        before = settled(watch)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "up\n"
            during = settled(watch)
            child.communicate("\n")
    assert during - before > 0.8 * TAKEN


def test_rays_own_processes_are_counted_apart() -> None:
    code = f"block = bytearray(b'\\1') * {TAKEN}; print('up', flush=True); input()"
    with MemoryWatch() as watch:
        with subprocess.Popen(
            [sys.executable, "-c", code, "raylet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            settled(watch)
            child.communicate("\n")
        assert watch.ray_bytes > 0.8 * TAKEN


def test_nothing_is_sampled_after_the_end() -> None:
    with MemoryWatch() as watch:
        settled(watch)
    peak = watch.peak_bytes
    block = bytearray(b"\1") * TAKEN
    time.sleep(0.1)
    assert watch.peak_bytes == peak
    del block
