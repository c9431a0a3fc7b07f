"""The build and recall on Ray: equal to `Memory` to the bit, exactly once, within plan, nothing left after failures."""

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from cluster import ray_session
from cluster.build import BuildSummary, build
from cluster.change import add, forget
from cluster.change_prepare import ChangeOptions
from cluster.combine import CombineOptions, merge
from cluster.prepare import BuildOptions
from cluster.reader import cluster_reader
from cluster.resources import Resources
from console.app import main
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import BudgetError, ClusterError, InputError, StorageError
from memo_dist.files.manifest import Manifest
from memo_dist.files.opened import open_memory
from pipelines.plan import CorpusOptions

pytestmark = pytest.mark.usefixtures("ray_local")
OPTIONS = BuildOptions(tokenizer="bytes", num_banks=40, inner_dim=64, resources=Resources(shards=1))


@pytest.fixture(scope="module")
def truth(text_corpus: Path) -> Memory:
    """The corpus memorized in one process, byte by byte: no pipeline, no Ray."""
    tokenizer = Tokenizer.bytes()
    memory = Memory(TextConfig(num_banks=40, vocab_size=256, inner_dim=64), tokenizer)
    for path in text_corpus.iterdir():
        memory.memorize(
            str(path), np.frombuffer(path.read_bytes(), np.uint8)
        )  # anchors hold the ids that a build gives
    return memory


def built(corpus: Path, out: Path, options: BuildOptions = OPTIONS) -> BuildSummary:
    return build([str(corpus)], out, options)


@pytest.mark.parametrize(
    "shards", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("split_bytes", [pytest.param(None, marks=pytest.mark.slow), 1500])
def test_digest_is_that_of_one_process(
    text_corpus: Path, truth: Memory, tmp_path: Path, shards: int, split_bytes: int | None
) -> None:
    options = replace(OPTIONS, resources=Resources(shards=shards), corpus=CorpusOptions(split_bytes=split_bytes))
    summary = built(text_corpus, tmp_path / "m.memo", options)
    assert summary.digest == truth.digest()
    assert (summary.documents, summary.associations) == (40, truth.num_associations)
    assert summary.tokens == sum(p.stat().st_size for p in text_corpus.iterdir())
    assert len(Manifest.read(tmp_path / "m.memo").shards) == shards
    assert Memory.open(tmp_path / "m.memo").digest() == summary.digest


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_threads_of_this_process_give_the_same(
    text_corpus: Path, truth: Memory, tmp_path: Path, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built, halved and made whole again without Ray."""
    monkeypatch.setattr(ray_session, "ray", None)  # whoever asks for it fails
    here, splits = Resources(shards=shards, address="none"), CorpusOptions(split_bytes=1500)
    out = tmp_path / "m.memo"
    summary = built(text_corpus, out, replace(OPTIONS, resources=here, corpus=splits))
    assert summary.digest == truth.digest()
    assert len(Manifest.read(out).shards) == shards
    options = ChangeOptions(resources=here, corpus=splits)
    half = tuple(str(path) for path in sorted(text_corpus.iterdir())[::2])
    assert forget(out, [], replace(options, documents=half)).changed == len(half)
    assert forget(out, [str(text_corpus)], options).documents == 0
    assert add(out, list(half), options).changed == len(half)
    rest = tmp_path / "rest.memo"
    build(
        [str(path) for path in text_corpus.iterdir() if str(path) not in half], rest, replace(OPTIONS, resources=here)
    )
    merged = merge([out, rest], tmp_path / "both.memo", CombineOptions(resources=here))
    assert merged.digest == truth.digest()


@pytest.mark.parametrize("address", ["none", None])
def test_a_budget_that_threads_exceed_is_left_to_processes(
    text_corpus: Path, tmp_path: Path, address: str | None
) -> None:
    resources = Resources(shards=1, address=address, memory_budget=500_000_000)
    with pytest.raises(BudgetError, match="the build would need") as caught:
        built(text_corpus, tmp_path / "m.memo", replace(OPTIONS, resources=resources))
    assert ("workers of 2" in str(caught.value)) == (address is None)  # with 180 MiB of a process
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_order_and_format_of_the_documents_do_not_matter(text_corpus: Path, truth: Memory, tmp_path: Path) -> None:
    rows = [{"id": str(p), "text": p.read_text()} for p in sorted(text_corpus.iterdir(), reverse=True)]
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert built(path, tmp_path / "m.memo", replace(OPTIONS, resources=Resources(shards=2))).digest == truth.digest()


@pytest.mark.slow
def test_actors_answer_like_the_memory(text_corpus: Path, truth: Memory, tmp_path: Path) -> None:
    built(text_corpus, tmp_path / "m.memo", replace(OPTIONS, resources=Resources(shards=2)))
    hashes = np.random.default_rng(0).integers(0, 2**64, 300, dtype=np.uint64)
    for shards in (1, 3):
        with cluster_reader(tmp_path / "m.memo", None, shards) as reader:
            assert np.array_equal(reader.read(hashes), truth.read(hashes))


def test_measured_peak_is_within_the_plan(text_corpus: Path, tmp_path: Path) -> None:
    """Summed over driver, shards and workers; here the driver is the test process, larger than a real one."""
    summary = built(text_corpus, tmp_path / "m.memo")
    assert all(peak < summary.planned_peak_bytes for peak in summary.shard_peak_bytes)


def assert_nothing_left(folder: Path) -> None:
    assert [p.name for p in folder.iterdir() if "memo" in p.name] == []


def test_a_worker_that_meets_bad_input_names_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample misses the bad line: only the worker that reads it can tell."""
    rows = tmp_path / "rows.jsonl"
    lines = [json.dumps({"text": f"line {i} " * 40}) for i in range(4000)]
    lines[3999] = '{"txet": "oops"}'
    rows.write_text("\n".join(lines))
    monkeypatch.setattr("pipelines.tokenizing.SAMPLE_BYTES", 64_000)
    soon = replace(OPTIONS, resources=Resources(shards=1, checkpoint_every=3600))
    with pytest.raises(InputError, match=r"rows\.jsonl@\d+: expected an object with the text in 'text'"):
        built(rows, tmp_path / "m.memo", soon)
    assert_nothing_left(tmp_path)


def test_a_budget_too_small_is_refused_with_the_numbers(text_corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"would need .* MB: driver .* The memory budget is 100\.0 MB"):
        built(
            text_corpus, tmp_path / "m.memo", replace(OPTIONS, resources=Resources(shards=1, memory_budget=100_000_000))
        )
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("shards", [1, 3])
def test_slices_and_pieces_of_any_size_give_the_same_bits(
    text_corpus: Path, truth: Memory, tmp_path: Path, shards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bank at a time, added up twice; more runs than one for a batch."""
    for name, small in (("MAX_SLICE", 500), ("MIN_SLICE", 300)):
        monkeypatch.setattr(f"memo_dist.planning.fit.{name}", small)
    monkeypatch.setattr("memo_dist.models.text.encoder._CHUNK", 1000)
    options = replace(OPTIONS, resources=Resources(shards=shards, address="none"))
    assert built(text_corpus, tmp_path / "m.memo", options).digest == truth.digest()


@pytest.mark.slow
def test_a_build_keeps_to_its_plan(text_corpus: Path, tmp_path: Path) -> None:
    """2.4 GB of cells while they are made, .5 packed, within 1 GB, every process counted; in processes of its own."""
    words = [str(text_corpus), "--tokenizer", "bytes", "--banks", "18000", "--json"]
    found = []
    for name, budget in (("small", "1GB"), ("large", "8GB")):
        command = [sys.executable, "-m", "console", "build", *words, "--memory-budget", budget, "--address", "local"]
        done = subprocess.run([*command, "--out", str(tmp_path / name)], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    ours, theirs = found
    assert ours["digest"] == theirs["digest"]
    assert ours["bytes_on_disk"] > 0.5e9
    assert ours["peak_bytes"] <= ours["planned_peak_bytes"] <= 1e9
    assert theirs["peak_bytes"] <= theirs["planned_peak_bytes"]


def test_too_little_disk_is_refused_before_the_work(
    text_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.room._free_bytes", lambda path: 1000)
    with pytest.raises(StorageError, match=r"1\.0 KB free; the memory will take"):
        built(text_corpus, tmp_path / "m.memo")
    assert_nothing_left(tmp_path)


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it ended meanwhile
        return ""


@pytest.mark.slow
def test_actors_that_are_lost_again_and_again_end_the_build_and_what_is_done_is_kept(
    text_corpus: Path, truth: Memory, tmp_path: Path
) -> None:
    over = threading.Event()

    def kill_all() -> None:
        while not over.wait(0.02):
            for process in psutil.Process().children(recursive=True):
                if command_of(process).startswith("ray::MergeActor"):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)

    options = replace(OPTIONS, resources=Resources(shards=2), corpus=CorpusOptions(split_bytes=1500))
    killer = threading.Thread(target=kill_all)
    killer.start()
    try:
        with pytest.raises(ClusterError, match="a shard's process died") as caught:
            build([str(text_corpus)], tmp_path / "m.memo", options)
    finally:
        over.set()
        killer.join()
    assert "the same command goes on" in " ".join(caught.value.__notes__)
    summary = build([str(text_corpus)], tmp_path / "m.memo", options)
    assert (summary.digest, summary.splits_before) == (truth.digest(), 36)


def test_a_full_disk_while_writing_is_told_and_loses_nothing(
    text_corpus: Path, truth: Memory, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cluster.room._free_bytes", lambda path: 10**12)
    out = small_disk / "m.memo"
    with pytest.raises(StorageError, match="the disk is full") as caught:
        built(text_corpus, out)
    assert not out.exists()
    assert caught.value.__notes__
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    assert built(text_corpus, out).digest == truth.digest()
    assert [path.name for path in small_disk.iterdir()] == ["m.memo"]


@pytest.mark.slow
def test_auto_tokenizer_and_planned_banks_end_to_end(
    text_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line: build, inspect, verify, recall and evaluate, in files and through actors."""
    out = str(tmp_path / "m.memo")
    assert main(["build", str(text_corpus), "--out", out, "--json", "--target-recall", "0.999"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert main(["inspect", out, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    wanted = {"digest", "tokens", "documents", "associations", "banks", "inner_dim", "shards", "bytes_on_disk", "load"}
    assert wanted <= set(facts)
    assert facts["digest"] == summary["digest"]
    assert main(["verify", out]) == 0
    capsys.readouterr()
    text = (text_corpus / "05.txt").read_text()
    for more in ([], ["--shards", "2"]):
        assert main(["recall", out, "--prompt", text[:400], "--max-tokens", "30", "--json", *more]) == 0
        (result,) = json.loads(capsys.readouterr().out)["results"]
        assert text.startswith(text[:400] + result["text"])
        assert len(result["tokens"]) == 30
    unseen = tmp_path / "unseen.txt"
    unseen.write_text(" ".join(np.random.default_rng(9).permutation(text.split())))
    evaluate = ["evaluate", out, str(text_corpus), "--sample", "400", "--prompts", "20", "--unseen", str(unseen)]
    assert main([*evaluate, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert main(["evaluate", out, *evaluate[3:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == result  # on the tokens that it keeps
    assert result["positions"] == 400
    assert result["recall"] >= result["ceiling"] - 0.02
    assert result["verbatim"]["64"] >= 0.95
    assert result["confidence_auc"] > 0.99
    assert result["unseen_abstained"] >= 0.99
    assert result["parameters_per_token"] == pytest.approx(facts["parameters_per_token"])
    with open_memory(out) as stored:
        assert stored.config.num_banks == facts["banks"]


@pytest.mark.slow
def test_a_fresh_process_stays_within_its_plan_and_stops_its_ray(text_corpus: Path, tmp_path: Path) -> None:
    """The whole program, with a Ray of its own: measured peak, no Ray left behind."""
    command = [sys.executable, "-m", "console", "build", str(text_corpus), "--out", str(tmp_path / "m.memo")]
    command += ["--json", "--address", "local"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watched = psutil.Process(process.pid)
    family: set[psutil.Process] = set()
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            family |= set(watched.children(recursive=True))
        time.sleep(0.2)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert 0 < summary["peak_bytes"] <= summary["planned_peak_bytes"]
    assert "Plan" in err
    _, alive = psutil.wait_procs(family, timeout=20)
    assert len(family) > 3
    assert alive == []
