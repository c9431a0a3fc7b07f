"""MatrixSession: prompts -> answers by the matrices.

Covers: healing of cut-off texts. Does not cover: continuation itself (recall.py), refusals and settings (session.py),
reading exactly (exact_session.py).

A prompt that a person cuts off ("the quick bro") is tokenized otherwise than the text it was cut from, so its last
places were never written. Where recall abstains at once, the prompt's last one to three tokens are taken away and
recalled again; the answer counts only if it begins with exactly the text taken away. Where keys are of tokens, a
prompt's first word may be cut off as well, and would spoil every window that reaches back to it, so it is not asked.
Token ids are asked as they are.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from memo_dist.errors import TokenizerError
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.match import held_by_matrices, with_match
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.questions import Question
from memo_dist.recalling.readings import Reading
from memo_dist.recalling.reasons import Reason, below_confidence, left, not_held
from memo_dist.recalling.recall import Continuation, continue_ids
from memo_dist.tokenizer import Tokenizer

_MOST_HEALED = 3
_LONGEST_WORD = 8  # tokens
_LIKELY = 0.25  # a token that is so sure may be told to who asks for less confidence


class MatrixSession:
    """Answers questions from a memory's matrices.

    Args:
        lookup: the memory.
        tokenizer: of the memory; None for bare token ids.
    """

    def __init__(self, lookup: Lookup, tokenizer: Tokenizer | None) -> None:
        self.lookup, self._tokenizer = lookup, tokenizer

    @property
    def tokenizer(self) -> Tokenizer:
        """The memory's tokenizer; only texts need it."""
        if self._tokenizer is None:
            raise TokenizerError("this is a memory of bare token ids: it has no tokenizer")
        return self._tokenizer

    def answer(self, questions: Sequence[Question], options: RecallOptions) -> list[list[Continuation]]:
        """Up to `options.count` continuations of each question, at least one, best first."""
        ids = [self._asked(question, options) for question in questions]
        answers = [
            [self._said(question, one, ids=asked, cut=0) for one in found]
            for question, asked, found in zip(questions, ids, continue_ids(self.lookup, ids, options), strict=True)
        ]
        texts = {place: tokens for place, tokens in enumerate(ids) if questions[place].text is not None}
        if not options.max_tokens:
            return answers
        self._heal(questions, answers, texts, options=options)
        pairs = zip(questions, ids, answers, strict=True)
        return [self._matched(question, tokens, several, options=options) for question, tokens, several in pairs]

    def _matched(
        self, question: Question, tokens: np.ndarray, several: list[Continuation], *, options: RecallOptions
    ) -> list[Continuation]:
        """The answers to one question, asked as `tokens`, with what they rest on, and why one says no more."""
        cut = several[0].healed
        reading = Reading(tokens=tokens[: len(tokens) - cut], cut=cut, owed=self._taken(question, tokens, cut))
        held = held_by_matrices(self.lookup, reading.tokens, several[0].tokens)
        told = [replace(one, reason=_reason(one, options)) if one.stop == "abstained" else one for one in several]
        return [with_match(one, question, reading, held=held, tokenizer=self._tokenizer) for one in told]

    def _taken(self, question: Question, tokens: np.ndarray, cut: int) -> str:
        """The text of the last `cut` tokens of a question."""
        if question.text is None or not cut:
            return ""
        return self.tokenizer.continuation(tokens[:-cut].tolist(), tokens[-cut:].tolist())

    def _asked(self, question: Question, options: RecallOptions) -> np.ndarray:
        if question.text is None or options.from_start or not options.max_tokens or self.lookup.config.reads_text:
            return question.ids
        return _without_first_word(question.ids, self.tokenizer, self.lookup.config.windows[0])

    def _said(self, question: Question, found: Continuation, *, ids: np.ndarray, cut: int) -> Continuation:
        """A continuation of `ids` as the answer to its question; `cut` tokens of the prompt are repeated by it."""
        text = None if question.text is None else self.tokenizer.continuation(ids.tolist(), found.tokens)
        if text and question.text and self.tokenizer.loses_last_space(question.text, question.ids.tolist()):
            text = text.lstrip()  # the prompt has said what the tokenizer left out of it
        return replace(found, prompt=question.prompt, text=text, healed=cut)

    def _heal(
        self,
        questions: Sequence[Question],
        answers: list[list[Continuation]],
        texts: dict[int, np.ndarray],
        *,
        options: RecallOptions,
    ) -> None:
        """Ask texts that have no answer again, without their last tokens; `texts` are place -> ids asked before."""
        shortest = 0 if options.from_start else self.lookup.config.windows[0]
        for cut in range(1, _MOST_HEALED + 1):
            silent = [
                place
                for place, ids in texts.items()
                if answers[place][0].stop == "abstained" and not answers[place][0].text and len(ids) - cut >= shortest
            ]
            again = continue_ids(self.lookup, [texts[place][:-cut] for place in silent], options)
            for place, several in zip(silent, again, strict=True):
                kept, taken = texts[place][:-cut], self._taken(questions[place], texts[place], cut)
                whole = [self._said(questions[place], found, ids=kept, cut=cut) for found in several]
                healed = [
                    replace(one, text=one.text[len(taken) :])
                    for one in whole
                    if one.text is not None and one.text.startswith(taken) and len(one.text) > len(taken)
                ]
                answers[place] = healed or answers[place]


def _reason(found: Continuation, options: RecallOptions) -> Reason:
    if found.stop_confidence >= _LIKELY:
        return below_confidence(found.stop_confidence, options.min_confidence)
    return left(len(found.tokens)) if found.tokens else not_held(slips_matter=True)


def _without_first_word(tokens: np.ndarray, tokenizer: Tokenizer, shortest: int) -> np.ndarray:
    """The tokens from the first one on that begins with white space; without the first if none of the next few does."""
    nearby = range(1, min(_LONGEST_WORD, len(tokens)))
    first = tokens[:_LONGEST_WORD].tolist()
    cut = next((i for i in nearby if tokenizer.continuation(first[:i], [first[i]])[:1].isspace()), 1)
    return tokens[cut:] if len(tokens) - cut >= shortest else tokens
