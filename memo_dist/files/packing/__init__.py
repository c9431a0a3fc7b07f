"""The packed forms of what a shard file holds: cells in a byte at most, names in five; exact, read bank by bank."""
