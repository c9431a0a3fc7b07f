"""Changing a memory that is there: add documents, forget documents.

Covers: which documents a change takes, and its run into a new generation of the memory. Does not cover: two memories
(combine.py), feeding and checkpoints (run.py, as for a build), replacing the old one (memo_dist/files/generations.py).

add     takes the documents whose id the memory does not hold yet; the others are counted.
forget  reads the input twice: first to find which of its documents the memory holds with just this text, then to take
        those out. What the memory does not hold, or holds otherwise, is counted and left.
A stopped change goes on by the same command, as a build does.
"""

import glob
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import ray
from dask.base import compute
from ray.util.dask import ray_dask_get

from cluster.build import kept_or_removed, require_disk
from cluster.prepare import Prepared, found_sources, plan_for
from cluster.ray_session import memory_budget, ray_session
from cluster.run import Clock, Progress, Run, Task
from cluster.signals import stop_on_sigterm
from cluster.workspace import Workspace, require_same, unfinished_statement, workspace_path
from memo_dist.documents import DocumentRegistry, document_key
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.generations import require_whole
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.stored import StoredMemory
from memo_dist.planning.memory_plan import require_budget
from pipelines.batching import Selection, delayed_records
from pipelines.plan import CorpusOptions, CorpusPlan, for_operation, plan_corpus, plan_token_ids
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

_READ_AT_ONCE = 8  # units whose records are under way


@dataclass(frozen=True)
class ChangeOptions:
    """What the command line gives; see `memo-dist add --help`. None: chosen from the machine."""

    corpus: CorpusOptions = field(default_factory=CorpusOptions)
    token_ids: bool = False
    documents: tuple[str, ...] = ()
    shards: int | None = None
    device: str = "cpu"
    address: str | None = None
    memory_budget: int | None = None
    scratch: Path | None = None
    checkpoint_every: float = 60.0


@dataclass(frozen=True)
class ChangeSummary:
    """What a change did. `unchanged` documents were left: held already (add), or not held with this text (forget)."""

    memory: str
    digest: str
    changed: int
    unchanged: int
    tokens: int
    documents: int
    associations: int
    checkpoints: int
    seconds: dict[str, float]


def add(
    memory: Path,
    inputs: list[str],
    options: ChangeOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ChangeSummary:
    """Memorize more documents.

    Raises:
        MemoError: as for a build; the memory is what it was.
    """
    return _change("add", 1, memory, inputs, options, on_progress)


def forget(
    memory: Path,
    inputs: list[str],
    options: ChangeOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ChangeSummary:
    """Take documents out, exactly; `options.documents` names some of the inputs' documents, () means all of them.

    Without inputs, documents that are named are read again from where the journal says that they came from. One file
    of text given for one document is that document's text, whatever the file is called.

    Raises:
        InputError: a named document is held, and its text is not to be found.
        MemoError: as for a build; the memory is what it was.
    """
    return _change("forget", -1, memory, inputs, options, on_progress)


def _change(
    action: str,
    sign: int,
    memory: Path,
    inputs: list[str],
    options: ChangeOptions,
    on_progress: Callable[[Progress], None],
) -> ChangeSummary:
    clock = Clock()
    with StoredMemory(memory) as stored:
        base, held, tokenizer = stored.manifest, stored.documents(), stored.tokenizer
    if options.documents and not inputs:
        options = replace(options, token_ids=tokenizer is None)
    if (tokenizer is None) != options.token_ids:
        wanted = "--token-ids: it is a memory of bare token ids" if tokenizer is None else "text, not --token-ids"
        raise InputError(f"{memory} takes {wanted}")
    named = {document_key(name): name for name in options.documents}
    if named and not np.isin(np.array(list(named), np.uint64), held[:, 0]).any():
        return _summary(memory, base, 0, len(named), 0, clock)
    operation = _operation(action, base)
    alias = options.documents[0] if inputs and len(named) == 1 else None
    inputs = inputs or sources_of(memory, base, options.documents)
    corpus, choice = _measure(memory, inputs, options, operation, alias)
    prepared = _prepared(action, operation, base, inputs, corpus, choice, options, memory)
    require_budget(prepared.plan, memory_budget(options.memory_budget))
    clock.lap("prepare")
    plan = prepared.plan
    with ray_session(options.address, plan.workers, plan.store_bytes):
        records = _records(prepared, base)
        selection, unchanged = _select(action, records, held, named)
        clock.lap("compare")
        if not len(selection.keys):
            return _summary(memory, base, 0, unchanged, 0, clock)
        require_whole(memory, base)
        workspace = Workspace(memory, prepared.statement, tokenizer, replaces=base)
        with kept_or_removed(workspace), stop_on_sigterm() as stop:
            require_disk(workspace.path, plan, options.scratch)
            task = Task(action, sign, base, selection)
            run = Run(prepared, options, workspace, clock, stop, on_progress, task)
            manifest = run.to_the_end(inputs)
            workspace.publish()
    clock.lap("stop")
    return _summary(memory, manifest, len(selection.keys), unchanged, run.checkpoints, clock)


def _summary(
    memory: Path, manifest: Manifest, changed: int, unchanged: int, checkpoints: int, clock: Clock
) -> ChangeSummary:
    return ChangeSummary(
        memory=str(memory),
        digest=manifest.digest,
        changed=changed,
        unchanged=unchanged,
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        checkpoints=checkpoints,
        seconds={stage: round(seconds, 3) for stage, seconds in clock.seconds.items()},
    )


def _operation(action: str, base: Manifest) -> str:
    """A name for this change of this generation, so that a text can be added, forgotten and added again."""
    return hashlib.blake2b(f"{action}\n{base.to_json()}".encode(), digest_size=16).hexdigest()


def _measure(
    memory: Path, inputs: list[str], options: ChangeOptions, operation: str, alias: str | None
) -> tuple[CorpusPlan, TokenizerChoice]:
    """The corpus in units, and how much it holds; `alias` is the document that a single file of text stands for."""
    if options.token_ids:
        corpus, found = plan_token_ids(inputs, options.corpus)
        choice = TokenizerChoice(
            tokenizer=None,
            vocab_size=found.vocab_size,
            trained_bytes=0,
            tokens=found.tokens,
            documents=found.documents,
        )
    else:
        corpus = plan_corpus(inputs, options.corpus)
        if alias is not None and corpus.is_one_document:
            corpus = _renamed(corpus, alias)
        choice = choose_tokenizer(corpus, str(memory / TOKENIZER_FILE))
    return for_operation(corpus, operation), choice


def _renamed(corpus: CorpusPlan, name: str) -> CorpusPlan:
    """The same text as a document of another id."""
    units = []
    for unit in corpus.units:
        spans = tuple(replace(span, source=replace(span.source, name=name)) for span in unit.spans)
        units.append(replace(unit, spans=spans))
    return replace(corpus, units=tuple(units))


def _prepared(
    action: str,
    operation: str,
    base: Manifest,
    inputs: list[str],
    corpus: CorpusPlan,
    choice: TokenizerChoice,
    options: ChangeOptions,
    memory: Path,
) -> Prepared:
    if choice.vocab_size > base.config.vocab_size:
        raise ConfigError(
            f"the highest token id is {choice.vocab_size - 1}; {memory} has a vocabulary of {base.config.vocab_size}"
        )
    whole = TokenizerChoice(
        tokenizer=choice.tokenizer,
        vocab_size=base.config.vocab_size,
        trained_bytes=0,
        tokens=base.tokens + (choice.tokens if action == "add" else 0),
        documents=base.documents + choice.documents,
    )
    statement: dict[str, Any] = {
        "action": action,
        "generation": _operation("", base),
        "inputs": inputs,
        "documents": list(options.documents),
        "settings": asdict(options.corpus),
        **found_sources(corpus),
    }
    stopped = unfinished_statement(memory)
    if stopped is not None and stopped.get("generation") == statement["generation"]:
        require_same(statement, stopped, memory)
    elif stopped is not None:  # of a generation that is no more
        shutil.rmtree(workspace_path(memory))
    return Prepared(corpus, whole, plan_for(base.config, corpus, whole, options), statement)


def _records(prepared: Prepared, base: Manifest) -> DocumentRegistry:
    """What the inputs hold of which documents, from one pass over them."""
    registry = DocumentRegistry()
    tokenizer = ray.put(prepared.choice.tokenizer)
    graphs = delayed_records(prepared.corpus.units, prepared.corpus.options, tokenizer=tokenizer, config=base.config)
    while window := list(islice(graphs, _READ_AT_ONCE)):
        for rows in compute(*window, scheduler=ray_dask_get):
            for key, record in DocumentRegistry.from_array(rows).items():
                registry.add(key, record)
    return registry


def _select(action: str, records: DocumentRegistry, held: np.ndarray, named: dict[int, str]) -> tuple[Selection, int]:
    """The documents to take, and how many are left.

    Raises:
        InputError: a named document is held, and the inputs do not have it.
    """
    known = DocumentRegistry.from_array(held)
    gone = [name for key, name in named.items() if known.get(key) and not records.get(key)]
    if gone:
        raise InputError(
            f"{', '.join(gone)} is held, but no longer where it was looked for; give INPUT, its text (and --text-key, "
            "--id-key and --errors as when it was memorized)"
        )
    taken, left = [], 0
    for key, record in records.items():
        if named and key not in named:
            continue
        fits = known.get(key) is None if action == "add" else known.get(key) == record
        left += not fits
        if fits:
            taken.append(key)
    left += sum(records.get(key) is None for key in named)
    return Selection(np.array(sorted(taken), np.uint64), inside=True), left


def sources_of(memory: Path, manifest: Manifest, documents: tuple[str, ...]) -> list[str]:
    """Where the journal says that documents may have come from.

    A document that is a file is read from the file of that name; rows are looked for in everything that was memorized.

    Raises:
        InputError: the journal names nothing, or nothing that is still there.
    """
    if not documents:
        return []
    if manifest.tokenizer_hash and all(Path(document).is_file() for document in documents):
        return list(documents)
    named = [name for entry in manifest.sources if entry.get("action") != "forget" for name in entry.get("inputs", [])]
    there = [
        name for name in dict.fromkeys(named) if "://" in name or Path(name).exists() or glob.glob(name, recursive=True)
    ]
    if not there:
        what = f"is gone ({', '.join(dict.fromkeys(named))})" if named else "is not in its journal"
        raise InputError(f"what {memory} was made from {what}; give INPUT, the text of {', '.join(documents)}")
    return there
