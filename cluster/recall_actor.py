"""RecallActor: continuations of prompts, in a Ray process that opens the memory itself.

Covers: one chunk of prompts -> rows of a table, reasons where one cannot be asked. Does not cover: the job
(recall_job.py).
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from memo_dist.errors import PromptError
from memo_dist.files.opened import open_memory
from memo_dist.models import cleanup_for
from memo_dist.recalling.paths import DEFAULT_BEAM, check_prompt
from memo_dist.recalling.prompting import recall_text
from memo_dist.recalling.prompts import Prompt, ids_of
from memo_dist.recalling.recall import DEFAULT_CONFIDENCE, Continuation, recall

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("tokens", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float64())),
        ("confidences", pa.list_(pa.float64())),
        ("windows", pa.list_(pa.int64())),
        ("stop", pa.string()),
        ("stop_confidence", pa.float64()),
        ("alternatives", pa.list_(pa.list_(pa.struct([("token", pa.int64()), ("score", pa.float64())])))),
        ("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class RecallOptions:
    """What the command line gives."""

    max_tokens: int = 50
    min_confidence: float = DEFAULT_CONFIDENCE
    beam: int = DEFAULT_BEAM
    at_start: bool = False
    top_k: int = 0


class RecallActor:
    """Answers chunks of prompts from a memory directory that it opens itself.

    Args:
        path: of the memory; its node must see it.
    """

    def __init__(self, path: str, options: RecallOptions) -> None:
        threadpool_limits(1)
        self._memory, self._options = open_memory(path), options
        self._tokenizer, self._cleanup = self._memory.tokenizer, cleanup_for(self._memory.config)

    def answer(self, prompts: list[Prompt]) -> pa.Table:
        """One row a prompt, in order; one that cannot be asked has its reason in `error`."""
        rows: list[dict[str, Any]] = [{"id": prompt.id} for prompt in prompts]
        askable = []
        for row, prompt in zip(rows, prompts, strict=True):
            try:
                askable.append((row, self._checked(prompt)))
            except PromptError as error:
                row |= {"stop": "refused", "error": str(error)}
        texts = [(row, asked) for row, asked in askable if isinstance(asked, str)]
        for (row, _), (text, found) in zip(texts, self._texts([asked for _, asked in texts]), strict=True):
            row |= {"text": text, **asdict(found)}
        ids = [(row, asked) for row, asked in askable if not isinstance(asked, str)]
        for (row, _), found in zip(ids, self._ids([asked for _, asked in ids]), strict=True):
            row |= asdict(found)
        return pa.Table.from_pylist(rows, SCHEMA)

    def _checked(self, prompt: Prompt) -> "str | np.ndarray":
        asked: str | np.ndarray = prompt.asked if isinstance(prompt.asked, str) else ids_of(prompt.asked, False)
        if self._tokenizer is None:
            asked = ids_of(prompt.asked, True)
        ids = asked if not isinstance(asked, str) else self._encoded(asked)
        check_prompt(ids, self._memory.config, self._options.at_start, f"prompt {prompt.id}")
        return asked

    def _encoded(self, text: str) -> np.ndarray:
        assert self._tokenizer is not None
        return self._tokenizer.encode([text])[0]

    def _texts(self, texts: list[str]) -> Iterator[tuple[str, Continuation]]:
        if texts and self._tokenizer is not None:
            found = recall_text(self._memory, self._cleanup, self._tokenizer, texts, **self._words())
            yield from ((one.text, one.continuation) for one in found)

    def _ids(self, ids: list[np.ndarray]) -> list[Continuation]:
        return recall(self._memory, self._cleanup, ids, **self._words()) if ids else []

    def _words(self) -> dict[str, Any]:
        return asdict(self._options)
