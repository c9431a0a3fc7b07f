"""Prepare: inputs and options -> corpus in units, tokenizer, plan, and the statement of what is built.

Covers: everything that is fixed before a build starts, anew or from the statement of a stopped one. Does not cover:
running it (build.py).
"""

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cluster.ray_session import local_cpus, memory_budget
from cluster.resources import Resources
from cluster.statement import BuildStatement, ChangeStatement, CorpusStamp, require_same
from cluster.workspace import workspace_path
from memo_dist.errors import ConfigError
from memo_dist.files.manifest import TOKENIZER_FILE
from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_named
from memo_dist.models.protocol import AskedShape
from memo_dist.models.repetition import Repetition, TextSize
from memo_dist.planning.memory_plan import MemoryPlan, fit_plan
from memo_dist.planning.repetition import SAMPLE_TOKENS, measure_repetition
from memo_dist.tokenizer import Tokenizer
from pipelines.plan import CorpusOptions, CorpusPlan, plan_corpus, plan_token_ids
from pipelines.tokenizing import TokenizerChoice, choose_tokenizer


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What the command line gives; see `memo-dist build --help`. None: chosen from the corpus.

    Attributes:
        resources: what the build may take; no part of what it makes.
        corpus: how the inputs are found and read.
        token_ids: the inputs are parquet files of token ids, and `vocab_size` may say how many ids there are.
    """

    resources: Resources = field(default_factory=Resources)
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


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A build or a change that can start. `repetition`: of the text, as a sample shows it; None if there was none."""

    corpus: CorpusPlan
    choice: TokenizerChoice
    plan: MemoryPlan
    statement: BuildStatement | ChangeStatement
    repetition: Repetition | None = None


def prepare(inputs: list[str], out: Path, *, options: BuildOptions, stopped: dict[str, Any] | None = None) -> Prepared:
    """Fix everything.

    Args:
        stopped: the statement of a stopped build of `out`, to be continued: tokenizer and shape are taken from it.

    Raises:
        ConfigError: a setting is bad, or differs from the stopped build's; a source changed since.
        InputError: the corpus cannot be read. DamagedMemoryError: the stopped build's statement is not whole.
    """
    if not 0 < options.target_recall < 1:
        raise ConfigError(f"--target-recall is {options.target_recall}; expected between 0 and 1, such as 0.99")
    settings = _settings(options)
    place = None if stopped is None else workspace_path(out)
    if stopped is not None:
        _require_part({"inputs": inputs, "settings": settings}, stopped, out)
    corpus, choice = _measure(inputs, options, place)
    stamp = CorpusStamp.of(corpus)
    if stopped is not None:
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
    plan = plan_for(config, corpus, choice, resources=options.resources, repetition=repetition)
    statement = BuildStatement(
        inputs=inputs,
        settings=settings,
        corpus=stamp,
        config=config,
        tokens=choice.tokens,
        documents=choice.documents,
        repetition=repetition,
    )
    return Prepared(corpus=corpus, choice=choice, plan=plan, statement=statement, repetition=repetition)


def _settings(options: BuildOptions) -> dict[str, Any]:
    """Every setting that the result depends on, by name: all but the resources."""
    settings = {name: value for name, value in asdict(options).items() if name != "resources"}
    corpus = settings.pop("corpus")
    return {**settings, **corpus}


def _require_part(ours: dict[str, Any], stopped: dict[str, Any], out: Path) -> None:
    """Refuse a difference between a part of this build's statement and the same part of a stopped one's."""
    require_same(ours, {name: stopped.get(name) for name in ours}, out, place=workspace_path(out))


def _repetition(choice: TokenizerChoice, options: BuildOptions) -> Repetition | None:
    model = model_named(options.preset)
    if not choice.sample or not model.uses_repetition:
        return None
    return measure_repetition(
        list(choice.sample), model.asked_config(choice.vocab_size, _shape(options)), SAMPLE_TOKENS
    )


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
    *,
    resources: Resources,
    repetition: Repetition | None = None,
) -> MemoryPlan:
    """The plan of a run: how many shards and workers, and what they take."""
    return fit_plan(
        config,
        TextSize(choice.tokens, choice.documents, repetition),
        shards=resources.shards,
        cpus=local_cpus(),
        unit_bytes=corpus.largest_unit,
        budget=memory_budget(resources.memory_budget),
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
    return AskedShape(
        num_banks=options.num_banks,
        inner_dim=options.inner_dim,
        num_heads=options.num_heads,
        num_layers=options.num_layers,
        composition=options.composition,
        seed=options.seed,
    )
