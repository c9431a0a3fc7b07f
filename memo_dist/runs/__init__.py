"""Sorted runs: what a batch gives the ledger, counted and sorted in files, and the merging of such files."""
