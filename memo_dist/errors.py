"""Errors that users meet. Every one is a `MemoError` and also the built-in error that a caller would expect.

Covers: names, built-in parents and command-line exit codes. Does not cover: the messages, which are written where
the fault is found (they name the thing, say what was expected and what to do); errors of HTTP (http/errors.py).
"""


class MemoError(Exception):
    """Base of all errors raised on purpose. `exit_code` is what the command line returns: 2 bad input, 1 failure.

    An error that is raised in another process, such as a shard's, arrives with its message and its notes: Python
    pickles both, as long as a class keeps the constructor of exceptions, which takes the message.
    """

    exit_code = 2


class ConfigError(MemoError, ValueError):
    """A setting is out of range or contradicts another."""


class InputError(MemoError, ValueError):
    """A source cannot be read as what it claims to be: missing, broken, not UTF-8, without the text key."""


class PromptError(MemoError, ValueError):
    """A prompt cannot be asked: shorter than the shortest window, or not of this vocabulary."""


class TokenizerError(MemoError, ValueError):
    """A tokenizer cannot be loaded, or differs from the one that the memory was built with."""


class OutputExistsError(MemoError, FileExistsError):
    """The output is already there; nothing is overwritten."""


class BudgetError(MemoError, MemoryError):
    """The planned peak does not fit the memory budget, or a shard outgrew its plan."""


class DamagedMemoryError(MemoError, OSError):
    """A file of a memory is missing, truncated, altered or not one of ours."""


class StorageError(MemoError, OSError):
    """A file could not be written: a full disk, a read-only place."""

    exit_code = 1


class NotMemorizedError(MemoError, KeyError):
    """A document to forget is not in the memory as given; nothing was changed."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""


class CountOverflowError(MemoError, OverflowError):
    """An association was seen more often than the ledger counts; nothing of its part was changed."""

    exit_code = 1


class ClusterError(MemoError, RuntimeError):
    """Ray lost a process or a node that the work needs."""

    exit_code = 1


class ClusterEndedError(ClusterError):
    """The Ray that a command had started on this machine was ended by something else."""


class ReplacedError(ClusterError):
    """A memory was replaced while it was asked: what is there now has to be asked anew."""


class NoRoomError(ClusterError):
    """The cluster has no room for what was asked of it."""


class StoppedError(MemoError, RuntimeError):
    """The build was asked to stop, and can go on from its checkpoint. The exit code is EX_TEMPFAIL of sysexits.h."""

    exit_code = 75


class UnfinishedError(MemoError, RuntimeError):
    """Something that other tasks make is not there yet."""

    exit_code = 1


class FencedError(MemoError, RuntimeError):
    """A newer attempt on the same output took over."""

    exit_code = 1


class EndpointError(MemoError, RuntimeError):
    """A language model's endpoint does not answer, or refuses what it is asked."""

    exit_code = 1


class MissingExtraError(MemoError, ImportError):
    """Libraries that only extras of memo-dist install are absent."""
