"""Prompting: recall for text, where a prompt may stop in the middle of a token.

Covers: encoding prompts, decoding answers, healing the last tokens. Does not cover: continuation itself (recall.py).

A prompt that a person cuts off ("the quick bro") is tokenized otherwise than the text it was cut from, so its last
windows were never written. Where recall abstains at once, the prompt's last one to three tokens are taken away and
recalled again; the answer counts only if it begins with exactly the text taken away. A prompt's first word may be cut
off as well, and would spoil every window that reaches back to it, so it is not asked.
"""

from dataclasses import dataclass

import numpy as np

from memo_dist.models.candidates import Cleanup
from memo_dist.models.cues import Reader
from memo_dist.recalling.paths import check_prompt
from memo_dist.recalling.recall import Continuation, recall_several
from memo_dist.tokenizer import Tokenizer

_MOST_HEALED = 3
_LONGEST_WORD = 8  # tokens


@dataclass(frozen=True)
class TextContinuation:
    """`text` goes on exactly where `prompt` stops; `tokens` of the continuation repeat `healed` tokens' text first."""

    prompt: str
    text: str
    continuation: Continuation
    healed: int = 0


def recall_text(
    reader: Reader,
    cleanup: Cleanup,
    tokenizer: Tokenizer,
    prompts: list[str],
    max_tokens: int,
    beam: int,
    min_confidence: float,
    at_start: bool = False,
    top_k: int = 0,
) -> list[TextContinuation]:
    """Continue texts; see recall.recall for the arguments.

    Raises:
        PromptError: a prompt is shorter than the shortest window; it is named.
    """
    words = (max_tokens, beam, min_confidence, at_start, top_k)
    return [found[0] for found in recall_texts(reader, cleanup, tokenizer, prompts, 1, *words)]


def recall_texts(
    reader: Reader,
    cleanup: Cleanup,
    tokenizer: Tokenizer,
    prompts: list[str],
    count: int,
    max_tokens: int,
    beam: int,
    min_confidence: float,
    at_start: bool = False,
    top_k: int = 0,
) -> list[list[TextContinuation]]:
    """Up to `count` different continuations of each text; see recall.recall_several."""
    ids = tokenizer.encode(prompts)
    for index, tokens in enumerate(ids):
        check_prompt(tokens, reader.config, at_start, f"prompt {index + 1} ({prompts[index][:30]!r})")

    if not at_start:
        ids = [_without_first_word(tokens, tokenizer, reader.config.windows[0]) for tokens in ids]

    def ask(asked: list[np.ndarray]) -> list[list[Continuation]]:
        return recall_several(reader, cleanup, asked, count, max_tokens, beam, min_confidence, at_start, top_k)

    results = [
        [TextContinuation(prompt, tokenizer.decode(answer.tokens), answer) for answer in answers]
        for prompt, answers in zip(prompts, ask(ids), strict=True)
    ]
    shortest = 0 if at_start else reader.config.windows[0]
    for cut in range(1, _MOST_HEALED + 1):
        silent = [
            i
            for i, (best, *_) in enumerate(results)
            if best.continuation.stop == "abstained" and not best.text and len(ids[i]) - cut >= shortest
        ]
        for i, answers in zip(silent, ask([ids[i][:-cut] for i in silent]), strict=True):
            taken = tokenizer.decode(ids[i][-cut:].tolist())
            whole = [(tokenizer.decode(answer.tokens), answer) for answer in answers]
            healed = [
                TextContinuation(prompts[i], text[len(taken) :], answer, cut)
                for text, answer in whole
                if text.startswith(taken) and len(text) > len(taken)
            ]
            results[i] = healed or results[i]
    return results


def _without_first_word(tokens: np.ndarray, tokenizer: Tokenizer, shortest: int) -> np.ndarray:
    """The tokens from the first one on that begins with white space; without the first if none of the next few does."""
    nearby = range(1, min(_LONGEST_WORD, len(tokens)))
    cut = next((i for i in nearby if tokenizer.decode([int(tokens[i])])[:1].isspace()), 1)
    return tokens[cut:] if len(tokens) - cut >= shortest else tokens
