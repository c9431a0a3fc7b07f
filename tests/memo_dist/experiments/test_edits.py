"""Edits of facts: generator, what is measured, controls, going on after a stop.

Covers: memo_dist/experiments/edit_facts.py, edits.py, edits_report.py, console/reproduce_edits.py. Truth: plain loops
over the facts; a memory built anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from console.app import main
from memo_dist import Memory
from memo_dist.experiments.edit_facts import RELATIONS, STORED, Facts, invented_facts
from memo_dist.experiments.edits import EditedWorld, EditsRow, EditsRun, answers, replace_fact
from memo_dist.experiments.edits_report import edits_table
from memo_dist.experiments.rows import RowFile

RUN = EditsRun(edits=3, untouched=80, editable=4, seed=0)


@pytest.fixture(scope="module")
def world() -> EditedWorld:
    return EditedWorld(RUN, neighbours=2, mended=1, num_banks=2)


def test_facts_are_of_different_people_and_have_their_neighbours() -> None:
    facts = invented_facts(400, 50, neighbours=10, seed=3)
    people = [fact.person for fact in facts.untouched] + [edit.before.person for edit in facts.edits]
    assert len(set(people)) == 450
    for edit in facts.edits:
        assert edit.before.value != edit.after.value
        assert edit.before.prompt(0) == edit.after.prompt(0)
        counted = [f for f in facts.untouched if f.relation == edit.before.relation and f.value == edit.before.value]
        assert len(facts.neighbours(edit)) == 10
        assert facts.neighbours(edit) == counted
    again: Facts = invented_facts(400, 50, neighbours=10, seed=3)
    assert again == facts
    assert invented_facts(400, 50, neighbours=10, seed=4) != facts


def test_no_form_ends_as_another_and_each_ends_in_two_words() -> None:
    forms = [form for relation in RELATIONS for form in relation]
    assert len(RELATIONS) == 20
    assert len(set(forms)) == len(forms) == 100
    assert {len(form.split()) for form in forms} == {2}
    assert not any("-" in form for form in forms)  # a hyphen would be a unit more, and the name no longer in reach
    text = invented_facts(400, 1, neighbours=10, seed=0).untouched[0].text()
    assert len(text.splitlines()) == STORED == sum(form in text for form in forms)


def test_a_run_measures_what_plain_loops_do_and_undoes_it(world: EditedWorld) -> None:
    memory, facts = world.memory, world.facts
    before = memory.digest()
    row = world.measured(RUN)
    assert memory.digest() == before
    assert (row.success, row.stored, row.neighbours, row.locality) == (1, 1, 1, 1)
    assert (row.others_equal, row.undone_equal) == (1, 1)
    assert (row.held_out, row.held_out_wrong, row.another_relation, row.without_forgetting) == (0, 0, 0, 0)
    for edit in facts.edits[:3]:
        replace_fact(memory, edit.before, edit.after)
    anew = Memory(memory.config, memory.tokenizer)
    held = [*facts.untouched, *(edit.after for edit in facts.edits[:3]), facts.edits[3].before]
    anew.memorize_several((fact.name, fact.text()) for fact in held)
    assert memory.digest() == anew.digest() != before
    assert answers(memory, [facts.edits[0].after.prompt(0)]) == [facts.edits[0].after.value]
    assert answers(memory, [facts.edits[3].before.prompt(0)]) == [facts.edits[3].before.value]
    for edit in facts.edits[:3]:
        replace_fact(memory, edit.after, edit.before)
    assert memory.digest() == before


def test_damage_to_other_facts_is_seen(world: EditedWorld) -> None:
    """The controls of the measure itself: a memory whose edits change a neighbour as well."""
    memory, facts = world.memory, world.facts
    digest, said = world.before
    other = facts.neighbours(facts.edits[0])[0]
    replace_fact(memory, other, other.with_value("Changed"))
    row = world.measured(RUN)
    replace_fact(memory, other.with_value("Changed"), other)
    assert row.locality == pytest.approx(1 - 1 / len(said))
    assert row.neighbours < 1
    assert (row.others_equal, row.undone_equal) == (0, 0)
    assert memory.digest() == digest


def test_table_has_means_and_published_lines() -> None:
    first = EditsRow(10, 400, 10, 0, 1.0, 1.0, 0.2, 0.0, 0.3, 1.0, 1.0, 1, 1, 0.0, 0.0, 0.001, 600.0)
    second = EditsRow(10, 400, 10, 1, 0.5, 1.0, 0.4, 0.0, 0.3, 1.0, 1.0, 1, 0, 0.0, 0.0, 0.003, 600.0)
    table = edits_table([first, second])
    ours, theirs = table[0], {line["system"]: line for line in table[1:]}
    assert (ours["success"], ours["undone_equal"], ours["seeds"]) == (0.75, 0.5, 2)
    assert np.isclose(ours["held_out"], 0.3)
    larimar = theirs["Larimar-6B"]
    assert (larimar["success"], larimar["held_out"], larimar["neighbours"]) == (0.996, 0.884, 0.804)
    assert all(line.keys() == ours.keys() for line in table)


def test_command_goes_on_after_a_stop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = EditsRow(1, 400, 1, 0, 0.5, 0.5, 0.0, 0.0, 0.0, 1.0, 1.0, 1, 1, 0.0, 0.0, 0.001, 600.0)
    RowFile(tmp_path / "edits-runs.csv", EditsRow).append(row)
    assert main(["reproduce", "edits", "--out", str(tmp_path), "--edits", "1", "--untouched", "400", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["rows"][0]["success"] == 0.5  # what was there is not measured again
    assert sorted(Path(file).name for file in told["files"]) == ["edits.csv", "edits.parquet", "edits.png", "edits.svg"]


def test_command_refuses_facts_without_neighbours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "edits", "--out", str(tmp_path), "--untouched", "500"]) == 2
    assert "--untouched is 500; expected a multiple of 400" in capsys.readouterr().err
