"""Readings: the ways to read a prompt, and which of them the ledger holds.

Covers: a prompt as it is, without its end, without its beginning, with one slip set right. Does not cover: what follows
a reading (exact.py), answers (exact_session.py), how a slip is found (corrections.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from memo_dist.recalling.changes import ReadAs
from memo_dist.recalling.exact import followed_by
from memo_dist.recalling.lookup import ExactLookup
from memo_dist.recalling.mending import Mender
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.overlap import after
from memo_dist.recalling.snapping import Next
from memo_dist.recalling.support import Support, supports
from memo_dist.token_texts import BROKEN
from memo_dist.tokenizer import Tokenizer

Prompt = tuple[str | None, np.ndarray]  # its text, None for bare token ids; its (n,) tokens

_FEW_CUT = 3  # ends that are taken from a prompt: of a word, of an indentation
_MOST_CUT = 12  # where tokens go on over words, or the prompt spells one in many
_LONGEST_END = 64  # tokens
_LINE = 160  # tokens that are looked at for that
_LONGEST_BEGINNING = 8  # tokens after a prompt's first unit
_BEFORE = 64  # tokens that spelling looks back to
_SAID = 64  # tokens that may follow a context and are tried
_PART = 0.5  # of the probability of a prompt of which not all is held


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One way to read a prompt.

    Attributes:
        tokens: asked. owed: text that the answer must say first.
        cut: tokens of the prompt that `owed` stands for.
        spelled: the prompt with its slip set right, if it has one.
    """

    tokens: np.ndarray
    owed: str = ""
    cut: int = 0
    spelled: str | None = None

    def snapped(self, typed: str | None) -> ReadAs | None:
        """How a prompt was read that is not held as it is; perhaps as it is, but from a part of it."""
        return None if typed is None or self.spelled is None else ReadAs.of(typed, self.spelled)


@dataclass(frozen=True)
class Told:
    """What is held of one prompt.

    Attributes:
        prompt: that was asked.
        readings: the prompt as it is, then without its ends, each with its support.
    """

    prompt: Prompt
    readings: list[tuple[Reading, Support]]

    @property
    def as_it_is(self) -> bool:
        """The prompt is held as it is."""
        return self.readings[0][1].whole

    @property
    def held(self) -> bool:
        """Some reading is held, all of it."""
        return any(support.whole for _, support in self.readings)

    def unheld(self) -> "Told":
        """Without the readings that are held: those were followed, and nothing says what they owe."""
        return Told(self.prompt, [pair for pair in self.readings if not pair[1].whole])


@dataclass(frozen=True)
class _Ledger:
    """What a ledger holds: see Holding."""

    lookup: ExactLookup
    at_start: bool

    def supports(self, prompts: list[np.ndarray]) -> list[Support]:
        return supports(self.lookup, prompts, at_start=self.at_start)

    def stretches(self, tokens: np.ndarray) -> tuple[Support, np.ndarray]:
        (found,) = self.supports([tokens])
        return found, np.zeros(len(found.ends), bool)  # a window of the other token is not held, which tells it

    def held(self, contexts: list[np.ndarray]) -> np.ndarray:
        cues = self.lookup.encoder.query(contexts, self.at_start)
        depth, found = cues.filled.sum(axis=1), np.zeros(len(contexts), bool)
        asked = depth > 0
        found[asked] = self.lookup.reader.followers(cues.values[asked, depth[asked] - 1]).held
        return found

    def follow(self, contexts: list[np.ndarray]) -> list[Next]:
        return next_exactly(self.lookup, contexts)

    def units_begun(self, tokens: np.ndarray) -> np.ndarray:
        return self.lookup.encoder.units_begun(tokens)


def next_exactly(lookup: ExactLookup, contexts: list[np.ndarray]) -> list[Next]:
    """The tokens after each context of which the longest window filled is held; none after others."""
    end, found = lookup.config.end_of_document, []
    for (tokens, _), rung, depth in followed_by(lookup, contexts):
        said = tokens[tokens != end][:_SAID].tolist() if rung == depth - 1 else []
        found.append(Next(said, all_known=len(said) < _SAID))
    return found


class Readings:
    """Reads prompts by a ledger.

    Args:
        lookup: the memory.
        tokenizer: of the memory; None for bare token ids.
    """

    def __init__(self, lookup: ExactLookup, tokenizer: Tokenizer | None) -> None:
        self._lookup, self._tokenizer = lookup, tokenizer
        self._menders: list[Mender] = []
        if tokenizer is not None:
            self._menders = [
                Mender(_Ledger(lookup, at_start), tokenizer, lookup.config.windows) for at_start in (False, True)
            ]

    def told(self, prompts: Sequence[Prompt], options: RecallOptions) -> list[Told]:
        """What is held of each prompt; further ends are taken off only where nothing is."""
        found = self._told(prompts, range(_FEW_CUT + 1), options)
        left = [place for place, one in enumerate(found) if not one.held]
        further = self._told([prompts[place] for place in left], range(_FEW_CUT + 1, _MOST_CUT + 1), options)
        for place, more in zip(left, further, strict=True):
            found[place].readings.extend(more.readings)
        return found

    def _told(self, prompts: Sequence[Prompt], cuts: range, options: RecallOptions) -> list[Told]:
        """The readings of each prompt without the ends that `cuts` counts, 0 for none."""
        several = [self._readings(text, tokens, cuts) for text, tokens in prompts]
        flat = [reading.tokens for readings in several for reading in readings]
        found = iter(supports(self._lookup, flat, at_start=options.from_start))
        return [
            Told(prompt, [(reading, next(found)) for reading in readings])
            for prompt, readings in zip(prompts, several, strict=True)
        ]

    def _readings(self, text: str | None, tokens: np.ndarray, cuts: range) -> list[Reading]:
        readings = [] if cuts[0] else [Reading(tokens=tokens)]
        if text is not None and self._tokenizer is not None:
            ends = islice(endings(self._tokenizer, tokens), max(cuts[0] - 1, 0), cuts[-1])
            readings += [Reading(tokens=tokens[:-cut], owed=owed, cut=cut) for cut, owed in ends]
        return readings

    def whole(self, one: Told) -> Reading | None:
        """The reading of a prompt that is held, all of it, as it was asked; None where none is."""
        (text, tokens), told = one.prompt, one.readings
        if one.as_it_is and text is not None:
            return self._begun_word(text, tokens, told) or told[0][0]
        return next((reading for reading, support in told if support.whole), None)

    def chosen(self, one: Told, options: RecallOptions) -> tuple[Reading, float]:
        """The reading of a prompt that is held, and the probability that it is; else the best of what is not."""
        whole = self.whole(one)
        if whole is not None:
            return whole, 1.0
        text, told = one.prompt[0], one.readings
        reading, support = max(told, key=lambda pair: (pair[1].asked >= 0, pair[1].share))
        shorter = None if options.from_start else self._without_beginning(text, told)
        if shorter is not None and self._is_long(shorter.tokens):
            return shorter, 1.0
        if text is not None and self._tokenizer is not None and not options.exact_prompt:
            fixed = self._mended(text, told, options)
            if fixed is not None:
                return fixed, 1.0
        if shorter is not None:
            return shorter, 1.0
        return reading, _PART * support.share

    def _begun_word(self, text: str, tokens: np.ndarray, told: list[tuple[Reading, Support]]) -> Reading | None:
        """The prompt without its last word, where the memory goes on with longer words only: the last window may not
        reach over the whole prompt, and then says how any such word goes on."""
        ends = self._lookup.encoder.unit_ends(tokens)
        place = int(ends[-1]) if len(ends) and (text[-1:].isalnum() or text.endswith("_")) else 0
        for reading, support in told[1:]:
            if len(reading.tokens) != place or not support.whole:
                continue
            cues = self._lookup.encoder.query([reading.tokens])
            rung = int(cues.filled[0].sum()) - 1
            followers = self._lookup.reader.followers(cues.values[:, rung])
            said = [self._after_word(reading, token) for token in followers.tokens.tolist()]
            return reading if "longer" in said and not {"whole", "part"} & {*said} else None
        return None

    def _after_word(self, reading: Reading, token: int) -> str:
        """Whether a token says the word that is owed "whole", a "part" of it, a "longer" one, or an "other"."""
        if self._tokenizer is None or token == self._lookup.config.end_of_document:
            return "other"
        found = after(self._tokenizer.continuation(reading.tokens[-_BEFORE:].tolist(), [token]), reading.owed)
        if found is None:
            return "other"
        more, owed = found
        return "part" if owed else "longer" if more[:1].isalnum() or more[:1] == "_" else "whole"

    def _is_long(self, tokens: np.ndarray) -> bool:
        """Whether a prompt fills more than the shortest window: it speaks for itself also without its first word,
        which programs cut off and people do not."""
        return int(self._lookup.encoder.units_begun(tokens).sum()) >= self._lookup.config.windows[:2][-1]

    def _mended(self, text: str, told: list[tuple[Reading, Support]], options: RecallOptions) -> Reading | None:
        """The prompt as the memory has it: as it is, else without a last word that may be cut off."""
        mender = self._menders[options.from_start]
        begun = [pair for pair in told if pair[0].owed[:1].isspace() and pair[0].owed.strip()]
        for reading, support in [told[0], *begun[:1]]:
            kept = text[: len(text) - len(reading.owed)]
            fixed = mender.mend(kept, reading.tokens, support)
            if fixed is not None:
                owed = fixed.owed + reading.owed
                return replace(reading, spelled=fixed.text + reading.owed, tokens=fixed.tokens, owed=owed)
        return None

    def _without_beginning(self, text: str | None, told: list[tuple[Reading, Support]]) -> Reading | None:
        """The first reading that is held but for its first word, which may be cut off, without it."""
        tokens = told[0][0].tokens
        # a text may say so itself: some tokenizers put white space before every one
        inside = text is not None and text[:1].isalnum()
        if not len(tokens) or not (inside or self._lookup.encoder.may_go_on(int(tokens[0]))):
            return None
        shorter = []
        for reading, support in told:
            place = self._cut_beginning(reading.tokens, support)
            if place:
                shorter.append(replace(reading, tokens=reading.tokens[place:]))
        found = supports(self._lookup, [reading.tokens for reading in shorter])
        return next((reading for reading, support in zip(shorter, found, strict=True) if support.whole), None)

    def _cut_beginning(self, tokens: np.ndarray, support: Support) -> int:
        """The place up to which a prompt's cut-off beginning spoils what is not held; 0 if that is no beginning.

        A cut changes the first unit. It also changes the tokens after it, until they fall in step with the text's:
        units of their own where they are parts of characters or keys are of tokens."""
        if support.asked < 0 or support.whole:
            return 0
        encoder = self._lookup.encoder
        units, ends = np.cumsum(encoder.units_begun(tokens)), encoder.unit_ends(tokens)
        place = next((end for end in ends.tolist() if units[end - 1] >= support.spoiled), 0)
        if place == 0 or place > ends[0] + _LONGEST_BEGINNING:
            return 0
        own = all(self._is_part(tokens, at) for at in range(int(ends[0]), place))
        return place if own else 0

    def _is_part(self, tokens: np.ndarray, at: int) -> bool:
        """Whether a token is a unit of its own that a cut before it may change."""
        if self._tokenizer is None:
            return False
        if self._lookup.config.reads_text:
            return BROKEN in self._tokenizer.decode([int(tokens[at])])
        said = self._tokenizer.continuation(tokens[:at].tolist(), [int(tokens[at])])
        return not said[:1].isspace() or self._tokenizer.decode(tokens[:at].tolist()).isspace()


def endings(tokenizer: Tokenizer, tokens: np.ndarray) -> Iterator[tuple[int, str]]:
    """Ends that may be taken from a prompt: of how many tokens, and their text. White space is taken whole: that of
    the memory may be any other, and none of it would have to follow what is left."""
    line, say = tokens[-_LINE:].tolist(), tokenizer.continuation
    for cut in range(1, min(_LONGEST_END, len(line) - 1) + 1):
        owed = say(line[:-cut], line[-cut:])
        left = say(line[: -cut - 1], line[-cut - 1 : len(line) - cut])
        if owed and not (owed[0].isspace() and left[-1:].isspace()):
            yield cut, owed
