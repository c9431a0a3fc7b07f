"""Merging: sorted runs and ledgers give the memory that `Memory` gives, in one process, of the same documents.

Covers: merging.py with runs in any order, of any batches, in any number of slices, files and banks; changes by runs of
both signs; memories of different numbers of banks; what fails and what is left then. Does not cover: sums
(test_sums.py), where merges run (cluster).
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from contracts.makers import owner_of
from cut_batches import CONFIG, PASSAGES, batches_of, run_of, texts, whole_batch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memo_dist import Memory, TextConfig
from memo_dist.documents import folded_table
from memo_dist.errors import DamagedMemoryError, NotMemorizedError
from memo_dist.files.format import shard_file
from memo_dist.files.opened import open_memory
from memo_dist.files.staging import staged_output, write_contents
from memo_dist.models.text.ledger import Entries
from memo_dist.runs.merging import HeldSource, MergeOrder, Source, count_rows, merge_into
from memo_dist.runs.run_folder import run_folders

TOP = 1 << 64
Documents = Mapping[str, list[int]]
collections = st.dictionaries(st.sampled_from("abcdef"), texts, max_size=4)
#: Rows of a slice: of one bank each, of a few, of all; sums are kept where there are no more than 4 slices.
slices = st.sampled_from([1, 7, 60, 1 << 21])
one_by_one = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def memory_of(documents: Documents, config: TextConfig = CONFIG) -> Memory:
    memory = Memory(config)
    for name, tokens in documents.items():
        memory.memorize(name, tokens)
    return memory


def merged(
    path: Path, sources: list[Source], *, config: TextConfig, files: int, slice_rows: int, applied: Iterable[str] = ()
) -> str:
    """Merge sources into a memory of so many files; its digest."""
    rows, edges = count_rows(sources, 0, TOP), [config.num_banks * index // files for index in range(files + 1)]
    written = []
    with staged_output(path) as staging:
        for index, (start, stop) in enumerate(itertools.pairwise(edges)):
            order = MergeOrder(
                config=config,
                tokenizer_hash="",
                banks=range(start, stop),
                rows=rows * (stop - start) // config.num_banks,
                slice_rows=slice_rows,
            )
            written.append(merge_into(staging / shard_file(index), sources, order, applied=set(applied)))
        return write_contents(staging, config, None, shards=written, tokens=0, documents=0, sources=[]).digest


def is_of(path: Path, documents: Documents, config: TextConfig) -> None:
    """Digest, documents, counts of tokens and everything else are those of one process."""
    truth = memory_of(documents, config)
    with open_memory(path) as stored:
        assert stored.manifest.digest == truth.digest()
        stored.verify()
        shards = stored.require_working()
        counts = truth.shard.token_counts()
        assert counts is not None
        assert np.array_equal(stored.token_counts(), counts)
        assert sum(file.record.associations for file in shards.files) == truth.num_associations
        held = folded_table(pa.concat_tables([truth.shard.registry.table().slice(0, 0), *shards.documents()]))
        assert held.equals(truth.shard.registry.table())


@one_by_one
@given(
    documents=collections,
    banks=st.integers(1, 9),
    files=st.integers(1, 4),
    slice_rows=slices,
    data=st.data(),
)
def test_runs_of_any_batches_in_any_order_are_the_memory(
    documents: Documents,
    banks: int,
    files: int,
    slice_rows: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder, config = tmp_path_factory.mktemp("m"), replace(CONFIG, num_banks=banks)
    batches = batches_of(documents, data)
    for batch in data.draw(st.permutations(batches)):
        run_of(batch, folder / "runs")
    runs = run_folders(folder / "runs")
    applied = {run.record.batch_id for run in runs}
    assert len(runs) == len(batches)
    sources: list[Source] = [*data.draw(st.permutations(runs))]
    options = {"config": config, "files": min(files, banks), "slice_rows": slice_rows}
    merged(folder / "m.memo", sources, applied=applied, **options)
    is_of(folder / "m.memo", documents, config)
    with open_memory(folder / "m.memo") as stored:
        assert stored.require_working().applied() == applied


@one_by_one
@given(
    kept=collections,
    gone=collections,
    new=collections,
    banks=st.integers(1, 6),
    more=st.integers(0, 4),
    files=st.integers(1, 3),
    slice_rows=slices,
    data=st.data(),
)
def test_a_memory_with_runs_of_both_signs_is_what_is_left(
    kept: Documents,
    gone: Documents,
    new: Documents,
    banks: int,
    more: int,
    files: int,
    slice_rows: int,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Documents are added and others forgotten, cut otherwise than they were memorized; then it is taken back."""
    folder = tmp_path_factory.mktemp("m")
    gone = {f"gone {name}": tokens for name, tokens in gone.items()}
    new = {f"new {name}": tokens for name, tokens in new.items()}
    before, after = replace(CONFIG, num_banks=banks), replace(CONFIG, num_banks=banks + more)
    memory_of({**kept, **gone}, before).save(folder / "before.memo")
    for sign, (away, there) in ((1, (gone, new)), (-1, (new, gone))):
        for batch in batches_of(there, data, first=1):
            run_of(batch, folder / f"runs {sign}")
        for batch in batches_of(away, data, first=1001):
            run_of(batch, folder / f"runs {sign}", sign=-1)
    options = {"files": min(files, banks), "slice_rows": slice_rows}
    with open_memory(folder / "before.memo") as held:
        merged(folder / "after.memo", [HeldSource(held), *run_folders(folder / "runs 1")], config=after, **options)
    is_of(folder / "after.memo", {**kept, **new}, after)
    with open_memory(folder / "after.memo") as held:
        merged(folder / "back.memo", [HeldSource(held), *run_folders(folder / "runs -1")], config=before, **options)
    is_of(folder / "back.memo", {**kept, **gone}, before)


@one_by_one
@given(
    parts=st.lists(collections, min_size=2, max_size=3),
    banks=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    files=st.integers(1, 3),
    slice_rows=slices,
)
def test_memories_of_different_numbers_of_banks_are_one_of_everything(
    parts: list[Documents],
    banks: list[int],
    files: int,
    slice_rows: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Fewer banks than any of them has, more, and as many."""
    folder, config, every = tmp_path_factory.mktemp("m"), replace(CONFIG, num_banks=banks[-1]), dict[str, list[int]]()
    sources: list[Source] = []
    for index, documents in enumerate(parts):
        named = {f"{index} {name}": tokens for name, tokens in documents.items()}
        memory_of(named, replace(CONFIG, num_banks=banks[index])).save(folder / f"{index}.memo")
        sources.append(HeldSource(open_memory(folder / f"{index}.memo")))
        every |= named
    merged(folder / "all.memo", sources, config=config, files=min(files, banks[-1]), slice_rows=slice_rows)
    is_of(folder / "all.memo", every, config)


FIRST = {"a": PASSAGES[0] + PASSAGES[1], "b": PASSAGES[1] + [5, 6]}
STRANGER = {"stranger": [39, 38, 37, 36, 35, 34]}


def order_of(banks: range, rows: int, slice_rows: int = 1 << 21) -> MergeOrder:
    return MergeOrder(config=CONFIG, tokenizer_hash="", banks=banks, rows=rows, slice_rows=slice_rows)


@pytest.mark.parametrize("slice_rows", [1, 1 << 21])
@pytest.mark.parametrize("stranger", [STRANGER, {"a": FIRST["a"][::-1]}, {"a2": FIRST["a"] + FIRST["a"]}])
def test_forgetting_what_is_not_held_is_refused_and_leaves_no_file(
    tmp_path: Path, slice_rows: int, stranger: Documents
) -> None:
    memory_of(FIRST).save(tmp_path / "m.memo")
    run_of(whole_batch(stranger), tmp_path / "runs", sign=-1)
    (tmp_path / "out").mkdir()
    with open_memory(tmp_path / "m.memo") as held:
        sources: list[Source] = [HeldSource(held), *run_folders(tmp_path / "runs")]
        with pytest.raises(NotMemorizedError):
            merge_into(tmp_path / "out" / shard_file(0), sources, order_of(range(5), 300, slice_rows), applied=set())
        with pytest.raises(NotMemorizedError):
            count_rows(sources, 0, TOP)
    assert list((tmp_path / "out").iterdir()) == []


class FailsLate:
    """A source that can be read so many times, of so many slices, and is damaged then."""

    def __init__(self, source: Source, times: int) -> None:
        self._source, self._left = source, times

    def next(self, low: int, high: int) -> list[Entries]:
        self._left -= 1
        if self._left < 0:
            raise DamagedMemoryError("it was cut meanwhile")
        return self._source.next(low, high)

    def anchors(self, low: int, high: int) -> list[Entries]:
        return self._source.anchors(low, high)

    def documents(self, low: int, high: int) -> Iterable[pa.Table]:
        return self._source.documents(low, high)


class NoDocuments(FailsLate):
    def documents(self, low: int, high: int) -> Iterable[pa.Table]:
        raise DamagedMemoryError("it was cut meanwhile")


@pytest.mark.parametrize("times", range(10))
def test_a_source_that_fails_on_the_way_leaves_no_file(tmp_path: Path, times: int) -> None:
    """Five slices are added up to know their number of rows, and once more to be written."""
    run_of(whole_batch(FIRST), tmp_path / "runs")
    (run,) = run_folders(tmp_path / "runs")
    (tmp_path / "out").mkdir()
    with pytest.raises(DamagedMemoryError, match="meanwhile"):
        merge_into(tmp_path / "out" / shard_file(0), [FailsLate(run, times)], order_of(range(5), 300, 1), applied=set())
    assert list((tmp_path / "out").iterdir()) == []


def test_documents_that_cannot_be_read_leave_no_file(tmp_path: Path) -> None:
    run_of(whole_batch(FIRST), tmp_path / "runs")
    (run,) = run_folders(tmp_path / "runs")
    (tmp_path / "out").mkdir()
    with pytest.raises(DamagedMemoryError, match="meanwhile"):
        merge_into(tmp_path / "out" / shard_file(0), [NoDocuments(run, 99)], order_of(range(5), 300), applied=set())
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("said", [1, 100, 10**6])
def test_the_number_of_rows_need_only_be_about_right(tmp_path: Path, said: int) -> None:
    run_of(whole_batch(FIRST), tmp_path / "runs")
    sources: list[Source] = [*run_folders(tmp_path / "runs")]
    with staged_output(tmp_path / "m.memo") as staging:
        made = merge_into(staging / shard_file(0), sources, order_of(range(5), said, 30), applied=set())
        write_contents(staging, CONFIG, None, shards=[made], tokens=0, documents=0, sources=[])
    is_of(tmp_path / "m.memo", FIRST, CONFIG)


def test_rows_are_counted_in_any_ranges_of_names(tmp_path: Path) -> None:
    run_of(whole_batch(FIRST), tmp_path / "runs")
    run_of(whole_batch({"c": FIRST["a"]}, 1), tmp_path / "runs")  # nothing new but its document
    sources, truth = list[Source](run_folders(tmp_path / "runs")), memory_of(FIRST).num_associations
    for pieces in (1, 3, 10):
        edges = [TOP * piece // pieces for piece in range(pieces + 1)]
        assert sum(count_rows(sources, low, high) for low, high in itertools.pairwise(edges)) == truth
    assert count_rows([], 0, TOP) == 0


def test_anchors_say_whose_they_are(tmp_path: Path) -> None:
    """What leads back from a window to its documents comes out of runs, too."""
    run_of(whole_batch(FIRST), tmp_path / "runs")
    merged(tmp_path / "m.memo", [*run_folders(tmp_path / "runs")], config=CONFIG, files=2, slice_rows=9)
    truth = memory_of(FIRST)
    held = truth.shard.contents.with_ledger
    assert held is not None
    hashes = np.unique(np.concatenate([part.associations.hashes for part in held.entries()]))
    with open_memory(tmp_path / "m.memo") as stored:
        found, expected = stored.documents_at(hashes), truth.shard.documents_at(hashes)
    assert np.array_equal(found.tokens, expected.tokens)
    assert np.array_equal(found.bounds, expected.bounds)
    assert {owner_of(name) for name in FIRST} == set(found.tokens.tolist())
