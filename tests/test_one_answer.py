"""One answer: the command line, Python, a recall job and the service say the same of 200 prompts, field by field.

Covers: ids, texts, texts that end inside a token, beginnings, too short prompts, unknown ones. Does not cover: whether
the answers are right (recalling/test_recall.py).
"""

import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_service import Local, front_of
from starlette.testclient import TestClient

from cluster.recall_actor import RecallActor
from console.app import main
from memo_dist import Memory, RecallOptions, Session, TextConfig, Tokenizer
from memo_dist.errors import PromptError
from memo_dist.files.opened import open_memory
from memo_dist.http.app import application
from memo_dist.http.limits import Limits
from memo_dist.http.metrics import Metrics
from memo_dist.recalling.probabilities import log_probabilities
from memo_dist.recalling.prompts import PromptRow

Prompt = str | list[int]
Answers = list[dict[str, Any]]
SETTINGS: dict[str, Any] = {"max_tokens": 12, "beam": 3, "min_confidence": 0.95}
RIVALS = 8  # what the service divides probabilities among
VOCABULARY = 400
FIELDS = ("text", "tokens", "scores", "confidences", "windows", "stop", "stop_confidence", "alternatives")


@dataclass
class Asked:
    """Prompts that one call may ask."""

    kind: str
    prompts: list[Prompt]
    from_start: bool = False


@dataclass
class World:
    """A memory on disk, prompts that can be asked, and prompts that cannot."""

    path: Path
    tokenizer: Tokenizer
    asked: list[Asked]
    refused: list[Prompt]


def merging_tokenizer(texts: list[str]) -> Tokenizer:
    """Byte-level BPE with merges, so that a text can end inside a token."""
    from tokenizers import Tokenizer as Model
    from tokenizers import decoders, models, pre_tokenizers, trainers

    model = Model(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    model.train_from_iterator(texts, trainer)
    return Tokenizer(model.to_str())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    rng = np.random.default_rng(13)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), rng.integers(2, 9))) for _ in range(120)]
    texts = [" ".join(rng.choice(words, 260)) for _ in range(8)]
    tokenizer = merging_tokenizer(texts)
    memory = Memory(TextConfig(num_banks=40, vocab_size=tokenizer.vocab_size, inner_dim=128), tokenizer)
    ids = [tokenizer.encode([text])[0].tolist() for text in texts]
    for place, tokens in enumerate(ids):
        memory.memorize(f"d{place}", tokens)
    path = tmp_path_factory.mktemp("one") / "m.memo"
    memory.save(path)

    def cut(line: Any, length: int) -> Any:
        start = int(rng.integers(len(line) - length - 80))
        return line[start : start + length]

    def inside(text: str) -> str:
        """From a word's beginning to the middle of a token."""
        ends = [b for a, b in tokenizer.encode_with_places(text)[1] if b - a > 2 and b > 200]
        end = int(rng.choice(ends)) - 1
        return text[text.index(" ", end - 120) + 1 : end]

    pick = lambda lines: lines[int(rng.integers(len(lines)))]  # noqa: E731 - one expression, used five times below
    nonsense = ["".join(rng.choice(list("qrstuvwxyz ;"), 60)) for _ in range(20)]
    return World(
        path,
        tokenizer,
        [
            Asked("text", [cut(pick(texts), int(rng.integers(40, 160))) for _ in range(40)]),
            Asked("inside a token", [inside(pick(texts)) for _ in range(40)]),
            Asked("ids", [cut(pick(ids), int(rng.integers(24, 90))) for _ in range(40)]),
            Asked("text from the start", [pick(texts)[: int(rng.integers(0, 30))] for _ in range(20)], True),
            Asked("ids from the start", [pick(ids)[: int(rng.integers(0, 9))] for _ in range(20)], True),
            Asked("unknown text", nonsense),
            Asked("unknown ids", [rng.integers(0, VOCABULARY, int(n)).tolist() for n in rng.integers(24, 90, 10)]),
            Asked("short text", ["", "a", *(pick(texts)[:2] for _ in range(3))]),
            Asked("short ids", [[], [1], [1, 2]]),
        ],
        [[1, 2, 3, VOCABULARY], [VOCABULARY + 1]],
    )


def options_of(asked: Asked) -> RecallOptions:
    return RecallOptions(from_start=asked.from_start, top_k=RIVALS, **SETTINGS)


def by_command_line(world: World, asked: Asked, tmp_path: Path) -> Answers:
    """The truth that the other surfaces are held against."""
    code, out, _ = command(world, asked.prompts, tmp_path, "--from-start" if asked.from_start else "--no-from-start")
    assert code == 0
    found: Answers = json.loads(out)["results"]
    return [{"text": None, "healed": 0, **one} for one in found]


@pytest.fixture(scope="module")
def truth(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answers]:
    """What the command line says, by the kind of the prompts."""
    place = tmp_path_factory.mktemp("truth")
    return {asked.kind: by_command_line(world, asked, place) for asked in world.asked}


def command(world: World, prompts: list[Prompt], tmp_path: Path, *flags: str) -> tuple[int, str, str]:
    rows = [{"text": one} if isinstance(one, str) else {"tokens": one} for one in prompts]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["recall", str(world.path), "--prompts", str(tmp_path / "prompts.jsonl"), "--json"]
    settings = [part for name, value in SETTINGS.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    out, error = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        code = main([*words, *settings, "--top-k", str(RIVALS), *flags])
    return code, out.getvalue(), error.getvalue()


def by_memory(world: World, asked: Asked, _: Path) -> Answers:
    """Prompt by prompt."""
    memory = Memory.open(world.path)
    return [asdict(memory.recall([one], **asdict(options_of(asked)))[0]) for one in asked.prompts]


def by_session(world: World, asked: Asked, _: Path) -> Answers:
    """Beside prompts of the other kind, all together."""
    others: list[Prompt] = [[1, 2, 3, 4, 5], "one of another kind"]
    with open_memory(world.path) as opened:
        found = Session(opened, opened.tokenizer).recall([*others, *asked.prompts], options_of(asked))
    return [asdict(one) for one in found[len(others) :]]


def by_job(world: World, asked: Asked, _: Path) -> Answers:
    """As the actors of a job answer, in one process."""
    rows = [PromptRow(str(place), prompt) for place, prompt in enumerate(asked.prompts)]
    found: Answers = RecallActor({"m": str(world.path)}, options_of(asked)).answer(rows).to_pylist()
    return found


def by_whole_job(world: World, asked: Asked, tmp_path: Path) -> Answers:
    import pyarrow.parquet as pq

    out = tmp_path / "out.parquet"
    flags = ["--from-start"] if asked.from_start else []
    assert command(world, asked.prompts, tmp_path, "--out", str(out), "--shards", "2", *flags)[0] == 0
    found: Answers = pq.read_table(out).to_pylist()
    return found


@pytest.mark.parametrize(
    "surface", [by_memory, *(pytest.param(one, marks=pytest.mark.slow) for one in (by_session, by_job, by_whole_job))]
)
def test_python_and_jobs_answer_as_the_command_line_does(
    world: World, truth: dict[str, Answers], surface: Callable[[World, Asked, Path], Answers], tmp_path: Path
) -> None:
    for asked in world.asked:
        answers = surface(world, asked, tmp_path)
        for prompt, true, found in zip(asked.prompts, truth[asked.kind], answers, strict=True):
            for field in (*FIELDS, *(name for name in ("prompt", "healed") if name in found)):
                assert found[field] == true[field], (asked.kind, prompt, field)
            assert found["error"] is None
        (tmp_path / "out.parquet").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def service(world: World) -> TestClient:
    return TestClient(application(front_of(Local(world.path, Limits()), limits=Limits(), metrics=Metrics()), []))


@pytest.mark.slow
def test_the_service_answers_as_the_command_line_does(
    world: World, truth: dict[str, Answers], service: TestClient
) -> None:
    for asked in world.asked:
        words = {"model": "m", "from_start": asked.from_start, "logprobs": 1, **SETTINGS}
        together = service.post("/v1/completions", json={**words, "prompt": asked.prompts}).json()["choices"]
        for prompt, true, choice in zip(asked.prompts, truth[asked.kind], together, strict=True):
            alone = service.post("/v1/completions", json={**words, "prompt": prompt or [prompt]}).json()["choices"][0]
            assert {**choice, "index": 0} == alone
            text = world.tokenizer.decode(true["tokens"]) if true["text"] is None else true["text"]
            memo, said = choice["memo"], len(true["tokens"]) - len(choice["memo"]["confidences"])
            assert 0 <= said <= true["healed"]  # tokens that repeat the prompt's end are not told again
            assert choice["text"] == text, (asked.kind, prompt)
            assert memo["stop"] == true["stop"]
            assert memo["stop_confidence"] == true["stop_confidence"]
            assert memo["confidences"] == true["confidences"][said:], (asked.kind, prompt)
            assert memo["windows"] == true["windows"][said:]
            assert choice["logprobs"]["token_logprobs"] == probabilities(true)[said:]


def probabilities(answer: dict[str, Any]) -> list[float]:
    """Logarithms of the tokens' probabilities, from the scores that the command line tells."""
    found = []
    for token, score, others in zip(answer["tokens"], answer["scores"], answer["alternatives"], strict=True):
        rivals = [one["score"] for one in others if one["token"] != token]
        found.append(log_probabilities(np.array([score, *rivals])).tolist()[0])
    return found


def test_what_cannot_be_asked_is_refused_everywhere_for_the_same_reason(
    world: World, service: TestClient, tmp_path: Path
) -> None:
    memory = Memory.open(world.path)
    rows = [PromptRow(str(place), prompt) for place, prompt in enumerate(world.refused)]
    job = RecallActor({"m": str(world.path)}, RecallOptions(**SETTINGS)).answer(rows).to_pylist()
    for prompt, row in zip(world.refused, job, strict=True):
        code, _, error = command(world, [prompt], tmp_path)
        reason = json.loads(error)["message"] if error.startswith("{") else error
        reason = " ".join(reason.split()).partition(" has ")[2]
        assert code == 2
        with pytest.raises(PromptError) as raised:
            memory.recall([prompt], **SETTINGS)
        python = str(raised.value)
        with_flags = python.partition(" has ")[2].replace("(from_start)", "(--from-start)")  # jobs are commands, too
        assert with_flags in reason
        assert (row["stop"], row["tokens"], row["text"]) == ("refused", None, None)
        assert row["error"].partition(" has ")[2] == with_flags
        answer = service.post("/v1/completions", json={"model": "m", "prompt": prompt or [prompt]})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].partition(" has ")[2] == python.partition(" has ")[2]
        assert len(python.partition(" has ")[2]) > 20


def test_the_prompts_are_what_they_are_called(world: World, truth: dict[str, Answers]) -> None:
    """200 of them; most texts go on, cut-off ones are healed, unknown ones are met with silence."""
    assert sum(len(asked.prompts) for asked in world.asked) + len(world.refused) == 200
    for kind in ("text", "ids", "inside a token"):
        assert sum(bool(one["tokens"]) for one in truth[kind]) > 25, kind
    assert sum(one["healed"] > 0 for one in truth["inside a token"]) > 20
    for kind in ("unknown text", "unknown ids"):
        assert all(one["stop"] == "abstained" for one in truth[kind])
    for kind in ("text from the start", "ids from the start"):
        assert any(len(one["prompt"]) == 0 for one in truth[kind])
        assert sum(bool(one["tokens"]) for one in truth[kind]) > 5
