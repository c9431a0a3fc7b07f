"""Prepare: inputs and options -> corpus in splits, tokenizer, plan, and the statement of what is built.

Covers: everything that is fixed before a build starts, anew or from the statement of a stopped one. Does not cover:
running it (build.py).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from cluster.corpus_stamp import CorpusStamp
from cluster.machine import Machines, machines_for
from cluster.resources import NO_CLUSTER, Resources
from cluster.session import runs_in_process
from cluster.statement import BuildStatement, ChangeStatement, require_same
from cluster.workspace import workspace_path
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import TOKENIZER_FILE
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import encoder_for, model_named
from memo_dist.models.protocol import AskedShape
from memo_dist.models.repetition import Repetition, TextSize
from memo_dist.planning.fit import fit_plan
from memo_dist.planning.memory_plan import MemoryPlan
from memo_dist.planning.repetition import SAMPLE_TOKENS, measure_repetition
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus, plan_token_ids
from pipelines.release_memory import return_freed_memory
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

FILE_BYTES = 300  # of a small file in the driver: in columns twice, and its stamp


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What the command line gives; see `memo-dist build --help`. None: chosen from the corpus.

    Attributes:
        resources: what the build may take; no part of what it makes.
        corpus: how the inputs are found and read.
        token_ids: the inputs are parquet files of token ids, and `vocab_size` may say how many ids there are.
        keep_tokens: the memory keeps its token batches.
    """

    resources: Resources = field(default_factory=Resources)
    corpus: CorpusOptions = field(default_factory=CorpusOptions)
    preset: str = "text"
    composition: str | None = None
    tokenizer: str = "auto"
    token_ids: bool = False
    vocab_size: int | None = None
    target_recall: float = 0.996
    inner_dim: int | None = None
    windows: tuple[int, ...] | None = None
    keys: str | None = None
    num_heads: int | None = None
    num_layers: int | None = None
    num_banks: int | None = None
    seed: int = 0
    keep_tokens: bool = True


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A build or a change that can start.

    Attributes:
        plan: with the number of banks as a sample shows it, or as asked for. budget: bytes that it may take.
        repetition: of the text, as a sample shows it; None if there was none.
        target_recall: that the number of banks is chosen for, once all is counted; None: it is asked for.
    """

    choice: TokenizerChoice
    plan: MemoryPlan
    budget: int
    statement: BuildStatement | ChangeStatement
    repetition: Repetition | None = None
    target_recall: float | None = None


@dataclass(frozen=True, kw_only=True)
class PreparedCorpus(Prepared):
    """One that reads a corpus."""

    corpus: CorpusPlan


def prepare(
    inputs: list[str], out: Path, *, options: BuildOptions, stopped: dict[str, Any] | None = None
) -> PreparedCorpus:
    """Fix everything.

    Args:
        stopped: the statement of a stopped build of `out`, to be continued: tokenizer and shape are taken from it.

    Raises:
        ConfigError: a setting is bad, or differs from the stopped build's; a source changed since.
        InputError: the corpus cannot be read. DamagedMemoryError: the stopped build's statement is not whole.
    """
    if not 0 < options.target_recall < 1:
        raise ConfigError(f"--target-recall is {options.target_recall}; expected between 0 and 1, such as 0.99")
    settings = settings_of(options)
    place = None if stopped is None else workspace_path(out)
    if stopped is not None:
        _require_part({"inputs": inputs, "settings": settings}, stopped, out)
    with ThreadPoolExecutor(1) as beside:
        beside.submit(_load_kernels, options)  # whatever is wrong with the options is said below
        corpus, choice = _measure(inputs, options, place)
    stamp = CorpusStamp.of(corpus)
    if stopped is not None:
        stamp.require_sources(workspace_path(out), out)
        _require_part(stamp.to_dict(), stopped, out)
        before = BuildStatement.from_dict(stopped)
        config, repetition = before.config, before.repetition
        choice = TokenizerChoice(
            tokenizer=choice.tokenizer,
            vocab_size=config.vocab_size,
            trained_bytes=0,
            tokens=before.tokens,
            documents=before.documents,
        )
    else:
        repetition = _repetition(choice, options)
        config = choose_config(choice, options, repetition)
        choice = replace(choice, sample=())  # the sample is large, and was needed for the repetition alone
    machines = machines_for(options.resources)
    plan = plan_for(
        config,
        choice,
        corpus.largest_split,
        resources=options.resources,
        machines=machines,
        repetition=repetition,
        records_bytes=FILE_BYTES * corpus.files,
    )
    statement = BuildStatement(
        inputs=inputs,
        settings=settings,
        corpus=stamp,
        config=config,
        tokens=choice.tokens,
        documents=choice.documents,
        repetition=repetition,
    )
    model = model_named(options.preset)
    chosen = model.has_ledger and not model.is_sized(_shape(options))
    return PreparedCorpus(
        corpus=corpus,
        choice=choice,
        plan=plan,
        statement=statement,
        repetition=repetition,
        target_recall=options.target_recall if chosen else None,
        budget=machines.budget,
    )


def settings_of(options: BuildOptions) -> dict[str, Any]:
    """Every setting that the result depends on, by name: all but the resources."""
    settings = {name: value for name, value in asdict(options).items() if name != "resources"}
    corpus = settings.pop("corpus")
    return {**settings, **corpus}


def options_of(settings: dict[str, Any], resources: Resources) -> BuildOptions:
    """The options that `settings_of` gave these settings of, also by way of JSON."""
    names = {one.name for one in fields(CorpusOptions)}
    ours = {name: value for name, value in settings.items() if name not in names}
    windows = ours.pop("windows")
    corpus = CorpusOptions(**{name: value for name, value in settings.items() if name in names})
    return BuildOptions(resources=resources, corpus=corpus, windows=windows and tuple(windows), **ours)


def _require_part(ours: dict[str, Any], stopped: dict[str, Any], out: Path) -> None:
    """Refuse a difference between a part of this build's statement and the same part of a stopped one's."""
    require_same(ours, {name: stopped.get(name) for name in ours}, out, place=workspace_path(out))


def _load_kernels(options: BuildOptions) -> None:
    """Hash a token: what hashes takes half a second to load, for which training a tokenizer leaves a processor."""
    model = model_named(options.preset)
    if model.uses_repetition:
        encoder = encoder_for(model.asked_config(1, _shape(options)), None)
        list(encoder.targets([Segment(0, NO_TOKENS, np.zeros(1, np.uint32), True)]))


def _repetition(choice: TokenizerChoice, options: BuildOptions) -> Repetition | None:
    model = model_named(options.preset)
    if not choice.sample or not model.uses_repetition:
        return None
    config = model.asked_config(choice.vocab_size, _shape(options))
    repetition = measure_repetition(list(choice.sample), encoder_for(config, choice.tokenizer), SAMPLE_TOKENS)
    return_freed_memory()  # 180 MB, which the driver would keep to its end
    return repetition


def _measure(inputs: list[str], options: BuildOptions, workspace: Path | None) -> tuple[CorpusPlan, TokenizerChoice]:
    """The corpus in splits, its tokenizer, and how many tokens it has; a stopped build's tokenizer is read again."""
    if options.token_ids:
        if options.tokenizer != "auto":
            raise ConfigError(f"--tokenizer {options.tokenizer} belongs to text; --token-ids are tokenized already")
        corpus, found = plan_token_ids(inputs, options.corpus)
        size = found.vocab_size if options.vocab_size is None else options.vocab_size
        if size < found.vocab_size:
            raise ConfigError(
                f"--vocab-size is {size}, but the highest token id is {found.vocab_size - 1}; give at least "
                f"{found.vocab_size}, or leave it out"
            )
        return corpus, TokenizerChoice(
            tokenizer=None, vocab_size=size, trained_bytes=0, tokens=found.tokens, documents=found.documents
        )
    if options.vocab_size is not None:
        raise ConfigError("--vocab-size belongs to --token-ids; text has as many tokens as its tokenizer")
    corpus = plan_corpus(inputs, options.corpus, streams=model_named(options.preset).has_ledger)
    if workspace is not None:
        tokenizer = Tokenizer.from_file(workspace / TOKENIZER_FILE)
        return corpus, TokenizerChoice(
            tokenizer=tokenizer, vocab_size=tokenizer.vocab_size, trained_bytes=0, tokens=0, documents=0
        )
    return corpus, choose_tokenizer(corpus, options.tokenizer)


def plan_for(
    config: MemoryConfig,
    choice: TokenizerChoice,
    largest_split: int,
    *,
    resources: Resources,
    machines: Machines,
    repetition: Repetition | None = None,
    records_bytes: int = 0,
) -> MemoryPlan:
    """The plan of a run: how many shards and workers, and what they take.

    Args:
        largest_split: in bytes of text.
        records_bytes: of files that the driver lists, and documents that it compares.
    """
    return fit_plan(
        config,
        TextSize(choice.tokens, choice.documents, repetition),
        shards=resources.shards,
        cpus=machines.processors,
        split_bytes=largest_split,
        budget=machines.budget,
        in_process=runs_in_process(resources, choice.tokens),
        cluster=resources.address != NO_CLUSTER,
        tokenizer_bytes=0 if choice.tokenizer is None else choice.tokenizer.memory_bytes,
        records_bytes=records_bytes,
    )


def choose_config(choice: TokenizerChoice, options: BuildOptions, repetition: Repetition | None = None) -> MemoryConfig:
    """The memory's shape: as asked for, else as large as the capacity law says.

    Raises:
        ConfigError: a setting is out of range, belongs to another preset, or the memory would be too large.
    """
    model, asked = model_named(options.preset), _shape(options)
    config: MemoryConfig = model.asked_config(choice.vocab_size, asked)
    if model.is_sized(asked):
        return config
    sized: MemoryConfig = model.sized(
        config, options.target_recall, TextSize(choice.tokens, choice.documents, repetition)
    )
    return sized


def _shape(options: BuildOptions) -> AskedShape:
    keys = options.keys
    if options.token_ids and model_named(options.preset).uses_repetition:
        if keys == "text":
            raise ConfigError("--keys text needs text; of --token-ids every token is a unit: leave it out")
        keys = "tokens"
    return AskedShape(
        windows=options.windows,
        keys=keys,
        num_banks=options.num_banks,
        inner_dim=options.inner_dim,
        num_heads=options.num_heads,
        num_layers=options.num_layers,
        composition=options.composition,
        seed=options.seed,
    )
