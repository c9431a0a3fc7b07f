"""Where a shard keeps its banks (banks.py) and its ledger's parts (parts.py): in memory, or out of core."""
