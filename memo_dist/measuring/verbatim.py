"""Verbatim: how many prompts that occur once in a corpus a memory continues to the letter.

Covers: choosing such prompts, what each way of reading says after them. Does not cover: single next tokens
(evaluation.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from memo_dist.errors import ConfigError
from memo_dist.measuring.sampling import Positions, context_names, count_following, sample_positions
from memo_dist.models.cues import Reader
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session

Batches = Callable[[], Iterable[pa.Table]]
CONTINUED = 30  # tokens of a verbatim continuation
PROMPTS = (8, 16, 32, 64)  # tokens
_SPARE = 4  # candidates a prompt wanted, since only those that occur once count


@dataclass(frozen=True)
class Verbatim:
    """Length of prompts in tokens -> how many there were, and the shares continued by the matrices and exactly."""

    prompts: dict[int, int] = field(default_factory=dict)
    matrices: dict[int, float] = field(default_factory=dict)
    exact: dict[int, float] = field(default_factory=dict)


def verbatim(session: Session, memorized: Batches, *, prompts: int, lengths: Sequence[int]) -> Verbatim:
    """Continue prompts of the memorized corpus by 30 tokens, with the defaults of recall.

    Args:
        prompts: of each length; 0 for none. lengths: in tokens; those beyond the memory's context are left out.

    Raises:
        ConfigError: a length is below 1.
    """
    if min(lengths, default=1) < 1:
        raise ConfigError(f"lengths of prompts are {list(lengths)}; give whole numbers from 1 on")
    config, found = session.lookup.config, Verbatim()
    lengths = sorted({length for length in lengths if length <= config.context_length})
    if not prompts or not lengths:
        return found
    longest = lengths[-1]
    candidates = sample_positions(memorized(), config, _SPARE * prompts, after=CONTINUED, full=True, before=longest)
    for length in lengths:
        names = names_of(candidates, length)
        following = count_following(memorized(), config, names, length=length)
        once = [i for i, name in enumerate(names.tolist()) if following[name].total() == 1][:prompts]
        asked = [c for i, c in enumerate(candidates.contexts(length)) if i in set(once)]
        truths = candidates.following[once].tolist()
        found.prompts[length] = len(once)
        for read, shares in (("matrices", found.matrices), ("exact", found.exact)):
            if not _can_read(session.lookup.reader, read):
                continue
            answers = continued(session, asked, RecallOptions(max_tokens=CONTINUED, read=read))
            right = [a == t for a, t in zip(answers, truths, strict=True)]
            shares[length] = float(np.mean(right)) if right else float("nan")
    return found


def names_of(places: Positions, length: int) -> np.ndarray:
    """(n,) uint64 names of the contexts of `length` tokens before each place."""
    rows = places.lines[:, places.before - length : places.before]
    return np.array([context_names(row, length)[0] for row in rows], np.uint64)


def continued(session: Session, prompts: list[np.ndarray], options: RecallOptions) -> list[list[int]]:
    """The tokens recalled after each prompt; none where it is too short to be asked."""
    answers = session.answer(session.questions(prompts, options), options)
    return [best.tokens for best, *_ in answers]


def _can_read(reader: Reader, read: str) -> bool:
    return (reader.has_ledger or reader.is_solved) if read == "exact" else not reader.is_solved
