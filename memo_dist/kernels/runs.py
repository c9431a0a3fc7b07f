"""Runs of the ledger: count equal associations, merge two sorted runs, each in one pass.

Covers: NumPy arrays. Does not cover: other devices; ledger.py holds the plain form, made of sorts and sums, that these
must equal to the bit.
"""

import numpy as np

from memo_dist.kernels import compiled

BELOW_ZERO, TOO_MANY = 1, 2
_FEW = 32  # that insertion sorts faster than anything


@compiled
def count_runs(
    names: np.ndarray,
    tokens: np.ndarray,
    weight: int,
    to_names: np.ndarray,
    to_tokens: np.ndarray,
    to_counts: np.ndarray,
) -> int:
    """Distinct associations, rising by name, each with `weight` times its occurrences; how many.

    -1 if two share a name. The high bits of names, which are spread evenly, put each into a bucket of about eight, and
    what is left to sort stays in the first cache.
    """
    count = len(names)
    if count == 0:
        return 0
    least, shift, ends = _buckets(names)
    near_names, near_tokens = np.empty_like(names), np.empty_like(tokens)
    for row in range(count):
        bucket = np.int64((names[row] - least) >> shift)
        place = ends[bucket]
        near_names[place], near_tokens[place] = names[row], tokens[row]
        ends[bucket] += 1
    size = start = 0
    for stop in ends[:-1]:
        _sort(near_names[start:stop], near_tokens[start:stop])
        for row in range(start, stop):
            name, token = near_names[row], near_tokens[row]
            if size > 0 and to_names[size - 1] == name:
                if to_tokens[size - 1] != token:
                    return -1
                to_counts[size - 1] += weight
            else:
                to_names[size], to_tokens[size], to_counts[size] = name, token, weight
                size += 1
        start = stop
    return size


@compiled
def sum_runs(
    names: np.ndarray,
    tokens: np.ndarray,
    counts: np.ndarray,
    to_names: np.ndarray,
    to_tokens: np.ndarray,
    to_counts: np.ndarray,
) -> int:
    """Distinct associations, rising by name, each with the sum of its int64 counts, those of 0 left out; how many.

    -1 if two share a name. As count_runs, for runs that are counted already, one behind the other.
    """
    count = len(names)
    if count == 0:
        return 0
    least, shift, ends = _buckets(names)
    near_names, near_tokens, near_counts = np.empty_like(names), np.empty_like(tokens), np.empty_like(counts)
    for row in range(count):
        bucket = np.int64((names[row] - least) >> shift)
        place = ends[bucket]
        near_names[place], near_tokens[place], near_counts[place] = names[row], tokens[row], counts[row]
        ends[bucket] += 1
    size = start = 0
    for stop in ends[:-1]:
        _sort_counted(near_names[start:stop], near_tokens[start:stop], near_counts[start:stop])
        row = start
        while row < stop:
            name, token, total = near_names[row], near_tokens[row], near_counts[row]
            row += 1
            while row < stop and near_names[row] == name:
                if near_tokens[row] != token:
                    return -1
                total += near_counts[row]
                row += 1
            if total != 0:
                to_names[size], to_tokens[size], to_counts[size] = name, token, total
                size += 1
        start = stop
    return size


@compiled
def _buckets(names: np.ndarray) -> tuple[np.uint64, np.uint64, np.ndarray]:
    """The least name, how many bits of a name tell nothing of its bucket, and where each bucket begins."""
    least, most = names.min(), names.max()
    bits, wanted = 0, 0
    while (most - least) >> np.uint64(bits) and bits < 63:
        bits += 1
    while len(names) >> (wanted + 3):
        wanted += 1
    shift = np.uint64(max(0, bits - wanted))
    ends = np.zeros(np.int64((most - least) >> shift) + 2, np.int64)
    for name in names:
        ends[np.int64((name - least) >> shift) + 1] += 1
    for after in range(1, len(ends)):
        ends[after] += ends[after - 1]
    return least, shift, ends


@compiled
def _sort_counted(names: np.ndarray, tokens: np.ndarray, counts: np.ndarray) -> None:
    """Sort all three by name, in place."""
    if len(names) > _FEW:
        order = np.argsort(names)
        names[:], tokens[:], counts[:] = names[order], tokens[order], counts[order]
        return
    for row in range(1, len(names)):
        name, token, count, at = names[row], tokens[row], counts[row], row
        while at > 0 and names[at - 1] > name:
            names[at], tokens[at], counts[at] = names[at - 1], tokens[at - 1], counts[at - 1]
            at -= 1
        names[at], tokens[at], counts[at] = name, token, count


@compiled
def _sort(names: np.ndarray, tokens: np.ndarray) -> None:
    """Sort both by name, in place."""
    if len(names) > _FEW:  # a name that is often repeated, or many tokens after one window
        order = np.argsort(names)
        names[:], tokens[:] = names[order], tokens[order]
        return
    for row in range(1, len(names)):
        name, token, at = names[row], tokens[row], row
        while at > 0 and names[at - 1] > name:
            names[at], tokens[at] = names[at - 1], tokens[at - 1]
            at -= 1
        names[at], tokens[at] = name, token


@compiled
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
