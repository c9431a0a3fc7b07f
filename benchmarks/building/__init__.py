"""Benchmarks of building: pace, memory, disk, plans."""
