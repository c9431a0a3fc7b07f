"""Prepare: inputs and options -> corpus in units, tokenizer, plan, and the statement of what is built.

Covers: everything that is fixed before a build starts, anew or from the statement of a stopped one. Does not cover:
running it (build.py).
"""

import hashlib
import math
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from cluster.ray_session import local_cpus, memory_budget
from cluster.workspace import require_same, workspace_path
from memo_dist.config import MemoryConfig
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import TOKENIZER_FILE
from memo_dist.planning.capacity import with_banks_for, with_dim_for
from memo_dist.planning.memory_plan import MemoryPlan, fit_plan
from memo_dist.planning.repetition import SAMPLE_TOKENS, Repetition, measure_repetition, repetition_of
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus, plan_token_ids
from pipelines.sources import source_stamp
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer

_MAY_CHANGE = (
    "shards",
    "device",
    "address",
    "memory_budget",
    "scratch",
    "checkpoint_every",
)  # from one attempt to the next


@dataclass(frozen=True)
class BuildOptions:
    """What the command line gives; see `memo-dist build --help`. None: chosen from the corpus or the machine.

    `token_ids`: the inputs are parquet files of token ids, and `vocab_size` may say how many there are.
    `scratch`: where shards keep banks that the budget does not hold; None: beside the output.
    `checkpoint_every`: seconds of work that may be lost.
    """

    corpus: CorpusOptions = field(default_factory=CorpusOptions)
    preset: str = "text"
    composition: str = "jlt"
    tokenizer: str = "auto"
    token_ids: bool = False
    vocab_size: int | None = None
    target_recall: float = 0.99
    inner_dim: int | None = None
    num_heads: int = 4
    num_layers: int = 3
    num_banks: int | None = None
    seed: int = 0
    shards: int | None = None
    device: str = "cpu"
    address: str | None = None
    memory_budget: int | None = None
    scratch: Path | None = None
    checkpoint_every: float = 60.0


class Room(Protocol):
    """What a plan needs of the options of a build or a change."""

    @property
    def shards(self) -> int | None: ...
    @property
    def memory_budget(self) -> int | None: ...


@dataclass(frozen=True)
class Prepared:
    """A build that can start. `repetition`: of the text, as a sample shows it; None if there was none."""

    corpus: CorpusPlan
    choice: TokenizerChoice
    plan: MemoryPlan
    statement: dict[str, Any]
    repetition: Repetition | None = None


def prepare(inputs: list[str], out: Path, options: BuildOptions, stopped: dict[str, Any] | None) -> Prepared:
    """Fix everything.

    Args:
        stopped: the statement of a stopped build of `out`, to be continued: tokenizer and shape are taken from it.

    Raises:
        ConfigError: a setting is bad, or differs from the stopped build's; a source changed since.
        InputError: the corpus cannot be read.
    """
    if not 0 < options.target_recall < 1:
        raise ConfigError(f"--target-recall is {options.target_recall}; expected between 0 and 1, such as 0.99")
    if options.checkpoint_every <= 0:
        raise ConfigError(f"--checkpoint-every is {options.checkpoint_every}; expected seconds of work, such as 60")
    asked = _asked(inputs, options)
    if stopped is not None:
        require_same(asked, {name: stopped.get(name) for name in asked}, out)
    corpus, choice = _measure(inputs, options, None if stopped is None else workspace_path(out))
    found = found_sources(corpus)
    if stopped is not None:
        require_same(found, {name: stopped.get(name) for name in found}, out)
        config = MemoryConfig.from_dict(stopped["config"])
        choice = TokenizerChoice(
            tokenizer=choice.tokenizer,
            vocab_size=config.vocab_size,
            trained_bytes=0,
            tokens=stopped["tokens"],
            documents=stopped["documents"],
        )
        repetition = repetition_of(stopped)
    else:
        repetition = _repetition(choice, options)
        config = choose_config(choice, options, repetition)
        choice = replace(choice, sample=())  # it has told what it can
    counts = {"config": config.to_dict(), "tokens": choice.tokens, "documents": choice.documents}
    told = {} if repetition is None else {"repetition": repetition.to_dict()}
    plan = plan_for(config, corpus, choice, options, repetition)
    return Prepared(corpus, choice, plan, {**asked, **found, **counts, **told}, repetition)


def _repetition(choice: TokenizerChoice, options: BuildOptions) -> Repetition | None:
    if not choice.sample or options.preset != "text":
        return None
    return measure_repetition(list(choice.sample), _text_config(choice, options), SAMPLE_TOKENS)


def _asked(inputs: list[str], options: BuildOptions) -> dict[str, Any]:
    settings = {name: value for name, value in asdict(options).items() if name not in _MAY_CHANGE}
    corpus = settings.pop("corpus")
    return {"inputs": inputs, "settings": {**settings, **corpus}}


def found_sources(corpus: CorpusPlan) -> dict[str, Any]:
    """The part of a statement that changes when a source does."""
    sources = {span.source.url: span.source for unit in corpus.units for span in unit.spans}
    units = hashlib.blake2b("".join(unit.batch_id for unit in corpus.units).encode(), digest_size=16)
    return {"sources": {s.name: source_stamp(s) for s in sources.values()}, "units": units.hexdigest()}


def _measure(inputs: list[str], options: BuildOptions, workspace: Path | None) -> tuple[CorpusPlan, TokenizerChoice]:
    """The corpus in units, its tokenizer, and how many tokens it has; a stopped build's tokenizer is read again."""
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
    corpus = plan_corpus(inputs, options.corpus)
    if workspace is not None:
        tokenizer = Tokenizer.from_file(workspace / TOKENIZER_FILE)
        return corpus, TokenizerChoice(
            tokenizer=tokenizer, vocab_size=tokenizer.vocab_size, trained_bytes=0, tokens=0, documents=0
        )
    return corpus, choose_tokenizer(corpus, options.tokenizer)


def plan_for(
    config: MemoryConfig,
    corpus: CorpusPlan,
    choice: TokenizerChoice,
    options: Room,
    repetition: Repetition | None = None,
) -> MemoryPlan:
    """What a run will take."""
    budget = memory_budget(options.memory_budget)
    cpus, unit = local_cpus(), corpus.largest_unit
    return fit_plan(config, choice.tokens, choice.documents, options.shards, cpus, unit, budget, repetition)


def choose_config(choice: TokenizerChoice, options: BuildOptions, repetition: Repetition | None = None) -> MemoryConfig:
    """The memory's shape: as asked for, else as large as the capacity law says.

    Raises:
        ConfigError: a setting is out of range, belongs to another preset, or the memory would be too large.
    """
    if options.preset == "paper":
        if options.num_banks is not None:
            raise ConfigError("--banks belongs to the preset 'text'; the preset 'paper' has one matrix: give --dim")
        heads, layers = options.num_heads, options.num_layers
        smallest = math.lcm(heads, 16)
        config = MemoryConfig.paper(
            choice.vocab_size, options.inner_dim or smallest, heads, layers, options.composition, seed=options.seed
        )
        return config if options.inner_dim else with_dim_for(config, options.target_recall, choice.tokens)
    if options.preset != "text":
        raise ConfigError(f"--preset is {options.preset!r}; expected text or paper")
    config = _text_config(choice, options)
    if options.num_banks is not None:
        return config
    return with_banks_for(config, options.target_recall, choice.tokens, choice.documents, repetition)


def _text_config(choice: TokenizerChoice, options: BuildOptions) -> MemoryConfig:
    return MemoryConfig.text(
        num_banks=1 if options.num_banks is None else options.num_banks,
        vocab_size=choice.vocab_size,
        inner_dim=256 if options.inner_dim is None else options.inner_dim,
        num_heads=options.num_heads,
        num_layers=options.num_layers,
        seed=options.seed,
    )
