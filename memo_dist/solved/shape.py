"""TableShape: how many rows a table of solved values has, and which of them a key adds up.

Covers: shapes to try for so many keys. Does not cover: solving (table.py), the rows of a key (kernels/peeling.py).
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

ROWS_OF_A_KEY = 4
_LONGEST = 1 << 18  # rows of a segment
_SPARE = 1.065  # rows a key, of the largest pieces; measured, see docs/decisions/0023
_TRIES = 3  # seeds, before a table becomes larger
_GROWS = 1.01


@dataclass(frozen=True)
class TableShape:
    """The shape of one table.

    Attributes:
        seed: of its keys' rows.
        count: of segments in which keys have their first row.
        length: of a segment in rows, a power of two.
    """

    seed: int
    count: int
    length: int

    @property
    def rows(self) -> int:
        """(count + 3) length: a key's four rows are in segments that follow one another."""
        return (self.count + ROWS_OF_A_KEY - 1) * self.length


NO_ROWS = TableShape(0, 0, 0)


def shapes_for(keys: int) -> Iterator[TableShape]:
    """Shapes to try for a table of so many keys, one after the other, without end: other seeds, then more rows.

    Segment lengths of about log_2.91(keys) bits and the spare rows that smaller tables need follow Graf and Lemire
    (2022), lowered to what is met here by trying again.
    """
    logarithm = math.log(max(keys, 4))
    length = min(_LONGEST, 1 << max(0, int(logarithm / math.log(2.91) - 0.5)))
    spare = max(_SPARE, 0.76 + 0.305 * math.log(600_000) / logarithm)
    for attempt in itertools.count():
        rows = keys * spare * _GROWS ** (attempt // _TRIES) + attempt // _TRIES
        yield TableShape(attempt, max(1, math.ceil(rows / length) - (ROWS_OF_A_KEY - 1)), length)
