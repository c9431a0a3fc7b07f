"""Benchmarks: scripts that measure, and the claims of docs/ that they stand behind. See README.md."""
