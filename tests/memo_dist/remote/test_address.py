"""Addresses: what is one, however it is written, and what is none."""

import pytest

from memo_dist.errors import ConfigError
from memo_dist.remote.address import address_in

BARE = ("s3://bucket", "s3://bucket/", "s3:///name", "s3://b*/a")
LEADING_OUT = ("s3://bucket/../name", "s3://bucket/./a", "s3://bucket/a//b")
ODD = ("s3://bucket/a?b", "s3://bucket/a\nb", "gs://b/a#1")


@pytest.mark.parametrize("place", [*BARE, *LEADING_OUT, *ODD])
def test_no_address_of_a_memory(place: str) -> None:
    with pytest.raises(ConfigError, match="no address of a memory; expected"):
        address_in(place)


@pytest.mark.parametrize("place", ["s3://key:geheim@bucket/name.memo", "s3://key:geheim/name", "s3://b/geheim@name"])
def test_credentials_are_refused_and_not_repeated(place: str) -> None:
    with pytest.raises(ConfigError, match="as if it held credentials") as found:
        address_in(place)
    assert "geheim" not in str(found.value)
