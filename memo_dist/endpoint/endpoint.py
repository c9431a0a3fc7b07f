"""Endpoint: a language model asked over HTTP, as OpenAI's interface has it.

Covers: one message and its reply; turns, time limits, hedges, trials. Does not cover: what is asked, what replies mean
(replies.py), which things are asked at once (work.py).
"""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from memo_dist.endpoint.options import EndpointOptions, Sampling
from memo_dist.endpoint.pace import Pace
from memo_dist.errors import EndpointError
from memo_dist.extras import extra
from memo_dist.json_text import parse_json

if TYPE_CHECKING:
    pass

_SHOWN = 300  # characters of a refusal
_LONGEST_PAUSE = 60.0  # seconds before a trial


class _RefusedError(Exception):
    """A reply that is a refusal. `passes`: asking again may help; `pause`: seconds that it asks to wait."""

    def __init__(self, message: str, *, passes: bool, pause: float = 0.0) -> None:
        super().__init__(message)
        self.passes, self.pause = passes, pause


class Endpoint:
    """A language model; an asynchronous context.

    Args:
        options: where it is, and how it is asked.
    """

    def __init__(self, options: EndpointOptions) -> None:
        self.options = options
        self._base = options.url.rstrip("/").removesuffix("/v1") + "/v1"
        self._pace, self._model = Pace(options.per_minute), options.model
        self._opened = AsyncExitStack()
        self._places = asyncio.Semaphore(options.concurrency)

    async def __aenter__(self) -> "Endpoint":
        with extra():
            import aiohttp
        headers = {"Authorization": f"Bearer {self.options.key}"} if self.options.key else {}
        session = aiohttp.ClientSession(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=self.options.timeout),
            connector=aiohttp.TCPConnector(limit=0),  # `concurrency` is the limit
        )
        self._session: aiohttp.ClientSession = await self._opened.enter_async_context(session)
        try:
            if self._model is None:
                self._model = await self._first_model()
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def complete(self, message: str, sampling: Sampling) -> str:
        """The reply to one message.

        Raises:
            EndpointError: there is none after all trials, or the endpoint refuses the message for good.
        """
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": message}],
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
        }
        async with self._places:
            return _content(await self._tried("POST", "/chat/completions", body))

    async def _first_model(self) -> str:
        found = await self._tried("GET", "/models", None)
        try:
            return str(found["data"][0]["id"])
        except (LookupError, TypeError) as error:
            raise EndpointError(f"{self._base}/models lists no model; name one with --model") from error

    async def _tried(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """What is answered, asked again after a pause while it fails."""
        for trial in range(1, self.options.trials + 1):
            try:
                return await self._hedged(method, path, body)
            except _RefusedError as error:
                if not error.passes or trial == self.options.trials:
                    raise EndpointError(f"{self._base}{path}: {error}") from error
                pause = max(error.pause, self.options.backoff * 2 ** (trial - 1))
                await asyncio.sleep(min(pause, _LONGEST_PAUSE))
        raise EndpointError(f"{self._base}{path} was asked no times; trials must be 1 or more")

    async def _hedged(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """The first answer of several equal requests; the next is sent when the others take long, or one fails."""
        running: set[asyncio.Task[Any]] = set()
        try:
            for left in reversed(range(self.options.requests)):
                running.add(asyncio.ensure_future(self._once(method, path, body)))
                limit = self.options.hedge_after if left else None
                while running:
                    done, running = await asyncio.wait(running, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
                    good = next((task for task in done if task.exception() is None), None)
                    if good is not None:
                        return good.result()
                    failure = next((task.exception() for task in done), None)
                    if isinstance(failure, _RefusedError) and not running:
                        raise failure  # nothing runs: a pause comes first (_tried)
                    if failure is not None and not isinstance(failure, _RefusedError):
                        raise failure
                    if left:
                        break
            raise AssertionError("the last request ends in an answer or a failure")
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _once(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        import aiohttp

        await self._pace.turn()
        try:
            async with self._session.request(method, f"{self._base}{path}", json=body) as response:
                text = await response.text(errors="replace")
                if response.status != 200:
                    busy = response.status in (408, 409, 425, 429) or response.status >= 500
                    raise _RefusedError(
                        f"status {response.status}: {text[:_SHOWN]}",
                        passes=busy,
                        pause=_seconds(response.headers.get("Retry-After")),
                    )
        except TimeoutError as error:
            raise _RefusedError(f"no reply within {self.options.timeout:g} seconds", passes=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _RefusedError(f"{type(error).__name__}: {error}", passes=True) from error
        try:
            return parse_json(text)
        except ValueError as error:
            raise _RefusedError(f"the reply is no JSON: {text[:_SHOWN]!r}", passes=True) from error


def _content(reply: Any) -> str:
    """The text of a chat completion.

    Raises:
        EndpointError: it has none.
    """
    try:
        text = reply["choices"][0]["message"]["content"]
    except (LookupError, TypeError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise EndpointError(f"the reply has no text: {json.dumps(reply)[:_SHOWN]}")
    return text


def _seconds(header: str | None) -> float:
    """What a Retry-After says; 0 where it is absent or a date."""
    try:
        return max(0.0, float(header or 0))
    except ValueError:
        return 0.0
