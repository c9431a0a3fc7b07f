"""Benchmarks of recall: what is right, how sure, at what cost."""
