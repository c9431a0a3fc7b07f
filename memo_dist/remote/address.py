"""Address: the place of a memory in an object store, as s3://bucket/name.memo.

Covers: which places are addresses, what may stand in one. Does not cover: the store (store.py).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from memo_dist.errors import ConfigError

LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
"""The schemes of stores that put an object only where there is none, and the library that speaks to each."""
_WRITTEN = re.compile(r"(?P<scheme>[a-z0-9]+):/{1,2}(?P<place>.*)", re.DOTALL)  # Path makes one slash of two
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]+")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f?#*\[\]\\]")


@dataclass(frozen=True)
class Address:
    """Where a memory is: objects whose names begin with a prefix.

    Attributes:
        scheme: one of LIBRARIES. bucket: or container. prefix: of the objects' names, without a slash at its end.
    """

    scheme: str
    bucket: str
    prefix: str

    @property
    def url(self) -> str:
        """As users write it."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    @property
    def name(self) -> str:
        """The last part, as of a directory."""
        return self.prefix.rpartition("/")[2]

    def __str__(self) -> str:
        return self.url


def address_in(place: str | Path) -> Address | None:
    """The address that a text or path is; None if it names a place on this machine.

    Raises:
        ConfigError: it is one with credentials, without a name, or with characters that stores take for something else.
    """
    found = _WRITTEN.fullmatch(str(place))
    if found is None or found["scheme"] not in LIBRARIES:
        return None
    scheme = found["scheme"]
    bucket, _, prefix = found["place"].partition("/")
    if "@" in found["place"] or ":" in bucket:  # not repeated: it may hold a secret
        raise ConfigError(
            f"an address {scheme}://... has '@' or ':' in it, as if it held credentials; give these by the store's own "
            "environment variables or profile, and the address as "
            f"{scheme}://bucket/name.memo"
        )
    prefix = prefix.rstrip("/")
    parts = prefix.split("/")
    if not _BUCKET.fullmatch(bucket) or _FORBIDDEN.search(prefix) or {"", ".", ".."} & set(parts):
        raise ConfigError(f"{str(place)!r} is no address of a memory; expected {scheme}://bucket/name.memo")
    return Address(scheme, bucket, prefix)


def told_elsewhere(place: str | Path) -> str:
    """How another process finds a memory: by its address, or by its absolute path."""
    address = address_in(place)
    return str(Path(place).absolute()) if address is None else address.url


def refuse_address(place: str | Path) -> None:
    """Of what needs a memory's files: a place has to be on this machine.

    Raises:
        ConfigError: it is an address.
    """
    address = address_in(place)
    if address is not None:
        raise ConfigError(
            f"{address} is in an object store, and its files are needed here: memo-dist copy {address} --out M.memo, "
            "and name that"
        )


def is_address(place: str | Path) -> bool:
    """Whether a place is in an object store."""
    return address_in(place) is not None
