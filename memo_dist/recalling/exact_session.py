"""ExactSession: prompts -> answers by the ledger.

Covers: which reading of a prompt is continued, how much of it is sure enough to be said. Does not cover: the readings
(readings.py), following them (exact.py), refusals and settings (session.py), reading matrices.

A prompt that is held, all of it, is continued. One that stops inside a word or a token is asked without its last
tokens, which the continuation must then say; where nothing says them, there is a slip in them. A slip of one letter is
set right, and the answer says so. One whose first word is cut off is asked without it. What is held in part only is
continued too, but as unlikely as its parts are few; by default nothing is said then.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memo_dist.recalling.exact import Path, Spell, Start, beginnings, follow_exactly, log_odds
from memo_dist.recalling.lookup import ExactLookup
from memo_dist.recalling.match import held_exactly, with_match
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.overlap import after
from memo_dist.recalling.placing import NOWHERE, Place, placed_starts
from memo_dist.recalling.questions import Question
from memo_dist.recalling.readings import Reading, Readings
from memo_dist.recalling.reasons import Reason, Way, ambiguous, below_confidence, left, not_held
from memo_dist.recalling.recall import Continuation, said_nothing
from memo_dist.recalling.ways import ways_on
from memo_dist.tokenizer import Tokenizer

_LIKELY = 0.25  # a prompt of which so much is held may be answered by who asks for less confidence


class ExactSession:
    """Answers prompts from a memory with a ledger.

    Args:
        lookup: the memory.
        tokenizer: of the memory; None for bare token ids.
    """

    def __init__(self, lookup: ExactLookup, tokenizer: Tokenizer | None) -> None:
        self._lookup, self._tokenizer = lookup, tokenizer
        self._readings = Readings(lookup, tokenizer)

    def answer(self, questions: Sequence[Question], options: RecallOptions) -> list[list[Continuation]]:
        """Up to `options.count` continuations of each question, at least one, best first."""
        prompts = [(question.text, question.ids) for question in questions]
        if not options.max_tokens:
            return [[replace(said_nothing("length", 1.0), text=None if text is None else "")] for text, _ in prompts]
        told = self._readings.told(prompts, options)
        read = [self._readings.chosen(one, options) for one in told]
        followed = self._followed(read, options)
        again = [
            place for place, one in enumerate(told) if not one.as_it_is and _unsaid(read[place][0], followed[place])
        ]
        others = [self._readings.chosen(told[place].unheld(), options) for place in again]
        for place, other, going in zip(again, others, self._followed(others, options), strict=True):
            read[place], followed[place] = other, going
        counts = held_exactly(self._lookup, [reading.tokens for reading, _ in read], at_start=options.from_start)
        answers = []
        for question, (reading, held), paths, count in zip(questions, read, followed, counts, strict=True):
            found = self._answers((question.text, question.ids), reading, paths, held=held, options=options)
            answers.append([with_match(one, question, reading, held=count, tokenizer=self._tokenizer) for one in found])
        return answers

    def places(self, questions: Sequence[Question], options: RecallOptions) -> list[Place]:
        """Where each prompt that is held, all of it, stands, however it goes on; nowhere for others."""
        told = self._readings.told([(question.text, question.ids) for question in questions], options)
        read = [self._readings.whole(one) if len(one.prompt[1]) else None for one in told]
        starts = [Start(tokens=one.tokens, owed=one.owed) for one in read if one is not None]
        found = iter(placed_starts(self._lookup, starts, spell=self._spell, from_start=options.from_start))
        return [NOWHERE if one is None else next(found) for one in read]

    def _followed(self, read: list[tuple[Reading, float]], options: RecallOptions) -> list[list[Path]]:
        starts = [Start(tokens=reading.tokens, owed=reading.owed, held=held) for reading, held in read]
        return follow_exactly(self._lookup, starts, options, spell=self._spell)

    @property
    def _spell(self) -> Spell | None:
        return None if self._tokenizer is None else self._tokenizer.continuation

    def _answers(
        self,
        prompt: tuple[str | None, np.ndarray],
        reading: Reading,
        paths: list[Path],
        *,
        held: float,
        options: RecallOptions,
    ) -> list[Continuation]:
        kept: list[Continuation] = []
        for path in paths:
            if len(kept) == options.count:
                break
            found = self._said(prompt, reading, path, paths=paths, held=held, options=options)
            if not any(_repeats(found, one) for one in kept):
                kept.append(found)
        return kept or [replace(said_nothing("abstained", 0.0), reason=not_held(exact_prompt=options.exact_prompt))]

    def _said(
        self,
        prompt: tuple[str | None, np.ndarray],
        reading: Reading,
        path: Path,
        *,
        paths: list[Path],
        held: float,
        options: RecallOptions,
    ) -> Continuation:
        """As much of a path as is sure enough. Where several continuations are asked for, rivals take nothing."""
        likely, whole = beginnings(path, paths)
        if options.count > 1:
            likely, whole = [1.0] * len(likely), 1.0
        sure = [held * one for one in likely]
        keep = next((i for i, one in enumerate(sure) if one < options.min_confidence), len(sure))
        stop, at = "abstained", sure[keep] if keep < len(sure) else held * whole
        if keep >= options.max_tokens:
            keep, stop, at = options.max_tokens, "length", sure[options.max_tokens - 1]
        elif keep == len(sure) and path.stop == "end_of_document" and held * whole >= options.min_confidence:
            stop = "end_of_document"
        text = self._text(prompt, reading, path.tokens[:keep])
        if text is None:  # what is owed was not said
            keep, stop, text = 0, "abstained", ""
            held = 0.0 if path.owed else held
        reason = None
        if stop == "abstained":
            ways = self._ways(reading, path.tokens[:keep], paths)
            reason = _reason(ways, said=keep, held=held, sure=at, options=options)
        return Continuation(
            text=None if prompt[0] is None else text,
            snapped=reading.snapped(prompt[0]),
            reason=reason,
            healed=reading.cut if keep else 0,
            tokens=path.tokens[:keep],
            scores=log_odds(sure[:keep]),
            confidences=sure[:keep],
            windows=path.windows[:keep],
            stop=stop,
            stop_confidence=at,
            alternatives=path.alternatives[:keep],
        )

    def _ways(self, reading: Reading, kept: list[int], paths: list[Path]) -> list[Way]:
        """How the memory goes on after some tokens of a continuation."""

        def say(tokens: list[int]) -> str:
            if self._tokenizer is None:
                return " ".join(map(str, tokens[len(kept) :]))
            text = self._tokenizer.continuation([*reading.tokens.tolist(), *kept], tokens[len(kept) :])
            found = None if kept else after(text, reading.owed)
            return text if found is None else found[0]

        return ways_on(kept, paths, say)

    def _text(self, prompt: tuple[str | None, np.ndarray], reading: Reading, tokens: list[int]) -> str | None:
        """What tokens add to the prompt; None if they do not say all that is owed."""
        if prompt[0] is None or self._tokenizer is None:
            return ""
        text = self._tokenizer.continuation(reading.tokens.tolist(), tokens)
        found = after(text, reading.owed)
        if found is None or found[1]:
            return None if tokens or reading.owed else ""
        lost = self._tokenizer.loses_last_space(prompt[0], prompt[1].tolist())
        return found[0].lstrip() if lost else found[0]


def _reason(ways: list[Way], *, said: int, held: float, sure: float, options: RecallOptions) -> Reason:
    """Why nothing is said after `said` tokens."""
    if held < _LIKELY or not ways:
        return left(said) if said else not_held(exact_prompt=options.exact_prompt)
    if len(ways) > 1:
        return ambiguous(ways, len(ways))
    return below_confidence(sure, options.min_confidence)


def _unsaid(reading: Reading, paths: list[Path]) -> bool:
    """Whether nothing says what a reading owes: the prompt ends otherwise than what its beginning stands before."""
    return bool(reading.owed) and all(path.owed for path in paths)


def _repeats(found: Continuation, better: Continuation) -> bool:
    if found.stop == "end_of_document":
        return found.tokens == better.tokens and better.stop == found.stop
    return found.tokens == better.tokens[: len(found.tokens)]
