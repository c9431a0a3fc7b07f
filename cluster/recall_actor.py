"""RecallActor: continuations of prompts, in a Ray process that opens the memories itself, or asks bank servers.

Covers: one chunk of prompts -> rows of a table, reasons where one cannot be asked. Does not cover: the job
(recall_job.py).
"""

from collections.abc import Mapping
from dataclasses import asdict

import pyarrow as pa
from threadpoolctl import threadpool_limits

from cluster.bank_servers.owners import BankServers
from memo_dist.errors import ConfigError
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.recalling.options import RecallOptions, with_flags
from memo_dist.recalling.prompts import PromptRow
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session
from memo_dist.recalling.several_session import SeveralSession

_CHANGE = pa.struct([("typed", pa.string()), ("held", pa.string())])
_WAY = pa.struct([("text", pa.string()), ("count", pa.int64()), ("share", pa.float64())])
_ALTERNATIVE = pa.struct(
    [
        ("token", pa.int64()),
        ("score", pa.float64()),
        ("count", pa.int64()),
        ("probability", pa.float64()),
        ("text", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("snapped", pa.struct([("text", pa.string()), ("changes", pa.list_(_CHANGE))])),
        ("matched", pa.int64()),
        ("matched_text", pa.string()),
        ("tokens", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float64())),
        ("confidences", pa.list_(pa.float64())),
        ("windows", pa.list_(pa.int64())),
        ("stop", pa.string()),
        ("stop_confidence", pa.float64()),
        ("reason", pa.struct([("code", pa.string()), ("text", pa.string()), ("between", pa.list_(_WAY))])),
        ("alternatives", pa.list_(pa.list_(_ALTERNATIVE))),
        ("documents", pa.list_(pa.string())),
        ("num_documents", pa.int64()),
        ("error", pa.string()),
        ("memory", pa.string()),
    ]
)


Source = str | BankServers


def _opened(source: Source) -> OpenMemory:
    return source.open() if isinstance(source, BankServers) else open_memory(source)


class RecallActor:
    """Answers chunks of prompts from memory directories that it opens itself.

    Args:
        sources: of the memories, asked together, by the names that answers say: paths, which its node must see, or
            bank servers.
        digests: that they must have, by the same names; None: any.

    Raises:
        ConfigError: a memory was changed since the job began.
    """

    def __init__(
        self, sources: Mapping[str, Source], options: RecallOptions, digests: Mapping[str, str] | None = None
    ) -> None:
        threadpool_limits(1)
        opened = {name: _opened(source) for name, source in sources.items()}
        for name, digest in (digests or {}).items():
            if opened[name].manifest.digest != digest:
                raise ConfigError(f"{name} was changed while a job asked it; remove the job's parts and ask again")
        sessions = {name: Session(memory, memory.tokenizer) for name, memory in opened.items()}
        self._session, self._options = SeveralSession(sessions), options

    def answer(self, prompts: list[PromptRow]) -> pa.Table:
        """One row for each prompt, in order; one that cannot be asked has its reason in `error`, and no answer."""
        names = [f"prompt {prompt.id}" for prompt in prompts]
        questions = self._session.questions([prompt.asked for prompt in prompts], self._options, names)
        rows: list[dict[str, object]] = []
        for prompt, (found, *_) in zip(prompts, self._session.answer(questions, self._options), strict=True):
            rows.append({"id": prompt.id, **_told(found)})
        return pa.Table.from_pylist(rows, SCHEMA)


def _told(found: Continuation) -> dict[str, object]:
    """A row of an answer; of a refusal, why."""
    if found.error is not None:
        return {"stop": found.stop, "error": with_flags(found.error)}
    row = asdict(found)
    if found.reason is not None:
        row["reason"]["text"] = with_flags(found.reason.text)
    return row
