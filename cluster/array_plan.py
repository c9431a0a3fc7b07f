"""ArrayPlan: what the tasks of an array have in common: a build that was planned, in a directory that they share.

Covers: the record of the plan, the workspace as tasks see it, which splits and files are a task's. Does not cover:
what tasks do (array_run.py, array_build.py), telling how far they are (array_status.py).

A plan is a workspace like that of any build, with `array.json` among what is done in it: so a build of the same goes on
from a plan, and from what tasks have made. Tasks do not claim the workspace as builds do (workspace.py), and any number
of them, also of one name, may be at work: each adds runs and files that are named by what they are of, whole or not at
all. The last command, `finish`, claims it.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cluster.prepare import PreparedCorpus, options_of, prepare
from cluster.resources import NO_CLUSTER, Resources
from cluster.workspace import Workspace, unfinished_statement, workspace_path
from memo_dist.durable import write_text, writing
from memo_dist.errors import ConfigError, DamagedMemoryError, FencedError, InputError, OutputExistsError
from memo_dist.files.staging import refuse_existing
from memo_dist.json_text import parse_json

PLAN_FILE = "array.json"


@dataclass(frozen=True)
class Share:
    """Which task this is: tasks are numbered from 0.

    Raises:
        ConfigError: there is no such task.
    """

    task: int = 0
    of: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.task < self.of:
            raise ConfigError(
                f"--task is {self.task} and --of is {self.of}; expected tasks from 0 to {max(self.of - 1, 0)}: "
                f"number an array of {self.of} from 0, as --array=0-{max(self.of - 1, 0)} does"
            )

    @property
    def part(self) -> slice:
        """Of anything that is numbered, what is this task's."""
        return slice(self.task, None, self.of)


class ArrayPlace(Workspace):
    """The workspace of an array, claimed by nobody; see Workspace."""

    def __init__(self, out: Path) -> None:  # not the parent's, which claims it
        self.out, self.path, self._replaces = out, workspace_path(out), None
        self._tokenizer, self._token, self._given_up = None, secrets.token_hex(4), False
        self._made = list[Path]()
        self.generation = 0  # names of files differ by the token


@dataclass(frozen=True, kw_only=True)
class ArrayPlan:
    """The plan of an array.

    Attributes:
        out: the memory to be made.
        token: tells this plan from one that takes its place.
        files: how many the memory has. splits: how many runs there are; of streams, about.
        directory: in which the inputs were named.
    """

    out: Path
    token: str
    files: int
    splits: int
    directory: str

    @classmethod
    def new(cls, out: Path, *, files: int, splits: int) -> "ArrayPlan":
        """Write the plan of a workspace that is claimed.

        Raises:
            StorageError: it cannot be written.
        """
        made = cls(out=out, token=secrets.token_hex(8), files=files, splits=splits, directory=os.getcwd())
        place = ArrayPlace(out).merged
        values = asdict(made)
        del values["out"]
        with writing(place):
            place.mkdir(exist_ok=True)
            write_text(place / PLAN_FILE, json.dumps(values) + "\n")
        return made

    @classmethod
    def read(cls, out: Path) -> "ArrayPlan":
        """The plan of a memory that is to be made.

        Raises:
            InputError: there is none. OutputExistsError: the memory is there already.
            DamagedMemoryError: it cannot be read.
        """
        if (known := cls.known(out)) is not None:
            return known
        refuse_existing(out)
        raise InputError(
            f"there is no plan of {out}; memo-dist plan-build INPUT... --out {out} makes one, in the directory that "
            "all tasks share"
        )

    @classmethod
    def known(cls, out: Path) -> "ArrayPlan | None":
        """The plan; None if there is none.

        Raises:
            DamagedMemoryError: it cannot be read.
        """
        path = ArrayPlace(out).merged / PLAN_FILE
        if not path.exists():
            return None
        try:
            return cls(out=out, **parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DamagedMemoryError(f"{path} cannot be read ({error}); plan the build of {out} again") from error

    def files_of(self, banks: int | None) -> int:
        """How many files the memory has with so many banks; None: they are not chosen yet."""
        return self.files if banks is None else min(self.files, banks)

    def require(self) -> None:
        """Refuse to go on where the plan is no longer there.

        Raises:
            FencedError: the memory is finished, or is planned anew.
        """
        try:
            if ArrayPlan.read(self.out).token == self.token:
                return
        except (InputError, OutputExistsError):
            pass
        raise FencedError(
            f"the plan of {self.out} that this task belongs to is no longer there: the memory is finished, or was "
            "planned anew; this task ends"
        )

    def prepared(self, resources: Resources) -> PreparedCorpus:
        """The build, as it was planned, for threads of this process.

        Raises:
            ConfigError: a source has changed since, or this is another directory. FencedError: see `require`.
        """
        statement = unfinished_statement(self.out)
        if statement is None:
            self.require()
            raise DamagedMemoryError(f"{workspace_path(self.out)} has no statement; plan the build of {self.out} again")
        inputs = statement["inputs"]
        if os.getcwd() != self.directory and any(_is_relative(one) for one in inputs):
            raise ConfigError(
                f"the inputs of {self.out} were named in {self.directory}, {inputs[0]} among them, and this is "
                f"{os.getcwd()}: run the tasks there, or plan with absolute names"
            )
        here = replace(resources, shards=self.files, address=NO_CLUSTER)
        return prepare(inputs, self.out, options=options_of(statement["settings"], here), stopped=statement)


def _is_relative(name: str) -> bool:
    return "://" not in name and not os.path.isabs(name)
