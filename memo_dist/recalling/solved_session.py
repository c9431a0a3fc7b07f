"""SolvedSession: prompts -> answers by a solved memory.

Covers: which reading of a prompt is continued, how much of it is sure enough to be said, its documents. Does not cover:
evidence and continuation (walking.py), refusals and settings (session.py).

A prompt is asked as it is; where its end is not held, or not surely, without its last tokens, which the continuation
must then say, because they may be part of a longer word. Of several continuations a solved memory knows the commonest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from memo_dist.recalling.corrections import corrected
from memo_dist.recalling.exact import Spell, log_odds
from memo_dist.recalling.lookup import SolvedLookup
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.overlap import after
from memo_dist.recalling.placing import NOWHERE, Place, placed
from memo_dist.recalling.questions import Question
from memo_dist.recalling.readings import Reading, endings
from memo_dist.recalling.recall import Continuation, said_nothing
from memo_dist.recalling.support import Support
from memo_dist.recalling.walking import Judged, Says, Walk, judged, walked_on
from memo_dist.solved.walk import State
from memo_dist.tokenizer import Tokenizer

Ask = Callable[[list[np.ndarray]], list[Judged]]
_MOST_CUT = 6  # ends that are taken from a prompt
_FURTHER = 64  # tokens that a passage is followed to find an anchor
_SHOWN = 24  # tokens that spelling looks back to


class SolvedSession:
    """Answers prompts from a solved memory.

    Args:
        lookup: the memory.
        tokenizer: of the memory; None for bare token ids.
    """

    def __init__(self, lookup: SolvedLookup, tokenizer: Tokenizer | None) -> None:
        self._lookup, self._tokenizer = lookup, tokenizer

    def answer(self, questions: Sequence[Question], options: RecallOptions) -> list[list[Continuation]]:
        """The continuation of each question, with the documents that it stands in."""
        if not options.max_tokens:
            return [[replace(said_nothing("length", 1.0), text=None if q.text is None else "")] for q in questions]
        read = self._chosen(questions, options)
        prompts = [(reading.tokens, reading.owed) for reading, _ in read]
        walks = walked_on(self._lookup, prompts, options.max_tokens, spell=self._spell, at_start=options.from_start)
        said = [
            self._said(question, reading, found, walk=walk, options=options)
            for question, (reading, found), walk in zip(questions, read, walks, strict=True)
        ]
        stands = self._places(read, said, walks)
        return [
            [replace(one, documents=place.documents, num_documents=place.count)]
            for one, place in zip(said, stands, strict=True)
        ]

    @property
    def _spell(self) -> Spell | None:
        return None if self._tokenizer is None else self._tokenizer.continuation

    def _chosen(self, questions: Sequence[Question], options: RecallOptions) -> list[tuple[Reading, Judged]]:
        """The reading of each prompt whose end is surely held; else the surest."""
        several = [list(self._readings(question)) for question in questions]
        says = says_alike(self._lookup, self._tokenizer)
        ask = partial(judged, self._lookup, says=says, at_start=options.from_start)
        flat = [reading.tokens for readings in several for reading in readings]
        found = iter(ask(flat))
        chosen = []
        for question, readings in zip(questions, several, strict=True):
            pairs = [(reading, next(found)) for reading in readings]
            whole = next((pair for pair in pairs if pair[1].support.whole), None)
            sure = next((pair for pair in pairs if pair[1].sure >= options.min_confidence), None)
            fixed = None if whole is not None else self._corrected(question, pairs[0][1], ask)
            chosen.append(whole or fixed or sure or max(pairs, key=lambda pair: pair[1].sure))
        return chosen

    def _corrected(self, question: Question, found: Judged, ask: Ask) -> tuple[Reading, Judged] | None:
        """A prompt with one slip set right, so that all of it is held."""
        if self._tokenizer is None or question.text is None:
            return None

        def supports(prompts: list[np.ndarray]) -> list[Support]:
            return [one.support for one in ask(prompts)]

        shortest = self._lookup.config.windows[0]
        fixed = corrected(supports, self._tokenizer, question.text, support=found.support, shortest=shortest)
        if fixed is None:
            return None
        return Reading(tokens=fixed[1], spelled=fixed[0]), ask([fixed[1]])[0]

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
        keep = len(tokens)
        return Continuation(
            text=None if question.text is None else text,
            corrected=reading.spelled,
            healed=reading.cut if keep else 0,
            tokens=tokens,
            scores=log_odds(sure[:keep]),
            confidences=sure[:keep],
            windows=walk.windows[:keep],
            stop=stop,
            stop_confidence=at,
            alternatives=[[] for _ in tokens],
        )

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
