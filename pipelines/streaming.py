"""Streaming: one split -> many batches, from a file that is read once, from its front to its end.

Covers: the batches of a stream, those that are made already passed over. Does not cover: which files are streams
(plan.py, formats/), what is done with the batches (cluster/run_tasks.py).

A compressed file has no place at which a second reader could begin, and its size is known when it is read. So one task
reads it, and makes a batch of the documents that begin in each `step` bytes. Which they are, and the names of the
batches, follow from the file alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import pyarrow as pa

from memo_dist.tokenizer import Tokenizer
from pipelines.batching import packed
from pipelines.formats import format_of
from pipelines.keeping import Keeping
from pipelines.plan import CorpusOptions
from pipelines.selection import Selection
from pipelines.splits import Split


@dataclass(frozen=True, kw_only=True)
class Stream:
    """A split that is a stream, and how its batches are made.

    Attributes:
        keeping: where they are kept; None: nowhere.
    """

    split: Split
    options: CorpusOptions
    context_length: int
    keeping: Keeping | None = None

    def batches(
        self, tokenizer: Tokenizer | None, selection: Selection, made: Callable[[Split], bool]
    ) -> Iterator[tuple[pa.Table, bool]]:
        """The batches in order, but for those that are made, each with whether it is the last.

        Raises:
            InputError: the file cannot be read further; it is named.
        """
        source = self.split.spans[0].source
        with source.named(), format_of(source).forward(source) as lines:
            for number in count():
                part = self.split.part(number)
                stop = part.spans[0].stop
                if made(part):
                    lines.pass_over(stop)
                    continue
                reading = self.options.reading()
                batch = packed(
                    part,
                    lines.passages(stop, reading),
                    reading,
                    tokenizer=tokenizer,
                    context_length=self.context_length,
                    selection=selection,
                )
                yield batch if self.keeping is None else self.keeping.keep(batch), lines.ended
                del batch  # before the next is made
                if lines.ended:
                    return
