"""UnitIndex: a corpus as a person compares it: words and other characters, whatever their case and white space.

Covers: texts as rows of unit numbers, the corpus's own in one line, for the searches of CorpusIndex. Does not cover:
the search (corpus_index.py). Text is split here by a regular expression; nothing of the memory's own reading is used.
"""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from benchmarks.common.corpus_index import CorpusIndex, documents_of
from memo_dist.measuring.sampling import BEGIN
from memo_dist.memory_config import MemoryConfig
from memo_dist.tokenizer import Tokenizer

_UNIT = re.compile(r"\w+|[^\w\s]")
_NEW = -2  # a unit that the corpus has not


class UnitIndex(CorpusIndex):
    """All documents of a corpus in one line of units.

    Args:
        batches: the corpus. config: its vocabulary. tokenizer: of both.
    """

    def __init__(self, batches: Iterable[pa.Table], config: MemoryConfig, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._numbers = tokenizer, dict[str, int]()
        line: list[int] = []
        for tokens in documents_of(batches, config):
            line += [self._numbers.setdefault(unit, len(self._numbers)) for unit in units(tokenizer.decode(tokens))]
            line.append(BEGIN)
        super().__init__(np.array(line, np.int64))

    def split(self, prompt: list[int], answer: list[int]) -> tuple[np.ndarray, list[int]]:
        """The whole units of a prompt, and those after them up to the answer's end, but the first and the last, of
        which parts may be cut off."""
        return self.split_text(self._tokenizer.decode(prompt), self._tokenizer.decode([*prompt, *answer]))

    def split_text(self, prompt: str, whole: str) -> tuple[np.ndarray, list[int]]:
        """The same of a prompt, and of it with its answer, as texts."""
        asked, both = units(prompt), units(whole)
        same = len(asked) - (both[: len(asked)] != asked)  # an answer may finish the prompt's last
        numbers = [self._numbers.get(unit, _NEW) for unit in both]
        return np.array(numbers[1:same], np.int64), numbers[same:-1]

    def occurs_once(self, prompt: list[int]) -> bool:
        """Whether the units of a prompt, but its first and last, stand in one place of the corpus."""
        asked, _ = self.split(prompt[:-1], prompt[-1:])
        return len(asked) > 0 and len(self.places(asked)) == 1


def units(text: str) -> list[str]:
    """The words and other characters of a text, folded."""
    return [unit for unit, _, _ in placed_units(text)]


def placed_units(text: str) -> list[tuple[str, int, int]]:
    """The same, each with where it begins and ends in the text."""
    found = _UNIT.finditer(text)
    return [(unicodedata.normalize("NFKC", m.group().casefold()), m.start(), m.end()) for m in found]
