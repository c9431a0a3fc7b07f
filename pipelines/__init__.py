"""Corpora -> token batches, with Dask and Arrow. Knows nothing of Ray."""
