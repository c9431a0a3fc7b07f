"""Solved memories: published ones whose values are solved for, so that they have no crosstalk (design-2 section 4)."""
