"""The driver's log: what a command did and what was lost, line by line in a file that is asked for.

Covers: writing the log of this package to it while the command works. Does not cover: what is logged.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memo_dist.durable import writing


@contextmanager
def logged_to(path: Path | None) -> Iterator[None]:
    """Add what is logged in the block to the end of a file; None: nowhere.

    Raises:
        StorageError: the file cannot be written.
    """
    if path is None:
        yield
        return
    log = logging.getLogger("memo_dist.cluster")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    except BaseException as error:
        log.error("ended: %s: %s", type(error).__name__, error)
        raise
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        handler.close()
