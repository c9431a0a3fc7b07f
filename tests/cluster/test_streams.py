"""Streams: a compressed file is read once, by one task, whose batches are kept as they are made.

Covers: pipelines/streaming.py, cluster/stream_runs.py, run_tasks.py, in whole builds by threads and on Ray, stopped
and gone on with. The truth is the digest of the same lines in a plain file; bytes are counted where they leave the
codec, in every process of a build.
"""

import gzip
import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.codec_reads import CodecReads
from cluster.build import BuildSummary, build
from cluster.change import add
from cluster.change_prepare import ChangeOptions
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from cluster.run_state import Progress
from cluster.workspace import workspace_path
from memo_dist import Memory, open_memory
from memo_dist.runs.run_folder import run_folders
from pipelines import compression, tokenizing
from pipelines.plan import CorpusOptions, plan_corpus

STEP = 100_000
OPTIONS = BuildOptions(
    tokenizer="bytes",
    num_banks=40,
    inner_dim=64,
    resources=Resources(address="none", shards=1),
    corpus=CorpusOptions(split_bytes=STEP),
)
SAMPLE = 1 << 19  # bytes that planning may take from the codec, with the constants below
PROGRAM = """
import sys, pipelines.compression, pipelines.tokenizing, pipelines.plan, cluster.run_state as b, time
pipelines.compression._LEAST_STORED, pipelines.compression._MOST_READ = 1 << 14, 1 << 17
pipelines.tokenizing.SAMPLE_BYTES = 1 << 16
pipelines.plan.MIN_SPLIT_BYTES = 100_000
count = b.RunState.count
def told(self, *values, **named):
    count(self, *values, **named); print("run", file=sys.__stdout__, flush=True)
b.RunState.count = told
from console.app import entry
entry()
"""


@pytest.fixture(autouse=True)
def _small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_LEAST_STORED", 1 << 14)
    monkeypatch.setattr(compression, "_MOST_READ", 1 << 17)
    monkeypatch.setattr(tokenizing, "SAMPLE_BYTES", 1 << 16)


def rows(count: int, seed: int = 1) -> bytes:
    """Lines of some hundred bytes, empty ones and one of many batches' length among them."""
    chosen = random.Random(seed)
    words = ["".join(chosen.choices("abcdefghij", k=chosen.randint(2, 9))) for _ in range(3000)]
    texts = [" ".join(chosen.choices(words, k=chosen.randint(1, 60))) for _ in range(count)]
    texts[count // 2] = " ".join(chosen.choices(words, k=60_000))
    lines = [
        json.dumps({"text": text, "id": f"{seed}-{i}"}) + "\n" * (1 + (i % 50 == 0)) for i, text in enumerate(texts)
    ]
    return "".join(lines).encode()


@pytest.fixture(scope="module")
def data() -> bytes:
    return rows(14_000)


@pytest.fixture(scope="module")
def truth(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "rows.jsonl").write_bytes(data)
    return build([str(folder / "rows.jsonl")], folder / "m.memo", OPTIONS).digest


@pytest.fixture
def packed(data: bytes, tmp_path: Path) -> Path:
    """Two members, as `cat a.gz b.gz` makes them."""
    path, cut = tmp_path / "rows.jsonl.gz", len(data) // 3
    path.write_bytes(gzip.compress(data[:cut], 1) + gzip.compress(data[cut:], 1))
    return path


def test_planning_reads_the_beginning_alone(packed: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    read, counted = list[int](), gzip._GzipReader.read  # type: ignore[attr-defined]
    monkeypatch.setattr("gzip._GzipReader.read", lambda *a: (d := counted(*a), read.append(len(d)))[0])
    corpus = plan_corpus([str(packed)], CorpusOptions(split_bytes=STEP), streams=True)
    tokenizing.choose_tokenizer(corpus, "bytes")
    assert 0 < sum(read) < SAMPLE < len(data) // 4
    (stream,) = corpus.splits.streams()
    assert not list(corpus.splits.others())
    assert corpus.text_bytes == pytest.approx(len(data), rel=0.3)
    assert corpus.largest_split == stream.step == STEP
    assert len({stream.part(number).batch_id for number in range(50)}) == 50


def test_small_files_are_split_as_ever(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.jsonl.gz").write_bytes(gzip.compress(rows(20, seed=number)[:30_000]))
    corpus, measured = (plan_corpus([str(tmp_path)], CorpusOptions(split_bytes=STEP), streams=s) for s in (True, False))
    assert corpus == measured


def summary_of(packed: Path, out: Path, splits: int | None = None) -> BuildSummary:
    """A build; one that ends after so many splits raises KeyError."""

    def interrupt(progress: Progress) -> None:
        if splits is not None and progress.splits_done - progress.splits_before >= splits:
            raise KeyError

    return build([str(packed)], out, OPTIONS, on_progress=interrupt)


@pytest.mark.parametrize("ends", ["", "\n", " " * 3 * STEP])
def test_a_stream_is_what_a_plain_file_is(tmp_path: Path, data: bytes, truth: str, ends: str) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(data.rstrip(b"\n") + ends.encode()))
    summary = summary_of(path, tmp_path / "m.memo")
    assert (summary.digest, summary.documents) == (truth, 14_000)
    with open_memory(tmp_path / "m.memo") as stored:
        entry = stored.manifest.sources[-1]
        assert entry.splits == entry.splits_done
        assert entry.splits >= -(-len(data) // STEP)


@pytest.mark.slow
def test_a_stopped_stream_goes_on_with_what_is_missing(tmp_path: Path, packed: Path) -> None:
    whole = summary_of(packed, tmp_path / "whole.memo").digest
    out, before = tmp_path / "m.memo", dict[str, float]()
    for _ in range(2):
        with pytest.raises(KeyError):
            summary_of(packed, out, splits=4)
        made = {run.record.batch_id: run.path.stat().st_mtime for run in run_folders(workspace_path(out) / "runs")}
        assert before.items() < made.items()
        assert len(made) < 30  # the task ended soon after
        before = made
    summary = summary_of(packed, out)
    assert (summary.digest, summary.splits_before) == (whole, len(before))


@pytest.mark.slow
def test_a_stream_is_added_to_a_memory(tmp_path: Path, packed: Path) -> None:
    whole = summary_of(packed, tmp_path / "whole.memo").digest
    more = tmp_path / "more.jsonl.gz"
    more.write_bytes(gzip.compress(rows(3000, seed=7), 1))
    both = build([str(packed), str(more)], tmp_path / "both.memo", OPTIONS).digest
    options = ChangeOptions(resources=OPTIONS.resources, corpus=OPTIONS.corpus)
    summary = add(tmp_path / "whole.memo", [str(more)], options)
    assert (summary.digest, summary.changed) == (both, 3000)
    assert Memory.open(tmp_path / "whole.memo").digest() != whole


@pytest.fixture
def reads(tmp_path_factory: pytest.TempPathFactory) -> CodecReads:
    return CodecReads(tmp_path_factory.mktemp("counting"), Path(__file__).parents[2])


def run_program(
    memory: Path, packed: Path, reads: CodecReads, *, address: str, stop_after: int = 0
) -> tuple[int, str, str]:
    """`build` in a process of its own, sent SIGTERM after so many runs: exit code, what it printed, and errors."""
    words = ["build", str(packed), "--out", str(memory), "--tokenizer", "bytes", "--banks", "40"]
    words += ["--dim", "64", "--shards", "1", "--address", address, "--json"]
    command = [sys.executable, "-c", PROGRAM, *words]
    with subprocess.Popen(
        command, env=reads.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(stop_after):
            assert process.stdout.readline() == "run\n"
        if stop_after:
            process.send_signal(signal.SIGTERM)
        out, errors = process.communicate(timeout=240)
    return process.returncode, out, errors


@pytest.mark.slow
@pytest.mark.parametrize("address", ["none", "local"])
def test_a_compressed_file_is_decompressed_once_by_all_processes_of_a_build(
    tmp_path: Path, packed: Path, data: bytes, reads: CodecReads, address: str
) -> None:
    memory = tmp_path / "m.memo"
    code, out, errors = run_program(memory, packed, reads, address=address)
    assert code == 0, errors
    summary = json.loads(out.splitlines()[-1])
    read = reads.taken()
    assert len(data) <= sum(size for _, size in read) <= len(data) + SAMPLE
    assert len({process for process, _ in read}) == (1 if address == "none" else 2)  # the driver, which plans; a task
    assert summary["documents"] == 14_000


@pytest.mark.slow
@pytest.mark.parametrize("address", ["none", "local"])
def test_sigterm_ends_a_stream_after_the_batch_that_it_is_at(
    tmp_path: Path, packed: Path, data: bytes, reads: CodecReads, address: str
) -> None:
    memory = tmp_path / "m.memo"
    code, _, errors = run_program(memory, packed, reads, address=address, stop_after=2)
    assert code == 75, errors
    assert "the same command goes on" in errors
    made = run_folders(workspace_path(memory) / "runs")
    assert 2 <= len(made) < 30
    read = reads.taken()
    assert sum(size for _, size in read) < len(data)
    code, out, errors = run_program(memory, packed, reads, address=address)
    assert code == 0, errors
    assert json.loads(out.splitlines()[-1])["splits_before"] >= len(made)
    assert sum(size for _, size in reads.taken()) <= len(data) + SAMPLE
