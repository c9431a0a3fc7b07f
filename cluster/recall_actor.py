"""RecallActor: continuations of prompts, in a Ray process that opens the memories itself.

Covers: one chunk of prompts -> rows of a table, reasons where one cannot be asked. Does not cover: the job
(recall_job.py).
"""

from collections.abc import Mapping
from dataclasses import asdict

import pyarrow as pa
from threadpoolctl import threadpool_limits

from memo_dist.files.opened import open_memory
from memo_dist.recalling.options import RecallOptions, with_flags
from memo_dist.recalling.prompts import PromptRow
from memo_dist.recalling.session import Session
from memo_dist.recalling.several_session import SeveralSession

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("corrected", pa.string()),
        ("tokens", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float64())),
        ("confidences", pa.list_(pa.float64())),
        ("windows", pa.list_(pa.int64())),
        ("stop", pa.string()),
        ("stop_confidence", pa.float64()),
        ("alternatives", pa.list_(pa.list_(pa.struct([("token", pa.int64()), ("score", pa.float64())])))),
        ("documents", pa.list_(pa.string())),
        ("num_documents", pa.int64()),
        ("error", pa.string()),
        ("memory", pa.string()),
    ]
)


class RecallActor:
    """Answers chunks of prompts from memory directories that it opens itself.

    Args:
        paths: of the memories, asked together, by the names that answers say; its node must see them.
    """

    def __init__(self, paths: Mapping[str, str], options: RecallOptions) -> None:
        threadpool_limits(1)
        opened = {name: open_memory(path) for name, path in paths.items()}
        sessions = {name: Session(memory, memory.tokenizer) for name, memory in opened.items()}
        self._session, self._options = SeveralSession(sessions), options

    def answer(self, prompts: list[PromptRow]) -> pa.Table:
        """One row for each prompt, in order; one that cannot be asked has its reason in `error`, and no answer."""
        names = [f"prompt {prompt.id}" for prompt in prompts]
        questions = self._session.questions([prompt.asked for prompt in prompts], self._options, names)
        rows: list[dict[str, object]] = []
        for prompt, (found, *_) in zip(prompts, self._session.answer(questions, self._options), strict=True):
            told = asdict(found) if found.error is None else {"stop": found.stop, "error": with_flags(found.error)}
            rows.append({"id": prompt.id, **told})
        return pa.Table.from_pylist(rows, SCHEMA)
