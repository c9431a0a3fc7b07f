"""Asked memories: what the executive asks, in this process or at a URL.

Covers: a memory that answers, one that fails, one behind a chat interface. Does not cover: how a memory finds an answer
(memo_dist/reflections).
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from memo_dist.endpoint.options import Sampling
from memo_dist.endpoint.work import Ask
from memo_dist.errors import EndpointError, MemoError
from memo_dist.reflections.answered import Answered, unanswered

_DONT_KNOW = "i don't know"
_SAID = Sampling(temperature=0.0, max_tokens=512)


@runtime_checkable
class AskedMemory(Protocol):
    """What answers questions; everything that memo_dist.open returns does."""

    def answer(self, question: str, *, forms: Sequence[str] = ()) -> Answered:
        """The answer to a question that may be asked in other words, too."""


class MemoryAsker(Protocol):
    """A memory as the executive asks it: it never fails, it does not know."""

    async def ask(self, question: str, forms: Sequence[str]) -> Answered:
        """The answer to a question and its other forms."""
        ...


class LocalMemory:
    """A memory of this process, asked one question at a time, beside whatever else goes on; a context.

    Args:
        memory: it.
    """

    def __init__(self, memory: AskedMemory) -> None:
        self._memory = memory
        self._thread = ThreadPoolExecutor(1)  # a memory has no locks

    def __enter__(self) -> "LocalMemory":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    async def ask(self, question: str, forms: Sequence[str]) -> Answered:
        """The answer; a memory that fails does not know, and says why."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: self._memory.answer(question, forms=forms))
        except (MemoError, OSError) as error:  # a question less is answered; faults of this program are raised
            return unanswered(f"the memory failed: {error}")


class ChatMemory:
    """A memory behind /v1/chat/completions: each form is a message, and most of the replies win.

    Args:
        ask: sends a message to it.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def ask(self, question: str, forms: Sequence[str]) -> Answered:
        """The answer that most forms get; a tie, and a memory that fails, do not know."""
        asked = list(dict.fromkeys([question, *forms]))
        said = await asyncio.gather(*(self._said(form) for form in asked))
        votes = Counter(text for text in said if text is not None and _DONT_KNOW not in text.lower())
        best = votes.most_common(2)
        if not best:
            failed = all(text is None for text in said)
            return unanswered("the memory failed" if failed else "the memory does not know")
        if len(best) > 1 and best[0][1] == best[1][1]:
            return unanswered("the forms of the question get different answers")
        text, count = best[0]
        return Answered(text, count / len(asked), form=asked[said.index(text)], documents=(), reason="")

    async def _said(self, form: str) -> str | None:
        try:
            return (await self._ask(form, _SAID)).strip()
        except EndpointError:
            return None
