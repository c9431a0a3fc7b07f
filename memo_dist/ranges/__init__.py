"""A memory in ranges: what one file holds answers for itself, wherever it is opened (docs/decisions/0027)."""
