"""TextTruth: whether what a memory says after a prompt is text of a corpus, found by search in its units.

Covers: how much of a prompt's end stands in the corpus, whether it stands there before an answer. Does not cover: the
search (corpus_index.py), splitting text (unit_index.py). Nothing of the memory's is used.
"""

from dataclasses import dataclass

from benchmarks.common.unit_index import UnitIndex

LEAST = 4  # units of a prompt's end that count as held
PASSAGE = 12  # that are a passage of the corpus, more than a phrase that others use, too


@dataclass(frozen=True)
class Verdict:
    """What the corpus says of one answer.

    Attributes:
        units: of the prompt, but its first and what its answer finishes.
        held: how many of the prompt's last units stand in the corpus as one passage; 0 for fewer than LEAST.
        before: how many of them stand there before the whole answer; 0 for fewer than LEAST.
    """

    units: int
    held: int
    before: int

    @property
    def stands(self) -> bool:
        """The answer stands in the corpus after the longest end of the prompt that does."""
        return self.held > 0 and self.before == self.held

    @property
    def is_passage(self) -> bool:
        """So it does, and that end is the whole prompt, or PASSAGE units."""
        return self.stands and self.held >= min(PASSAGE, self.units)


def verdict(corpus: UnitIndex, prompt: str, whole: str) -> Verdict:
    """Of an answer to a prompt.

    Args:
        whole: the prompt with its answer.
    """
    asked, following = corpus.split_text(prompt, whole)
    least = min(LEAST, len(asked))
    if not least:
        return Verdict(0, 0, 0)
    held = corpus.longest_before(asked, [], least)
    return Verdict(len(asked), held, corpus.longest_before(asked, following, least) if held else 0)
