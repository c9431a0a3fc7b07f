"""Answerer: a memory directory that answers asks, in plain Python.

Covers: grouping, tokens as text, log-probabilities. Does not cover: Ray (replica.py), HTTP (front.py).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from memo_dist.errors import ConfigError, PromptError
from memo_dist.files.published import open_memory
from memo_dist.http.asks import Answer, Ask, Choice, Refusal, SpelledToken, TraceAsk
from memo_dist.models import model_named
from memo_dist.models.candidates import Alternative
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.recalling.paths import check_prompt
from memo_dist.recalling.probabilities import log_probabilities
from memo_dist.recalling.prompting import TextContinuation, recall_texts
from memo_dist.recalling.recall import Continuation, recall_several
from memo_dist.recalling.scoring import score_tokens
from memo_dist.recalling.trace import described, trace
from memo_dist.tokenizer import Tokenizer

RIVALS = 8  # of each step, among which the probabilities are divided
END = "<|end of document|>"


class Answerer:
    """Opens a memory and answers.

    Args:
        most_tokens: of a prompt; longer ones are refused.

    Raises:
        DamagedMemoryError: the memory is not whole. ConfigError: it cannot be served: no tokenizer, or preset paper.
    """

    def __init__(self, path: Path, most_tokens: int) -> None:
        self._memory, self._most_tokens = open_memory(path), most_tokens
        self._tokenizer = servable(path, self._memory.config.preset, self._memory.tokenizer)
        self._cleanup = HashedCleanup(self._memory.config)

    def answer(self, asks: list[Ask]) -> list[Answer | Refusal]:
        """One answer an ask, in order; those that go together are recalled together."""
        answers: list[Answer | Refusal] = [Refusal("") for _ in asks]
        groups: dict[tuple[object, ...], list[tuple[int, Ask, np.ndarray]]] = {}
        for place, ask in enumerate(asks):
            try:
                checked = (place, ask, self._checked(ask))
                groups.setdefault(ask.group, []).append(checked)
            except PromptError as error:
                answers[place] = Refusal(str(error))
        for group in groups.values():
            for (place, ask, ids), choices in zip(group, self._choices(group), strict=True):
                prompt = self._prompt(ids, ask.scored) if ask.echoed else []
                answers[place] = Answer(len(ids), prompt, choices)
        return answers

    def trace(self, ask: TraceAsk) -> "dict[str, Any] | Refusal":
        """What of a text is in the memory, as `memo-dist trace --json` says it."""
        try:
            tokens, places = self._tokenizer.encode_with_places(ask.text)
            self._check_length(tokens)
            found = trace(self._memory, self._cleanup, tokens, ask.least, ask.min_confidence)
        except (ConfigError, PromptError) as error:  # of the question; what is wrong with the memory is not for clients
            return Refusal(str(error))
        return described(ask.text, tokens, places, found)

    def _checked(self, ask: Ask) -> np.ndarray:
        ids = self._tokenizer.encode([ask.prompt])[0] if isinstance(ask.prompt, str) else np.array(ask.prompt, np.int64)
        self._check_length(ids)
        if ask.max_tokens:
            check_prompt(ids, self._memory.config, False, "the prompt")
        elif len(ids) and int(ids.max()) >= self._memory.config.vocab_size:
            raise PromptError(f"the prompt has token id {int(ids.max())}; the vocabulary ends before it")
        return ids

    def _check_length(self, ids: np.ndarray) -> None:
        if len(ids) > self._most_tokens:
            raise PromptError(f"the prompt has {len(ids):,} tokens; this service takes {self._most_tokens:,} at most")

    def _choices(self, group: list[tuple[int, Ask, np.ndarray]]) -> Iterable[list[Choice]]:
        first = group[0][1]
        if not first.max_tokens:
            return [[Choice([], [], [], "length", 1.0)] for _ in group]
        top_k = RIVALS if first.scored else 0
        words = (first.count, first.max_tokens, first.beam, first.min_confidence, False, top_k)
        texts = [ask.prompt for _, ask, _ in group if isinstance(ask.prompt, str)]
        if texts:
            found = recall_texts(self._memory, self._cleanup, self._tokenizer, texts, *words)
            return [[self._healed(one) for one in several] for several in found]
        ids = [ids for _, _, ids in group]
        several_ids = recall_several(self._memory, self._cleanup, ids, *words)
        return [[self._choice(one, 0) for one in several] for several in several_ids]

    def _healed(self, found: TextContinuation) -> Choice:
        whole = self._tokenizer.decode(found.continuation.tokens)
        return self._choice(found.continuation, len(whole) - len(found.text))

    def _choice(self, found: Continuation, said: int) -> Choice:
        """A continuation of which the prompt has said the first `said` characters."""
        tokens, kept = [], []
        for place, piece in enumerate(self._tokenizer.pieces(found.tokens)):
            rest, said = piece[said:], max(0, said - len(piece))
            if piece and not rest:
                continue  # the prompt said this token whole
            scored = self._scored(found.scores[place], found.alternatives[place], found.tokens[place])
            tokens.append(SpelledToken(rest, *scored) if found.alternatives[place] else SpelledToken(rest))
            kept.append(place)
        confidences, windows = ([column[place] for place in kept] for column in (found.confidences, found.windows))
        return Choice(tokens, confidences, [int(w) for w in windows], found.stop, found.stop_confidence)

    def _prompt(self, ids: np.ndarray, scored: bool) -> list[SpelledToken]:
        pieces = self._tokenizer.pieces(ids.tolist())
        if not scored:
            return [SpelledToken(piece) for piece in pieces]
        known = score_tokens(self._memory, self._cleanup, ids, RIVALS)
        spelled = []
        for piece, one in zip(pieces, known, strict=True):
            found = (None, []) if one.score is None else self._scored(one.score, one.alternatives, one.token)
            spelled.append(SpelledToken(piece, *found))
        return spelled

    def _scored(self, score: float, rivals: list[Alternative], token: int) -> tuple[float, list[tuple[str, float]]]:
        """A token's log-probability among its rivals, and theirs."""
        others = [one for one in rivals if one.token != token]
        logs = log_probabilities(np.array([score, *(one.score for one in others)])).tolist()
        ranked = sorted(zip([token, *(one.token for one in others)], logs, strict=True), key=lambda pair: -pair[1])
        return logs[0], [(self._word(one), log) for one, log in ranked]

    def _word(self, token: int) -> str:
        """A name of its own for every token: parts of a character would all be U+FFFD."""
        if token >= self._memory.config.vocab_size:
            return END
        text = self._tokenizer.decode([token])
        return f"token:{token}" if "\ufffd" in text else text


def servable(path: Path, preset: str, tokenizer: Tokenizer | None) -> Tokenizer:
    """The tokenizer of a memory that can be served.

    Raises:
        ConfigError: it cannot; the reason is told.
    """
    if tokenizer is None:
        raise ConfigError(f"{path} is a memory of bare token ids: there is no tokenizer to read prompts with")
    if not model_named(preset).tells_length:
        raise ConfigError(f"{path} is of the preset {preset!r}; only memories of the preset text are served")
    return tokenizer
