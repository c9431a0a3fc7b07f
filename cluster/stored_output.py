"""StoredOutput: a memory that a command makes for an object store: the directory where it grows, and putting it there.

Covers: that directory, going on after a stop, committing, telling who else is at work. Does not cover: making a memory
(build.py, publish.py), objects (memo_dist/remote).

`WORK/KEY/` holds `command.json` (the statement of what is made), `attempt` (who makes it), the memory, or what its own
command keeps beside it until it is whole, and what was uploaded. All of it goes once the store has the memory.
"""

import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.signals import stop_on_sigterm
from cluster.statement import require_same
from memo_dist.durable import write_text, writing
from memo_dist.errors import DamagedMemoryError, FencedError, StoppedError
from memo_dist.files.generations import locked
from memo_dist.files.journal import now
from memo_dist.files.manifest import MANIFEST_FILE, Manifest
from memo_dist.json_text import parse_json
from memo_dist.remote.address import Address
from memo_dist.remote.located import StoreCache
from memo_dist.remote.root import digest_of
from memo_dist.remote.store import Store
from memo_dist.remote.uploading import Uploaded, refuse_taken, root_in, upload

_STATEMENT, _ATTEMPT, _UPLOADED = "command.json", "attempt", "uploaded"


class StoredOutput:
    """One attempt's hold on the output of a command.

    Args:
        address: of the memory to be made. work: a directory for what is made here; None: the cache's.
        statement: what the command makes, as JSON; only the same goes on.

    Attributes:
        local: the directory of the memory until the store has it.

    Raises:
        OutputExistsError: the store has a memory there, other than one that an attempt of this command has put.
        ConfigError: another command was stopped on the way there. StorageError: the store does not answer.
    """

    def __init__(self, address: Address, work: Path | None, statement: dict[str, Any]) -> None:
        self.address, self.store = address, Store(address)
        base = work or StoreCache.default().directory / "work"
        self._place = base.absolute() / digest_of(address.url.encode())[:16]
        self.local = self._place / address.name
        if not self._is_committed():
            refuse_taken(self.store)
            self.store.require_writable()
        self._made = [one for one in (self._place, *self._place.parents) if not one.exists()]
        with writing(self._place):
            self._place.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._begin(statement)
            self._me = f"process {os.getpid()} on {socket.gethostname()}, begun {now()}"
            write_text(self._place / _ATTEMPT, self._me)

    @property
    def is_made(self) -> bool:
        """Whether the memory is here as a whole, made by an earlier attempt."""
        return (self.local / MANIFEST_FILE).exists()

    @contextmanager
    def making(self) -> Iterator[None]:
        """Whatever makes the memory: a newer attempt that takes over is named; nothing done leaves nothing here."""
        try:
            yield
        except FencedError as error:
            raise FencedError(
                f"{str(error).replace(str(self.local), self.address.url)}; it is {self._other()}"
            ) from error
        except BaseException:
            with_statement = {self._place / name for name in (_STATEMENT, _ATTEMPT)}
            if self._place.is_dir() and set(self._place.iterdir()) <= with_statement:
                self.leave()
            raise

    def require_here(self) -> None:
        """Once the memory is made.

        Raises:
            FencedError: another attempt of the command has committed it meanwhile, and removed it here; it is named.
        """
        if not self.is_made and (root := root_in(self.store)) is not None:
            raise FencedError(
                f"{self.address} was committed meanwhile by {root.maker}, another attempt of this command; this one "
                "stops"
            )

    def commit(self, on_upload: Callable[[int, int], None] = lambda done, total: None) -> Uploaded:
        """Put the memory in the store.

        Raises:
            FencedError: another command has put a memory there, or another attempt of this one does it; it is named.
            StoppedError: SIGTERM came; what was uploaded is kept, there and in a note here.
            DamagedMemoryError, StorageError: see memo_dist.remote.uploading.upload.
        """

        def between(done: int, total: int) -> None:
            on_upload(done, total)
            if stop.requested:
                raise StoppedError(f"stopped as asked, {done:,} of {total:,} bytes uploaded to {self.address}")

        self.require_here()
        try:
            with locked(self._place, wait=False), stop_on_sigterm() as stop:
                self.require_here()
                write_text(self._place / _ATTEMPT, self._me)
                uploaded = upload(self.local, self.store, notes=self._place / _UPLOADED, on_upload=between)
        except FencedError as error:
            if self.store.address.url in str(error):
                raise
            raise FencedError(f"another attempt uploads {self.address}: {self._other()}; this one stops") from error
        except StoppedError as error:
            error.add_note("What was done is kept; the same command goes on from there.")
            raise
        return uploaded

    def leave(self) -> None:
        """Remove what is here, once every output of the command is committed: until then it goes on from here."""
        shutil.rmtree(self._place, ignore_errors=True)
        for parent in self._made[1:]:
            if not parent.exists() or any(parent.iterdir()):
                break
            parent.rmdir()

    def _begin(self, statement: dict[str, Any]) -> None:
        path = self._place / _STATEMENT
        if path.exists():
            try:
                before = parse_json(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise DamagedMemoryError(f"{path}, left by a stopped command, cannot be read; remove it") from error
            require_same(statement, before, self.address.url, place=self._place, what_stopped="command")
            return
        write_text(path, json.dumps(statement, indent=1) + "\n")

    def _is_committed(self) -> bool:
        """Whether an attempt of this command was ended after it put the memory, before it said so."""
        if not self.is_made:
            return False
        root = root_in(self.store)
        return root is not None and root.manifest == Manifest.read(self.local).to_json()

    def _other(self) -> str:
        try:
            return (self._place / _ATTEMPT).read_text(encoding="utf-8")
        except OSError:
            root = root_in(self.store)  # the other attempt has committed, and cleared up
            return "gone" if root is None else str(root.maker)
