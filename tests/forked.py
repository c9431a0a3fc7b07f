"""Functions in processes of their own, for tests that kill them, forked from one that has imported and compiled.

A new interpreter takes a second to import what a build needs, and another for numba's functions.
"""

import io
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

_WARM = "forked_warm"


def server() -> ForkServerContext:
    """What starts such processes; the process that they are forked from is started with the first of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_WARM])
    with pytest.MonkeyPatch.context() as patch:  # it is told of sys.path, and imports before it looks
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    return context


def run(context: ForkServerContext, main: Callable[[], None], *words: str) -> tuple[int, str]:
    """Exit code (of a killed one, less than 0) and what was printed of a `main` that reads sys.argv, run here."""
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(main, [*words], os.getcwd(), theirs))
    process.start()
    theirs.close()
    try:
        printed: str = ours.recv()
    except EOFError:  # it was killed
        printed = ""
    process.join()
    return process.exitcode or 0, printed


def _run(main: Callable[[], None], words: list[str], here: str, told: Connection) -> None:
    os.chdir(here)
    sys.argv, sys.stdout = [str(Path(sys.argv[0])), *words], io.StringIO()
    try:
        main()
    except BaseException:
        told.send(traceback.format_exc())
        raise
    told.send(sys.stdout.getvalue())
