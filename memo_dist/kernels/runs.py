"""Runs of the ledger: count equal associations, merge two sorted runs, each in one pass.

Covers: NumPy arrays. Does not cover: other devices; ledger.py holds the plain form, made of sorts and sums, that these
must equal to the bit.
"""

import numba
import numpy as np

BELOW_ZERO, TOO_MANY = 1, 2


@numba.njit(cache=True, nogil=True, boundscheck=False)
def count_runs(
    order: np.ndarray,
    names: np.ndarray,
    tokens: np.ndarray,
    weight: int,
    to_names: np.ndarray,
    to_tokens: np.ndarray,
    to_counts: np.ndarray,
) -> int:
    """Distinct associations in the order given, which must sort by name, each with `weight` times its occurrences.

    Returns how many, or -1 if two share a name.
    """
    size = 0
    for place in range(len(order)):
        name, token = names[order[place]], tokens[order[place]]
        if size > 0 and to_names[size - 1] == name:
            if to_tokens[size - 1] != token:
                return -1
            to_counts[size - 1] += weight
        else:
            to_names[size], to_tokens[size], to_counts[size] = name, token, weight
            size += 1
    return size


@numba.njit(cache=True, nogil=True, boundscheck=False)
def merge_runs(
    names: np.ndarray,
    tokens: np.ndarray,
    counts: np.ndarray,
    new_names: np.ndarray,
    new_tokens: np.ndarray,
    new_counts: np.ndarray,
    most: int,
    kept_names: np.ndarray,
    kept_tokens: np.ndarray,
    kept_counts: np.ndarray,
    added_names: np.ndarray,
    added_tokens: np.ndarray,
    gone_names: np.ndarray,
    gone_tokens: np.ndarray,
) -> tuple[int, int, int, int]:
    """Merge two runs, both sorted by (name, token) and distinct; new counts may be negative.

    Returns how many are kept, added and gone, and an error: BELOW_ZERO, TOO_MANY (a count above `most`) or 0.
    """
    kept = added = gone = old = 0
    for new in range(len(new_names)):
        name, token, count = new_names[new], new_tokens[new], new_counts[new]
        while old < len(names) and (names[old] < name or (names[old] == name and tokens[old] < token)):
            kept_names[kept], kept_tokens[kept], kept_counts[kept] = names[old], tokens[old], counts[old]
            kept += 1
            old += 1
        known = old < len(names) and names[old] == name and tokens[old] == token
        if known:
            count += np.int64(counts[old])
            old += 1
        if count < 0:
            return 0, 0, 0, BELOW_ZERO
        if count > most:
            return 0, 0, 0, TOO_MANY
        if count > 0:
            kept_names[kept], kept_tokens[kept], kept_counts[kept] = name, token, count
            kept += 1
            if not known:
                added_names[added], added_tokens[added] = name, token
                added += 1
        elif known:
            gone_names[gone], gone_tokens[gone] = name, token
            gone += 1
    while old < len(names):
        kept_names[kept], kept_tokens[kept], kept_counts[kept] = names[old], tokens[old], counts[old]
        kept += 1
        old += 1
    return kept, added, gone, 0
