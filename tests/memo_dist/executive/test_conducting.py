"""One question conducted: how many calls in which order, when each stage ends, what is asked and what is not.

A tape says what the language model replies, call by call; the memory is a dictionary. The whole loop with a model that
thinks by rules is in test_asking.py.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from dictionary_memory import DictionaryMemory, normalised

from memo_dist.endpoint.options import Sampling
from memo_dist.errors import ConfigError
from memo_dist.executive.asked_memory import LocalMemory
from memo_dist.executive.conducting import Conducting
from memo_dist.executive.options import ExecutiveOptions

STAGES = {"grounding": "g", "entity identification": "e", "answer seeking": "s", "final answer": "f"}
NOTHING: dict[str, Any] = {}
END = {"final_answer": "42", "justification": "so"}


class Tape:
    """Replies by stage: the next of a list, or the last one again. `calls`: stages; `states`: what each was shown."""

    def __init__(self, **replies: list[Any]) -> None:
        self.replies = {"g": [NOTHING], "e": [NOTHING], "s": [NOTHING], "f": [END], **replies}
        self.calls = ""
        self.states: list[dict[str, Any]] = []
        self.temperatures: list[float] = []

    async def __call__(self, message: str, sampling: Sampling) -> str:
        stage = STAGES[message.partition("\n")[0].removeprefix("Stage: ")]
        self.calls += stage
        self.temperatures.append(sampling.temperature)
        if stage != "g":
            self.states.append(json.loads(message.split("<state>\n")[1].split("\n</state>")[0]))
        left = self.replies[stage]
        said = left.pop(0) if len(left) > 1 else left[0]
        return said if isinstance(said, str) else json.dumps(said)


class Failing:
    """A memory that is broken."""

    def answer(self, question: str, *, forms: object = ()) -> Any:
        raise OSError("the disk is gone")


def conduct(tape: Tape, memory: Any = None, **options: Any) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        with LocalMemory(DictionaryMemory() if memory is None else memory) as asked:
            return await Conducting("Who?", tape, asked, options=ExecutiveOptions(**options)).transcript()

    return asyncio.run(run())


def ask(*questions: str, **more: Any) -> dict[str, Any]:
    """A reply that asks something."""
    return {"decision": "continue", "sub_questions": [{"question": one, **more} for one in questions]}


def candidates(*names: str) -> dict[str, Any]:
    return {"candidate_entities": [{"name": name, "rank": rank} for rank, name in enumerate(names, start=1)]}


def memory_of(**answers: str) -> DictionaryMemory:
    memory = DictionaryMemory()
    memory.answers = {normalised(question.replace("_", " ")): answer for question, answer in answers.items()}
    return memory


CONFIRMED = {"entity_confirmed": True, "confirmed_entity": "Ada"}


def test_an_entity_that_is_confirmed_ends_its_stage() -> None:
    tape = Tape(e=[ask("Is it Ada?"), CONFIRMED], s=[ask("How old is Ada?"), {"decision": "answer"}])
    found = conduct(tape)
    assert tape.calls == "geessf"
    assert (found["entity"], found["entity_confirmed"], found["answer"]) == ("Ada", True, "42")
    assert [(one["stage"], one["turn"]) for one in found["exchanges"]] == [("entity", 1), ("seeking", 1)]
    assert tape.temperatures == [0.4, 0.4, 0.4, 1.0, 1.0, 0.3]


@pytest.mark.parametrize("last", [{"decision": "exhaust", **ask("more?")}, {"decision": "continue"}, NOTHING])
def test_without_questions_or_by_decision_the_first_candidate_is_taken(last: dict[str, Any]) -> None:
    ranked = {"candidate_entities": [{"name": "Bea", "rank": 2}, {"name": "Ada", "rank": 1}, {"name": "Cy"}]}
    exhausted = {**last, "decision": "exhaust"} if last.get("sub_questions") else last
    tape = Tape(e=[{**ask("x?"), **ranked}, exhausted])
    found = conduct(tape)
    assert tape.calls == "geesf"
    assert (found["entity"], found["entity_confirmed"]) == ("Ada", False)


def test_turns_are_budgets() -> None:
    tape = Tape(e=[{**ask("x?"), **candidates("Ada")}], s=[ask("Ada?")])
    found = conduct(tape, entity_turns=3, answer_turns=4, dead_end_after=99)
    assert tape.calls == "geeessssf"
    assert found["entity"] == "Ada"
    assert [state["turns_left"] for state in tape.states[:-1]] == [2, 1, 0, 3, 2, 1, 0]
    assert conduct(Tape(), entity_turns=0, answer_turns=0)["entity"] is None


def test_a_reply_that_cannot_be_read_is_kept_and_spends_its_turn() -> None:
    for bad in ("no json", {"entity_confirmed": "yes"}, {"sub_questions": [{}]}, {"candidate_entities": [{"rank": 1}]}):
        tape = Tape(g=["what?"], e=[bad, CONFIRMED], s=[bad, {"decision": "answer"}])
        found = conduct(tape, entity_turns=2, answer_turns=2)
        assert tape.calls == "geessf"
        assert found["grounding_turns"][0]["unread"] == "what?"
        assert found["entity_turns"][0]["unread"] == (bad if isinstance(bad, str) else json.dumps(bad))
        assert "unread" in found["seeking_turns"][0]
    tape = Tape(e=["no json"])
    assert conduct(tape, entity_turns=3)["entity"] is None
    assert tape.calls == "geeef"


def test_a_final_reply_that_cannot_be_read_fails_the_question() -> None:
    with pytest.raises(ValueError, match="no JSON object"):
        conduct(Tape(f=["what?"]))


def test_without_a_candidate_the_final_answer_comes_at_once() -> None:
    tape = Tape(e=[{**ask("x?"), **candidates("Ada")}, {**candidates("Ada"), "eliminated_candidates": ["ada"]}])
    assert conduct(tape)["entity"] is None
    assert tape.calls == "geef"


def test_the_stage_of_the_entity_can_be_left_out() -> None:
    tape = Tape(s=[ask("How old is anybody?"), {"decision": "answer"}])
    assert len(conduct(tape, skip_entity=True)["exchanges"]) == 1
    assert tape.calls == "gssf"


def test_a_dead_end_is_not_asked_again() -> None:
    tape = Tape(e=[ask("x?"), ask("x?", "y?"), ask("x?", "y?"), ask("x?"), CONFIRMED])
    memory = memory_of(y="known")
    found = conduct(tape, memory, dead_end_after=2)
    assert [question for question, _ in memory.asked] == ["x?", "x?", "y?", "y?"]
    assert found["dead_ends"] == ["x?"]
    assert [state["dead_ends"] for state in tape.states[:5]] == [[], [], ["x?"], ["x?"], ["x?"]]
    refused = {"question": "x?", "why": "a dead end: the memory did not know it 2 times"}
    assert tape.states[3]["refused"] == [refused]
    assert found["entity_turns"][2]["refused"] == [refused]
    assert tape.states[1]["unanswered"] == [{"question": "x?", "times": 1, "simpler": None}]


def test_simpler_forms_are_simpler() -> None:
    multi, two = ask("m?", complexity="multi-fact"), {"complexity": "two-fact", "is_simplification_of": "m?"}
    down = ask("t?", **two, simplified_from_complexity="multi-fact")
    again = ask("u?", **two, simplified_from_complexity="two-fact")
    single = ask("s?", complexity="single-fact", is_simplification_of="t?", simplified_from_complexity="two-fact")
    tape = Tape(e=[multi, down, again, single, CONFIRMED])
    memory = DictionaryMemory()
    conduct(tape, memory)
    assert [question for question, _ in memory.asked] == ["m?", "t?", "s?"]
    assert [one["simpler"] for one in tape.states[4]["unanswered"]] == ["two-fact", "single-fact", None]
    assert tape.states[3]["refused"] == [{"question": "u?", "why": "not simpler than two-fact"}]


def test_a_pivot_changes_the_entity_before_its_questions_are_asked() -> None:
    tape = Tape(
        e=[CONFIRMED],
        s=[
            ask("Where is Ada?", "Where is Bea?"),
            {**ask("Where is Bea?"), "entity_pivot": "Bea"},
            {"decision": "answer"},
        ],
    )
    memory = memory_of(where_is_bea="here")
    found = conduct(tape, memory)
    assert [question for question, _ in memory.asked] == ["Where is Ada?", "Where is Bea?"]
    assert tape.states[2]["refused"] == [{"question": "Where is Bea?", "why": "it does not name Ada"}]
    assert [state["entity"] for state in tape.states] == [None, "Ada", "Ada", "Bea", "Bea"]
    assert found["entity"] == "Bea"


def test_a_name_counts_by_any_of_its_words() -> None:
    confirmed = {"entity_confirmed": True, "confirmed_entity": "Ada Ashby"}
    memory = DictionaryMemory()
    conduct(Tape(e=[confirmed], s=[ask("How old is Mrs Ashby?", "How old is she?"), {"decision": "answer"}]), memory)
    assert [question for question, _ in memory.asked] == ["How old is Mrs Ashby?"]


def test_a_memory_that_fails_does_not_know() -> None:
    tape = Tape(g=[{"grounding_questions": [{"question": "x?"}]}], e=[CONFIRMED])
    found = conduct(tape, Failing())
    assert [(one["answer"], one["reason"]) for one in found["exchanges"]] == [
        (None, "the memory failed: the disk is gone")
    ]
    assert tape.states[-1]["asked"] == []  # what is not known says nothing in the end


def test_all_forms_are_asked_and_agreement_is_the_confidence() -> None:
    memory = memory_of(x="yes", other_words="yes", third="no")
    grounding = {
        "grounding_questions": [{"question": "x?", "paraphrases": ["Other words?", "Third?", "Unknown?", "x?"]}]
    }
    tape = Tape(g=[grounding], e=[CONFIRMED])
    found = conduct(tape, memory)
    assert memory.asked == [("x?", ("Other words?", "Third?", "Unknown?"))]
    assert found["exchanges"][0]["answer"] == "yes"
    assert tape.states[0]["asked"] == [{"question": "x?", "answer": "yes", "confidence": 0.5}]


def test_the_state_says_what_is_known_and_how_long_nothing_was() -> None:
    facts = [{"fact": "x", "entity": "Ada"}]
    turn = {**candidates("Ada", "Bea"), "known_facts": facts, **ask("Is Ada it?", "Is Bea it?")}
    tape = Tape(e=[turn, ask("Is Ada it, then?", targets_candidate="Ada"), CONFIRMED])
    conduct(tape, memory_of(is_bea_it="yes"))
    assert tape.states[1]["streaks"] == {"Ada": 1, "Bea": 0}
    assert tape.states[2]["streaks"] == {"Ada": 2, "Bea": 0}
    assert tape.states[2]["known_facts"] == facts
    assert tape.states[2]["candidates"] == ["Ada", "Bea"]


def broken(**options: Any) -> Callable[[], ExecutiveOptions]:
    return lambda: ExecutiveOptions(**options)


@pytest.mark.parametrize("make", [broken(entity_turns=-1), broken(dead_end_after=0), broken(trials=0)])
def test_budgets_that_make_no_sense_are_refused(make: Callable[[], ExecutiveOptions]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        make()
