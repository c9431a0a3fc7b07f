"""Comparing: what a run has made of its documents, before it is committed.

Covers: that every document is whole, that a change did what was chosen. Does not cover: the choice
(change_selection.py).

Files are read more than once: a text in several splits, the inputs of a change for the choice and then for the work. A
file that changes meanwhile would leave a memory of texts that nobody has; a run that finds so is given up.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from cluster.workspace import Workspace
from memo_dist.errors import InputError, NotMemorizedError
from memo_dist.files.manifest import Manifest
from memo_dist.files.working import WorkingShards

_REMEDY = "nothing was published. Keep the corpus unchanged meanwhile, and run the command again"


def documents_held(workspace: Workspace) -> np.ndarray:
    """The identities of all documents of a finished run, not yet committed.

    Raises:
        InputError: a document is not whole: its file changed while it was read. The run is given up.
    """
    manifest = Manifest.read(workspace.path)
    # what is written beside a memory's files is read with these
    place, newest = (workspace.out, workspace.path) if manifest.segments else (workspace.path, None)
    shards = WorkingShards(place, manifest, 0, newest=newest)
    try:
        return shards.identities()
    except InputError as error:
        workspace.discard()
        raise InputError(f"a file changed while it was read: {error}; {_REMEDY}") from error
    finally:
        shards.close()


@contextmanager
def compared(workspace: Workspace) -> Iterator[None]:
    """Around a change: what a ledger finds wrong before all is read is said as that which is found at the end.

    Raises:
        InputError: what is to be forgotten, and was held when it was chosen, is not what was read for the work.
    """
    try:
        yield
    except NotMemorizedError as error:
        workspace.discard()
        raise InputError(f"documents had another text when they were read a second time; {_REMEDY}") from error


def require_expected(workspace: Workspace, expected: np.ndarray) -> np.ndarray:
    """The identities of all documents of a finished change, which must be the `expected` ones, sorted.

    Raises:
        InputError: they are not: an input was read with other texts for the work than for the choice.
    """
    found = documents_held(workspace)
    if not np.array_equal(found, expected):
        workspace.discard()
        other = len(np.setxor1d(found, expected))
        raise InputError(f"{other:,} documents had another text when they were read a second time; {_REMEDY}")
    return found
