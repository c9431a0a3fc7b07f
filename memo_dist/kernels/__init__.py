"""What numba compiles for the CPU, each beside a plain form that it must equal to the bit.

Covers: windows and their associations (windows.py), sorted runs of the ledger (runs.py), packed codes (codes.py),
products of banks (banks.py), bit planes (planes.py), tables of cleanup (tables.py). Does not cover: other devices,
which run the plain forms.

These modules are imported where they are first used: numba takes a third of a second to load. What it compiles, it
keeps on disk, but only for functions of modules: one that another encloses is compiled again in every process.
"""
