"""Changing a memory that is there: add documents, forget documents.

Covers: a change's run into a new generation of the memory. Does not cover: which documents it takes
(change_selection.py), two memories (combine.py), feeding and checkpoints (run.py, as for a build), replacing the old
generation (memo_dist/files/generations.py).

add     takes the documents whose id the memory does not hold yet; the others are counted.
forget  reads the input twice: first to find which of its documents the memory holds with just this text, then to take
        those out. What the memory does not hold, or holds otherwise, is counted and left.
A stopped change goes on by the same command, as a build does.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from cluster.change_selection import records_of, select, sources_of
from cluster.clock import Clock
from cluster.prepare import Prepared, plan_for
from cluster.ray_session import memory_budget, ray_session
from cluster.resources import Resources
from cluster.run import Run, Task
from cluster.run_state import Progress
from cluster.signals import stop_on_sigterm
from cluster.statement import ChangeStatement, CorpusStamp, require_same
from cluster.workspace import Workspace, kept_or_removed, require_disk, unfinished_statement, workspace_path
from memo_dist.documents import document_key
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.generations import require_whole
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.files.opened import open_memory
from memo_dist.planning.memory_plan import require_budget
from pipelines.plan import CorpusOptions, CorpusPlan, for_operation, plan_corpus, plan_token_ids
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """What the command line gives; see `memo-dist add --help`.

    Attributes:
        resources: what the change may take; no part of what it does.
        corpus: how the inputs are found and read.
        token_ids: the inputs are parquet files of token ids.
        documents: ids of the documents to forget; (): all that the inputs hold.
    """

    resources: Resources = field(default_factory=Resources)
    corpus: CorpusOptions = field(default_factory=CorpusOptions)
    token_ids: bool = False
    documents: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
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
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ChangeSummary:
    """Memorize more documents.

    Raises:
        MemoError: as for a build; the memory is what it was.
    """
    return _change("add", memory, inputs, options=options, on_progress=on_progress)


def forget(
    memory: Path,
    inputs: list[str],
    options: ChangeOptions,
    *,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ChangeSummary:
    """Take documents out, exactly; `options.documents` names some of the inputs' documents, () means all of them.

    Without inputs, documents that are named are read again from where the journal says that they came from. One file
    of text given for one document is that document's text, whatever the file is called.

    Raises:
        InputError: a named document is held, and its text is not to be found.
        MemoError: as for a build; the memory is what it was.
    """
    return _change("forget", memory, inputs, options=options, on_progress=on_progress)


def _change(
    action: str,
    memory: Path,
    inputs: list[str],
    *,
    options: ChangeOptions,
    on_progress: Callable[[Progress], None],
) -> ChangeSummary:
    clock, resources = Clock(), options.resources
    with open_memory(memory) as stored:
        base, held, tokenizer = stored.manifest, stored.require_working().documents(), stored.tokenizer
    if options.documents and not inputs:
        options = replace(options, token_ids=tokenizer is None)
    if (tokenizer is None) != options.token_ids:
        wanted = "--token-ids: it is a memory of bare token ids" if tokenizer is None else "text, not --token-ids"
        raise InputError(f"{memory} takes {wanted}")
    named = {document_key(name): name for name in options.documents}
    if named and not np.isin(np.array(list(named), np.uint64), held[:, 0]).any():
        return _summary(memory, base, changed=0, unchanged=len(named), checkpoints=0, clock=clock)
    alias = options.documents[0] if inputs and len(named) == 1 else None
    inputs = inputs or sources_of(memory, base, options.documents)
    prepared = _prepare(action, memory, base=base, inputs=inputs, options=options, alias=alias)
    plan = prepared.plan
    require_budget(plan, memory_budget(resources.memory_budget))
    clock.lap("prepare")
    with ray_session(resources.address, plan.workers, plan.store_bytes):
        records = records_of(prepared, base)
        selection, unchanged = select(action, records, held=held, named=named)
        clock.lap("compare")
        if not len(selection.keys):
            return _summary(memory, base, changed=0, unchanged=unchanged, checkpoints=0, clock=clock)
        require_whole(memory, base)
        workspace = Workspace(memory, prepared.statement, tokenizer, replaces=base)
        with kept_or_removed(workspace), stop_on_sigterm() as stop:
            require_disk(workspace.path, plan, resources.scratch)
            run = Run(
                prepared,
                workspace,
                resources=resources,
                clock=clock,
                stop=stop,
                on_progress=on_progress,
                task=Task(action=action, base=base, selection=selection),
            )
            manifest = run.to_the_end()
            workspace.commit()
    clock.lap("stop")
    return _summary(
        memory,
        manifest,
        changed=len(selection.keys),
        unchanged=unchanged,
        checkpoints=run.state.checkpoints,
        clock=clock,
    )


def _summary(
    memory: Path, manifest: Manifest, *, changed: int, unchanged: int, checkpoints: int, clock: Clock
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
        seconds=clock.rounded(),
    )


def _operation(action: str, base: Manifest) -> str:
    """A name for this change of this generation, so that a text can be added, forgotten and added again."""
    return hashlib.blake2b(f"{action}\n{base.to_json()}".encode(), digest_size=16).hexdigest()


def _prepare(
    action: str, memory: Path, *, base: Manifest, inputs: list[str], options: ChangeOptions, alias: str | None
) -> Prepared:
    """Fix everything; a stopped change of the same generation must be the same change."""
    corpus, choice = _measure(memory, inputs, options=options, alias=alias)
    corpus = for_operation(corpus, _operation(action, base))
    if choice.vocab_size > base.config.vocab_size:
        raise ConfigError(
            f"the highest token id is {choice.vocab_size - 1}; {memory} has a vocabulary of {base.config.vocab_size}"
        )
    whole = replace(
        choice,
        vocab_size=base.config.vocab_size,
        trained_bytes=0,
        tokens=base.tokens + (choice.tokens if action == "add" else 0),
        documents=base.documents + choice.documents,
        sample=(),
    )
    statement = ChangeStatement(
        action=action,
        generation=_operation("", base),
        inputs=inputs,
        documents=list(options.documents),
        settings=asdict(options.corpus),
        corpus=CorpusStamp.of(corpus),
    )
    stopped = unfinished_statement(memory)
    if stopped is not None and stopped.get("generation") == statement.generation:
        require_same(statement.to_dict(), stopped, memory, place=workspace_path(memory))
    elif stopped is not None:  # of a generation that is no more
        shutil.rmtree(workspace_path(memory))
    plan = plan_for(base.config, corpus, whole, resources=options.resources)
    return Prepared(corpus=corpus, choice=whole, plan=plan, statement=statement)


def _measure(
    memory: Path, inputs: list[str], *, options: ChangeOptions, alias: str | None
) -> tuple[CorpusPlan, TokenizerChoice]:
    """The corpus in units, and how much it holds; `alias` is the document that a single file of text stands for."""
    if options.token_ids:
        corpus, found = plan_token_ids(inputs, options.corpus)
        return corpus, TokenizerChoice(
            tokenizer=None,
            vocab_size=found.vocab_size,
            trained_bytes=0,
            tokens=found.tokens,
            documents=found.documents,
        )
    corpus = plan_corpus(inputs, options.corpus)
    if alias is not None and corpus.is_one_document:
        corpus = _renamed(corpus, alias)
    return corpus, choose_tokenizer(corpus, str(memory / TOKENIZER_FILE))


def _renamed(corpus: CorpusPlan, name: str) -> CorpusPlan:
    """The same text as a document of another id."""
    units = []
    for unit in corpus.units:
        spans = tuple(replace(span, source=replace(span.source, name=name)) for span in unit.spans)
        units.append(replace(unit, spans=spans))
    return replace(corpus, units=tuple(units))
