"""Edits: facts of a memory replaced one after the other, and what that does to them, to their neighbours, to all else.

Covers: one run: N edits in sequence, undone at the end. Does not cover: the facts (edit_facts.py), tables and plots
(edits_report.py), the command `memo-dist replace`, which does the same to a memory directory.

An edit takes the old document out and memorizes the new one, between two questions. Answers are the greedy continuation
up to the full stop, read exactly; only the very value counts, not merely one that is likelier than the old.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from memo_dist.building import build
from memo_dist.experiments.edit_facts import Edited, Fact, invented_facts
from memo_dist.experiments.evaluation_run import Run
from memo_dist.memory import Memory
from memo_dist.tokenizer_training import train_tokenizer

One = TypeVar("One")

_LONGEST = 5  # tokens of a value, and the full stop
_TOKENIZED = 4000  # documents that the tokenizer is trained on


@dataclass(frozen=True)
class EditsRow:
    """What N edits gave; shares of what was asked, in [0, 1].

    Attributes:
        success: edited facts whose edit form is answered with the new value.
        stored, held_out: the same of paraphrases that are stored with the fact, and of those that are not.
        held_out_wrong: held-out paraphrases answered with anything else than the new value; the rest is silence.
        held_out_mended: as `held_out`, of a sample, where recall may read a prompt as the memory has it.
        neighbours: untouched facts of the same relation and the value replaced that are still answered with it.
        locality: untouched facts that are answered as before the edits.
        others_equal: 1 if without the edited facts the memory's digest is that of the untouched alone.
        undone_equal: 1 if the digest after undoing all edits is that before the first.
        another_relation: control: questions about edited people that nothing is held of, answered at all.
        without_forgetting: control: success where the new fact is memorized and the old is left in.
        seconds_an_edit: of one after the other, in this process.
        bytes_a_fact: cells of the memory's matrices by the facts held.
    """

    edits: int
    untouched: int
    editable: int
    seed: int
    success: float
    stored: float
    held_out: float
    held_out_wrong: float
    held_out_mended: float
    neighbours: float
    locality: float
    others_equal: int
    undone_equal: int
    another_relation: float
    without_forgetting: float
    seconds_an_edit: float
    bytes_a_fact: float


@dataclass(frozen=True)
class EditsRun(Run):
    """One run: `edits` of the `editable` facts, beside `untouched` ones, of one seed."""

    edits: int
    untouched: int
    editable: int
    seed: int


class EditedWorld:
    """A memory of facts, as it is before any edit; runs of the same sizes and seed share it, one after the other.

    Args:
        asked: edited facts of a run that are asked at most; `mended` of them in the slow way.
    """

    def __init__(
        self, run: EditsRun, *, neighbours: int = 10, asked: int = 1000, mended: int = 100, num_banks: int | None = None
    ) -> None:
        self._run, self._neighbours = run, neighbours
        self._asked, self._mended, self._num_banks = asked, mended, num_banks
        self.facts = invented_facts(run.untouched, run.editable, neighbours=neighbours, seed=run.seed)

    def fits(self, run: EditsRun) -> bool:
        """Whether a run is of this world."""
        sizes = (run.untouched, run.editable, run.seed)
        return sizes == (self._run.untouched, self._run.editable, self._run.seed)

    @cached_property
    def memory(self) -> Memory:
        """Of all facts, before any edit."""
        facts = [*self.facts.untouched, *(edit.before for edit in self.facts.edits)]
        texts = [fact.text() for fact in facts]
        tokenizer = train_tokenizer(texts[:: max(1, len(texts) // _TOKENIZED)])
        return build({fact.name: fact.text() for fact in facts}, tokenizer=tokenizer, num_banks=self._num_banks)

    @cached_property
    def before(self) -> tuple[str, list[str]]:
        """The digest before any edit, and the answers of the untouched facts' edit forms."""
        return self.memory.digest(), answers(self.memory, [fact.prompt(0) for fact in self.facts.untouched])

    @cached_property
    def untouched_digest(self) -> str:
        """Of a memory of the untouched facts alone, built for itself, with the same tokenizer and banks."""
        alone = Memory(self.memory.config, self.memory.tokenizer)
        alone.memorize_several((fact.name, fact.text()) for fact in self.facts.untouched)
        return alone.digest()

    def measured(self, run: EditsRun) -> EditsRow:
        """Do a run's edits, ask, undo them."""
        memory, edits = self.memory, self.facts.edits[: run.edits]
        digest, said_before = self.before
        began = time.perf_counter()
        for edit in edits:
            replace_fact(memory, edit.before, edit.after)
        seconds = time.perf_counter() - began
        asked = _spread(edits, self._asked)
        shares = self._asked_shares(memory, asked)
        said = answers(memory, [fact.prompt(0) for fact in self.facts.untouched])
        locality = float(np.mean([a == b for a, b in zip(said, said_before, strict=True)]))
        neighbours = self._neighbours_right(asked, said)
        others_equal = self._others_digest(memory, edits) == self.untouched_digest
        memory.memorize_several((edit.before.name, edit.before.text()) for edit in self.facts.edits)
        undone = memory.digest() == digest
        without = self._without_forgetting(memory, asked)
        held = run.untouched + run.editable
        return EditsRow(
            edits=run.edits,
            untouched=run.untouched,
            editable=run.editable,
            seed=run.seed,
            **shares,
            neighbours=neighbours,
            locality=locality,
            others_equal=int(others_equal),
            undone_equal=int(undone),
            without_forgetting=without,
            seconds_an_edit=seconds / len(edits),
            bytes_a_fact=memory.config.num_parameters * np.dtype(memory.config.cell_type).itemsize / held,
        )

    def _asked_shares(self, memory: Memory, asked: list[Edited]) -> dict[str, float]:
        facts = [edit.after for edit in asked]
        few = _spread(facts, self._mended)
        held_out = [right_and_wrong(memory, facts, [fact.prompt(form) for fact in facts]) for form in (3, 4)]
        mended = [right_and_wrong(memory, few, [fact.prompt(3) for fact in few], mend=True)]
        stored = [right_and_wrong(memory, facts, [fact.prompt(form) for fact in facts]) for form in (1, 2)]
        success, _ = right_and_wrong(memory, facts, [fact.prompt(0) for fact in facts])
        another = answers(memory, [fact.prompt_of_another() for fact in facts])
        return {
            "success": success,
            "stored": float(np.mean([right for right, _ in stored])),
            "held_out": float(np.mean([right for right, _ in held_out])),
            "held_out_wrong": float(np.mean([wrong for _, wrong in held_out])),
            "held_out_mended": float(np.mean([right for right, _ in mended])),
            "another_relation": float(np.mean([answer != "" for answer in another])),
        }

    def _neighbours_right(self, asked: list[Edited], said: list[str]) -> float:
        """Of the answers to all untouched facts, those of the edits' neighbours that are the value still."""
        by_kind: dict[tuple[int, str], list[bool]] = {}
        for fact, answer in zip(self.facts.untouched, said, strict=True):
            by_kind.setdefault((fact.relation, fact.value), []).append(answer == fact.value)
        right = [one for edit in asked for one in by_kind[edit.before.relation, edit.before.value]]
        return float(np.mean(right))

    def _others_digest(self, memory: Memory, edits: list[Edited]) -> str:
        """The digest without any fact that can be edited; these are out of the memory then."""
        for number, edit in enumerate(self.facts.edits):
            fact = edit.after if number < len(edits) else edit.before
            memory.forget(fact.name, fact.text())
        return memory.digest()

    def _without_forgetting(self, memory: Memory, asked: list[Edited]) -> float:
        """Success where old facts stay beside new ones; the memory is as before in the end."""
        for edit in asked:
            memory.memorize("also " + edit.after.name, edit.after.text())
        facts = [edit.after for edit in asked]
        success, _ = right_and_wrong(memory, facts, [fact.prompt(0) for fact in facts])
        for edit in asked:
            memory.forget("also " + edit.after.name, edit.after.text())
        return success


def replace_fact(memory: Memory, old: Fact, new: Fact) -> None:
    """One edit: the old document out, the new one in."""
    memory.forget(old.name, old.text())
    memory.memorize(new.name, new.text())


def answers(memory: Memory, prompts: list[str], *, mend: bool = False) -> list[str]:
    """What follows each prompt up to the full stop; "" where the memory is silent.

    Args:
        mend: whether a prompt that is not held may be read as the memory has it.
    """
    found = memory.recall(prompts, max_tokens=_LONGEST, exact_prompt=not mend)
    return [(one.text or "").split(".")[0].strip() for one in found]


def right_and_wrong(
    memory: Memory, facts: Sequence[Fact], prompts: list[str], *, mend: bool = False
) -> tuple[float, float]:
    """Shares of facts whose prompt is answered with the value, and with something else."""
    said = answers(memory, prompts, mend=mend)
    right = [answer == fact.value for answer, fact in zip(said, facts, strict=True)]
    wrong = [answer not in ("", fact.value) for answer, fact in zip(said, facts, strict=True)]
    return float(np.mean(right)), float(np.mean(wrong))


def _spread(several: Sequence[One], most: int) -> list[One]:
    """At most `most` of a list, evenly, the first and the last among them."""
    if len(several) <= most:
        return list(several)
    return [several[place] for place in np.linspace(0, len(several) - 1, most).astype(int)]
