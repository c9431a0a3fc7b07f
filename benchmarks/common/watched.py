"""A command of memo-dist in processes of its own, and what it took.

Covers: seconds, the most memory of its processes together. Does not cover: commands without either (script.py).
"""

import json
import subprocess
import sys
import time
from typing import Any

import psutil

_EVERY = 0.1  # seconds between two looks at the processes


def watched(*words: object) -> tuple[dict[str, Any], float, int]:
    """What a command says as JSON, its seconds, and the most bytes that it and its children held at a time (Linux's
    proportional set size, in which pages that several share count once).

    Raises:
        CalledProcessError: the command failed.
    """
    line, peak, began = [sys.executable, "-m", "console", *map(str, words), "--json"], 0, time.perf_counter()
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as running:
        while running.poll() is None:
            peak = max(peak, _bytes_of(running.pid))
            time.sleep(_EVERY)
        seconds = time.perf_counter() - began
        assert running.stdout is not None
        said = running.stdout.read()
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, line, said)
    return json.loads(said), seconds, peak


def _bytes_of(pid: int) -> int:
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:  # it has ended meanwhile
            continue
    return total
