"""The paper's experiments: data, what is scored, rows that survive a stop, tables, plots, `memo-dist reproduce`.

Covers: memo_dist/experiments, console/reproduce.py. Truth: plain loops, figures worked out by hand, undisturbed
runs. What the memory recalls at the published sizes is for benchmarks and docs/explanation/paper.md.
"""

import csv
import json
import re
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from console.app import main
from memo_dist import Memory, MemoryConfig, PaperConfig, TextConfig
from memo_dist.errors import ConfigError, InputError, StorageError
from memo_dist.experiments import capacity
from memo_dist.experiments.capacity import CapacityRow, CapacityRun, run_capacity
from memo_dist.experiments.layers import LayersRow, LayersRun, run_layers, scored_positions, share_recalled
from memo_dist.experiments.published import published_capacity, published_layers
from memo_dist.experiments.random_tokens import pair_segments, random_batch, sequence_segments, sequences_with_decoys
from memo_dist.experiments.report import capacity_table, layers_table, write_table
from memo_dist.experiments.rows import RowFile
from memo_dist.models import cleanup_for, encoder_for

LAYERS = LayersRow("paper", 1024, 1, 0, 0, 50_254, "jlt", 0, 30_720, 1024**2, 30_720, 0.03, 4, 4072, 0.79, 0.79, 1.5)
CAPACITY = CapacityRow("paper", 4, 64, 512, 0, 100_000, 32_768, 2000, 0.95, 0.85, 2000, 1.5)
SMALL = ["--dims", "64", "--layers", "1", "--decoys", "2", "--sequences", "1", "--vocab-size", "300"]
Run = Callable[..., str]


# Data


def repeats(sequence: np.ndarray) -> int:
    """How often the commonest run of four tokens occurs."""
    return max(Counter(tuple(sequence[i : i + 4]) for i in range(len(sequence) - 3)).values())


@pytest.mark.parametrize("decoys", [0, 1, 20, 40])
def test_sequences_contain_their_decoys(decoys: int) -> None:
    tokens = sequences_with_decoys(10**6, decoys, 0, iteration=0)
    assert tokens.shape == (30, 1024)
    counts = [repeats(sequence) for sequence in tokens]
    assert max(counts) <= decoys + 1
    # two of k + 1 copies overlap, and one of them is lost, with chance 7/1021
    assert np.mean(counts) > (decoys + 1) * (1 - 7 / 1021 * (decoys + 1)) - 0.2
    pattern = [tuple(sequence[5:9]) for sequence in tokens]
    at_five = [sum(tuple(s[i : i + 4]) == p for i in range(1021)) for s, p in zip(tokens, pattern, strict=True)]
    assert sum(a == b for a, b in zip(at_five, counts, strict=True)) >= 20  # unless a decoy fell on it


def test_sequences_are_named_by_seed_iteration_and_decoys() -> None:
    first = sequences_with_decoys(300, 3, 1, iteration=2)
    assert first.max() == 299
    assert np.array_equal(first, sequences_with_decoys(300, 3, 1, iteration=2))
    for decoys, seed, iteration in ((3, 2, 2), (3, 1, 3), (4, 1, 2)):
        other = sequences_with_decoys(300, decoys, seed, iteration=iteration)
        assert np.mean(first == other) < 0.05


def test_segments_are_sequences_and_pairs_and_have_no_end() -> None:
    config = TextConfig(num_banks=2, vocab_size=300, inner_dim=64, windows=(4,))
    sequences = sequences_with_decoys(300, 0, 0, iteration=0)
    memory = Memory(config)
    answer = memory.memorize_batch(random_batch(sequence_segments(sequences, 0), "sequences"))
    assert (answer.tokens, answer.documents) == (30 * 1024, 30)
    windows = sequences[0, :400].reshape(100, 4)
    pairs = Memory(config)
    pairs.memorize_batch(random_batch(pair_segments(windows, np.arange(100), 0), "pairs"))
    assert pairs.num_associations == 100  # one target a pair
    assert pairs.retrieve(list(windows)).tokens[:, 0].tolist() == list(range(100))


@pytest.mark.parametrize("preset", ["paper", "text"])
def test_positions_from_the_heads_on_are_scored_but_for_the_last_two_tokens(preset: str) -> None:
    memory = Memory(LayersRun(preset, 64, 2, 0, 0, vocab_size=300).config())
    tokens = sequences_with_decoys(300, 2, 0, iteration=0)[:2]
    contexts, truth = [], []
    for sequence in tokens:
        for position in range(4, len(sequence) - 2):
            contexts.append(sequence[: position + 1].astype(np.int64))
            truth.append(sequence[position + 1])
    cues, following = scored_positions(memory.cleanup, sequence_segments(tokens, 0))
    assert following.tolist() == truth
    asked = memory.cleanup.encoder.query(contexts)
    assert np.array_equal(cues.filled, asked.filled)
    if preset == "text":
        assert np.array_equal(cues.values[cues.filled], asked.values[asked.filled])
    else:
        assert np.allclose(cues.values, asked.values, atol=1e-5)


@pytest.mark.parametrize("preset", ["paper", "text"])
def test_recall_is_the_share_whose_best_token_follows(preset: str) -> None:
    memory = Memory(LayersRun(preset, 128, 1, 0, 0, vocab_size=300).config())
    segments = sequence_segments(sequences_with_decoys(300, 2, 0, iteration=0)[:3], 0)
    memory.memorize_batch(random_batch(segments, "some"))
    cleanup = memory.cleanup
    cues, following = scored_positions(cleanup, segments)
    best = cleanup.rank(cleanup.encoder.retrieve(memory, cues), cues.filled).tokens[:, 0]
    share = share_recalled(memory, cleanup, (cues, following))
    assert 0.1 < share < 1
    assert share == np.mean([a == b for a, b in zip(best.tolist(), following.tolist(), strict=True)])


@pytest.mark.parametrize("noise", [0.05, 0.4, 10.0])
def test_is_best_is_what_is_ranked_first_also_at_the_end_of_a_document(noise: float) -> None:
    vocab = 4200  # the codebook is searched in blocks of 4,096
    config = PaperConfig.of(vocab, 64, num_heads=4, num_layers=2)
    cleanup = cleanup_for(config, encoder_for(config))
    rng = np.random.default_rng(0)
    tokens = np.concatenate([rng.integers(0, vocab + 1, 300), np.full(50, vocab), [0, 4095, 4096]])
    reads = cleanup.encoder.vectors[tokens] + noise * rng.standard_normal((len(tokens), 64), np.float32)  # type: ignore[attr-defined]
    filled = np.ones((len(tokens), 2), bool)
    first = cleanup.rank(reads[:, None], filled).tokens[:, 0]
    found = cleanup.is_best(reads[:, None], filled, tokens)
    assert np.array_equal(found, first == tokens)
    assert found.all() == (noise < 0.1)
    assert cleanup.is_best(reads[:0, None], filled[:0], tokens[:0]).shape == (0,)


# Runs


def test_both_presets_have_as_many_parameters() -> None:
    for dim in (64, 128, 192, 1024, 4096):
        configs = [LayersRun(preset, dim, 3, 0, 0).config() for preset in ("paper", "text")]
        assert {config.num_parameters for config in configs} == {dim * dim}
    for heads, key_dim, value_dim in published_capacity():
        runs = [CapacityRun(preset, heads, key_dim, value_dim, 0).config() for preset in ("paper", "text")]
        assert {config.num_parameters for config in runs} == {key_dim * value_dim}
    with pytest.raises(ConfigError, match="4,225 parameters"):
        LayersRun("text", 65, 1, 0, 0, vocab_size=300).config()


def test_rows_of_a_run_follow_from_the_run_alone() -> None:
    run = LayersRun("paper", 64, 2, 3, 1, vocab_size=300)
    whole = [replace(row, seconds=0) for row in run_layers(run, iterations=3, sequences=1, done=frozenset())]
    rest = [replace(row, seconds=0) for row in run_layers(run, iterations=3, sequences=1, done=frozenset({0, 2}))]
    assert rest == whole[1:2]
    assert [row.iteration for row in whole] == [0, 1, 2]
    assert [row.tokens for row in whole] == [30_720, 61_440, 92_160]
    assert all(run.made(row) and row.scored == 1018 and row.parameters == 64**2 for row in whole)
    assert whole[0].recall_first == whole[0].recall_last
    assert whole[2].load == whole[2].associations / 64**2
    assert not any(replace(run, **{name: 9}).made(whole[0]) for name in asdict(run))


@pytest.mark.parametrize("preset", ["paper", "text"])
def test_capacity_is_the_thousand_at_which_recall_falls(monkeypatch: pytest.MonkeyPatch, preset: str) -> None:
    run = CapacityRun(preset, 4, 128, 512, 0, vocab_size=3000)
    assert run.config().num_parameters == 65_536
    asked: dict[int, float] = {}
    measure = capacity._recall

    def kept(config: MemoryConfig, windows: np.ndarray, *, following: np.ndarray, scored: int) -> float:
        asked[len(windows)] = measure(config, windows, following=following, scored=scored)
        return asked[len(windows)]

    monkeypatch.setattr(capacity, "_recall", kept)
    row = run_capacity(run, 500)
    assert run.made(row)
    assert row.pairs_at_90 % 1000 == 0
    assert row.recall_before == asked.get(row.pairs_at_90 - 1000, 1.0) >= 0.9 > row.recall == asked[row.pairs_at_90]
    assert 1000 < row.pairs_at_90 < 0.05 * row.parameters + 1000
    assert replace(run_capacity(run, 500), seconds=row.seconds) == row


# Rows


@dataclass(frozen=True)
class Sample:
    name: str
    count: int
    share: float


def sample_file(folder: Path) -> RowFile[Sample]:
    return RowFile(folder / "rows.csv", Sample)


SAMPLES = [Sample("a", 1, 0.1), Sample("b", -2, 1 / 3), Sample("c", 3, 1e-300)]


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    for number, sample in enumerate(SAMPLES):
        rows = sample_file(tmp_path)
        assert rows.rows == SAMPLES[:number]
        rows.append(sample)
        assert rows.rows == SAMPLES[: number + 1]
    with open(tmp_path / "rows.csv", newline="") as handle:
        assert list(csv.DictReader(handle))[1] == {"name": "b", "count": "-2", "share": repr(1 / 3)}


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    rows = sample_file(tmp_path)
    for sample in SAMPLES:
        rows.append(sample)
    whole = rows.path.read_bytes()
    for size in range(len(whole)):
        rows.path.write_bytes(whole[:size])
        again = sample_file(tmp_path)
        assert again.rows == SAMPLES[: max(0, whole[:size].count(b"\n") - 1)]
        for sample in SAMPLES[len(again.rows) :]:
            again.append(sample)
        assert rows.path.read_bytes() == whole


FOREIGN = ["x,y\n1,2\n", "name,count\n", "x,y", "notes without an end", "name,count,share,more\na,1,1,1\n", "x,y\n1,2"]


@pytest.mark.parametrize("content", FOREIGN)
def test_a_file_with_other_columns_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(InputError, match=r"rows\.csv has the columns .*name.*count.*share.*another --out"):
        sample_file(tmp_path)
    assert (tmp_path / "rows.csv").read_text() == content


@pytest.mark.parametrize("line", ["b,two,0.5", "b,2,half", "b,2", "b,2,0.5,1", "", "b,2.5,1", '"b,2,0.5'])
def test_a_line_that_is_no_row_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    content = f"name,count,share\na,1,0.5\n{line}\nc,3,0.5\nd,"
    (tmp_path / "rows.csv").write_text(content)
    with pytest.raises(InputError, match=r"rows\.csv line 3 is not a row"):
        sample_file(tmp_path)
    assert (tmp_path / "rows.csv").read_text() == content


def test_what_is_no_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere/rows\.csv"):
        sample_file(tmp_path / "nowhere").append(SAMPLES[0])
    (tmp_path / "rows.csv").mkdir()
    with pytest.raises(InputError, match=r"rows\.csv cannot be read"):
        sample_file(tmp_path)


# Tables


def test_published_figures_are_complete() -> None:
    layers, pairs = published_layers(), published_capacity()
    assert (len(layers), len(pairs)) == (180, 66)
    for (dim, count, decoys, iteration), row in layers.items():
        assert dim in (1024, 2048, 4096)
        assert count in (1, 2, 3, 4)
        assert decoys in (0, 20, 40)
        assert row["tokens_memorized"] == 30_720 * (iteration + 1)
        assert 0 < row["recall_first_batch"] <= 1
        assert 0 < row["recall_last_batch"] <= 1
    runs = {key[:3] for key in layers}
    assert all((*run, iteration) in layers for run in runs for iteration in range(10))
    assert layers[1024, 1, 20, 0]["recall_first_batch"] == 0.1536
    assert pairs[8, 2048, 2048]["stored_pairs_at_90pct"] == 126_000
    assert all(row["stored_pairs_at_90pct"] % 1000 == 0 for row in pairs.values())


def test_a_layers_table_has_means_spread_and_differences() -> None:
    theirs = published_layers()[1024, 1, 0, 0]
    rows = [
        replace(LAYERS, seed=seed, recall_first=first, recall_last=last, load=load)
        for seed, first, last, load in ((0, 0.7, 0.6, 0.01), (1, 0.8, 0.9, 0.02), (2, 0.6, 0.7, 0.06))
    ]
    other = replace(LAYERS, preset="text", recall_first=0.99, recall_last=0.97)
    unknown = replace(LAYERS, inner_dim=64)
    foreign = replace(LAYERS, num_layers=2, vocab_size=300)
    table = layers_table([*rows[:2], other, unknown, rows[2], foreign])
    lines = {(line["preset"], line["inner_dim"], line["num_layers"]): line for line in table}
    assert len(table) == len(lines) == 4
    line = lines["paper", 1024, 1]
    assert (line["seeds"], line["scored"], line["tokens"], line["parameters"]) == (3, 3 * 4072, 30_720, 1024**2)
    assert line["recall_first"] == pytest.approx(0.7)
    assert line["recall_last"] == pytest.approx(2.2 / 3)
    assert line["recall_first_sd"] == pytest.approx(statistics.stdev([0.7, 0.8, 0.6]))
    assert line["recall_last_sd"] == pytest.approx(statistics.stdev([0.6, 0.9, 0.7]))
    assert line["load"] == pytest.approx(0.03)
    first, last = theirs["recall_first_batch"], theirs["recall_last_batch"]
    assert (line["published_first"], line["published_last"]) == (first, last)
    assert line["difference"] == pytest.approx((0.7 + 2.2 / 3) / 2 - (first + last) / 2)
    assert lines["text", 1024, 1]["recall_first_sd"] is None
    assert lines["text", 1024, 1]["difference"] == pytest.approx(0.98 - (first + last) / 2)
    for key in (("paper", 64, 1), ("paper", 1024, 2)):  # a size, and a vocabulary, that were not published
        assert all(lines[key][name] is None for name in ("published_first", "published_last", "difference"))


def test_a_capacity_table_has_means_spread_and_differences() -> None:
    table = capacity_table(
        [
            replace(CAPACITY, pairs_at_90=1000),
            replace(CAPACITY, seed=1, pairs_at_90=2000),
            replace(CAPACITY, preset="text", num_heads=2, key_dim=512, pairs_at_90=10_000, parameters=512 * 512),
        ]
    )
    paper, text = table
    assert (paper["pairs_at_90"], paper["seeds"], paper["published"]) == (1500, 2, 1000)
    assert paper["pairs_at_90_sd"] == pytest.approx(statistics.stdev([1000, 2000]))
    assert (paper["difference_batches"], paper["difference_share"]) == (0.5, 0.5)
    assert paper["pairs_per_parameter"] == pytest.approx(1500 / 32_768)
    assert (text["published"], text["pairs_at_90_sd"]) == (8000, None)
    assert (text["difference_batches"], text["difference_share"]) == (2, 0.25)


def both_tables(folder: Path, name: str) -> list[dict[str, Any]]:
    """A table as its parquet file has it, once the CSV file is found to say the same."""
    table = pq.read_table(folder / f"{name}.parquet")
    assert "null" not in map(str, table.schema.types)  # a reader needs the type also where all figures are missing
    plain = pyarrow.csv.read_csv(folder / f"{name}.csv")
    assert plain.column_names == table.column_names
    rows: list[dict[str, Any]] = table.to_pylist()
    assert plain.to_pylist() == rows
    return rows


def test_both_files_of_a_table_agree_also_where_figures_are_missing(tmp_path: Path) -> None:
    rows = [LAYERS, replace(LAYERS, seed=1, recall_first=1 / 3), replace(LAYERS, inner_dim=64)]
    for number, chosen in enumerate((rows, rows[2:])):
        table = layers_table(chosen)
        assert [path.name for path in write_table(table, tmp_path, f"{number}")] == [
            f"{number}.csv",
            f"{number}.parquet",
        ]
        assert both_tables(tmp_path, f"{number}") == table


# Command line


@pytest.fixture
def reproduce(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run with --json; returns the one object printed."""

    def run(*words: object) -> dict[str, Any]:
        capsys.readouterr()
        assert main(["reproduce", *map(str, words), "--json"]) == 0
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return run


def measured(folder: Path, kind: type = LayersRow, name: str = "layers-runs.csv") -> list[Any]:
    """Rows of an experiment without the time they took, in any order."""
    return sorted((replace(row, seconds=0) for row in RowFile(folder / name, kind).rows), key=repr)


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_rows(tmp_path: Path, reproduce: Callable[..., dict[str, Any]]) -> None:
    whole = reproduce("layers", "--out", tmp_path / "whole", *SMALL, "--iterations", 3)
    reproduce("layers", "--out", tmp_path / "parts", *SMALL, "--iterations", 1)
    runs = tmp_path / "parts" / "layers-runs.csv"
    runs.write_bytes(runs.read_bytes()[:-9])  # as if it was killed within the last row
    parts = reproduce("layers", "--out", tmp_path / "parts", *SMALL, "--iterations", 3)
    rows = measured(tmp_path / "parts")
    assert rows == measured(tmp_path / "whole")
    assert len(rows) == 6
    assert parts["rows"] == whole["rows"] == both_tables(tmp_path / "parts", "layers")
    for path in whole["files"]:
        if not path.endswith("svg"):  # which holds the time
            assert Path(path).read_bytes() == (tmp_path / "parts" / Path(path).name).read_bytes()
    before = runs.read_bytes()
    again = reproduce("layers", "--out", tmp_path / "parts", *SMALL, "--iterations", 2)
    assert again["rows"] == whole["rows"]
    assert runs.read_bytes() == before


def test_layers_leave_tables_and_plots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["reproduce", "layers", "--out", str(tmp_path / "a" / "b"), *SMALL, "--iterations", "1", "--seeds", "2"]
    assert main([*words, "--decoys", "0", "--presets", "paper", "--dims", "64,128"]) == 0
    told = capsys.readouterr().out.replace("\n", "")
    names = ["layers.csv", "layers.parquet", "layers.png", "layers.svg"]
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"layers-runs.csv", *names}
    assert all(str(tmp_path / "a" / "b" / name) in told for name in names)
    check_plots(tmp_path / "a" / "b", "layers")
    rows = both_tables(tmp_path / "a" / "b", "layers")
    assert [(row["inner_dim"], row["seeds"]) for row in rows] == [(64, 2), (128, 2)]
    assert all(row["recall_first_sd"] is not None for row in rows)


def check_plots(folder: Path, name: str) -> None:
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in (folder / f"{name}.svg").read_text()


def test_capacity_goes_on_and_leaves_tables_and_plots(
    tmp_path: Path, reproduce: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.reproduce.CapacityRun", partial(CapacityRun, vocab_size=500))
    words = ("capacity", "--out", tmp_path, "--heads", "2,4", "--most-key-dim", 64, "--most-value-dim", 512)
    first = reproduce(*words, "--scored", 100, "--presets", "text")
    assert len(first["rows"]) == 3  # (2, 32), (2, 64), (4, 64)
    kept = (tmp_path / "capacity-runs.csv").read_bytes()
    both = reproduce(*words, "--scored", 100)
    assert (tmp_path / "capacity-runs.csv").read_bytes().startswith(kept)
    assert both["rows"] == both_tables(tmp_path, "capacity")
    assert [row for row in both["rows"] if row["preset"] == "text"] == first["rows"]
    check_plots(tmp_path, "capacity")
    assert sorted(both["files"]) == sorted(
        str(tmp_path / f"capacity.{kind}") for kind in ("csv", "parquet", "png", "svg")
    )


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command that must fail as bad input, plainly and with --json; returns the message."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> str:
        before = {str(path): path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
        capsys.readouterr()
        assert main(["reproduce", *words]) == 2
        plain = capsys.readouterr()
        assert plain.out == ""
        assert main(["reproduce", *words, "--json"]) == 2
        answer = json.loads(capsys.readouterr().out)
        assert answer["exit_code"] == 2
        assert f"memo-dist: {answer['error']}" in plain.err
        assert {str(path): path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before
        return str(answer["error"])

    return run


BAD_LAYERS = {
    "--dims x": "--dims is 'x'; expected whole numbers with commas",
    "--dims=": "--dims is ''",
    "--dims 64,": "--dims is '64,'",
    "--dims 0": "--dims is '0'; expected whole numbers from 1",
    "--dims 65": r"--dims 65 .*--presets (text|paper).*(4,225 parameters|65)",
    "--dims 65 --presets text": r"--dims 65 .*--presets text.*4,225 parameters.*64 x 64",
    "--dims 8": "--dims 8 .*from 16",
    "--dims 65536": "--dims 65536 ",
    "--layers 0": "--layers is '0'",
    "--layers 7": "--layers 7 .*from 1 to 6",
    "--decoys -1": "--decoys is '-1'; expected whole numbers from 0",
    "--decoys 0,2.5": "--decoys is '0,2.5'",
    "--presets foo": "--presets is 'foo'; expected text or paper",
    "--presets=": "--presets is ''",
    "--composition foo": "--composition is 'foo'; expected jlt or product",
    "--composition foo --presets text": "--composition is 'foo'",
    "--iterations 0": "--iterations",
    "--seeds 0": "--seeds",
    "--sequences 31": "--sequences",
    "--vocab-size 1": "--vocab-size",
    "--vocab-size 9999999999": "--vocab-size",
    "--surprise": "--surprise",
}


@pytest.mark.parametrize("words", BAD_LAYERS)
def test_a_bad_flag_of_layers_is_named(refused: Run, words: str) -> None:
    assert re.search(BAD_LAYERS[words], refused("layers", "--out", "out", *words.split()))


BAD_CAPACITY = {
    "--heads x": "--heads is 'x'",
    "--heads 3": "no published row.*--heads",
    "--most-key-dim 0": "--most-key-dim",
    "--most-value-dim 100": "no published row.*--most-value-dim",
    "--presets foo": "--presets is 'foo'",
    "--scored 99": "--scored",
}


@pytest.mark.parametrize("words", BAD_CAPACITY)
def test_a_bad_flag_of_capacity_is_named(refused: Run, words: str) -> None:
    assert re.search(BAD_CAPACITY[words], refused("capacity", "--out", "out", *words.split()))


@pytest.mark.parametrize("experiment", ["layers", "capacity"])
def test_an_out_that_is_no_directory_of_this_experiment_is_refused(
    refused: Run, tmp_path: Path, experiment: str
) -> None:
    assert "--out" in refused(experiment)
    (tmp_path / "taken").write_text("mine")
    assert re.search("--out taken is a file; expected a directory", refused(experiment, "--out", "taken"))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / f"{experiment}-runs.csv").write_text("a,b\n1,2")
    assert re.search(rf"out/{experiment}-runs\.csv has the columns", refused(experiment, "--out", "out"))


@pytest.mark.parametrize("words", ["--vocab-size 301", "--composition product", "--sequences 2"])
def test_rows_measured_otherwise_are_not_mixed_in(refused: Run, tmp_path: Path, words: str) -> None:
    (tmp_path / "out").mkdir()
    rows = RowFile(tmp_path / "out" / "layers-runs.csv", LayersRow)
    rows.append(replace(LAYERS, vocab_size=300, sequences=1))
    flag, value = words.split()
    name = flag.removeprefix("--").replace("-", "_")
    assert re.search(rf"measured with {name} .*not {value}", refused("layers", "--out", "out", *SMALL, *words.split()))


def test_capacity_rows_scored_otherwise_are_not_mixed_in(refused: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    RowFile(tmp_path / "out" / "capacity-runs.csv", CapacityRow).append(CAPACITY)
    assert re.search("measured with scored 2000, not 500", refused("capacity", "--out", "out", "--scored", "500"))


def test_lists_may_have_blanks(refused: Run) -> None:
    assert "--layers 7" in refused("layers", "--out", "out", "--presets", "paper, text", "--layers", "1, 7")
