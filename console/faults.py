"""Faults: what Python and the operating system raise because of what a user gave, as errors of this program.

Covers: files that cannot be opened or written, memory that is used up, words that are not UTF-8. Does not cover: faults
that are met where they can be explained better, which raise a MemoError there; faults of this program itself, which keep
their traceback.
"""

import errno
import os

from memo_dist.errors import BudgetError, InputError, MemoError, StorageError
from memo_dist.extras import missing_extra

_OF_THE_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


def named(error: Exception) -> MemoError | None:
    """The error to report; None if it is a fault of this program."""
    if isinstance(error, MemoError):
        return error
    if absent := missing_extra(error):  # commands import the libraries of an extra when they run
        return absent
    if isinstance(error, MemoryError):
        return _with_notes(
            BudgetError("the memory that this machine has free is used up; give a smaller --memory-budget"), error
        )
    if isinstance(error, UnicodeEncodeError):  # bytes of the shell that are not UTF-8 come as lone surrogates
        told = f"{error.object!a} is not UTF-8, from character {error.start} on; give it as UTF-8"
        return _with_notes(InputError(told), error)
    if isinstance(error, OSError):
        return _with_notes(_refused(error), error)
    return None


def _refused(error: OSError) -> MemoError:
    """What the operating system refused, with the file's name."""
    reason = str(error) if error.errno is None else os.strerror(error.errno)
    told = reason if error.filename is None else f"{error.filename}: {reason}"
    if error.errno in _OF_THE_PLACE:
        return StorageError(f"{told}; make room, or choose another place")
    return InputError(f"{told}; expected a file or directory that this user may use")


def _with_notes(named: MemoError, error: Exception) -> MemoError:
    for note in getattr(error, "__notes__", []):
        named.add_note(note)
    named.__cause__ = error
    return named
