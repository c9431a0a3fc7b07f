"""MemoryOnDisk: a memory directory of any form, open for questions from Python.

Covers: opening one, what it is, its documents. Does not cover: how each form is read (files/opened.py), questions
(askable.py), memories in this process, which can be changed (memory.py).
"""

from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from memo_dist.askable import Askable
from memo_dist.documents import listing
from memo_dist.errors import ConfigError
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.recalling.session import Session
from memo_dist.result import html_table
from memo_dist.sizes import show_bytes


class MemoryOnDisk(Askable):
    """A memory directory, open for reading; it is read as it is asked, not loaded.

    Example:
        >>> import memo_dist
        >>> memory = memo_dist.open("my.memo")          # built, published as sums, or published solved
        >>> memory.recall("It was the best of times, it was the").text
        >>> memory.trace("a page of text ...").passages
        >>> memory.evaluate()                           # on the tokens that it keeps
        >>> memory.close()                              # or: with memo_dist.open("my.memo") as memory:

    Args:
        opened: the directory.

    Attributes:
        path: the directory.
    """

    def __init__(self, opened: OpenMemory) -> None:
        self._opened = opened
        self.path, self.config, self.tokenizer = opened.path, opened.config, opened.tokenizer

    def __enter__(self) -> "MemoryOnDisk":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; nothing can be asked after that."""
        self._opened.__exit__()

    @cached_property
    def session(self) -> Session:
        """What answers prompts."""
        return Session(self._opened, self.tokenizer)

    @property
    def form(self) -> str:
        """ "working" (as built: it can be changed), "published as sums" or "published solved"."""
        if self._opened.is_solved:
            return "published solved"
        return "published as sums" if self._opened.is_published else "working"

    @property
    def digest(self) -> str:
        """One hash over config, tokenizer and contents; equal for equal memories, however they were made."""
        return self._opened.manifest.digest

    @property
    def num_tokens(self) -> int:
        return self._opened.manifest.tokens

    @property
    def num_documents(self) -> int:
        return self._opened.manifest.documents

    @property
    def num_associations(self) -> int:
        return self._opened.manifest.associations

    def documents(self) -> pa.Table:
        """The documents that are held, by source and position.

        Raises:
            ConfigError: the memory is published, and keeps no list of them.
        """
        if self._opened.is_published:
            raise ConfigError(
                f"{self.path} is published: it keeps no list of documents. Ask the memory that it was made from"
            )
        return listing(self._opened.require_working().documents())

    def verify(self) -> None:
        """Check every byte.

        Raises:
            DamagedMemoryError: naming the file at fault.
        """
        self._opened.verify()

    def _size(self) -> tuple[int, int]:
        return self.num_tokens, self.num_associations

    def _kept(self) -> Callable[[], Iterable[pa.Table]]:
        kept = self._opened.kept
        return (lambda: map(kept.read, kept.records)) if len(kept) else super()._kept()

    def __repr__(self) -> str:
        return (
            f"<memory {str(self.path)!r}: {self.num_tokens:,} tokens of {self.num_documents:,} documents, {self.form}>"
        )

    def _repr_html_(self) -> str:
        facts = {
            "memory": str(self.path),
            "form": self.form,
            "tokens": self.num_tokens,
            "documents": self.num_documents,
            "vocabulary": self.config.vocab_size,
            "on disk": show_bytes(self._opened.bytes_on_disk),
            "digest": self.digest,
        }
        return html_table(facts.items())


def open(path: str | Path, *, device: str = "cpu") -> MemoryOnDisk:
    """Open a memory directory of any form: as it was built, published as sums, published solved.

    Example:
        >>> memory = memo_dist.open("my.memo")
        >>> memory.recall("It was the best of times, it was the").text

    Args:
        path: the directory, my.memo.
        device: "gpu" has the tables of a solved memory on a GPU; "auto" where there is one.

    Raises:
        DamagedMemoryError: it is not a whole memory; the file at fault is named. ConfigError: no GPU answers.
    """
    return MemoryOnDisk(open_memory(path, device=device))
