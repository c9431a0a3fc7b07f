"""Benchmarks of the published method."""
