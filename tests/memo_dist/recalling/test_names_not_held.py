"""Names that a memory does not hold, asked for as those that it holds are: nothing is said, unless a slip is likely."""

import random
from pathlib import Path

import pytest

from cluster.build import build
from cluster.prepare import BuildOptions
from cluster.publish import PublishOptions, publish_solved
from cluster.resources import Resources
from memo_dist.files.opened import open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.session import Session

pytestmark = pytest.mark.slow

NONE = Resources(shards=1, address="none")
SYLLABLES = [
    "zim",
    "lom",
    "jan",
    "kor",
    "tel",
    "vas",
    "rin",
    "dop",
    "mul",
    "sef",
    "gar",
    "nib",
    "hul",
    "pex",
    "wod",
    "cay",
]


def names(count: int, *, seed: int, but: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    """So many names that differ in two syllables at least from each other and from those of `but`."""
    chance, found = random.Random(seed), {}
    taken = {tuple(one[at : at + 3].lower() for at in range(0, 12, 3)) for one in but}
    while len(found) < count:
        name = tuple(chance.choice(SYLLABLES) for _ in range(4))
        if all(sum(a != b for a, b in zip(name, one, strict=True)) > 1 for one in [*taken, *found]):
            found[name] = "".join(name).capitalize()
    return list(found.values())


HELD = names(60, seed=1)
KEYS = {name: str(random.Random(name).randrange(10**4, 10**5)) for name in HELD}
ABSENT = names(120, seed=2, but=set(HELD))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, chance = tmp_path_factory.mktemp("names"), random.Random(3)
    told = [f"The pass key of {name} is {key}. Remember it: {key} opens the gate." for name, key in KEYS.items()]
    words = [
        "the",
        "sea",
        "was",
        "calm",
        "and",
        "old",
        "men",
        "sat",
        "by",
        "their",
        "boats",
        "to",
        "mend",
        "nets",
        "until",
        "light",
        "went",
        "out",
        "of",
        "every",
        "window",
    ]
    filler = [" ".join(chance.choices(words, k=30)).capitalize() + "." for _ in range(240)]
    (folder / "texts").mkdir()
    (folder / "texts" / "hay.txt").write_text("\n\n".join(chance.sample([*told, *filler], len(told) + len(filler))))
    build([str(folder / "texts")], folder / "m.memo", BuildOptions(num_banks=60, inner_dim=256, resources=NONE))
    publish_solved(folder / "m.memo", folder / "p.memo", PublishOptions(resources=NONE))
    return folder


def answers(folder: Path, form: str, asked: list[str], **settings: object) -> list[Continuation]:
    options = RecallOptions(max_tokens=8, read="matrices" if form == "matrices" else "auto", **settings)  # type: ignore[arg-type]
    with open_memory(folder / ("p.memo" if form == "solved" else "m.memo")) as opened:
        return Session(opened, opened.tokenizer).recall([f"The pass key of {name} is" for name in asked], options)


@pytest.mark.parametrize("form", ["exact", "solved", "matrices"])
def test_a_name_that_is_not_held_is_not_answered(folder: Path, form: str) -> None:
    wrong = {name: one for name, one in zip(ABSENT, answers(folder, form, ABSENT), strict=True) if one.text}
    assert not wrong


@pytest.mark.parametrize("form", ["exact", "solved", "matrices"])
def test_a_name_that_is_held_is(folder: Path, form: str) -> None:
    for name, one in zip(HELD, answers(folder, form, HELD), strict=True):
        assert (one.text or "").strip().startswith(KEYS[name]), (name, one)


@pytest.mark.parametrize("form", ["exact", "solved"])
def test_a_slip_in_a_name_is_read_as_the_name(folder: Path, form: str) -> None:
    right = answers(folder, form, [name[:4] + name[5:] for name in HELD])
    assert sum((one.text or "").strip().startswith(KEYS[name]) for name, one in zip(HELD, right, strict=True)) >= 57
