"""Limits: the largest request that a service takes.

Covers: numbers. Does not cover: what is said to a client that asks for more (guards.py, openai/bodies.py).
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of one service.

    Attributes:
        body_bytes: the largest request body, in bytes.
        prompts: the most prompts in one request.
        prompt_tokens: the longest prompt, in tokens.
        max_tokens: the longest continuation of one prompt, in tokens.
        request_tokens: the most tokens that all continuations of one request may have together.
        waiting: the most requests under way at a time; the next request is told to come again.
        body_seconds: the longest time that a client may take to send a body.
        send_seconds: the longest time that a client may take to receive a piece of an answer.
        answer_seconds: the longest time that a request waits for its answer.
    """

    body_bytes: int = 1 << 20
    prompts: int = 128
    prompt_tokens: int = 8192
    max_tokens: int = 2048
    request_tokens: int = 1 << 16
    waiting: int = 512
    body_seconds: float = 30.0
    send_seconds: float = 30.0
    answer_seconds: float = 120.0
