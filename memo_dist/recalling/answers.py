"""Answers: continuations of several prompts, as Python gets them.

Covers: their table, their look in a notebook. Does not cover: one answer (recall.py), the table of a job (cluster).
"""

import pyarrow as pa

from memo_dist.recalling.recall import Continuation
from memo_dist.result import table_of


class Answers(list[Continuation]):
    """A list of continuations, in the order of their prompts."""

    def to_arrow(self) -> pa.Table:
        """A row for each continuation, a column for each of its fields."""
        return table_of(self, Continuation)

    def _repr_html_(self) -> str:
        return "".join(one._repr_html_() for one in self)
