"""SolvedSession: prompts -> answers by a solved memory.

Covers: which reading of a prompt is continued, how much of it is sure enough to be said, its documents. Does not cover:
evidence and continuation (walking.py), refusals and settings (session.py).

A prompt is asked as it is; where its end is not held, or not surely, without its last tokens, which the continuation
must then say, because they may be part of a longer word. Of several continuations a solved memory knows the commonest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from memo_dist.models.candidates import Alternative
from memo_dist.recalling.exact import Spell, log_odds
from memo_dist.recalling.lookup import SolvedLookup
from memo_dist.recalling.match import held_solved, with_match
from memo_dist.recalling.mending import Mender
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.overlap import after
from memo_dist.recalling.placing import NOWHERE, Place, placed
from memo_dist.recalling.questions import Question
from memo_dist.recalling.readings import Reading, endings
from memo_dist.recalling.reasons import Reason, Way, ambiguous, below_confidence, left, not_held
from memo_dist.recalling.recall import Continuation, said_nothing
from memo_dist.recalling.snapping import Next
from memo_dist.recalling.support import Support
from memo_dist.recalling.walking import Judged, Says, Walk, judged, next_tokens, stretches, walked_on
from memo_dist.solved.walk import State
from memo_dist.tokenizer import Tokenizer

_PLACES = 64  # last places of a prompt that are asked where it is not held as it is
_MOST_CUT = 6  # ends that are taken from a prompt
_FURTHER = 64  # tokens that a passage is followed to find an anchor
_SHOWN = 24  # tokens that spelling looks back to
_WAY = 8  # tokens that tell how a memory goes on
_ENOUGH = 12  # last tokens of a prompt that are held: they speak for themselves, whatever was before them
_MOST_OF_IT = 0.5  # of the tokens of a prompt that is shorter
_CONFIRMED = 4  # steps on from a mended prompt that are held: by chance all are in one of 2^32, of 2^13 tried
_LIKELY = 0.25  # a prompt that is held so surely may be answered by who asks for less confidence


@dataclass(frozen=True)
class _Solved:
    """What a solved memory holds: see Holding."""

    lookup: SolvedLookup
    says: Says | None
    at_start: bool

    def supports(self, prompts: list[np.ndarray]) -> list[Support]:
        return [one.support for one in judged(self.lookup, prompts, says=self.says, at_start=self.at_start)]

    def stretches(self, tokens: np.ndarray) -> tuple[Support, np.ndarray]:
        return stretches(self.lookup, tokens, _PLACES)

    def held(self, contexts: list[np.ndarray]) -> np.ndarray:
        return self.lookup.walk_after(contexts, self.at_start).held

    def follow(self, contexts: list[np.ndarray]) -> list[Next]:
        return next_tokens(self.lookup, contexts)

    def units_begun(self, tokens: np.ndarray) -> np.ndarray:
        return self.lookup.encoder.units_begun(tokens)


class SolvedSession:
    """Answers prompts from a solved memory.

    Args:
        lookup: the memory.
        tokenizer: of the memory; None for bare token ids.
    """

    def __init__(self, lookup: SolvedLookup, tokenizer: Tokenizer | None) -> None:
        self._lookup, self._tokenizer = lookup, tokenizer
        self._menders: list[Mender] = []
        if tokenizer is not None:
            several = [_Solved(lookup, says_alike(lookup, tokenizer), at_start) for at_start in (False, True)]
            self._menders = [Mender(one, tokenizer, lookup.config.windows) for one in several]

    def answer(self, questions: Sequence[Question], options: RecallOptions) -> list[list[Continuation]]:
        """The continuation of each question, with the documents that it stands in."""
        if not options.max_tokens:
            return [[replace(said_nothing("length", 1.0), text=None if q.text is None else "")] for q in questions]
        read = self._chosen(questions, options)
        prompts = [(reading.tokens, reading.owed) for reading, _ in read]
        walks = walked_on(self._lookup, prompts, options.max_tokens, spell=self._spell, at_start=options.from_start)
        says = says_alike(self._lookup, self._tokenizer)
        asked = [reading.tokens for reading, _ in read]
        held = held_solved(self._lookup, asked, says=says, at_start=options.from_start)
        read = [
            (one, replace(found, state=State.NOT_HELD))
            if _by_chance(one, walk) or not _speaks(one, found, held=count, of=len(q.ids))
            else (one, found)
            for q, (one, found), count, walk in zip(questions, read, held, walks, strict=True)
        ]
        said = [
            self._said(question, reading, found, walk=walk, options=options)
            for question, (reading, found), walk in zip(questions, read, walks, strict=True)
        ]
        stands = self._places(read, said, walks)
        answers = []
        for row, (place, count) in enumerate(zip(stands, held, strict=True)):
            found = with_match(said[row], questions[row], read[row][0], held=count, tokenizer=self._tokenizer)
            answers.append([replace(found, documents=place.documents, num_documents=place.count)])
        return answers

    @property
    def _spell(self) -> Spell | None:
        return None if self._tokenizer is None else self._tokenizer.continuation

    def _chosen(self, questions: Sequence[Question], options: RecallOptions) -> list[tuple[Reading, Judged]]:
        """The reading of each prompt whose end is held, all of it; else as the memory has it; else the surest."""
        several = [list(self._readings(question)) for question in questions]
        says = says_alike(self._lookup, self._tokenizer)
        ask = partial(judged, self._lookup, says=says, at_start=options.from_start)
        flat = [reading.tokens for readings in several for reading in readings]
        found = iter(ask(flat))
        told = [[(reading, next(found)) for reading in readings] for readings in several]
        whole = [next((pair for pair in pairs if pair[1].support.whole), None) for pairs in told]
        chosen = []
        for question, pairs, one, paid in zip(questions, told, whole, self._paid(whole, options), strict=True):
            chosen.append(one if one is not None and paid else self._otherwise(question, pairs, options))
        return chosen

    def _paid(self, whole: list[tuple[Reading, Judged] | None], options: RecallOptions) -> list[bool]:
        """Whether what goes on from each reading begins with what it owes."""
        owing = [pair[0] for pair in whole if pair is not None and pair[0].owed]
        starts = [(reading.tokens, reading.owed) for reading in owing]
        walks = iter(walked_on(self._lookup, starts, _MOST_CUT, spell=self._spell, at_start=options.from_start))
        return [pair is None or not pair[0].owed or not next(walks).owed for pair in whole]

    def _otherwise(
        self, question: Question, pairs: list[tuple[Reading, Judged]], options: RecallOptions
    ) -> tuple[Reading, Judged]:
        """The reading of a prompt that is not held as it is."""
        mended = self._mended(question, pairs[0][1], options)
        sure = (pair for pair in pairs if pair[1].sure >= options.min_confidence and pair[1].state == State.SURE)
        return mended or next(sure, None) or max(pairs, key=lambda pair: pair[1].sure)

    def _mended(self, question: Question, found: Judged, options: RecallOptions) -> tuple[Reading, Judged] | None:
        """A prompt as the memory has it, if it has something like it."""
        if self._tokenizer is None or question.text is None or options.exact_prompt:
            return None
        one = self._menders[options.from_start].mend(question.text, question.ids, found.support)
        if one is None:
            return None
        reading = Reading(tokens=one.tokens, owed=one.owed, spelled=one.text)
        return reading, replace(found, bits=float(one.weight), state=State.SURE)

    def _readings(self, question: Question) -> Iterator[Reading]:
        yield Reading(tokens=question.ids)
        if question.text is not None and self._tokenizer is not None:
            for cut, owed in islice(endings(self._tokenizer, question.ids), _MOST_CUT):
                yield Reading(tokens=question.ids[:-cut], owed=owed, cut=cut)

    def _said(
        self, question: Question, reading: Reading, found: Judged, *, walk: Walk, options: RecallOptions
    ) -> Continuation:
        """As much of a walk as is sure enough."""
        likely = walk.likely(self._lookup.check_bits)
        sure = [found.sure * one for one in likely]
        keep = next((i for i, one in enumerate(sure) if one < options.min_confidence), len(sure))
        ended = walk.stop == "end_of_document"
        stop, at = "abstained", sure[keep] if keep < len(sure) else found.sure * (likely[-1] if likely else 0.5)
        if keep >= options.max_tokens:
            keep, stop, at = options.max_tokens, "length", sure[options.max_tokens - 1]
        elif keep == len(sure) and ended:
            keep, stop = len(walk.tokens), "end_of_document"
        tokens = walk.tokens[: min(keep, len(walk.tokens))]
        text = self._text(question, reading, tokens)
        if text is None:
            tokens, stop, text = [], "abstained", ""
        reason, keep = None, len(tokens)
        if stop == "abstained":
            reason = self._reason(reading, found, walk, said=keep, sure=at, options=options)
        scores = log_odds(sure[:keep])
        alternatives = [[Alternative(token, score)] for token, score in zip(tokens, scores, strict=True)]
        return Continuation(
            text=None if question.text is None else text,
            snapped=reading.snapped(question.text),
            reason=reason,
            healed=reading.cut if keep else 0,
            tokens=tokens,
            scores=scores,
            confidences=sure[:keep],
            windows=walk.windows[:keep],
            stop=stop,
            stop_confidence=at,
            alternatives=alternatives if options.top_k else [[] for _ in tokens],
        )

    def _reason(
        self, reading: Reading, found: Judged, walk: Walk, *, said: int, sure: float, options: RecallOptions
    ) -> Reason:
        """Why nothing is said after `said` tokens."""
        if found.sure < _LIKELY or walk.owed or not walk.states:
            return not_held(exact_prompt=options.exact_prompt)
        following = walk.states[said : said + 1]
        if State.LEFT in (following if said else [*following, found.state]):
            text = self._shown(reading, walk.tokens[:said], walk.tokens[said : said + _WAY])
            return ambiguous([Way(text=text, count=None, share=sure)], 0)
        return below_confidence(sure, options.min_confidence) if following else left(said)

    def _shown(self, reading: Reading, kept: list[int], tokens: list[int]) -> str:
        """Some tokens of a continuation, without what is owed."""
        if self._tokenizer is None:
            return " ".join(map(str, tokens))
        text = self._tokenizer.continuation([*reading.tokens.tolist(), *kept], tokens)
        found = None if kept else after(text, reading.owed)
        return text if found is None else found[0]

    def _text(self, question: Question, reading: Reading, tokens: list[int]) -> str | None:
        """What tokens add to the prompt; None if they do not say all that is owed."""
        if question.text is None or self._tokenizer is None:
            return ""
        text = self._tokenizer.continuation(reading.tokens.tolist(), tokens)
        found = after(text, reading.owed)
        if found is None or found[1]:
            return None if tokens or reading.owed else ""
        lost = self._tokenizer.loses_last_space(question.text, question.ids.tolist())
        return found[0].lstrip() if lost else found[0]

    def _places(self, read: list[tuple[Reading, Judged]], said: list[Continuation], walks: list[Walk]) -> list[Place]:
        """The documents that each answer stands in, by the anchors on it, or on what follows it."""
        rows = [row for row, (_, found) in enumerate(read) if found.state != State.NOT_HELD and said[row].tokens]
        lines = [np.concatenate([read[row][0].tokens, np.array(said[row].tokens, np.int64)]) for row in rows]
        found = placed(self._lookup, lines)
        short = [index for index, place in enumerate(found) if not place.count]
        further = walked_on(self._lookup, [(lines[index], "") for index in short], _FURTHER)
        longer = [
            np.concatenate([lines[index], np.array(walk.tokens, np.int64)])
            for index, walk in zip(short, further, strict=True)
        ]
        for index, place in zip(short, placed(self._lookup, longer), strict=True):
            found[index] = place
        places = [NOWHERE] * len(read)
        for row, place in zip(rows, found, strict=True):
            places[row] = place
        return places


def _speaks(reading: Reading, found: Judged, *, held: int, of: int) -> bool:
    """Whether what is held of a prompt of some tokens tells that its end is meant: all that was asked, most, or much.

    The end of any other text may be some words that the memory has as well."""
    count = held if reading.spelled is None else len(reading.tokens)
    return found.support.whole or count >= min(_ENOUGH, _MOST_OF_IT * of)


def _by_chance(reading: Reading, walk: Walk) -> bool:
    """Whether a mended prompt may be one of the thousands tried that passed its check bits by chance: the memory has
    something else right behind it. Its own text goes on to its document's end."""
    return reading.spelled is not None and walk.stop == "lost" and len(walk.states) < _CONFIRMED


def says_alike(lookup: SolvedLookup, tokenizer: Tokenizer | None) -> Says | None:
    """Whether a token says what a prompt says at a place, letters in any case, white space in any form."""
    if tokenizer is None:
        return None

    def says(tokens: np.ndarray, place: int, token: int) -> bool:
        if token >= lookup.config.vocab_size:
            return False
        before = tokens[max(0, place - _SHOWN) : place].tolist()
        said = tokenizer.continuation(before, [token]).strip()
        own = tokenizer.continuation(before, tokens[place : place + _SHOWN].tolist()).lstrip()
        return own.casefold().startswith(said.casefold())

    return says
