"""The C library's allocator: giving freed memory back to the system.

Covers: glibc's malloc_trim, where there is one. Does not cover: Arrow's pool, which gives back by itself.
"""

import ctypes


def return_freed_memory() -> None:
    """Have the allocator return what is free: after training a tokenizer glibc keeps 200 MB that nobody uses."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
