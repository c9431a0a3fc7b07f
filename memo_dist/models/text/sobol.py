"""Sobol: points spread evenly over a cube, the same every time.

Covers: the sequence with the direction numbers of Joe and Kuo (2008), unscrambled, of up to 32 dimensions. Equal to the
bit to scipy.stats.qmc.Sobol, for which SciPy loads half a second of statistics.
"""

import numpy as np

# fmt: off
# of each dimension a primitive polynomial over GF(2), its bits those of a number, and the first direction numbers
_DIRECTIONS = (
    (1, 1), (3, 1), (7, 1, 3), (11, 1, 3, 1), (13, 1, 1, 1), (19, 1, 1, 3, 3), (25, 1, 3, 5, 13),
    (37, 1, 1, 5, 5, 17), (41, 1, 1, 5, 5, 5), (47, 1, 1, 7, 11, 19), (55, 1, 1, 5, 1, 1), (59, 1, 1, 1, 3, 11),
    (61, 1, 3, 5, 5, 31), (67, 1, 3, 3, 9, 7, 49), (91, 1, 1, 1, 15, 21, 21), (97, 1, 3, 1, 13, 27, 49),
    (103, 1, 1, 1, 15, 7, 5), (109, 1, 3, 1, 15, 13, 25), (115, 1, 1, 5, 5, 19, 61), (131, 1, 3, 7, 11, 23, 15, 103),
    (137, 1, 3, 7, 13, 13, 15, 69), (143, 1, 1, 3, 13, 7, 35, 63), (145, 1, 3, 5, 9, 1, 25, 53),
    (157, 1, 3, 1, 13, 9, 35, 107), (167, 1, 3, 1, 5, 27, 61, 31), (171, 1, 1, 5, 11, 19, 41, 61),
    (185, 1, 3, 5, 3, 3, 13, 69), (191, 1, 1, 7, 13, 1, 19, 1), (193, 1, 3, 7, 5, 13, 19, 59),
    (203, 1, 1, 3, 9, 25, 29, 41), (211, 1, 3, 5, 13, 23, 1, 55), (213, 1, 3, 7, 3, 13, 59, 17),
)
# fmt: on


def sobol_points(dimensions: int, count: int) -> np.ndarray:
    """(count, dimensions) float64 in [0, 1): the beginning of the sequence, from the origin on.

    Point i is the exclusive or of the directions, fractions v_j of 2^-j each, of the bits of i's Gray code.

    Raises:
        ValueError: more than 32 dimensions.
    """
    if dimensions > len(_DIRECTIONS):
        raise ValueError(f"{dimensions} dimensions; expected {len(_DIRECTIONS)} at most")
    bits = max(1, (count - 1).bit_length())
    gray = np.arange(count) ^ np.arange(count) >> 1
    points = np.zeros((count, dimensions), np.int64)
    for column, (polynomial, *first) in enumerate(_DIRECTIONS[:dimensions]):
        for bit, direction in enumerate(_directions(polynomial, first, bits)):
            points[:, column] ^= (gray >> bit & 1) * (direction << bits - 1 - bit)
    return np.asarray(points / (1 << bits))


def _directions(polynomial: int, first: list[int], bits: int) -> list[int]:
    """v_1 .. v_bits, times 2^j each: the first ones, then as the polynomial says of those before."""
    found, degree = list(first), polynomial.bit_length() - 1
    while len(found) < bits:
        following = found[-degree] if degree else 1
        for place in range(1, degree + 1):
            if polynomial >> degree - place & 1:
                following ^= found[-place] << place
        found.append(following)
    return found[:bits]
