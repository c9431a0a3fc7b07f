"""Store: the objects of one memory in an object store, through fsspec.

Covers: reading objects and ranges of them, putting files, putting an object only where there is none, errors that name
the object. Does not cover: which objects there are (root.py), what is kept of them here (blocks.py).

Credentials, regions and endpoints are those that the store's own library finds: environment, profile, fsspec's own
configuration. Nothing of them is taken as a setting, kept or told.
"""

import importlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memo_dist.errors import DamagedMemoryError, MemoError, StorageError
from memo_dist.extras import extra
from memo_dist.remote.address import LIBRARIES, Address

_AT_ONCE = 8 << 20  # bytes of an object that is read from one end to the other
_TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")  # as stores say that an object is there
_MOST_TOLD = 300  # characters of what a library says


class Store:
    """The objects of one memory.

    Args:
        address: of the memory.

    Raises:
        MissingExtraError: the library for the address is not installed.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        with extra():
            importlib.import_module(LIBRARIES[address.scheme])
            import fsspec
        with self._naming(""):
            self._system: Any = fsspec.filesystem(address.scheme, use_listings_cache=False)

    def url(self, name: str) -> str:
        """Of an object."""
        return f"{self.address.url}/{name}" if name else self.address.url

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if there is none.

        Raises:
            StorageError: the store does not answer, or does not let this user ask.
        """
        with self._naming(name):
            try:
                self._system.invalidate_cache()
                return int(self._system.info(self._path(name))["size"])
            except FileNotFoundError:
                return None

    def get(self, name: str) -> bytes | None:
        """An object; None if there is none. Errors as for `size`."""
        with self._naming(name):
            try:
                return bytes(self._system.cat_file(self._path(name)))
            except FileNotFoundError:
                return None

    def ranges(self, asked: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Bytes of objects: of each (name, start, stop), asked for together.

        Raises:
            DamagedMemoryError: an object is not there, or has fewer bytes. StorageError: as for `size`.
        """
        if not asked:
            return []
        names, starts, stops = zip(*asked, strict=True)
        with self._naming(names[0]):
            found = self._system.cat_ranges([self._path(name) for name in names], starts, stops, on_error="return")
        for (name, start, stop), part in zip(asked, found, strict=True):
            if isinstance(part, FileNotFoundError):
                raise DamagedMemoryError(f"{self.url(name)} is missing; upload the memory again")
            if isinstance(part, BaseException):
                with self._naming(name):
                    raise part
            if len(part) != stop - start:
                raise DamagedMemoryError(f"{self.url(name)} ends before byte {stop:,}; upload the memory again")
        return [bytes(part) for part in found]

    def parts(self, name: str, size: int) -> Iterator[bytes]:
        """All bytes of an object of that size, in order; errors as for `ranges`."""
        for start in range(0, size, _AT_ONCE):
            yield from self.ranges([(name, start, min(start + _AT_ONCE, size))])

    def put(self, name: str, file: Path) -> None:
        """Put a file in the place of an object; readers see all of it or nothing.

        Raises:
            StorageError: the store does not take it.
        """
        with self._naming(name):
            self._system.put_file(str(file), self._path(name))

    def put_bytes(self, name: str, data: bytes) -> None:
        """Put bytes in the place of an object; errors as for `put`."""
        with self._naming(name):
            self._system.pipe_file(self._path(name), data)

    def put_new(self, name: str, data: bytes) -> bool:
        """Put an object if there is none of the name, in one step; whether it was put by this call.

        Raises:
            StorageError: the store does not take it, or does not say whether it did.
        """
        with self._naming(name):
            try:
                self._system.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            except Exception as error:
                if _is_taken(error):
                    return False
                raise
        return True

    def require_writable(self) -> None:
        """Before long work: put an object, and remove it.

        Raises:
            StorageError: there is no such bucket, or this user may not write there.
        """
        name = f"writable-{secrets.token_hex(4)}"
        self.put_bytes(name, b"")
        self.remove(name)

    def names(self, folder: str) -> list[str]:
        """The objects below a folder, without it. Errors as for `size`."""
        with self._naming(folder):
            try:
                self._system.invalidate_cache()
                found = self._system.ls(self._path(folder), detail=False, refresh=True)
            except FileNotFoundError:
                return []
        return [str(one).rpartition("/")[2] for one in found]

    def remove(self, name: str) -> None:
        """Remove an object, if it is there. Errors as for `size`."""
        with self._naming(name):
            try:
                self._system.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def _path(self, name: str) -> str:
        return f"{self.address.bucket}/{self.address.prefix}/{name}".rstrip("/")

    @contextmanager
    def _naming(self, name: str) -> Iterator[None]:
        """Whatever a library says becomes an error that names the object, without what it was asked with."""
        try:
            yield
        except MemoError:
            raise
        except FileNotFoundError as error:
            raise StorageError(f"{self.url(name)}: there is no such bucket or object; make the bucket first") from error
        except Exception as error:  # every library of a store raises its own classes
            told = " ".join(f"{type(error).__name__}: {error}".split())[:_MOST_TOLD]
            raise StorageError(
                f"{self.url(name)} cannot be used ({told}); expected a store that answers, and credentials in its own "
                "environment variables or profile"
            ) from error


def _is_taken(error: BaseException) -> bool:
    """Whether a store refused to put an object because there is one."""
    code: Any = getattr(error.__cause__ or error, "response", None)
    code = code.get("Error", {}).get("Code") if isinstance(code, dict) else getattr(error, "code", "")
    return str(code) in _TAKEN or type(error).__name__ == "ResourceExistsError"
