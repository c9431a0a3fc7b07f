"""Changes: what one text says in place of what another says, in words.

Covers: prompts and passages beside what a memory holds. Does not cover: finding that (snapping.py, trace.py).
"""

from dataclasses import dataclass
from difflib import SequenceMatcher

from memo_dist.recalling.aligning import folded_text


@dataclass(frozen=True)
class Change:
    """Words as they were typed, and as the memory holds them; of words left out or put in, with the one before."""

    typed: str
    held: str


@dataclass(frozen=True)
class ReadAs:
    """How a prompt was read that is not held as it is.

    Attributes:
        text: the whole prompt, as it was read.
        changes: what in it was read as what; letters' case, white space, quotation marks and dashes of other kinds are
            no change.
    """

    text: str
    changes: list[Change]

    @classmethod
    def of(cls, typed: str, text: str) -> "ReadAs":
        """A prompt that was read as `text`."""
        return cls(text, changes(typed, text))


def changes(typed: str, held: str) -> list[Change]:
    """What differs between two texts, in words, in order."""
    ours, theirs = typed.split(), held.split()
    one, other = ([folded_text(word) for word in words] for words in (ours, theirs))
    found = []
    for change, a, b, c, d in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if change != "equal":
            first = a - (change != "replace" and a > 0 and c > 0)
            found.append(Change(" ".join(ours[first:b]), " ".join(theirs[c - (a - first) : d])))
    return found
