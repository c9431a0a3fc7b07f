"""Which store a shard's banks take.

Covers: bank_store. Does not cover: the stores by themselves (contracts/test_bank_stores.py, test_part_stores.py).
"""

import pytest

from memo_dist.stores import banks as bank_stores
from memo_dist.stores.banks import HostBanks, ResidentBanks


def test_banks_too_large_for_a_device_stay_with_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_stores, "room_on_device", lambda xp: 1000)
    assert isinstance(bank_stores.bank_store((5, 10, 10), "int16"), ResidentBanks)
    assert isinstance(bank_stores.bank_store((6, 10, 10), "int16"), HostBanks)
