"""Windows: the keys before the targets of a line of tokens, in one pass; the associations that they make.

Covers: NumPy arrays. Does not cover: the equations (models/text/keys.py), laying out lines (segments.py), the plain
form that this must equal (tests/reference.py).

The state of the pass, of a few kilobytes, are rings of the last units: their blocks, and the step from which on each
is known. A unit that is not finished is kept apart; the parts of keys that do not depend on it are made once a unit.
"""

from typing import Any

import numpy as np

from memo_dist.kernels import compiled

_BEGINS, _PART = -1, -3  # lines.BEGIN, lines.PART
_LONGEST = 64  # keys.LONGEST
_BEGIN, _WORD, _OTHER, _TOKEN, _SPACE, _TAIL, _REST, _BLOCK = 0, 1, 2, 3, 4, 5, 6, 7  # places of keys.seed_words
_RUNG = _BLOCK + 13
_KEY = _RUNG + 16
_IN_WORD, _ALONE, _BLANK = 0, 1, 2  # units.Kind


@compiled
def window_keys(
    line: np.ndarray,
    asked: np.ndarray,
    bounds: np.ndarray,
    kinds: np.ndarray,
    values: np.ndarray,
    windows: np.ndarray,
    sizes: np.ndarray,
    words: np.ndarray,
    reach: int,
    hashes: np.ndarray,
    depths: np.ndarray,
) -> Any:
    """Keys before every asked place of a line; how many.

    Args:
        line: (n,) int64 token ids; -1 begins a document, -2 begins in the midst of one, -3 in that of a unit, of which
            no window is filled; each place of these kinds stands before the token at it.
        asked: (n,) bool; places whose keys are wanted. The token there is read after them.
        bounds, kinds, values: see units.Alphabet.
        windows: (L,) int64, w. sizes: (L,) int64, keys.block_sizes. words: keys.seed_words.
        reach: steps; a key knows nothing of what is further away.
        hashes: (m, L) uint64 and depths: (m,) int64, filled rungs, for m or more asked places.
    """
    rungs, last = len(windows), windows[len(windows) - 1]
    levels = 1
    while (1 << levels) <= sizes.max():
        levels += 1
    room = 1
    while room < last + 2:
        room *= 2
    mask = room - 1
    blocks = np.empty((levels, room), np.uint64)
    known = np.empty(room, np.int64)
    prefix = np.empty(rungs, np.uint64)
    near = np.empty(_LONGEST, np.uint64)  # of the last unit
    blank = np.empty(_LONGEST, np.uint64)  # of the white space since
    padded = np.empty(room, np.uint64)
    begin_known, part, stale = True, False, False
    found = place = units = length = start = gap = np.int64(0)
    unit, space, seed, going = words[_BEGIN], words[_SPACE], words[_BEGIN], _BLANK
    for at in range(len(line)):
        token = line[at]
        if token < 0:
            begin_known, part = token == _BEGINS, token == _PART
            place = length = start = gap = np.int64(0)
            units = np.int64(-1 if part else 0)
            unit, space, seed, going = words[_BEGIN], words[_SPACE], words[_BEGIN], _BLANK
            if not part:
                _clear(blocks, words)
            stale = True
            continue
        if asked[at]:
            if stale:  # only where keys are wanted: of a query that is one place of many
                _prefixes(blocks, mask, max(units - 1, np.int64(0)), windows, sizes, words, prefix)
                stale = False
            here = _known_hash(unit, seed, near, length)
            since = _known_hash(space, words[_SPACE], blank, gap)
            edge = place - reach
            from_here = start - 1 if length < _LONGEST else start + length - _LONGEST
            depth = 0
            for r in range(rungs):
                oldest = units - windows[r] + 1
                if oldest < 1 or (from_here if oldest == units else known[oldest & mask]) < edge:
                    break
                depth += 1
            first = prefix[0]
            if depth == 0 and not part and (begin_known or edge >= 0):
                depth = 1
                seen = 0
                while seen < windows[0] and seen < units:
                    oldest = units - seen
                    if (from_here if oldest == units else known[oldest & mask]) < edge:
                        break
                    seen += 1
                if seen < units:  # not the beginning of the document, but what is too far away
                    if seen == 0:
                        here = words[_BEGIN]
                    for back in range(sizes[0]):
                        padded[back] = blocks[0, (units - 1 - back) & mask] if back + 1 < seen else words[_BEGIN]
                    first = _block_of(padded, sizes[0], words)
            tail = _join(here, since, words[_TAIL])
            for r in range(rungs):
                hashes[found, r] = np.uint64(0)
                if r < depth:
                    hashes[found, r] = _join(first if r == 0 else prefix[r], tail, words[_KEY + r])
            depths[found] = depth
            found += 1
        if token + 1 >= len(bounds):  # the end of a document
            continue
        for step in range(bounds[token], bounds[token + 1]):
            kind, value = kinds[step], values[step]
            if kind == _BLANK:
                blank[gap % _LONGEST] = value
                space = _mixed(space ^ value)
                gap += 1
                going = _BLANK
            else:
                # a word goes on with any letter, another unit with its own character
                if kind != going or kind > _ALONE or (kind == _ALONE and value != near[(length - 1) % _LONGEST]):
                    if units > 0:
                        ended = _known_hash(unit, seed, near, length)
                        from_there = start - 1 if length < _LONGEST else start + length - _LONGEST
                        _finish(blocks, known, mask, units, ended, from_there, windows[0], words)
                        stale = True
                    units += 1
                    start, length = place, np.int64(0)
                    seed = words[_WORD] if kind == _IN_WORD else words[_OTHER] if kind == _ALONE else words[_TOKEN]
                    unit = seed
                near[length % _LONGEST] = value
                unit = _mixed(unit ^ value)
                length += 1
                going = kind
                if gap > 0:
                    gap, space = np.int64(0), words[_SPACE]
            place += 1
    return found


@compiled
def _known_hash(whole: np.uint64, seed: np.uint64, near: np.ndarray, length: int) -> Any:
    """The hash of a unit or of white space, of its last 64 steps where it has more."""
    if length <= _LONGEST:
        return whole
    found = seed
    for i in range(length - _LONGEST, length):
        found = _mixed(found ^ near[i % _LONGEST])
    return found


@compiled
def _clear(blocks: np.ndarray, words: np.ndarray) -> None:
    """As if nothing but BEGIN had been read for ever."""
    pad = words[_BEGIN]
    for j in range(len(blocks)):
        blocks[j] = pad
        pad = _join(pad, pad, words[_BLOCK + j])


@compiled
def _finish(
    blocks: np.ndarray,
    known: np.ndarray,
    mask: int,
    index: int,
    unit: np.uint64,
    from_there: int,
    padding: int,
    words: np.ndarray,
) -> None:
    """Add unit `index`, and the blocks that end with it, of the first so many may be padding."""
    blocks[0, index & mask], known[index & mask] = unit, from_there
    for j in range(len(blocks) - 1):
        if 1 << (j + 1) > index + padding:  # longer than any block that is read, unless it is as _clear left it
            break
        older = blocks[j, (index - (1 << j)) & mask]
        blocks[j + 1, index & mask] = _join(older, blocks[j, index & mask], words[_BLOCK + j])


@compiled
def _prefixes(
    blocks: np.ndarray,
    mask: int,
    index: int,
    windows: np.ndarray,
    sizes: np.ndarray,
    words: np.ndarray,
    prefix: np.ndarray,
) -> None:
    """P of every rung that may be filled for the unit after `index`; the first may be padded."""
    for r in range(len(windows)):
        if r > 0 and windows[r] > index + 1:
            break
        end = index if r == 0 else index + 1 - windows[r - 1]
        block = _block(blocks, mask, end, sizes[r], words)
        prefix[r] = block if r == 0 else _join(block, prefix[r - 1], words[_RUNG + r])


@compiled
def _block(blocks: np.ndarray, mask: int, end: int, size: int, words: np.ndarray) -> Any:
    """B(size, end)."""
    if size == 0:
        return words[_BEGIN]
    # from the oldest part, which is the smallest, to the newest
    found, first, left = words[_BEGIN], True, size
    while left > 0:
        low = left & -left
        j = 0
        while (1 << j) < low:
            j += 1
        part = blocks[j, (end - (size - (size & (2 * low - 1)))) & mask]
        found = part if first else _join(found, part, words[_REST])
        first = False
        left -= low
    return found


@compiled
def _block_of(units: np.ndarray, size: int, words: np.ndarray) -> Any:
    """B of units that are given, the newest first."""
    if size == 0:
        return words[_BEGIN]
    found, first, left = words[_BEGIN], True, size
    work = np.empty(size, np.uint64)
    while left > 0:
        low = left & -left
        newest = size - (size & (2 * low - 1))
        for i in range(low):
            work[i] = units[newest + low - 1 - i]
        count, level = low, 0
        while count > 1:
            count //= 2
            for i in range(count):
                work[i] = _join(work[2 * i], work[2 * i + 1], words[_BLOCK + level])
            level += 1
        found = work[0] if first else _join(found, work[0], words[_REST])
        first = False
        left -= low
    return found


@compiled
def choose_associations(
    hashes: np.ndarray,
    depths: np.ndarray,
    nexts: np.ndarray,
    salt: np.uint64,
    low: np.uint64,
    last: np.uint64,
    names: np.ndarray,
    tokens: np.ndarray,
) -> Any:
    """Associations of filled windows whose hash is in [low, last]; how many.

    Args:
        hashes: (n, L) uint64 and depths: (n,) int64, as window_keys gives them. nexts: (n,) int64, what follows.
        salt: what is added to a token before it is mixed into its part of a name.
        names: (L n + 1,) uint64 and tokens: (L n + 1,) uint32, filled from the front.
    """
    found = 0
    for row in range(len(hashes)):
        token = nexts[row]
        fold = _mixed(np.uint64(token) + salt) >> np.uint64(32)
        for r in range(depths[row]):
            names[found], tokens[found] = hashes[row, r] ^ fold, token
            # written always, kept by counting: a guess at what is in range would be wrong half of the time
            found += (low <= hashes[row, r]) & (hashes[row, r] <= last)
    return found


@compiled
def _join(older: np.uint64, newer: np.uint64, word: np.uint64) -> Any:
    """keys.join."""
    turned = (newer << np.uint64(32)) | (newer >> np.uint64(32))
    return _mixed((_mixed(older + word) ^ newer) * (turned | np.uint64(1)))


@compiled
def _mixed(x: np.uint64) -> Any:
    """codes.mix64 of one word."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
