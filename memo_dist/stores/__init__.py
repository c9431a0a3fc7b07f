"""Where a shard in memory keeps its banks (banks.py) and its ledger's parts (parts.py)."""
