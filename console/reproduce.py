"""memo-dist reproduce: the paper's experiments, a table and a plot beside the published figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from console.flags import AsJson, ConfigFile
from console.output import ProgressLine, print_json, print_rows
from memo_dist.durable import writing
from memo_dist.errors import ConfigError, InputError
from memo_dist.experiments.capacity import CapacityRow, CapacityRun, run_capacity
from memo_dist.experiments.layers import VOCABULARY, LayersRow, LayersRun, run_layers
from memo_dist.experiments.published import published_capacity
from memo_dist.experiments.random_tokens import SEQUENCES
from memo_dist.experiments.report import capacity_table, layers_table, write_table
from memo_dist.experiments.rows import RowFile
from memo_dist.extras import require
from memo_dist.models import MODELS
from memo_dist.planning.fit import require_experiment

Out = Annotated[Path, typer.Option(help="Directory for tables and plots; a stopped run goes on from what is there.")]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each row, with seeds 0, 1, ...")]
Presets = Annotated[str, typer.Option(help="paper, text or both, at the same number of parameters.")]


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
    available = _available_bytes()
    if composition not in ("jlt", "product"):
        raise ConfigError(f"--composition is {composition!r}; expected jlt or product")
    runs = [
        LayersRun(name, dim, layer, decoy, seed=seed, vocab_size=vocab_size, composition=composition)
        for seed in range(seeds)
        for dim in _numbers(dims, "dims")
        for decoy in _numbers(decoys, "decoys", least=0)
        for layer in _numbers(layers, "layers")
        for name in _presets(presets)
    ]
    for run in runs:
        _require_possible(run)
        require_experiment(run.config(), available)
    rows = RowFile(_directory(out) / "layers-runs.csv", LayersRow)
    _require_same(rows, {"vocab_size": vocab_size, "composition": composition, "sequences": sequences})
    with ProgressLine("layers", "rows") as line:
        for number, run in enumerate(runs):
            known = frozenset(row.iteration for row in rows.rows if run.made(row))
            line.update(number / len(runs), len(rows.rows))
            if known >= set(range(iterations)):
                continue
            for row in run_layers(run, iterations=iterations, sequences=sequences, done=known):
                rows.append(row)
                line.update((number + (row.iteration + 1) / iterations) / len(runs), len(rows.rows))
    _report(layers_table(rows.rows), out, name="layers", show=_show_layers, as_json=as_json)


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
    available = _available_bytes()
    wanted = None if heads is None else _numbers(heads, "heads")
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
        for name in _presets(presets)
    ]
    for run in runs:
        require_experiment(run.config(), available)
    rows = RowFile(_directory(out) / "capacity-runs.csv", CapacityRow)
    _require_same(rows, {"scored": scored})
    with ProgressLine("capacity", "rows") as line:
        for number, run in enumerate(runs):
            line.update(number / len(runs), len(rows.rows))
            if not any(run.made(row) for row in rows.rows):
                rows.append(run_capacity(run, scored))
        line.update(1, len(rows.rows))
    _report(capacity_table(rows.rows), out, name="capacity", show=_show_capacity, as_json=as_json)


def _report(
    table: list[dict[str, Any]],
    out: Path,
    *,
    name: str,
    show: Callable[[list[dict[str, Any]]], None],
    as_json: bool,
) -> None:
    from memo_dist.experiments.plots import plot_capacity, plot_layers

    plot = plot_layers if name == "layers" else plot_capacity
    files = [*write_table(table, out, name), *plot(table, out)]
    if as_json:
        print_json({"rows": table, "files": [str(path) for path in files]})
        return
    show(table)
    print("written: " + ", ".join(str(path) for path in files))


def _show_layers(table: list[dict[str, Any]]) -> None:
    columns = {
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
    print_rows("Recall of the first batch", columns, table)


def _show_capacity(table: list[dict[str, Any]]) -> None:
    columns = {
        "preset": "preset",
        "num_heads": "heads",
        "key_dim": "key dim",
        "value_dim": "value dim",
        "pairs_at_90": "pairs",
        "pairs_at_90_sd": "sd",
        "published": "published",
        "difference_share": "above",
    }
    print_rows("Pairs stored when recall falls below 90%", columns, table)


def _require_possible(run: LayersRun) -> None:
    """Refuse what cannot be run before anything is."""
    try:
        run.config()
    except ConfigError as error:
        raise ConfigError(
            f"--dims {run.inner_dim} --layers {run.num_layers} --presets {run.preset} cannot be run: {error}"
        ) from error


def _available_bytes() -> int:
    """Memory that is free now; refuses to begin hours of work without the libraries that end it."""
    require("psutil", "scipy", "matplotlib")
    import psutil

    return int(psutil.virtual_memory().available)


def _directory(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file; expected a directory, there or to be made")
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    return out


def _numbers(text: str, name: str, least: int = 1) -> list[int]:
    try:
        values = sorted({int(word) for word in str(text).split(",")})
    except ValueError as error:
        raise ConfigError(f"--{name} is {text!r}; expected whole numbers with commas, such as 1024,2048") from error
    if values[0] < least:
        raise ConfigError(f"--{name} is {text!r}; expected whole numbers from {least}")
    return values


def _presets(text: str) -> list[str]:
    names = [name.strip() for name in str(text).split(",")]
    if set(names) - set(MODELS):
        raise ConfigError(f"--presets is {text!r}; expected {' or '.join(MODELS)}, or both with a comma")
    return names


def _require_same(rows: RowFile[Any], settings: dict[str, Any]) -> None:
    """Raise InputError if rows that are there were measured otherwise."""
    for row in rows.rows:
        for name, value in settings.items():
            if getattr(row, name) != value:
                raise InputError(
                    f"{rows.path} holds rows measured with {name} {getattr(row, name)}, not {value}; "
                    "give the same setting or another --out"
                )
