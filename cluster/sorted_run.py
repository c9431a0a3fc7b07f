"""SortedRun: the work of a build or a change, from its splits to the files of the memory.

Covers: sorted runs of what is missing, the number of banks, the merge. Does not cover: one run (memo_dist/runs), the
merge's actors (merge_phase.py), models without a ledger (stream_run.py), starting again after a lost process or node
(run.py), the directory (workspace.py).

    split --Dask--> Arrow token batch (kept) --> run: its associations, sorted and counted      any number of tasks
    stream --Dask--> batch after batch, and the run of each                                    one task a stream
    runs and, of a change, the memory's own ledger --> shard files                             any number of actors
What is done is what runs and shard files are there: an attempt makes the others. A run is named by its batch, a shard
file by its banks, and both follow from their sources, so that it does not matter who made them, or how often.
"""

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cluster.counting import banks_at_load, banks_for, count_associations
from cluster.merge_actor import MergeSpec, Sources
from cluster.merge_phase import MergePhase
from cluster.placement import device_for, reserved_bytes
from cluster.rewriting import write_anew
from cluster.run import Run, log
from cluster.run_maker import RunMaker
from cluster.run_state import Held
from cluster.run_tasks import RunTasks
from cluster.stream_runs import StreamRuns
from cluster.work import BothWork, KeptList
from cluster.workspace import Written
from memo_dist.durable import sync_directory
from memo_dist.errors import ClusterError, InputError
from memo_dist.files.manifest import Manifest, SegmentRecord
from memo_dist.models import encoder_for
from memo_dist.models.repetition import TextSize
from memo_dist.models.text.config import TextConfig
from memo_dist.runs.held_run import HeldRun, together
from memo_dist.runs.run_folder import RunRecord, run_folders
from memo_dist.shard import memory_digest

_MOST_UNDER_WAY = 10_000  # runs, on a cluster of any size
_MOST_REJECTS = 100_000  # documents left out that are named, about 20 MB


class SortedRun(Run):
    """Every attempt makes the runs and files that are missing."""

    def to_the_end(self) -> Manifest:
        """See Run; a corpus that is refused at once leaves nothing behind."""
        began, went_on = time.monotonic(), self.workspace.resumable
        try:
            return super().to_the_end()
        except InputError:
            # the corpus will change, and then nothing goes on from what is done; let that be in nobody's way
            if not went_on and time.monotonic() - began < self.resources.checkpoint_every:
                self.workspace.discard(for_good=True)
            raise

    def _attempt(self) -> Manifest:
        if self.workspace.has_checkpoint:  # all was done but to publish it
            return self._finished_before()
        done = [self._noted(folder.record) for folder in run_folders(self.workspace.runs)]
        self._memorize(done)
        self.clock.lap("memorize")
        config = self._choose_banks(done)
        log.info("all splits are done: %d banks, %d planned", config.num_banks, self.prepared.plan.config.num_banks)
        self.clock.lap("count")
        manifest = self._merge(config, done)
        self.clock.lap("merge")
        return manifest

    def _memorize(self, done: list[RunRecord]) -> None:
        """Make the runs that are missing, and add their records to those of the others."""
        self._begin(self._held(done))
        for record in self._make_runs({record.batch_id for record in done}):
            done.append(self._noted(record))
            self.state.checkpointed()
            self.state.count([record], sign=record.sign)
            progress = self.state.progress
            log.info("run %s: %d of %d splits", record.batch_id, progress.splits_done, progress.splits)
            self.on_progress(self.state.progress)
        self.state.progress.splits = len(done)  # of streams it was an estimate

    def _noted(self, record: RunRecord) -> RunRecord:
        """The record without what it names, which is kept once for all, as far as that may grow."""
        if len(self.rejects) < _MOST_REJECTS:
            self.rejects.update(record.rejects)
        return replace(record, rejects=[])

    def _finished_before(self) -> Manifest:
        for folder in run_folders(self.workspace.runs):
            self._noted(folder.record)
        manifest = Manifest.read(self.workspace.path)
        self._begin(Held.of(manifest))
        return manifest

    def _held(self, done: list[RunRecord]) -> Held:
        """What the memory holds with the runs that are there."""
        base = self.task.base
        tokens, documents = (0, 0) if base is None else (base.tokens, base.documents)
        return Held(
            tokens=tokens + sum(record.sign * record.tokens for record in done),
            documents=documents + sum(record.sign * record.documents for record in done),
            splits_done=len(done),
            skipped=sum(record.skipped for record in done),
            replaced=sum(record.replaced for record in done),
            empty=sum(record.empty for record in done),
        )

    def _make_runs(self, done: set[str]) -> Iterator[RunRecord]:
        """The records of the runs that are missing, as they are made, a bounded number of tasks under way."""
        streams = StreamRuns(self._tasks(), self.work)
        maker = RunMaker(
            self._graphs(done, streams),
            executor=self.executor,
            most=self._most_under_way(),
            stop=self.stop,
            streams=len(streams),
        )
        with streams.stopped_at_the_end():
            for records in maker:
                streams.note(records)
                if self.stop.requested:
                    streams.stop()
                for record in (*records, *streams.made()):
                    if record.batch_id not in done:
                        done.add(record.batch_id)
                        yield record
        if self.stop.requested and (maker.unfinished or streams.unfinished):
            raise self._stopped()
        if streams.unfinished:
            raise ClusterError("a task ended before the end of the file that it reads")

    def _tasks(self) -> RunTasks:
        tokenizer = self.prepared.choice.tokenizer
        return RunTasks(
            folder=self.workspace.runs.absolute(),
            stopped=self.workspace.stopped.absolute(),
            sign=-1 if self.task.forgets else 1,
            tokenizer_hash="" if tokenizer is None else tokenizer.hash,
            held=self.task.held,
        )

    def _graphs(self, done: set[str], streams: StreamRuns) -> Iterator[object]:
        config = replace(self.prepared.plan.config, num_banks=1)
        encoder = self.executor.put(encoder_for(config, self.prepared.choice.tokenizer))
        yield from streams.graphs(encoder, self.executor)  # first, as they take longest
        parts = self.work.parts if isinstance(self.work, BothWork) else [(streams.tasks.sign, self.work)]
        for sign, work in parts:
            tasks = replace(streams.tasks, sign=sign)
            for batch in work.graphs(done, self.executor):
                yield tasks.of_batch(batch, encoder)

    def _most_under_way(self) -> int:
        """Splits under way: as many as a quarter of the object store holds; that of a given cluster grows with it."""
        plan = self.prepared.plan
        if self.resources.on_cluster:
            return _MOST_UNDER_WAY
        return max(2, plan.store_bytes // 4 // self.work.batch_bytes(plan.tokens))

    def _sources(self) -> Sources:
        changed = () if self.task.base is None else (str(self.workspace.out.absolute()),)
        return Sources(runs=str(self.workspace.runs.absolute()), memories=changed)

    def _rows(self, done: list[RunRecord]) -> int:
        """Of all sources."""
        held = 0 if self.task.base is None else self.task.base.associations
        return held + sum(record.rows for record in done)

    def _choose_banks(self, done: list[RunRecord]) -> TextConfig:
        """As many banks as what is held needs for the recall that the memory was made for; never fewer than it has."""
        plan, target, base = self.prepared.plan, self.prepared.target_recall, self.task.base
        config = plan.config
        assert isinstance(config, TextConfig)  # no other model has a ledger
        if target is None or self.task.forgets or self.task.beside is not None:
            return config
        tokens = self.state.progress.tokens
        counted = count_associations(self._sources(), self.executor, tokens=tokens, rows=self._rows(done))
        if base is None and config.num_banks > 1:  # a single bank may have a load far below what recall allows
            return banks_at_load(config, counted, plan.load)
        size = TextSize(tokens, self.state.progress.documents, self.prepared.repetition)
        return banks_for(config, counted, target, text=size)

    def _merge(self, config: TextConfig, done: list[RunRecord]) -> Manifest:
        phase, base, beside = self._phase(config, done), self.task.base, self.task.beside
        written = phase.to_the_end()
        self.shard_peaks = phase.peaks
        kept = KeptList([] if base is None else base.batches)
        for record in done:
            kept.count([record])
        if beside is not None:
            return self._segment(written, kept, rows=sum(record.rows for record in done))
        if base is not None:
            write_anew(kept, self.workspace, config=config, executor=self.executor)
        return self._checkpoint(config, written, kept)

    def _phase(self, config: TextConfig, done: list[RunRecord], only: slice = slice(None)) -> MergePhase:
        """The merge of the runs; of some of the memory's files, if others are somebody else's."""
        plan, base, tokenizer = self.prepared.plan, self.task.base, self.prepared.choice.tokenizer
        beside, made = self.task.beside, {record.batch_id for record in done}
        held = [record for record in done if isinstance(record, HeldRun)]
        before = self.task.applied_before(self.workspace.out)
        spec = MergeSpec(
            sources=replace(self._sources(), held=(together(held),) if held else ()),
            applied=frozenset(made | before if beside is None else made),
            config=config,
            tokenizer_hash="" if tokenizer is None else tokenizer.hash,
            rows=self._rows(done),
            slice_rows=plan.slice_rows,
            device=device_for(self.resources.device, plan.shards, self.executor) if beside is None else "cpu",
            beside=beside,
        )
        ranges = [] if base is None or beside is None else [range(r.first_bank, r.stop_bank) for r in base.shards]
        return MergePhase(
            spec,
            self.workspace,
            files=plan.shards,
            actors=max(plan.mergers, self.executor.processors()) if self.resources.on_cluster else plan.mergers,
            memory_bytes=reserved_bytes(plan.shard_bytes, self.resources.address),
            executor=self.executor,
            stop=self.stop,
            on_file=self._count_file,
            ranges=ranges,
            only=only,
        )

    def _segment(self, written: Written, kept: KeptList, *, rows: int) -> Manifest:
        """Make files that were written a segment of the memory."""
        base, progress = self.task.base, self.state.progress
        assert base is not None  # a new memory has nothing to be written beside
        stay = base.segments[: self.task.beside]
        rows += sum(segment.rows for segment in base.segments[len(stay) :])
        manifest = replace(
            base,
            digest=memory_digest(base.config, base.tokenizer_hash, np.concatenate([digests for _, digests in written])),
            tokens=progress.tokens,
            documents=progress.documents,
            associations=sum(record.associations for record, _ in written),
            sources=self.task.journal(self.prepared, self.work.files, progress),
            batches=sorted(kept.records, key=lambda batch: batch.file) if self.task.keeps_tokens else [],
            segments=[*stay, SegmentRecord([record for record, _ in written], rows)],
        )
        if self.workspace.batches.is_dir():
            sync_directory(self.workspace.batches)
        return self.workspace.seal(lambda: manifest)

    def _count_file(self, done: int, files: int, fresh: bool) -> None:
        progress = self.state.progress
        progress.files_done, progress.files = done, files
        if fresh:  # what an attempt before has made is no progress of this one
            self.state.checkpointed()
        log.info("%d of %d files are written", done, files)
        self.on_progress(progress)
