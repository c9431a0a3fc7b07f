"""Conducting: one question, from its clues to an answer.

Covers: the order of the stages, budgets, when each ends. Does not cover: what is known (state.py), many questions
(asking.py).

Each reply of the language model is to one message that holds the whole state: it remembers nothing. The stages:
grounding, one reply; entity identification, until the entity is confirmed, no question is left or the turns are used;
answer seeking, until the answer is known, no question is left or the turns are used; the final answer, one reply.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from memo_dist.endpoint.options import Sampling
from memo_dist.endpoint.prompt_file import PromptFile
from memo_dist.endpoint.replies import reply_object, text_in, truth_in
from memo_dist.endpoint.work import Ask
from memo_dist.executive.asked_memory import MemoryAsker
from memo_dist.executive.options import ExecutiveOptions
from memo_dist.executive.state import Exchange, State, SubQuestion, questions_in

_STAGES = {"grounding": 0.4, "entity": 0.4, "seeking": 1.0, "final": 0.3}  # temperatures
_RAW = 2000  # characters that the transcript keeps of a reply that cannot be read


def prompts() -> dict[str, PromptFile]:
    """The prompts of the stages."""
    return {stage: PromptFile.of("memo_dist.executive", stage) for stage in _STAGES}


class Conducting:
    """One question.

    Args:
        question: it. ask: the language model. memory: what is asked. options: the budgets.
    """

    def __init__(self, question: str, ask: Ask, memory: MemoryAsker, *, options: ExecutiveOptions) -> None:
        self._ask, self._memory, self._options = ask, memory, options
        self._prompts = prompts()
        self._state = State(question, options.dead_end_after)
        self._turns: dict[str, list[dict[str, Any]]] = {"grounding": [], "entity": [], "seeking": []}

    async def transcript(self) -> dict[str, Any]:
        """The answer, and how it was found.

        Raises:
            EndpointError: the language model does not answer. ValueError: its final reply cannot be read.
        """
        state, confirmed = self._state, False
        await self._ground()
        if not self._options.skip_entity:
            confirmed = await self._identify()
        if state.entity is not None or self._options.skip_entity:
            await self._seek()
        reply = reply_object(await self._say("final", state=state.known()))
        return {
            "answer": text_in(reply, "final_answer"),
            "justification": str(reply.get("justification", "")),
            "entity": state.entity,
            "entity_confirmed": confirmed,
            **{f"{stage}_turns": turns for stage, turns in self._turns.items()},
            "exchanges": [one.to_row() for one in state.exchanges],
            "known_facts": state.facts,
            "candidates": state.candidates,
            "dead_ends": state.dead_ends(),
        }

    async def _ground(self) -> None:
        said = await self._say("grounding", question=self._state.question)
        try:
            questions = questions_in(reply_object(said), "grounding_questions")
        except ValueError as error:
            self._unread("grounding", said, error)
            return
        self._turns["grounding"].append({"questions": len(questions)})
        await self._remember("grounding", questions)

    async def _identify(self) -> bool:
        """Find whom the question is about; whether that is confirmed."""
        state = self._state
        for turn in range(1, self._options.entity_turns + 1):
            reply = await self._turn("entity", turns_left=self._options.entity_turns - turn)
            if reply is None:
                continue
            if reply["confirmed"] is not None:
                state.entity = reply["confirmed"]
                return True
            if reply["decision"] == "exhaust" or not reply["questions"]:
                break
            await self._remember("entity", state.admitted(reply["questions"]))
        state.entity = state.candidates[0] if state.candidates else None
        return False

    async def _seek(self) -> None:
        state = self._state
        for turn in range(1, self._options.answer_turns + 1):
            reply = await self._turn("seeking", turns_left=self._options.answer_turns - turn)
            if reply is None:
                continue
            if reply["pivot"] is not None:
                state.entity = reply["pivot"]
            if reply["decision"] == "answer" or not reply["questions"]:
                return
            await self._remember("seeking", state.admitted(reply["questions"]))

    async def _turn(self, stage: str, *, turns_left: int) -> dict[str, Any] | None:
        """What a reply decides; None of one that cannot be read, which spends the turn."""
        said = await self._say(stage, state=self._state.shown(turns_left))
        try:
            reply = reply_object(said)
            confirmed = text_in(reply, "confirmed_entity") if truth_in(reply, "entity_confirmed") else None
            questions = questions_in(reply, "sub_questions")
            self._state.take(reply)
        except ValueError as error:
            self._unread(stage, said, error)
            return None
        pivot = text_in(reply, "entity_pivot") if isinstance(reply.get("entity_pivot"), str) else None
        told = {"decision": reply.get("decision", "continue"), "confirmed": confirmed, "pivot": pivot}
        self._turns[stage].append(
            {
                **told,
                "reasoning": reply.get("reasoning", ""),
                "candidates": list(self._state.candidates),
                "questions": len(questions),
            }
        )
        return {**told, "questions": questions}

    async def _remember(self, stage: str, questions: Sequence[SubQuestion]) -> None:
        """Ask the memory, and keep what it says in the order of the questions."""
        turns = self._turns[stage]
        if self._state.refused:
            turns[-1]["refused"] = self._state.refused
        said = await asyncio.gather(*(self._memory.ask(one.question, one.forms) for one in questions))
        self._state.exchanges += [
            Exchange(stage, len(turns), asked, answer) for asked, answer in zip(questions, said, strict=True)
        ]

    async def _say(self, stage: str, **places: str) -> str:
        message = self._prompts[stage].filled(**places)
        return await self._ask(message, Sampling(temperature=_STAGES[stage]))

    def _unread(self, stage: str, said: str, error: ValueError) -> None:
        self._turns[stage].append({"unread": said[:_RAW], "why": str(error)})
