"""Completing: prompts of completion requests -> choices, tokens as text, log-probabilities.

Covers: the ask of POST /v1/completions. Does not cover: continuation (recalling/), HTTP (endpoints/completions.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from memo_dist.http.answerer import Answerer
from memo_dist.http.asks import Ask, Refusal
from memo_dist.http.openai.choices import Answer, Choice, PromptAsk, SpelledToken
from memo_dist.models.candidates import Alternative
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.probabilities import log_probabilities
from memo_dist.recalling.questions import Question
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.scoring import score_tokens
from memo_dist.recalling.session import Session
from memo_dist.token_decoder import REACH

RIVALS = 8  # of each step, among which the probabilities are divided
END = "<|end of document|>"
_READ = 32  # characters of a prompt that is scored cost about as much as a token that is recalled


@dataclass(frozen=True)
class CompletionAsk(Ask):
    """The prompts of one request; answered by a list with an Answer for each."""

    prompts: list[PromptAsk]

    @property
    def weight(self) -> int:
        return sum(_weight(prompt) for prompt in self.prompts)

    def turns(self, most: int) -> Iterator[Self]:
        some: list[PromptAsk] = []
        for prompt in self.prompts:
            if some and sum(map(_weight, [*some, prompt])) > most:
                yield replace(self, prompts=some)
                some = []
            some.append(prompt)
        if some:
            yield replace(self, prompts=some)

    def joined(self, answers: list[list[Answer]]) -> list[Answer]:
        return [answer for several in answers for answer in several]

    @classmethod
    def answered(cls, answerer: Answerer, asks: Sequence[Self]) -> list[list[Answer] | Refusal]:
        found = iter(complete(answerer, [prompt for ask in asks for prompt in ask.prompts]))
        answers: list[list[Answer] | Refusal] = []
        for ask in asks:
            mine = [next(found) for _ in ask.prompts]
            refused = next((one for one in mine if isinstance(one, Refusal)), None)
            answers.append(refused or [one for one in mine if isinstance(one, Answer)])
        return answers


def _weight(prompt: PromptAsk) -> int:
    return prompt.options.max_tokens + (len(prompt.prompt) // _READ if prompt.scored and prompt.echoed else 0)


def complete(answerer: Answerer, prompts: list[PromptAsk]) -> list[Answer | Refusal]:
    """One answer for each prompt, in order; prompts of the same options are recalled together."""
    answers: dict[int, Answer | Refusal] = {}
    groups: dict[RecallOptions, list[int]] = {}
    end = answerer.session.lookup.config.vocab_size
    asks = [_from_start(prompt, end) for prompt in prompts]
    for place, ask in enumerate(asks):
        groups.setdefault(_options(ask), []).append(place)
    for options, places in groups.items():
        asked = [asks[place] for place in places]
        names = [one.name for one in asked]
        questions = answerer.session.questions([one.prompt for one in asked], options, names)
        questions = [_bounded(one, name, answerer.most_tokens) for one, name in zip(questions, names, strict=True)]
        found = answerer.session.answer(questions, options)
        for place, question, several in zip(places, questions, found, strict=True):
            answer = _answer(answerer.session, asks[place], question, several=several)
            if isinstance(answer, Answer):
                answer = replace(answer, digest=answerer.digest)
            marked = asks[place] is not prompts[place]
            answers[place] = _with_end(answer, asks[place].echoed) if marked else answer
    return [answers[place] for place in range(len(prompts))]


def _options(prompt: PromptAsk) -> RecallOptions:
    return replace(prompt.options, top_k=RIVALS) if prompt.scored else prompt.options


def _from_start(prompt: PromptAsk, end: int) -> PromptAsk:
    """A prompt of ids that begins with "end of document", as a prompt without it that begins a document."""
    if isinstance(prompt.prompt, str) or prompt.prompt[:1] != [end]:
        return prompt
    return replace(prompt, prompt=prompt.prompt[1:], options=replace(prompt.options, from_start=True))


def _with_end(answer: Answer | Refusal, echoed: bool) -> Answer | Refusal:
    """The answer to a prompt that was asked without its mark."""
    if isinstance(answer, Refusal):
        return answer
    prompt = [SpelledToken(END), *answer.prompt] if echoed else []
    return replace(answer, prompt_tokens=answer.prompt_tokens + 1, prompt=prompt)


def _bounded(question: Question, name: str, most: int) -> Question:
    """The question, refused if it has more tokens than the service takes."""
    if len(question.ids) <= most:
        return question
    return replace(question, error=f"{name} has {len(question.ids):,} tokens; this service takes {most:,} at most")


def _answer(
    session: Session, prompt: PromptAsk, question: Question, *, several: list[Continuation]
) -> Answer | Refusal:
    if question.error is not None:
        return Refusal(question.error)
    if prompt.scored and prompt.echoed and session.lookup.reader.is_solved:
        return Refusal("echo with logprobs scores the prompt's own tokens, which a solved memory cannot; leave out one")
    spelling = _Spelling(session)
    at_start = prompt.options.from_start
    echoed = spelling.prompt(question.ids, prompt.scored, at_start=at_start) if prompt.echoed else []
    return Answer(len(question.ids), echoed, [spelling.choice(question.ids, found) for found in several])


class _Spelling:
    """Tokens as text, with their log-probabilities."""

    def __init__(self, session: Session) -> None:
        self._session, self._tokenizer = session, session.tokenizer

    def choice(self, prompt: np.ndarray, found: Continuation) -> Choice:
        """A continuation of a prompt's ids, without what the prompt has said of it."""
        before: list[int] = prompt[: len(prompt) - found.healed][-REACH:].tolist()
        pieces = self._tokenizer.pieces(found.tokens, before)
        said = 0 if found.text is None else sum(map(len, pieces)) - len(found.text)
        tokens, kept, others = [], [], []
        for place, piece in enumerate(pieces):
            typed, rest, said = piece[:said], piece[said:], max(0, said - len(piece))
            if piece and not rest:
                continue  # the prompt said this token whole
            one = self._spelled(
                rest,
                [*before, *found.tokens[:place]][-REACH:],
                found.tokens[place],
                score=found.scores[place],
                rivals=found.alternatives[place],
            )
            tokens.append(one)
            kept.append(place)
            others.append([_further(other, typed) for other in found.alternatives[place] if _goes_on(other, typed)])
        return Choice(
            tokens=tokens,
            confidences=[found.confidences[place] for place in kept],
            windows=[int(found.windows[place]) for place in kept],
            stop=found.stop,
            stop_confidence=found.stop_confidence,
            alternatives=others,
            snapped=found.snapped,
            matched=found.matched,
            matched_text=found.matched_text,
            reason=found.reason,
            documents=found.documents,
            num_documents=found.num_documents,
        )

    def prompt(self, ids: np.ndarray, scored: bool, *, at_start: bool) -> list[SpelledToken]:
        """The prompt's own tokens; of the first nothing is known, as OpenAI has it."""
        prompt: list[int] = ids.tolist()
        pieces = self._tokenizer.pieces(prompt)
        if not scored:
            return [SpelledToken(piece) for piece in pieces]
        scores = score_tokens(self._session.lookup, ids, RIVALS, at_start=at_start)
        spelled = []
        for place, (piece, one) in enumerate(zip(pieces, scores, strict=True)):
            before = prompt[max(0, place - REACH) : place]
            if one.prior is not None:
                names = self._names(before, [other.token for other in one.alternatives])
                rivals = [(name, other.score) for name, other in zip(names, one.alternatives, strict=True)]
                spelled.append(SpelledToken(piece, one.prior, rivals))
            else:
                spelled.append(self._spelled(piece, before, one.token, score=one.score, rivals=one.alternatives))
        return [SpelledToken(spelled[0].text), *spelled[1:]] if spelled and not at_start else spelled

    def _spelled(
        self, text: str, before: list[int], token: int, *, score: float | None, rivals: list[Alternative]
    ) -> SpelledToken:
        """A token that follows `before`, with its log-probability among its rivals, and theirs."""
        if score is None or not rivals:
            return SpelledToken(text)
        others = [one for one in rivals if one.token != token]
        logs = log_probabilities(np.array([score, *(one.score for one in others)])).tolist()
        ranked = sorted(zip([token, *(one.token for one in others)], logs, strict=True), key=lambda pair: -pair[1])
        names = self._names(before, [one for one, _ in ranked])
        return SpelledToken(text, logs[0], [(name, log) for name, (_, log) in zip(names, ranked, strict=True)])

    def _names(self, before: list[int], tokens: list[int]) -> list[str]:
        """A name of its own for every token: parts of a character have no text, and two may have the same."""
        names: list[str] = []
        for token in tokens:
            ends = token >= self._session.lookup.config.vocab_size
            text = END if ends else self._tokenizer.continuation(before, [token])
            names.append(f"token:{token}" if not text or "\ufffd" in text or text in names else text)
        return names


def _goes_on(other: Alternative, typed: str) -> bool:
    """Whether an alternative of a token begins with what the prompt has said of the token."""
    return other.text is None or other.text.startswith(typed)


def _further(other: Alternative, typed: str) -> Alternative:
    """An alternative without that."""
    return other if other.text is None else replace(other, text=other.text[len(typed) :])
