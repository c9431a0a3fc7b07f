"""Changing a memory that is there: add documents, forget documents, bring it to what its inputs are now.

Covers: a change's run into a new generation of the memory. Does not cover: what it reads and its plan
(change_prepare.py), which documents it takes (change_selection.py), whether it is written beside the memory's files
(beside.py), two memories (combine.py), runs and their merge (sorted_run.py, as for a build), replacing the old
generation (memo_dist/files/generations.py).

add      takes the documents whose id the memory does not hold yet; the others are counted.
forget   reads the input to find which of its documents the memory holds with just this text, then takes those out: of
         the kept batches where the memory keeps tokens, else of the input, which is read again. Named documents need no
         input where tokens are kept. What the memory does not hold, or holds otherwise, is counted and left.
sync     takes in what of the inputs the memory does not hold with this text, and takes out what it holds and the inputs
         do not: documents that are gone, and the old texts of those that have changed.
replace  is a sync of one document.
What is read twice is compared before anything is committed. A stopped change goes on by the same command, as a build
does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cluster.beside import FEW_TOKENS, segments_that_stay
from cluster.change_prepare import ChangeOptions, operation_of, prepare_change, prepare_from_kept
from cluster.change_selection import (
    NOTHING,
    Choices,
    held_places,
    holders,
    named_records,
    records_of,
    select,
    select_sync,
    sources_of,
)
from cluster.change_summary import ChangeSummary, summary_of
from cluster.clock import Clock
from cluster.compared import compared, require_expected
from cluster.executor import Executor
from cluster.prepare import Prepared, PreparedCorpus
from cluster.rejects import write_rejects
from cluster.room import require_disk
from cluster.run_state import Progress
from cluster.session import connected, session
from cluster.signals import stop_on_sigterm
from cluster.sorted_run import SortedRun
from cluster.stream_run import StreamRun
from cluster.task import Task
from cluster.work import BothWork, CorpusWork, KeptWork, Work, keeping_in
from cluster.workspace import Workspace, kept_or_removed
from memo_dist.document_parts import document_key
from memo_dist.errors import ConfigError, InputError
from memo_dist.files.generations import require_whole
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.files.taken_places import MOST_PLACES, write_taken
from memo_dist.models import model_of
from memo_dist.planning.fit import require_budget
from memo_dist.reflections.forgetting import with_reflections
from pipelines.keeping import KeptSplit
from pipelines.selection import Selection

OnProgress = Callable[[Progress], None]


def _quiet(progress: Progress) -> None:
    del progress


def add(memory: Path, inputs: list[str], options: ChangeOptions, *, on_progress: OnProgress = _quiet) -> ChangeSummary:
    """Memorize more documents.

    Raises:
        MemoError: as for a build; the memory is what it was.
    """
    with connected(options.resources):
        return _change(_Change("add", memory, options), inputs, on_progress=on_progress)


def forget(
    memory: Path, inputs: list[str], options: ChangeOptions, *, on_progress: OnProgress = _quiet
) -> ChangeSummary:
    """Take documents out, exactly; `options.documents` names some of the inputs' documents, () means all of them.

    Without inputs, documents that are named are taken out of the kept batches; if the memory keeps no tokens, they are
    read again from where the journal says that they came from. One file of text given for one document is that
    document's text, whatever the file is called. In a memory of reflections a document stands for all that were drawn
    from it.

    Raises:
        InputError: a named document is held, no tokens are kept, and its text is not to be found.
        MemoError: as for a build; the memory is what it was.
    """
    named = replace(options, documents=with_reflections(memory, options.documents))
    with connected(options.resources):
        return _change(_Change("forget", memory, named), inputs, on_progress=on_progress)


def sync(memory: Path, inputs: list[str], options: ChangeOptions, *, on_progress: OnProgress = _quiet) -> ChangeSummary:
    """Bring a memory to what its inputs are now, in one change; `options.keep_missing` keeps what no input has.

    Raises:
        ConfigError: the memory's model keeps no ledger, or it keeps no tokens and something is to be taken out.
        MemoError: as for a build; the memory is what it was.
    """
    with connected(options.resources):
        return _change(_Change("sync", memory, options), inputs, on_progress=on_progress)


def replace_document(
    memory: Path, document: str, text: str, *, options: ChangeOptions, on_progress: OnProgress = _quiet
) -> ChangeSummary:
    """Give a document that is held the text of a file, whatever the file is called.

    Raises:
        InputError: no document of this id is held, or the file is no single document.
        ConfigError, MemoError: see `sync`.
    """
    with connected(options.resources):
        named = replace(options, documents=(document,), keep_missing=True)
        return _change(_Change("replace", memory, named), [text], on_progress=on_progress)


@dataclass(frozen=True)
class _Change:
    """What is done to which memory."""

    action: str
    memory: Path
    options: ChangeOptions

    @property
    def syncs(self) -> bool:
        """Whether documents are taken in and out at once."""
        return self.action in ("sync", "replace")


def _change(change: _Change, inputs: list[str], *, on_progress: OnProgress) -> ChangeSummary:
    action, memory, options = change.action, change.memory, change.options
    clock, resources = Clock(), options.resources
    with open_memory(memory) as stored:
        base, held, tokenizer = stored.manifest, stored.require_working().identities(), stored.tokenizer
    if options.documents and not inputs:
        options = replace(options, token_ids=tokenizer is None)
    if (tokenizer is None) != options.token_ids:
        wanted = "--token-ids: it is a memory of bare token ids" if tokenizer is None else "text, not --token-ids"
        raise InputError(f"{memory} takes {wanted}")
    if change.syncs:
        _require_sync(change, base, held)
    named = {document_key(name): name for name in options.documents}
    if named and not np.isin(np.array(list(named), np.uint64), held["key"]).any():
        nothing = Choices(NOTHING, replace(NOTHING, left=len(named)))
        return summary_of(memory, base, nothing, base=base, held=held, checkpoints=0, clock=clock)
    prepared: Prepared
    if named and not inputs and base.keeps_tokens:
        prepared = prepare_from_kept(memory, base=base, tokenizer=tokenizer, options=options)
    else:
        alias = options.documents[0] if inputs and len(named) == 1 else None
        inputs = inputs or sources_of(memory, base, options.documents)
        prepared = prepare_change(action, memory, base=base, inputs=inputs, options=options, alias=alias)
    plan = prepared.plan
    require_budget(plan, prepared.budget)
    clock.lap("prepare")
    with session(resources, plan) as executor:
        choices = _choose(change, prepared, executor=executor, base=base, held=held, named=named)
        clock.lap("compare")
        if not choices.count:
            return summary_of(memory, base, choices, base=base, held=held, checkpoints=0, clock=clock)
        beside = segments_that_stay(
            base, added=choices.added.tokens, removed=choices.removed.tokens, fold_share=options.fold_share
        )
        if beside is None:  # else its files stay, and of these those that are changed are checked as they are read
            require_whole(memory, base)
        workspace = Workspace(memory, prepared.statement, tokenizer, replaces=base)
        with kept_or_removed(workspace), stop_on_sigterm() as stop:
            if beside is None:
                require_disk(workspace.path, plan)
            kind = SortedRun if model_of(base.config).has_ledger else StreamRun
            few = choices.added.tokens + choices.removed.tokens <= FEW_TOKENS
            held_runs = few and beside is not None
            task = Task(action=action, base=base, keeps_tokens=base.keeps_tokens, beside=beside, held=held_runs)
            run = kind(
                prepared,
                workspace,
                _work(change, prepared, executor=executor, task=task, choices=choices, workspace=workspace),
                executor=executor,
                resources=resources,
                clock=clock,
                stop=stop,
                on_progress=on_progress,
                task=task,
            )
            with compared(workspace):
                manifest = run.to_the_end()
            after = choices.after(held)
            require_expected(workspace, after)
            rejects = write_rejects(memory, run.rejects)
            workspace.commit()
    clock.lap("stop")
    done = summary_of(memory, manifest, choices, base=base, held=after, checkpoints=run.state.checkpoints, clock=clock)
    return done if rejects is None else replace(done, rejects=str(rejects))


def _require_sync(change: _Change, base: Manifest, held: np.ndarray) -> None:
    """Refuse a memory that cannot be brought to what its inputs are."""
    if not model_of(base.config).has_ledger:
        raise ConfigError(
            f"{change.memory} is of the preset {base.config.preset!r}, which keeps no ledger: forget what has changed, "
            "and add it again"
        )
    for name in change.options.documents:
        if not (held["key"] == np.uint64(document_key(name))).any():
            raise InputError(f"{change.memory} holds no document {name!r} to be replaced; memo-dist add adds one")


def _choose(
    change: _Change,
    prepared: Prepared,
    *,
    executor: Executor,
    base: Manifest,
    held: np.ndarray,
    named: dict[int, str],
) -> Choices:
    """The documents to take. Of a memory that keeps tokens they are forgotten from where it read them."""
    if not isinstance(prepared, PreparedCorpus):
        with open_memory(change.memory) as stored:
            return Choices(NOTHING, named_records(stored.require_working().documents(), named))
    records = records_of(prepared, base, executor)
    if change.syncs:
        if named and records["key"].tolist() != list(named):
            raise InputError(
                f"{' '.join(prepared.statement.inputs)} is not the text of one document; replace takes one file of text"
            )
        added, gone = select_sync(records, held=held, keep_missing=change.options.keep_missing)
        if len(gone) and not base.keeps_tokens:
            raise ConfigError(
                f"{change.memory} keeps no tokens, and {len(gone):,} documents are to be taken out of it, which takes "
                "their old texts: give these to memo-dist forget, or build the memory again, keeping its tokens"
            )
        removed = replace(NOTHING, identities=gone)
    else:
        choice = select(change.action, records, held=held, named=named)
        if change.action == "add":
            return Choices(choice, NOTHING)
        if not base.keeps_tokens:
            return Choices(NOTHING, choice)
        added, removed = NOTHING, choice
    with open_memory(change.memory) as stored:
        taken = held_places(stored.require_working().documents(), removed.identities)
    return Choices(added, replace(removed, taken=taken))


def _work(
    change: _Change,
    prepared: Prepared,
    *,
    executor: Executor,
    task: Task,
    choices: Choices,
    workspace: Workspace,
) -> Work:
    base, removed = task.base, choices.removed
    assert base is not None  # a change has one
    after, kept = keeping_in(workspace.batches, base.config), KeptBatches(change.memory, base)
    corpus = prepared.corpus if isinstance(prepared, PreparedCorpus) else None
    added = taken_out = None
    if len(removed.taken) and base.keeps_tokens:
        selection, operation = Selection.at(removed.taken), operation_of(change.action, base)
        listed = task.beside is not None and len(removed.taken) <= MOST_PLACES
        taken_out = KeptWork(
            kept=[KeptSplit(record, operation) for record in holders(kept, selection, executor)],
            selection=selection,
            before=keeping_in(kept.folder, base.config),
            after=after,
            files=0 if corpus is None else corpus.files,
            taken=write_taken(removed.taken, workspace.path) if listed else "",
        )
    if taken_out is None or len(choices.added.taken):
        assert corpus is not None  # a memory without tokens is never changed without a corpus
        added = CorpusWork(
            corpus=corpus,
            tokenizer=prepared.choice.tokenizer,
            config=base.config,
            selection=Selection.at((removed if change.action == "forget" else choices.added).taken),
            keeping=after if base.keeps_tokens else None,
        )
    if change.syncs:
        return BothWork(added=added, removed=taken_out)
    work = added or taken_out
    assert work is not None  # something is taken
    return work
