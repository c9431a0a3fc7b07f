"""The measured peak: memory that a process and its children take is seen, and stays the peak once it is freed.

Each case runs in a process of its own, where nothing but the case takes or frees memory, and waits for what it expects.
"""

import subprocess
import sys

from cluster.memory_watch import MemoryWatch

TAKEN = 200 * 10**6
SCENE = f"""
import subprocess, sys, time
from cluster import memory_watch
from cluster.memory_watch import MemoryWatch

memory_watch._PERIOD_SECONDS, memory_watch._SHARE = 0.01, 1.0
TAKEN = {TAKEN}
HOLD = "block = bytearray(b'1') * TAKEN; print('up', flush=True); input()".replace("TAKEN", str(TAKEN))

def until(condition):
    ends = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < ends, "not seen within two minutes"
        time.sleep(0.01)

def held_by_a_child(name, condition):
    command = [sys.executable, "-c", HOLD, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "up\\n"
        until(condition)
        child.communicate("\\n")

with MemoryWatch() as watch:
    until(lambda: watch.peak_bytes > 0)
    before = watch.peak_bytes
"""


def holds(scene: str) -> None:
    """Run lines inside the watch of SCENE, and lines after it that are not indented."""
    done = subprocess.run([sys.executable, "-c", SCENE + scene], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_peak_of_this_process_is_seen_and_stays() -> None:
    holds("""
    block = bytearray(b"1") * TAKEN
    until(lambda: watch.peak_bytes - before > 0.8 * TAKEN)
    during = watch.peak_bytes
    del block
    time.sleep(0.2)
assert watch.peak_bytes >= during
""")


def test_the_memory_of_children_counts() -> None:
    holds("""
    held_by_a_child("worker", lambda: watch.peak_bytes - before > 0.8 * TAKEN)
assert watch.ray_bytes == 0
""")


def test_rays_own_processes_are_counted_apart() -> None:
    holds("""
    held_by_a_child("raylet", lambda: watch.ray_bytes > 0.8 * TAKEN)
assert watch.peak_bytes - before < 0.5 * TAKEN
""")


def test_nothing_is_sampled_after_the_end() -> None:
    holds("""
    pass
peak = watch.peak_bytes
block = bytearray(b"1") * TAKEN
time.sleep(0.2)
assert watch.peak_bytes == peak
""")


def test_what_is_over_at_once_is_measured() -> None:
    with MemoryWatch() as watch:
        pass
    assert watch.peak_bytes > 10**6
