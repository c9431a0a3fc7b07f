"""TextTruth: whether what a memory says after a prompt is text of a corpus, found by search in its units.

Covers: how much of a prompt's end stands in the corpus, whether it stands there before an answer. Does not cover: the
search (corpus_index.py), splitting text (unit_index.py). Nothing of the memory's is used.
"""

from dataclasses import dataclass

from benchmarks.common.unit_index import UnitIndex

LEAST = 4  # units of a prompt's end that count as held


@dataclass(frozen=True)
class Verdict:
    """What the corpus says of one answer.

    Attributes:
        held: how many of the prompt's last units stand in the corpus as one passage; 0 for fewer than LEAST.
        before: how many of them stand there before the whole answer; 0 for fewer than LEAST.
    """

    held: int
    before: int

    @property
    def stands(self) -> bool:
        """The answer stands in the corpus after the longest end of the prompt that does."""
        return self.held > 0 and self.before == self.held


def verdict(corpus: UnitIndex, prompt: str, whole: str) -> Verdict:
    """Of an answer to a prompt.

    Args:
        whole: the prompt with its answer.
    """
    asked, following = corpus.split_text(prompt, whole)
    least = min(LEAST, len(asked))
    if not least:
        return Verdict(0, 0)
    held = corpus.longest_before(asked, [], least)
    return Verdict(held, corpus.longest_before(asked, following, least) if held else 0)
