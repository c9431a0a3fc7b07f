"""TaskRun: what one task of an array does of a build: its runs, its files; or the end, once all are there.

Covers: which are this task's, which are missing, the number of banks that all tasks take. Does not cover: what a run
and a file are made of (sorted_run.py), the commands (array_build.py).
"""

import itertools
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cluster.array_plan import ArrayPlace, ArrayPlan, Share
from cluster.prepare import PreparedCorpus
from cluster.progress_file import ProgressFile
from cluster.run_tasks import RunTasks
from cluster.sorted_run import SortedRun
from cluster.task import Task
from cluster.work import CorpusWork, KeptList, keeping_in
from cluster.workspace import Workspace, Written
from memo_dist.durable import write_text, writing
from memo_dist.errors import DamagedMemoryError, UnfinishedError
from memo_dist.files.manifest import Manifest
from memo_dist.json_text import parse_json
from memo_dist.models.text.config import TextConfig
from memo_dist.runs.run_folder import RunRecord, run_folders
from pipelines.splits import Split

MAKES, MERGES = "make-runs", "merge-runs"
_SHAPE_FILE = "shape.json"
_NAMED = 12  # tasks that an error names


class TaskRun(SortedRun):
    """A run that makes a part of what is missing; see SortedRun.

    Args:
        plan: of the array. share: which part. prepared: the whole build. given: as for any run.
    """

    def __init__(self, plan: ArrayPlan, share: Share, prepared: PreparedCorpus, **given: Any) -> None:
        self._plan, self._share, self._corpus = plan, share, prepared.corpus
        mine = replace(prepared.corpus, splits=prepared.corpus.splits.share(share.task, share.of))
        self._mine, task = mine.splits, Task(action="build", keeps_tokens=given.pop("keeps_tokens"))
        keeping = keeping_in(given["workspace"].batches, prepared.plan.config) if task.keeps_tokens else None
        work = CorpusWork(
            corpus=mine, tokenizer=prepared.choice.tokenizer, config=prepared.plan.config, keeping=keeping
        )
        super().__init__(prepared, work=work, task=task, **given)

    def record(self, name: str) -> ProgressFile:
        """How far this task is, for whoever looks from elsewhere."""
        file = f"{name}-{self._share.task}-of-{self._share.of}.json"
        return ProgressFile(self.workspace.merged, name, self.state, name=file, stays=True)

    def make_runs(self) -> list[RunRecord]:
        """Make those of this task's splits that are missing; the records of all of its runs.

        Raises:
            StoppedError: a stop was asked for; what is done is kept. FencedError: the plan is no longer there.
        """
        done = [record for split in self._mine for record in self._made(split)]
        if len(self._mine):  # of many tasks some may have nothing to do
            self._memorize(done)
        return done

    def merge_runs(self) -> int:
        """Make those of this task's files that are missing; how many are its.

        Raises:
            UnfinishedError: runs are missing. StoppedError, FencedError: see `make_runs`.
        """
        done = self._every_run()
        return len(self._phase(self._shape(done), done, self._share.part).to_the_end())

    def whole(self) -> "WholeBuild | None":
        """What all tasks have made; None if an attempt before has made it the workspace's memory.

        Raises:
            UnfinishedError: runs or files are missing.
        """
        if self.workspace.has_checkpoint:
            return None
        done = self._every_run()
        config = self._shape(done, choose=False)
        phase = self._phase(config, done)
        if missing := phase.missing():
            files = self._plan.files_of(config.num_banks)
            raise _unfinished(self._plan, MERGES, missing, of=files, what="files")
        return WholeBuild(config=config, written=phase.to_the_end(), runs=done)

    def finish(self, workspace: Workspace, whole: "WholeBuild | None") -> Manifest:
        """Make what tasks have made the memory of a workspace that is claimed; not yet published."""
        self.workspace = workspace
        if whole is None or workspace.has_checkpoint:
            return self._finished_before()
        kept = KeptList([])
        for record in whole.runs:
            kept.count([record])
        return self._checkpoint(whole.config, whole.written, kept)

    def _every_run(self) -> list[RunRecord]:
        """The records of all runs, and what they hold in all as this run's progress.

        Raises:
            UnfinishedError: some are missing. DamagedMemoryError: there are others, or one cannot be read.
        """
        there = {folder.record.batch_id: folder.record for folder in run_folders(self.workspace.runs)}
        splits, wanted, missing = self._corpus.splits, set[str](), list[int]()
        for place, split in enumerate(itertools.chain(splits.streams(), splits.others())):  # as they are dealt out
            names = _names(split, there)
            wanted.update(names)
            if not names:
                missing.append(place)
        if missing:
            raise _unfinished(self._plan, MAKES, missing, of=len(splits), what="splits")
        if foreign := sorted(there.keys() - wanted):
            raise DamagedMemoryError(
                f"{self.workspace.runs / foreign[0]} is no run of the plan of {self._plan.out}; remove it"
            )
        done = [self._noted(there[name]) for name in sorted(wanted)]
        self.state.progress.splits = len(done)
        self._begin(self._held(done))
        return done

    def _tasks(self) -> RunTasks:
        return replace(super()._tasks(), require=self._plan.require)

    def _made(self, split: Split) -> list[RunRecord]:
        """Those runs of a split that are there."""
        if not split.step:
            record = self._tasks().made(split)
            return [] if record is None else [record]
        made = list[RunRecord]()
        while record := self._tasks().made(split.part(len(made))):
            made.append(record)
        return made

    def _shape(self, done: list[RunRecord], *, choose: bool = True) -> TextConfig:
        """The memory's, chosen by the first task that asks, for all; two that choose at once choose alike.

        Raises:
            UnfinishedError: it is not to be chosen, and no task has done so.
        """
        config = self.prepared.plan.config
        assert isinstance(config, TextConfig)  # no other model has runs
        if (banks := known_banks(self.workspace)) is not None:
            return replace(config, num_banks=banks)
        if not choose:
            files = self._plan.files
            raise _unfinished(self._plan, MERGES, range(files), of=files, what="files")
        config, path = self._choose_banks(done), self.workspace.merged / _SHAPE_FILE
        self._plan.require()
        with writing(path):
            write_text(path, json.dumps({"num_banks": config.num_banks}) + "\n", shared=True)
        return config

    def _count_file(self, done: int, files: int, fresh: bool) -> None:
        self._plan.require()
        super()._count_file(done, files, fresh)


@dataclass(frozen=True, kw_only=True)
class WholeBuild:
    """What all tasks have made: the memory's shape, its files, the records of the runs that they were merged from."""

    config: TextConfig
    written: Written
    runs: list[RunRecord]


def _names(split: Split, there: dict[str, RunRecord]) -> list[str]:
    """The names of a split's runs, if all of them are there; else none."""
    if not split.step:
        return [split.batch_id] if split.batch_id in there else []
    names = list[str]()
    for number in itertools.count():
        record = there.get(split.part(number).batch_id)
        if record is None:
            return []
        names.append(record.batch_id)
        if record.last:
            return names
    raise AssertionError  # counting has no end


def known_banks(place: Workspace) -> int | None:
    """The number of banks of an array's memory; None if it is not chosen yet.

    Raises:
        DamagedMemoryError: it cannot be read.
    """
    path = place.merged / _SHAPE_FILE
    if not path.exists():
        return None
    try:
        return int(parse_json(path.read_text(encoding="utf-8"))["num_banks"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DamagedMemoryError(f"{path} cannot be read ({error}); remove it and merge again") from error


def tasks_of(folder: Path, command: str) -> dict[Path, Share]:
    """The records of a command's tasks, of arrays of any size."""
    found = dict[Path, Share]()
    for path in folder.glob(f"{command}-*.json"):
        if match := re.fullmatch(rf"{command}-(\d+)-of-(\d+)\.json", path.name):
            found[path] = Share(int(match[1]), int(match[2]))
    return found


def _unfinished(plan: ArrayPlan, command: str, missing: "list[int] | range", *, of: int, what: str) -> UnfinishedError:
    """What is missing, and which tasks make it: of an array of the size of that which was begun last."""
    records = tasks_of(ArrayPlace(plan.out).merged, command)
    told = f"{len(missing)} of {of} {what} of {plan.out} are not {'read' if command == MAKES else 'merged'} yet"
    if not records:
        return UnfinishedError(f"{told}: no task of memo-dist {command} {plan.out} has begun")
    tasks = records[max(records, key=lambda path: path.stat().st_mtime)].of
    wanted = sorted({place % tasks for place in missing})
    named = ", ".join(map(str, wanted[:_NAMED])) + (f" and {len(wanted) - _NAMED} more" if wanted[_NAMED:] else "")
    return UnfinishedError(
        f"{told}: those of task {named} of {tasks}. Run memo-dist {command} {plan.out} --task {wanted[0]} --of {tasks}"
        f"{' and the others' if wanted[1:] else ''}, then this again"
    )
