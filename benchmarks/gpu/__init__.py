"""Benchmarks of the GPU path."""
