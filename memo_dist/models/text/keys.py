"""Keys: the 64-bit hash of every window of text before a position (design-2 section 2).

Covers: the equations and the words that the seed gives them. Does not cover: what a unit is (units.py), the compiled
pass (kernels/windows.py), the plain form that it must equal, from the text itself (tests/reference.py).

With mix = codes.mix64, all modulo 2^64:
    join_k(a, b) = mix((mix(a + k) ^ b) * (rot32(b) | 1))        neither linear nor symmetric in a and b
    word         h = WORD, then h = mix(h ^ c) for each of its last 64 folded characters c
    other        the same, from OTHER        token that is no text: mix(TOKEN ^ id)
    white space  the same, from SPACE, for each of the last 64 characters of the run
Let u_1 .. u_i be the units before a position, u_i as far as it is written there, u_j = BEGIN for j < 1, s the hash of
the white space since (SPACE itself for none). Blocks of units:
    D_0(i) = u_i        D_(j+1)(i) = join_(BLOCK+j)(D_j(i - 2^j), D_j(i))
    B(n, i): D_j(i) for n = 2^j, else join_REST(B(n - 2^j, i - 2^j), D_j(i)) with the largest 2^j below n; B(0) = BEGIN
and the keys of the rungs w_0 < w_1 < ..., of which the last unit takes no part until the end:
    P_0 = B(w_0 - 1, i - 1)        P_r = join_(RUNG+r)(B(w_r - w_(r-1), i - w_(r-1)), P_(r-1))
    key_r = join_(KEY+r)(P_r, join_TAIL(u_i, s))
A rung is *filled* if all its units lie within the last REACH steps before the position, each with the step before it
(of a unit of 64 steps or more, its last 64). The first rung, where a document begins or REACH is full, is padded by
BEGIN for units that do not. So what is 4,096 steps away changes no key, and a cut needs no more context than that.
"""

from collections.abc import Sequence

import numpy as np

from memo_dist.models.text.codes import GOLDEN, mix64_int

REACH = 4096  # steps
LONGEST = 64  # steps of a unit or a run that its hash knows
MAX_RUNGS = 16
_BLOCKS = 13  # doublings: up to 4,096 units
#: Places of the words in `key_words_of`.
BEGIN, WORD, OTHER, TOKEN, SPACE, TAIL, REST, BLOCK = 0, 1, 2, 3, 4, 5, 6, 7
RUNG = BLOCK + _BLOCKS
KEY = RUNG + MAX_RUNGS
NUM_WORDS = KEY + MAX_RUNGS
_SALT = 0x6B657973  # "keys"


ANCHOR_EVERY = 8  # of the windows of the anchor rung, one is an anchor
ANCHOR_UNITS = 16


def is_anchor(hashes: np.ndarray) -> np.ndarray:
    """(n,) bool: which windows of the anchor rung are associated with their documents."""
    return np.asarray(hashes % np.uint64(ANCHOR_EVERY) == 0)


def seed_words(seed: int) -> np.ndarray:
    """(NUM_WORDS,) uint64: what makes one seed's keys different from another's."""
    first = mix64_int(seed + _SALT)
    return np.array([mix64_int(first + (i + 1) * GOLDEN) for i in range(NUM_WORDS)], np.uint64)


def block_sizes(windows: Sequence[int]) -> np.ndarray:
    """(L,) int64: the units that each rung adds to the one before; of the first, without the last unit."""
    return np.diff([1, *windows]).astype(np.int64)
