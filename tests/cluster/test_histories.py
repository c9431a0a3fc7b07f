"""Random histories of sync, forget, compact, merge and undo: after each step the memory is the one built at once.

Truth is `Memory` in one process of the documents that the history leaves.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cluster.build import build
from cluster.change import forget, sync
from cluster.change_prepare import ChangeOptions
from cluster.combine import CombineOptions, merge
from cluster.compact import compact
from cluster.prepare import BuildOptions
from cluster.resources import Resources
from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.errors import NotMemorizedError
from memo_dist.files.generations import undo
from memo_dist.files.opened import open_memory
from pipelines.plan import CorpusOptions

ALONE = Resources(shards=2, address="none")
CORPUS = CorpusOptions(split_bytes=400)
OPTIONS = ChangeOptions(resources=ALONE, corpus=CORPUS)
BUILD = BuildOptions(tokenizer="bytes", num_banks=12, inner_dim=64, resources=ALONE, corpus=CORPUS)
CONFIG = TextConfig(num_banks=12, vocab_size=256, inner_dim=64)
WORDS = [
    "the",
    "stone",
    "of",
    "a",
    "river",
    "that",
    "runs",
    "under",
    "an",
    "old",
    "bridge",
    "where",
    "nobody",
    "fishes",
]
NAMES = [f"{number}.txt" for number in range(8)]
Texts = dict[str, str]


class Step(NamedTuple):
    """What is done, to which documents, with which seed, and whether segments may be written."""

    action: str
    documents: list[str]
    seed: int
    beside: bool


STEPS = st.builds(
    Step,
    st.sampled_from(["sync", "sync", "sync", "forget", "compact", "merge", "undo"]),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    st.integers(0, 3),
    st.sampled_from([True, True, False]),
)
HISTORIES = st.lists(STEPS, min_size=2, max_size=6)


def text(name: str, seed: int) -> str:
    draws = np.random.default_rng([seed, *name.encode()])
    return " ".join(draws.choice(WORDS, 30))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("histories")
    for folder, names in (("corpus", NAMES[:6]), ("other", ["other.txt"])):
        (place / folder).mkdir()
        for name in names:
            (place / folder / name).write_text(text(name, 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        build(["corpus"], Path("m.memo"), BUILD)
        build(["other"], Path("other.memo"), BUILD)
    return place


def digest_of(texts: Texts) -> str:
    memory = Memory(CONFIG, Tokenizer.bytes())
    for name, words in texts.items():
        memory.memorize(name, np.frombuffer(words.encode(), np.uint8))
    return memory.digest()


class History:
    """A memory in the working directory, and what it should hold, with what it held before the last change."""

    memory = Path("m.memo")

    def __init__(self) -> None:
        self.texts: Texts = {f"corpus/{name}": text(name, 0) for name in NAMES[:6]}
        self.before: Texts | None = None

    def do(self, step: Step) -> None:
        options = OPTIONS if not step.beside else replace(OPTIONS, fold_share=9.0)
        getattr(self, f"_{step.action}")(step, replace(options, fold_share=options.fold_share * step.beside))
        with open_memory(self.memory) as stored:
            stored.verify()
            assert stored.manifest.digest == digest_of(self.texts)
            held = stored.require_working().documents()
            assert sorted(name for table in held for name in table.column("id").to_pylist()) == sorted(self.texts)

    def _become(self, texts: Texts) -> None:
        if texts != self.texts:
            self.texts, self.before = texts, self.texts

    def _sync(self, step: Step, options: ChangeOptions) -> None:
        for name in step.documents:
            path = Path("corpus", name)
            if path.exists() and step.seed == 3 and len(list(path.parent.iterdir())) > 1:
                path.unlink()
            else:
                path.write_text(text(name, step.seed))
        sync(self.memory, ["corpus"], options)
        self._become({str(path): path.read_text() for path in Path("corpus").iterdir()})

    def _forget(self, step: Step, options: ChangeOptions) -> None:
        names = [f"corpus/{name}" for name in step.documents]
        forget(self.memory, [], replace(options, documents=tuple(names)))
        self._become({name: words for name, words in self.texts.items() if name not in names})

    def _compact(self, step: Step, options: ChangeOptions) -> None:
        with open_memory(self.memory) as stored:
            segmented = stored.manifest.is_segmented
        compact(self.memory, options.resources)
        if segmented:
            self.before = self.texts

    def _merge(self, step: Step, options: ChangeOptions) -> None:
        if "other/other.txt" in self.texts:
            return
        merge([self.memory, Path("other.memo")], Path("merged.memo"), CombineOptions(resources=ALONE))
        shutil.rmtree(self.memory)
        Path("merged.memo").rename(self.memory)
        self.texts, self.before = {**self.texts, "other/other.txt": text("other.txt", 0)}, None

    def _undo(self, step: Step, options: ChangeOptions) -> None:
        if self.before is None:
            with pytest.raises(NotMemorizedError):
                undo(self.memory)
            return
        undo(self.memory)
        self.texts, self.before = self.before, None


def hold(original: Path, history: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        shutil.copytree(original, name, dirs_exist_ok=True)
        patch.chdir(name)
        memory = History()
        for step in history:
            memory.do(step)


@settings(max_examples=3, deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate])
@given(history=HISTORIES)
def test_after_any_history_the_memory_is_that_built_at_once(original: Path, history: list[Step]) -> None:
    hold(original, history)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("count", [50, pytest.param(200, marks=pytest.mark.thorough)])
def test_after_so_many_histories_the_memory_is_that_built_at_once(original: Path, count: int) -> None:
    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(history=HISTORIES)
    def histories(history: list[Step]) -> None:
        hold(original, history)

    histories()
