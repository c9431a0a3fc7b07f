"""Whole texts: the documents of a corpus, each as one text.

Covers: reading them in order, whatever the format. Does not cover: tokens (batching.py).
"""

from collections.abc import Iterator

from memo_dist.errors import InputError
from pipelines.formats import passages
from pipelines.plan import CorpusPlan


def whole_texts(plan: CorpusPlan) -> Iterator[tuple[str, str]]:
    """(id, text) of every document of a corpus of text that is not empty.

    Raises:
        InputError: a document cannot be read, or the corpus holds token ids.
    """
    reading = plan.options.reading()
    for split in plan.splits:
        for span in split.spans:
            for passage in passages(span, reading):
                if passage.ids is not None:
                    raise InputError(f"document {passage.document_id} is of token ids; expected text")
                if passage.first == 0:  # the others are further pieces of a text that was given whole
                    yield passage.document_id, passage.text.text(0, passage.text.size)
