"""memo-dist reproduce: the paper's experiments, a table and a plot beside the published figures."""

from typing import Annotated

import typer

from console.flags import AsJson, ConfigFile
from console.output import ProgressLine
from console.reproducing import (
    Out,
    Seeds,
    Shown,
    available_bytes,
    directory,
    measure_missing,
    numbers,
    report,
    require_same,
)
from memo_dist.errors import ConfigError
from memo_dist.experiments.capacity import CapacityRow, CapacityRun, run_capacity
from memo_dist.experiments.layers import VOCABULARY, LayersRow, LayersRun, run_layers
from memo_dist.experiments.plots import plot_capacity, plot_layers
from memo_dist.experiments.published import published_capacity
from memo_dist.experiments.random_tokens import SEQUENCES
from memo_dist.experiments.report import capacity_table, layers_table
from memo_dist.experiments.rows import RowFile
from memo_dist.models import MODELS
from memo_dist.planning.fit import require_experiment

Presets = Annotated[str, typer.Option(help="paper, text or both, at the same number of parameters.")]

_LAYERS_COLUMNS = {
    "preset": "preset",
    "inner_dim": "dim",
    "num_layers": "layers",
    "decoys": "decoys",
    "iteration": "batch",
    "load": "load",
    "recall_first": "recall",
    "recall_first_sd": "sd",
    "published_first": "published",
    "difference": "above",
}
_CAPACITY_COLUMNS = {
    "preset": "preset",
    "num_heads": "heads",
    "key_dim": "key dim",
    "value_dim": "value dim",
    "pairs_at_90": "pairs",
    "pairs_at_90_sd": "sd",
    "published": "published",
    "difference_share": "above",
}


def layers_command(
    out: Out,
    dims: Annotated[str, typer.Option(help="inner_dim: the memory has its square in parameters.")] = "1024",
    layers: Annotated[str, typer.Option(help="Numbers of layers.")] = "1,2,3",
    decoys: Annotated[str, typer.Option(help="Decoys a sequence.")] = "0,20",
    iterations: Annotated[int, typer.Option(min=1, help="Batches of 30,720 tokens.")] = 10,
    seeds: Seeds = 1,
    presets: Presets = "paper,text",
    sequences: Annotated[int, typer.Option(min=1, max=SEQUENCES, help="Sequences of a batch that are scored.")] = 4,
    composition: Annotated[str, typer.Option(help="jlt or product; published is jlt.")] = "jlt",
    vocab_size: Annotated[int, typer.Option(min=2, max=2**31, help="Different tokens.")] = VOCABULARY,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """Recall of random tokens, batch after batch, with and without decoys."""
    available = available_bytes()
    if composition not in ("jlt", "product"):
        raise ConfigError(f"--composition is {composition!r}; expected jlt or product")
    runs = [
        LayersRun(name, dim, layer, decoy, seed=seed, vocab_size=vocab_size, composition=composition)
        for seed in range(seeds)
        for dim in numbers(dims, "dims")
        for decoy in numbers(decoys, "decoys", least=0)
        for layer in numbers(layers, "layers")
        for name in presets_of(presets)
    ]
    for run in runs:
        _require_possible(run)
        require_experiment(run.config(), available)
    rows = RowFile(directory(out) / "layers-runs.csv", LayersRow)
    require_same(rows, {"vocab_size": vocab_size, "composition": composition, "sequences": sequences})
    with ProgressLine("layers", "rows") as line:
        for number, run in enumerate(runs):
            known = frozenset(row.iteration for row in rows.rows if run.made(row))
            line.update(number / len(runs), len(rows.rows))
            if known >= set(range(iterations)):
                continue
            for row in run_layers(run, iterations=iterations, sequences=sequences, done=known):
                rows.append(row)
                line.update((number + (row.iteration + 1) / iterations) / len(runs), len(rows.rows))
    shown = Shown("layers", "Recall of the first batch", _LAYERS_COLUMNS, plot_layers)
    report(layers_table(rows.rows), out, shown=shown, as_json=as_json)


def capacity_command(
    out: Out,
    heads: Annotated[str | None, typer.Option(help="Only published rows with these numbers of heads.")] = None,
    most_key_dim: Annotated[int, typer.Option(min=1, help="Only published rows up to this key_dim.")] = 512,
    most_value_dim: Annotated[int, typer.Option(min=1, help="Only published rows up to this value_dim.")] = 512,
    seeds: Seeds = 1,
    presets: Presets = "paper,text",
    scored: Annotated[int, typer.Option(min=100, help="Pairs asked at each probe.")] = 2000,
    as_json: AsJson = False,
    settings: ConfigFile = None,
) -> None:
    """How many random pairs one matrix holds at 90% recall."""
    available = available_bytes()
    wanted = None if heads is None else numbers(heads, "heads")
    shapes = [
        shape
        for shape in published_capacity()
        if shape[1] <= most_key_dim and shape[2] <= most_value_dim and (wanted is None or shape[0] in wanted)
    ]
    if not shapes:
        raise ConfigError("no published row is that small; raise --most-key-dim, --most-value-dim or leave out --heads")
    runs = [
        CapacityRun(name, count, key_dim, value_dim, seed=seed)
        for seed in range(seeds)
        for count, key_dim, value_dim in shapes
        for name in presets_of(presets)
    ]
    for run in runs:
        require_experiment(run.config(), available)
    rows = RowFile(directory(out) / "capacity-runs.csv", CapacityRow)
    require_same(rows, {"scored": scored})
    measure_missing(rows, runs, name="capacity", measure=lambda run: run_capacity(run, scored))
    shown = Shown("capacity", "Pairs stored when recall falls below 90%", _CAPACITY_COLUMNS, plot_capacity)
    report(capacity_table(rows.rows), out, shown=shown, as_json=as_json)


def _require_possible(run: LayersRun) -> None:
    """Refuse what cannot be run before anything is."""
    try:
        run.config()
    except ConfigError as error:
        raise ConfigError(
            f"--dims {run.inner_dim} --layers {run.num_layers} --presets {run.preset} cannot be run: {error}"
        ) from error


def presets_of(text: str) -> list[str]:
    names = [name.strip() for name in str(text).split(",")]
    if set(names) - set(MODELS):
        raise ConfigError(f"--presets is {text!r}; expected {' or '.join(MODELS)}, or both with a comma")
    return names
