"""Changing a memory that is there: add documents, forget documents.

Covers: a change's run into a new generation of the memory. Does not cover: what it reads and its plan
(change_prepare.py), which documents it takes (change_selection.py), two memories (combine.py), runs and their merge
(sorted_run.py, as for a build), replacing the old generation (memo_dist/files/generations.py).

add     takes the documents whose id the memory does not hold yet; the others are counted.
forget  reads the input to find which of its documents the memory holds with just this text, then takes those out: of
        the kept batches where the memory keeps tokens, else of the input, which is read again. Named documents need no
        input where tokens are kept. What the memory does not hold, or holds otherwise, is counted and left.
What is read twice is compared before anything is committed. A stopped change goes on by the same command, as a build
does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cluster.change_prepare import ChangeOptions, operation_of, prepare_change, prepare_from_kept
from cluster.change_selection import Choice, held_places, holders, named_records, records_of, select, sources_of
from cluster.clock import Clock
from cluster.compared import compared, require_expected
from cluster.executor import Executor
from cluster.prepare import Prepared, PreparedCorpus
from cluster.room import require_disk
from cluster.run_state import Progress
from cluster.session import connected, session
from cluster.signals import stop_on_sigterm
from cluster.sorted_run import SortedRun
from cluster.stream_run import StreamRun
from cluster.task import Task
from cluster.work import CorpusWork, KeptWork, Work, keeping_in
from cluster.workspace import Workspace, kept_or_removed
from memo_dist.document_identities import repeated_ids, without
from memo_dist.document_parts import document_key
from memo_dist.errors import InputError
from memo_dist.files.generations import require_whole
from memo_dist.files.kept_batches import KeptBatches
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from memo_dist.models import model_of
from memo_dist.models.repetition import Answered
from memo_dist.planning.capacity import lengths_of
from memo_dist.planning.fit import require_budget
from pipelines.keeping import KeptSplit
from pipelines.selection import Selection

OnProgress = Callable[[Progress], None]


def _quiet(progress: Progress) -> None:
    del progress


@dataclass(frozen=True, kw_only=True)
class ChangeSummary:
    """What a change did.

    Attributes:
        changed: documents taken in or out.
        unchanged: documents that were left: held already (add), or not held with this text (forget).
        other_text: those of them whose id is held with another text.
        repeated_ids: ids that more than one document of the memory has now.
        tokens, documents, associations: that the memory holds now.
        banks_before, banks: of the memory; more where its text needs them now.
        answered: what the capacity law says of each length of prompt now.
    """

    memory: str
    digest: str
    changed: int
    unchanged: int
    other_text: int
    repeated_ids: int
    tokens: int
    documents: int
    associations: int
    banks_before: int
    banks: int
    answered: list[Answered]
    checkpoints: int
    seconds: dict[str, float]


def add(memory: Path, inputs: list[str], options: ChangeOptions, *, on_progress: OnProgress = _quiet) -> ChangeSummary:
    """Memorize more documents.

    Raises:
        MemoError: as for a build; the memory is what it was.
    """
    with connected(options.resources):
        return _change("add", memory, inputs, options=options, on_progress=on_progress)


def forget(
    memory: Path, inputs: list[str], options: ChangeOptions, *, on_progress: OnProgress = _quiet
) -> ChangeSummary:
    """Take documents out, exactly; `options.documents` names some of the inputs' documents, () means all of them.

    Without inputs, documents that are named are taken out of the kept batches; if the memory keeps no tokens, they are
    read again from where the journal says that they came from. One file of text given for one document is that
    document's text, whatever the file is called.

    Raises:
        InputError: a named document is held, no tokens are kept, and its text is not to be found.
        MemoError: as for a build; the memory is what it was.
    """
    with connected(options.resources):
        return _change("forget", memory, inputs, options=options, on_progress=on_progress)


def _change(
    action: str, memory: Path, inputs: list[str], *, options: ChangeOptions, on_progress: OnProgress
) -> ChangeSummary:
    clock, resources = Clock(), options.resources
    with open_memory(memory) as stored:
        base, held, tokenizer = stored.manifest, stored.require_working().identities(), stored.tokenizer
    if options.documents and not inputs:
        options = replace(options, token_ids=tokenizer is None)
    if (tokenizer is None) != options.token_ids:
        wanted = "--token-ids: it is a memory of bare token ids" if tokenizer is None else "text, not --token-ids"
        raise InputError(f"{memory} takes {wanted}")
    named = {document_key(name): name for name in options.documents}
    if named and not np.isin(np.array(list(named), np.uint64), held["key"]).any():
        nothing = Choice(taken=np.zeros(0, np.uint64), identities=held[:0], left=len(named))
        return _summary(memory, base, nothing, base=base, held=held, checkpoints=0, clock=clock)
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
        choice = _choose(action, memory, prepared, executor=executor, base=base, held=held, named=named)
        clock.lap("compare")
        if not len(choice.taken):
            return _summary(memory, base, choice, base=base, held=held, checkpoints=0, clock=clock)
        require_whole(memory, base)
        workspace = Workspace(memory, prepared.statement, tokenizer, replaces=base)
        with kept_or_removed(workspace), stop_on_sigterm() as stop:
            require_disk(workspace.path, plan)
            kind = SortedRun if model_of(base.config).has_ledger else StreamRun
            run = kind(
                prepared,
                workspace,
                _work(action, memory, prepared, executor=executor, base=base, choice=choice, workspace=workspace),
                executor=executor,
                resources=resources,
                clock=clock,
                stop=stop,
                on_progress=on_progress,
                task=Task(action=action, base=base, keeps_tokens=base.keeps_tokens),
            )
            with compared(workspace):
                manifest = run.to_the_end()
            after = _after(action, held, choice)
            require_expected(workspace, after)
            workspace.commit()
    clock.lap("stop")
    return _summary(memory, manifest, choice, base=base, held=after, checkpoints=run.state.checkpoints, clock=clock)


def _choose(
    action: str,
    memory: Path,
    prepared: Prepared,
    *,
    executor: Executor,
    base: Manifest,
    held: np.ndarray,
    named: dict[int, str],
) -> Choice:
    """The documents to take. Of a memory that keeps tokens they are forgotten from where it read them."""
    if isinstance(prepared, PreparedCorpus):
        choice = select(action, records_of(prepared, base, executor), held=held, named=named)
        if action == "add" or not base.keeps_tokens:
            return choice
        with open_memory(memory) as stored:
            taken = held_places(stored.require_working().documents(), choice.identities)
        return replace(choice, taken=taken)
    with open_memory(memory) as stored:
        return named_records(stored.require_working().documents(), named)


def _work(
    action: str,
    memory: Path,
    prepared: Prepared,
    *,
    executor: Executor,
    base: Manifest,
    choice: Choice,
    workspace: Workspace,
) -> Work:
    selection, after = Selection.at(choice.taken), keeping_in(workspace.batches, base.config)
    if action == "forget" and base.keeps_tokens:
        kept, operation = KeptBatches(memory, base), operation_of(action, base)
        return KeptWork(
            kept=[KeptSplit(record, operation) for record in holders(kept, selection, executor)],
            selection=selection,
            before=keeping_in(kept.folder, base.config),
            after=after,
            files=prepared.corpus.files if isinstance(prepared, PreparedCorpus) else 0,
        )
    assert isinstance(prepared, PreparedCorpus)  # a memory without tokens is never changed without a corpus
    return CorpusWork(
        corpus=prepared.corpus,
        tokenizer=prepared.choice.tokenizer,
        config=base.config,
        selection=selection,
        keeping=after if base.keeps_tokens else None,
    )


def _after(action: str, held: np.ndarray, choice: Choice) -> np.ndarray:
    """The identities of what the memory is to hold, sorted."""
    if action == "add":
        return np.sort(np.concatenate([held, choice.identities]))
    return without(held, choice.identities)


def _summary(
    memory: Path,
    manifest: Manifest,
    choice: Choice,
    *,
    base: Manifest,
    held: np.ndarray,
    checkpoints: int,
    clock: Clock,
) -> ChangeSummary:
    return ChangeSummary(
        memory=str(memory),
        digest=manifest.digest,
        changed=len(choice.taken),
        unchanged=choice.left,
        other_text=choice.other_text,
        repeated_ids=repeated_ids(held),
        tokens=manifest.tokens,
        documents=manifest.documents,
        associations=manifest.associations,
        banks_before=base.config.num_banks,
        banks=manifest.config.num_banks,
        answered=lengths_of(manifest),
        checkpoints=checkpoints,
        seconds=clock.rounded(),
    )
