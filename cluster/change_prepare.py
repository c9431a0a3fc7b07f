"""Preparing a change: what it reads, its plan, and the statement by which a stopped one goes on.

Covers: both, with a corpus or without. Does not cover: which documents it takes (change_selection.py), doing it
(change.py), builds (prepare.py).
"""

import hashlib
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from cluster.beside import FOLD_SHARE
from cluster.corpus_stamp import CorpusStamp
from cluster.machine import machines_for
from cluster.prepare import FILE_BYTES, Prepared, PreparedCorpus, plan_for
from cluster.resources import Resources
from cluster.statement import ChangeStatement, require_same
from cluster.workspace import unfinished_statement, workspace_path
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import TOKENIZER_FILE, Manifest
from memo_dist.models import model_of
from memo_dist.reflections.layout import holds_reflections
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusOptions, CorpusPlan, for_operation, plan_corpus, plan_token_ids
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

_TOKEN_BYTES = 4  # of text, on average
_COMPARED_BYTES = 192  # of a document in the driver: 24 to 32 bytes, sorted and looked up several times


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """What the command line gives; see `memo-dist add --help`.

    Attributes:
        resources: what the change may take; no part of what it does.
        corpus: how the inputs are found and read.
        token_ids: the inputs are parquet files of token ids.
        documents: ids of the documents to forget, or to replace; (): all that the inputs hold.
        keep_missing: documents that the inputs do not have stay, in a sync.
        fold_share: see beside.FOLD_SHARE; 0: the memory's files are written anew.
    """

    resources: Resources = field(default_factory=Resources)
    corpus: CorpusOptions = field(default_factory=CorpusOptions)
    token_ids: bool = False
    documents: tuple[str, ...] = ()
    keep_missing: bool = False
    fold_share: float = FOLD_SHARE


def operation_of(action: str, base: Manifest) -> str:
    """A name for this change of this generation, so that a text can be added, forgotten and added again."""
    return hashlib.blake2b(f"{action}\n{base.to_json()}".encode(), digest_size=16).hexdigest()


def prepare_change(
    action: str, memory: Path, *, base: Manifest, inputs: list[str], options: ChangeOptions, alias: str | None
) -> PreparedCorpus:
    """Fix everything of a change that reads a corpus.

    Args:
        alias: the document that a single file of text stands for.

    Raises:
        ConfigError: a stopped change of the same generation was another change; a token id is out of range.
        InputError: the corpus cannot be read.
    """
    if holds_reflections(base.config):
        raise ConfigError(
            f"{memory} holds reflections, and {action} takes texts: memo-dist build --reflections makes another such "
            "memory, and memo-dist merge puts both together; memo-dist forget takes --document"
        )
    streams = model_of(base.config).has_ledger
    corpus, choice = _measure(memory, inputs, options=options, alias=alias, streams=streams)
    corpus = for_operation(corpus, operation_of(action, base))
    if choice.vocab_size > base.config.vocab_size:
        raise ConfigError(
            f"the highest token id is {choice.vocab_size - 1}; {memory} has a vocabulary of {base.config.vocab_size}"
        )
    whole = replace(
        choice,
        vocab_size=base.config.vocab_size,
        trained_bytes=0,
        tokens=max(base.tokens + (choice.tokens if action == "add" else 0), choice.tokens),
        documents=base.documents + choice.documents,
        sample=(),
    )
    statement = change_statement(
        action, memory, base=base, inputs=inputs, options=options, stamp=CorpusStamp.of(corpus)
    )
    machines = machines_for(options.resources)
    plan = plan_for(
        base.config,
        whole,
        _largest_split(base, corpus),
        resources=options.resources,
        machines=machines,
        records_bytes=_COMPARED_BYTES * whole.documents + FILE_BYTES * corpus.files,
    )
    return PreparedCorpus(
        corpus=corpus,
        choice=whole,
        plan=plan,
        budget=machines.budget,
        statement=statement,
        repetition=base.repetition,
        target_recall=base.target_recall,
    )


def prepare_from_kept(memory: Path, *, base: Manifest, tokenizer: Tokenizer | None, options: ChangeOptions) -> Prepared:
    """Fix everything of a forgetting that reads kept batches alone.

    Raises:
        ConfigError: a stopped change of the same generation was another change.
    """
    choice = TokenizerChoice(
        tokenizer=tokenizer,
        vocab_size=base.config.vocab_size,
        trained_bytes=0,
        tokens=base.tokens,
        documents=base.documents,
    )
    stamp = CorpusStamp(sources="", splits="")
    statement = change_statement("forget", memory, base=base, inputs=[], options=options, stamp=stamp)
    machines = machines_for(options.resources)
    plan = plan_for(
        base.config,
        choice,
        _largest_split(base),
        resources=options.resources,
        machines=machines,
        records_bytes=_COMPARED_BYTES * base.documents,
    )
    return Prepared(choice=choice, plan=plan, budget=machines.budget, statement=statement)


def _largest_split(base: Manifest, corpus: CorpusPlan | None = None) -> int:
    """Bytes of text of the largest split, or of what the largest kept batch was made of."""
    kept = _TOKEN_BYTES * max((batch.tokens for batch in base.batches), default=0)
    return max(kept, 1 if corpus is None else corpus.largest_split)


def change_statement(
    action: str, memory: Path, *, base: Manifest, inputs: list[str], options: ChangeOptions, stamp: CorpusStamp
) -> ChangeStatement:
    """The statement; a stopped change of the same generation must have the same, one of another is removed."""
    statement = ChangeStatement(
        action=action,
        generation=operation_of("", base),
        inputs=inputs,
        documents=list(options.documents),
        settings={**asdict(options.corpus), **({"keep_missing": options.keep_missing} if action == "sync" else {})},
        corpus=stamp,
    )
    stopped = unfinished_statement(memory)
    if stopped is not None and stopped.get("generation") == statement.generation and not _outdated(statement, stopped):
        stamp.require_sources(workspace_path(memory), memory)
        require_same(statement.to_dict(), stopped, memory, place=workspace_path(memory))
    elif stopped is not None:  # of a generation, or of texts, that are no more
        shutil.rmtree(workspace_path(memory))
    return statement


def remove_outdated(memory: Path, base: Manifest) -> None:
    """Remove what a stopped change of a generation that is no more has left, such as one that was all but done."""
    stopped = unfinished_statement(memory)
    if stopped is not None and stopped.get("generation") != operation_of("", base):
        shutil.rmtree(workspace_path(memory))


def _outdated(statement: ChangeStatement, stopped: dict[str, object]) -> bool:
    """Whether a stopped sync was of texts as they were then: what the memory is brought to is what they are now."""
    same_kind = statement.action == "sync" == stopped.get("action")
    return same_kind and statement.corpus.to_dict() != {name: stopped.get(name) for name in statement.corpus.to_dict()}


def _measure(
    memory: Path, inputs: list[str], *, options: ChangeOptions, alias: str | None, streams: bool
) -> tuple[CorpusPlan, TokenizerChoice]:
    """The corpus in splits, and how much it holds."""
    if options.token_ids:
        corpus, found = plan_token_ids(inputs, options.corpus)
        return corpus, TokenizerChoice(
            tokenizer=None,
            vocab_size=found.vocab_size,
            trained_bytes=0,
            tokens=found.tokens,
            documents=found.documents,
        )
    corpus = plan_corpus(inputs, options.corpus, streams=streams)
    if alias is not None and corpus.is_one_document:
        corpus = replace(corpus, splits=corpus.splits.renamed(alias))
    return corpus, choose_tokenizer(corpus, str(memory / TOKENIZER_FILE))
