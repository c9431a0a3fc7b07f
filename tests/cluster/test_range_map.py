"""RangeMap: every range has as many owners as it should, about equal bytes each, and few ranges move."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster.bank_servers.range_map import RangeMap, choose_owners

SIZES = st.lists(st.integers(0, 1 << 40), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 12), st.integers(1, 4))
def test_every_range_has_its_owners(sizes: list[int], count: int, replicas: int) -> None:
    servers = list(range(3, 3 + count))
    owners = choose_owners(sizes, servers, replicas)
    assert len(owners) == len(sizes)
    for one in owners:
        assert len(set(one)) == len(one) == min(replicas, count)
        assert set(one) <= set(servers)
    assert owners == choose_owners(sizes, servers[::-1], replicas)  # it does not matter who is named first
    told = RangeMap(1, "d", owners)
    owned = sorted(index for server in servers for index in told.owned_by(server))
    assert owned == sorted(list(range(len(sizes))) * min(replicas, count))


@pytest.mark.parametrize(("servers", "replicas"), [(2, 1), (4, 1), (4, 2), (10, 3), (100, 2)])
def test_no_server_gets_much_more_than_its_share(servers: int, replicas: int) -> None:
    rng = np.random.default_rng(3)
    sizes = rng.integers(800, 1200, 8 * servers).tolist()
    owners = choose_owners(sizes, range(servers), replicas)
    held = np.zeros(servers)
    for size, some in zip(sizes, owners, strict=True):
        held[list(some)] += size
    share = sum(sizes) * replicas / servers
    assert held.max() <= share + max(sizes)
    assert held.min() >= 0.7 * share


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_loss_of_a_server_moves_its_own_ranges_and_few_others(replicas: int) -> None:
    sizes = [1000] * 200
    before = choose_owners(sizes, range(10), replicas)
    after = choose_owners(sizes, [one for one in range(10) if one != 4], replicas)
    moved = sum(len(set(new) - set(old)) for old, new in zip(before, after, strict=True))
    lost = sum(4 in one for one in before)
    assert lost <= moved <= 2 * lost
    assert not any(4 in one for one in after)


def test_nobody_owns_anything_where_nobody_is() -> None:
    assert choose_owners([5, 6], [], 2) == ((), ())
