"""A solved memory in plain Python: which windows a ladder holds, and how a table is read, from the equations alone.

Covers: the truth that compiled forms and files are held against. Does not cover: keys of text (tests/reference.py).
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x: int) -> int:
    """SplitMix64's output function."""
    x &= MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def rows_of(h: int, *, shift: int, seed: int, count: int, length: int) -> list[int]:
    """The four rows of a key."""
    first = (((h << shift) & MASK) * count * length) >> 64
    y = mix(h + (seed + 1) * GOLDEN)
    return [first, *((first // length + j) * length + ((y >> 20 * (j - 1)) % length) for j in (1, 2, 3))]


def check_of(h: int, bits: int) -> int:
    """Check bits."""
    return mix((h ^ 0x636865636B) + GOLDEN) % (1 << bits)


def ladder_of(places: Sequence[tuple[Sequence[int], int]]) -> list[dict[int, Counter[int]]]:
    """Of each rung the windows that are held, with what follows each: of (filled windows, next token) pairs, those
    whose window of the rung before is followed by several tokens."""
    rungs = max((len(windows) for windows, _ in places), default=0)
    held: list[dict[int, Counter[int]]] = []
    for rung in range(rungs):
        found: dict[int, Counter[int]] = defaultdict(Counter)
        for windows, token in places:
            if len(windows) > rung and (rung == 0 or len(held[rung - 1].get(windows[rung - 1], ())) > 1):
                found[windows[rung]][token] += 1
        held.append(dict(found))
    return held


def commonest(following: Counter[int]) -> int:
    """Of equally common ones the lowest."""
    return min(following, key=lambda token: (-following[token], token))


def walk(held: list[dict[int, Counter[int]]], windows: Sequence[int]) -> tuple[str, int, int]:
    """(state, rung, token) of a place whose windows are all known to be held or not."""
    state, said, token = "NOT_HELD", -1, -1
    for rung, window in enumerate(windows):
        following = held[rung].get(window) if rung < len(held) else None
        if following is None:
            return ("LEFT", said, token) if state == "OPEN" else (state, said, token)
        said, token = rung, commonest(following)
        if len(following) == 1:
            return "SURE", said, token
        state = "OPEN"
    return state, said, token
