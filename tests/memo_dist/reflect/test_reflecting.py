"""Reflecting: five steps of a world's documents by a model of rules, stopped, killed, failing.

Covers: calls and their order, what each step adds, files that do not depend on the past. Truth: the world's own facts.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from dictionary_memory import DictionaryMemory
from scripted_endpoint import Request, Said, ScriptedEndpoint, scripted_endpoint

from memo_dist.endpoint.options import EndpointOptions
from memo_dist.errors import ConfigError, EndpointError, OutputExistsError
from memo_dist.experiments.world import World, chain_text
from memo_dist.reflect.chunks import chunks_of
from memo_dist.reflect.options import STEPS, ReflectOptions, steps_folder
from memo_dist.reflect.pairs import Pair
from memo_dist.reflect.reflecting import Reflected, groups_by_entity, reflect
from memo_dist.reflect.steps import cross_document_items
from memo_dist.reflections.reflection import Reflection, read_reflections

WORLD = World(seed=3, people=10)
ROOT = Path(__file__).parents[3]


def run(server: ScriptedEndpoint, out: Path, options: ReflectOptions | None = None, *, at_once: int = 8) -> Reflected:
    endpoint = EndpointOptions(url=server.url, backoff=0.01, trials=2, concurrency=at_once)
    return reflect(WORLD.documents(), out, endpoint=endpoint, options=options)


def files(out: Path) -> dict[str, bytes]:
    """The output and the files of all steps."""
    return {path.name: path.read_bytes() for path in [out, *sorted(steps_folder(out).iterdir())]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Reflected]:
    """A run that nothing stopped: its output, the stages that were asked, in order, and its summary."""
    out = tmp_path_factory.mktemp("whole") / "r.jsonl"
    with scripted_endpoint() as server:
        done = run(server, out, at_once=1)
        return out, server.stages(), done


def test_calls_are_as_many_as_there_are_things_to_ask_and_in_the_order_of_the_steps(
    whole: tuple[Path, list[str], Reflected],
) -> None:
    _, stages, _ = whole
    facts = 10 * 8 + 2 * 5 + 10 + 10  # of people and towns; ages; births with deaths
    assert Counter(stages) == {
        "direct facts": 12,
        "indirect facts": 12,
        "consolidation": 12,
        "verification": facts + 10,
        "rewriting": 10,  # the fact of each person that was drawn with a pronoun
        "entity surfacing": 12,
        "cross-document": 2,
    }
    order = [stage for stage in dict.fromkeys(stages) if stage != "rewriting"]
    assert [stage.replace(" ", "_").replace("-", "_") for stage in order] == list(STEPS)
    assert stages.index("entity surfacing") > max(i for i, stage in enumerate(stages) if stage == "rewriting")


def test_every_fact_of_the_world_is_answered_and_pronouns_are_gone(whole: tuple[Path, list[str], Reflected]) -> None:
    out, _, done = whole
    reflections = list(read_reflections(out))
    memory = DictionaryMemory(reflections)
    for (subject, noun), fact in WORLD.steps().items():
        said = memory.answer(chain_text(subject, (noun,)))
        assert said.answer == fact.object
    assert not any(word in one.question.split() for one in reflections for word in ("them", "They", "they"))
    assert done.failed == {}
    assert done.documents == 12
    assert sum(done.reflections.values()) == len(reflections) == len({one.id for one in reflections})


def test_reflections_name_their_documents_and_entities(whole: tuple[Path, list[str], Reflected]) -> None:
    reflections = list(read_reflections(whole[0]))
    documents = dict(WORLD.documents())
    for one in reflections:
        assert set(one.docs) <= set(documents)
        assert len(one.docs) == 1 or one.step == "cross_document"
        if one.step == "entity_surfacing":
            assert one.answer.startswith(one.entities)
            assert one.entities[0] not in one.question
    crossing = [one for one in reflections if one.step == "cross_document"]
    assert len(crossing) == 2
    for one in crossing:
        town = one.question.removeprefix("Which people were born in ").removesuffix("?")
        born = {fact.document for fact in WORLD.facts if fact.relation == "birthplace" and fact.object == town}
        assert set(one.docs) == born


def test_no_document_is_dropped_for_being_small(tmp_path: Path) -> None:
    one = "Ada Ashby is a person of whom this page tells. Ada Ashby founded the company Ashby Bells."
    with scripted_endpoint() as server:
        reflect([("small", one)], tmp_path / "r.jsonl", endpoint=EndpointOptions(url=server.url))
        assert "consolidation" not in server.stages()
    asked = {(found.question, found.answer) for found in read_reflections(tmp_path / "r.jsonl")}
    assert asked == {
        ("What is the company of Ada Ashby?", "Ashby Bells"),
        ("What is the founder of Ashby Bells?", "Ada Ashby"),
    }


def test_a_finished_run_asks_nothing_again(whole: tuple[Path, list[str], Reflected]) -> None:
    out, _, done = whole
    before = files(out)
    with scripted_endpoint() as server:
        assert run(server, out) == done
        assert server.requests == []
    assert files(out) == before


KILLED = """
import sys
from pathlib import Path
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.experiments.world import World
from memo_dist.reflect.reflecting import reflect
endpoint = EndpointOptions(url=sys.argv[1], concurrency=3)
reflect(World(seed=3, people=10).documents(), Path(sys.argv[2]), endpoint=endpoint)
"""


@pytest.mark.parametrize(("stage", "number"), [("direct facts", 7), ("verification", 60), ("cross-document", 1)])
def test_killed_between_two_items_and_run_again_the_files_are_the_same(
    whole: tuple[Path, list[str], Reflected], tmp_path: Path, stage: str, number: int
) -> None:
    out = tmp_path / "r.jsonl"
    process: list[subprocess.Popen[bytes]] = []

    def kill(request: Request) -> Said | None:
        if (request.stage, request.number) == (stage, number):
            os.kill(process[0].pid, signal.SIGKILL)
        return None

    with scripted_endpoint(kill) as server:
        process.append(subprocess.Popen([sys.executable, "-c", KILLED, server.url, str(out)], cwd=ROOT))
        assert process[0].wait() == -signal.SIGKILL
        assert not out.exists()
        asked = len(server.requests)
        server.script = lambda request: None
        run(server, out)
        again = len(server.requests) - asked
    assert files(out) == files(whole[0])
    assert again <= len(whole[1]) - asked + 3 * 3  # three items were under way, of at most three calls each


def test_a_hedged_duplicate_is_ignored(whole: tuple[Path, list[str], Reflected], tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    late = Said('{"qa_pairs": [{"question": "late", "answer": "late"}]}', seconds=2.0)
    with scripted_endpoint(lambda request: late if _is_first(request, "direct facts") else None) as server:
        endpoint = EndpointOptions(url=server.url, hedge_after=0.2)
        reflect(WORLD.documents(), out, endpoint=endpoint)
        assert Counter(server.stages())["direct facts"] >= 13  # on a busy machine others are late, too
    assert files(out) == files(whole[0])


def _is_first(request: Request, stage: str) -> bool:
    return request.stage == stage and request.number == 0


def refusing(subject: str) -> Callable[[Request], Said | None]:
    """Questions about one document are refused for good."""
    return lambda request: Said("too long", status=400) if f'document id="{subject}"' in request.message else None


def test_an_item_that_fails_is_told_and_its_error_superseded_by_the_next_run(
    whole: tuple[Path, list[str], Reflected], tmp_path: Path
) -> None:
    out = tmp_path / "r.jsonl"
    with scripted_endpoint(refusing("person-0004")) as server:
        done = run(server, out)
        assert done.failed == {"direct_facts": 1, "indirect_facts": 1}
        rows = [json.loads(line) for line in (steps_folder(out) / "direct_facts.jsonl").read_text().splitlines()]
        assert [row["doc"] for row in rows if "error" in row] == ["person-0004"]
        assert "status 400" in next(row["error"] for row in rows if "error" in row)
        server.script = lambda request: None
        server.requests.clear()
        assert run(server, out).failed == {}
        assert Counter(server.stages())["direct facts"] == 1
    assert out.read_bytes() == whole[0].read_bytes()
    assert (steps_folder(out) / "direct_facts.jsonl").read_bytes() == files(whole[0])["direct_facts.jsonl"]


def test_a_reply_that_cannot_be_read_is_asked_for_again(
    whole: tuple[Path, list[str], Reflected], tmp_path: Path
) -> None:
    def spoil(request: Request) -> Said | None:
        return Said('{"qa_pairs": [{"question": 1') if _is_first(request, "indirect facts") else None

    with scripted_endpoint(spoil) as server:
        assert run(server, tmp_path / "r.jsonl").failed == {}
        assert Counter(server.stages())["indirect facts"] == 13
    assert files(tmp_path / "r.jsonl") == files(whole[0])


def test_an_endpoint_that_goes_away_ends_the_run_and_keeps_what_is_done(tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    down = Said("down", status=400)
    with scripted_endpoint(lambda request: down if request.stage == "verification" else None) as server:
        with pytest.raises(EndpointError, match=r"items failed one after another, the last one so: .*status 400"):
            run(server, out)
        assert not out.exists()
        assert len((steps_folder(out) / "direct_facts.jsonl").read_text().splitlines()) == 12


def test_what_never_stands_alone_is_left_out_after_five_rewritings(tmp_path: Path) -> None:
    said = {
        "verification": Said('{"is_self_contained": false}'),
        "rewriting": Said('{"question": "Who is it?", "answer": "Ada"}'),
    }
    with scripted_endpoint(lambda request: said.get(request.stage)) as server:
        text = "Ada Ashby is a person of whom this page tells. Ada Ashby founded the company Ashby Bells."
        reflect([("small", text)], tmp_path / "r.jsonl", endpoint=EndpointOptions(url=server.url))
        assert Counter(server.stages())["rewriting"] == 5
        assert Counter(server.stages())["verification"] == 6
    assert (tmp_path / "r.jsonl").read_bytes() == b""


def test_a_step_that_is_left_out_is_not_asked(tmp_path: Path) -> None:
    with scripted_endpoint() as server:
        run(server, tmp_path / "r.jsonl", ReflectOptions(skip=("entity_surfacing", "verification")))
        stages = set(server.stages())
        assert stages == {"direct facts", "indirect facts", "consolidation"}  # no entity, no group of documents
    with pytest.raises(ConfigError, match="there is no step dreams; the steps are direct_facts"):
        ReflectOptions(skip=("dreams",))


def test_an_output_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("mine")
    with scripted_endpoint() as server, pytest.raises(OutputExistsError, match=r"r.jsonl exists, and .*steps does not"):
        run(server, tmp_path / "r.jsonl")


def test_a_question_that_gives_its_answer_away_surfaces_nothing(tmp_path: Path) -> None:
    rows = [
        {"entity": "Ada Ashby", "question": "What did Ada Ashby found?", "answer": "Ada Ashby"},
        {"entity": "Ada Ashby", "question": "Who founded it?", "answer": "It was Ada Ashby"},
        {"entity": "Ada Ashby", "question": "Who founded Ashby Bells?", "answer": "Ada Ashby", "forms": ["Ada Ashby?"]},
    ]
    said = Said(json.dumps({"entity_surfacing_qa_pairs": rows}))
    text = "Ada Ashby is a person of whom this page tells. Ada Ashby founded the company Ashby Bells."
    with scripted_endpoint(lambda request: said if request.stage == "entity surfacing" else None) as server:
        reflect([("small", text)], tmp_path / "r.jsonl", endpoint=EndpointOptions(url=server.url))
    surfaced = [one for one in read_reflections(tmp_path / "r.jsonl") if one.step == "entity_surfacing"]
    assert [(one.question, one.forms) for one in surfaced] == [("Who founded Ashby Bells?", ())]


def test_groups_are_of_entities_that_several_documents_surfaced() -> None:
    def pair(document: str, question: str, answer: str, entity: str = "") -> Pair:
        return Pair(question, answer, entity=entity, docs=(document,))

    facts = [pair("a", "Where was Ada born?", "Ashby"), pair("a", "Who was Ada?", "a baker"), pair("b", "x", "ASHBY")]
    surfaced = [pair("a", "q", "Ashby", "Ashby"), pair("b", "q", "Ashby", "ashby"), pair("b", "q", "Ada", "Ada")]
    assert groups_by_entity(facts, surfaced) == {"Ashby": [facts[0], facts[2]]}


def test_long_documents_are_cut_by_words_and_keep_their_date() -> None:
    text = "date: 3 May 1900\n" + " ".join(f"w{i}" for i in range(20))
    chunks = chunks_of("a", text, words=10, overlap=2)
    words = text.split()
    assert [chunk.text.split() for chunk in chunks] == [words[0:10], words[8:18], words[16:26]]
    assert {chunk.date for chunk in chunks} == {"3 May 1900"}
    assert [chunk.text for chunk in chunks_of("a", text, words=24, overlap=2)] == [text]
    assert chunks_of("a", " \n", words=10, overlap=2) == []
    for size in range(11, 40):  # whatever its length, nothing is left out, and no part is only overlap
        some = chunks_of("a", " ".join(map(str, range(size))), words=10, overlap=3)
        assert list(dict.fromkeys(" ".join(one.text for one in some).split())) == [str(i) for i in range(size)]
        assert all(len(one.text.split()) > 3 for one in some)


def test_a_reflection_is_named_by_its_content() -> None:
    pair = Pair("q", "a", docs=("d",), step="direct_facts")
    assert isinstance(pair.reflection(), Reflection)
    assert pair.reflection().id == Pair("q", "a", docs=("d",), step="consolidation").reflection().id
    assert pair.reflection().id != Pair("q", "a", docs=("e",)).reflection().id


def test_facts_of_one_document_alone_are_not_asked_across_documents() -> None:
    """Of more facts than a prompt holds the last ones may be of one document."""
    facts = [Pair(f"q{i}", "Ashby", docs=("a",)) for i in range(25)]
    facts.insert(1, Pair("q", "Ashby", docs=("b",)))
    assert len(cross_document_items({"Ashby": facts})) == 1
