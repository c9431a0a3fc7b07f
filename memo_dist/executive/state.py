"""State: what the executive knows of one question, as the language model sees it and as the transcript keeps it.

Covers: what was asked and answered, facts, candidates, dead ends, what is refused. Does not cover: when to stop
(conducting.py).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from memo_dist.endpoint.replies import listed, text_in, texts_in
from memo_dist.reflections.answered import Answered

SIMPLER = {"multi-fact": "two-fact", "two-fact": "single-fact"}
_COMPLEXITY = {"single-fact": 1, "two-fact": 2, "multi-fact": 3}


@dataclass(frozen=True)
class SubQuestion:
    """A question for the memory.

    Attributes:
        forms: the same in other words. complexity: "single-fact", "two-fact" or "multi-fact". about: the candidate that
            it is about. simplifies: the question that it is a simpler form of, which had the complexity `simplified`.
    """

    question: str
    forms: tuple[str, ...] = ()
    complexity: str = "single-fact"
    about: str | None = None
    simplifies: str | None = None
    simplified: str | None = None

    @classmethod
    def of_reply(cls, row: dict[str, Any]) -> "SubQuestion":
        """The question that a language model wrote.

        Raises:
            ValueError: it has none.
        """
        question, complexity = text_in(row, "question"), row.get("complexity")
        return cls(
            question=question,
            forms=tuple(dict.fromkeys(form for form in texts_in(row, "paraphrases") if form != question)),
            complexity=complexity if complexity in _COMPLEXITY else "single-fact",
            about=_named(row.get("targets_candidate")),
            simplifies=_named(row.get("is_simplification_of")),
            simplified=_named(row.get("simplified_from_complexity")),
        )

    @property
    def is_simpler(self) -> bool:
        """Whether it is simpler than what it says it simplifies."""
        return _COMPLEXITY[self.complexity] < _COMPLEXITY.get(self.simplified or "", 4)


def questions_in(reply: dict[str, Any], name: str) -> list[SubQuestion]:
    """The questions of a reply's list, which may be absent.

    Raises:
        ValueError: it is no list of questions.
    """
    return [SubQuestion.of_reply(row) for row in listed(reply, name)] if reply.get(name) else []


@dataclass(frozen=True)
class Exchange:
    """A question and what the memory said.

    Attributes:
        stage: in which it was asked: "grounding", "entity" or "answer"; turn: of that stage, from 1 on.
        asked: the question. said: the answer.
    """

    stage: str
    turn: int
    asked: SubQuestion
    said: Answered

    def to_row(self) -> dict[str, Any]:
        """As the transcript keeps it."""
        told = {"stage": self.stage, "turn": self.turn, "question": self.asked.question, "forms": self.asked.forms}
        return {**told, "complexity": self.asked.complexity, **asdict(self.said)}


@dataclass
class State:
    """What is known of one question.

    Attributes:
        question: it. dead_end_after: see ExecutiveOptions. exchanges: all, in order. facts: [{fact, entity}] as the
            language model last wrote them. candidates: names, best first. entity: whom the question is about.
        refused: questions of the last reply that were not asked, and why.
    """

    question: str
    dead_end_after: int
    exchanges: list[Exchange] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)
    candidates: list[str] = field(default_factory=list)
    entity: str | None = None
    refused: list[dict[str, str]] = field(default_factory=list)

    def take(self, reply: dict[str, Any]) -> None:
        """Put what a reply knows in place of what was known.

        Raises:
            ValueError: its lists cannot be read; nothing is changed.
        """
        facts = listed(reply, "known_facts") if reply.get("known_facts") else None
        ranked = listed(reply, "candidate_entities") if reply.get("candidate_entities") else None
        if ranked is not None:
            gone = {name.casefold() for name in texts_in(reply, "eliminated_candidates")}
            names = [text_in(one, "name") for one in sorted(ranked, key=_rank)]
            self.candidates = [name for name in dict.fromkeys(names) if name.casefold() not in gone]
        if facts is not None:
            self.facts = facts

    def admitted(self, questions: Sequence[SubQuestion]) -> list[SubQuestion]:
        """Those to be asked; of the others `refused` says why."""
        self.refused, kept = [], []
        dead = set(self.dead_ends())
        for one in questions:
            why = ""
            if one.question in dead:
                why = f"a dead end: the memory did not know it {self.dead_end_after} times"
            elif one.simplifies and not one.is_simpler:
                why = f"not simpler than {one.simplified}"
            elif self.entity is not None and not _names(one.question, self.entity):
                why = f"it does not name {self.entity}"
            if why:
                self.refused.append({"question": one.question, "why": why})
            else:
                kept.append(one)
        return kept

    def dead_ends(self) -> list[str]:
        """Questions that the memory has not known often enough."""
        return [question for question, times in self._unknown().items() if times >= self.dead_end_after]

    def shown(self, turns_left: int) -> str:
        """What the language model sees, as JSON."""
        unknown = self._unknown()
        complexity = {one.asked.question: one.asked.complexity for one in self.exchanges}
        told = {
            "question": self.question,
            "entity": self.entity,
            "asked": [_shown(one) for one in self.exchanges],
            "known_facts": self.facts,
            "candidates": self.candidates,
            "streaks": self._streaks(),
            "unanswered": [
                {"question": question, "times": times, "simpler": SIMPLER.get(complexity[question])}
                for question, times in unknown.items()
            ],
            "dead_ends": self.dead_ends(),
            "refused": self.refused,
            "turns_left": turns_left,
        }
        return json.dumps(told, ensure_ascii=False, indent=1)

    def known(self) -> str:
        """What the final answer is made of, as JSON: all that the memory knew."""
        told = {
            "question": self.question,
            "entity": self.entity,
            "asked": [_shown(one) for one in self.exchanges if one.said.answer is not None],
            "known_facts": self.facts,
            "candidates": self.candidates,
        }
        return json.dumps(told, ensure_ascii=False, indent=1)

    def _unknown(self) -> dict[str, int]:
        """How often the memory did not know a question."""
        times: dict[str, int] = {}
        for one in self.exchanges:
            if one.said.answer is None:
                times[one.asked.question] = times.get(one.asked.question, 0) + 1
        return times

    def _streaks(self) -> dict[str, int]:
        """How often in a row nothing was known about a candidate."""
        streaks = dict.fromkeys(self.candidates, 0)
        for one in self.exchanges:
            for name in self.candidates:
                if name == one.asked.about or name in one.asked.question:
                    streaks[name] = 0 if one.said.answer is not None else streaks[name] + 1
        return streaks


def _shown(one: Exchange) -> dict[str, Any]:
    return {"question": one.asked.question, "answer": one.said.answer, "confidence": round(one.said.confidence, 3)}


def _names(question: str, entity: str) -> bool:
    """Whether a question has a word of a name, so that a family name alone is enough."""
    words = question.casefold()
    return any(word in words for word in entity.casefold().split() if len(word) > 2) or entity.casefold() in words


def _named(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _rank(row: dict[str, Any]) -> float:
    rank = row.get("rank")
    return float(rank) if isinstance(rank, int | float) else 1e9
