"""WorldModel: a "language model" of rules, which reads documents of a world and conducts questions about it.

Covers: replies to the prompts of reflecting and of the executive, worked out from what stands in them. Does not cover:
HTTP; any text but a world's (world.py).

It has no knowledge of its own: of a document it knows what the prompt quotes, of a question what the state says. So
what is tested with it is the work around it, with neither a recorded reply nor a real model.
"""

import json
import re
from typing import Any

from memo_dist.experiments.world import chain_of, chain_text
from memo_dist.experiments.world_relations import ALL_RELATIONS, INVERSES, PRONOUNS, RELATIONS, Relation
from memo_dist.json_text import parse_json

SIMPLER = {"multi-fact": "two-fact", "two-fact": "single-fact"}


def reply(message: str) -> str:
    """What the model says to a prompt: JSON, in a fence, as models have it."""
    stage = message.partition("\n")[0].removeprefix("Stage: ")
    said = _STAGES[stage](message)
    return f"Here it is:\n```json\n{json.dumps(said, indent=1)}\n```\n"


def _direct_facts(message: str) -> dict[str, Any]:
    """What is said of a name; of what is said of "they" the question keeps the pronoun, for verification to find."""
    subject, found = _subject(message), []
    for relation, of, object_ in _told(_inside(message, "document")):
        if relation.noun not in PRONOUNS:
            found.append(_pair(relation, of, object_))
        elif relation.noun == PRONOUNS[0]:
            found.append({"question": relation.asked.format(subject="them"), "answer": object_, "forms": []})
    return {"qa_pairs": found if subject else []}


def _indirect_facts(message: str) -> dict[str, Any]:
    """Pronouns resolved, and the age that somebody reached."""
    subject, told = _subject(message), list(_told(_inside(message, "document")))
    found = [_pair(relation, subject, object_) for relation, _, object_ in told if relation.noun == PRONOUNS[1]]
    years = {relation.noun: int(object_) for relation, _, object_ in told if relation.noun.startswith("year of")}
    if len(years) == 2:
        age = years["year of death"] - years["year of birth"]
        forms = [f"How old did {subject} become?", f"At what age did {subject} die?"]
        found.append({"question": f"What is the age at death of {subject}?", "answer": str(age), "forms": forms})
    return {"qa_pairs": found}


def _consolidation(message: str) -> dict[str, Any]:
    """Birth and death in one."""
    facts = _facts(message)
    of = {chain[1][0]: (number, chain[0], answer) for number, chain, answer in facts}
    if not {"year of birth", "year of death"} <= set(of):
        return {"consolidated_qa_pairs": []}
    (first, subject, born), (second, _, died) = of["year of birth"], of["year of death"]
    row = {
        "question": f"In which years was {subject} born and did {subject} die?",
        "answer": f"{subject} was born in {born} and died in {died}.",
        "combined_from": [first, second],
    }
    return {"consolidated_qa_pairs": [row]}


def _verification(message: str) -> dict[str, Any]:
    question = _inside(message, "question")
    return {"is_self_contained": re.search(r"\b(they|them|their)\b", question, re.IGNORECASE) is None}


def _rewriting(message: str) -> dict[str, Any]:
    question, subject = _inside(message, "question"), _subject(message)
    relation = next(one for one in ALL_RELATIONS.values() if one.asked.format(subject="them") == question)
    return _pair(relation, subject, _inside(message, "answer"))


def _entity_surfacing(message: str) -> dict[str, Any]:
    """Who somebody's mentor and a company's founder is; which town somebody was born in."""
    found = []
    for number, (subject, chain), answer in _facts(message):
        relation = RELATIONS.get(chain[0])
        if relation is not None and relation.inverse:
            row = _pair(INVERSES[relation.inverse], answer, subject)
            found.append({"entity": subject, **row, "facts_used": [number]})
        if relation is not None and relation.noun == "birthplace":
            asked = f"What is the name of the town where {subject} was born?"
            found.append({"entity": answer, "question": asked, "answer": answer, "forms": [], "facts_used": [number]})
    return {"entity_surfacing_qa_pairs": found}


def _cross_document(message: str) -> dict[str, Any]:
    """Who was born in one town."""
    entity = re.search(r'<facts entity="(.*)">', message)
    lines = re.findall(r"^\[(.*)\] Q: What is the birthplace of (.*)\? A: (.*)$", message, re.MULTILINE)
    born = [(document, name) for document, name, town in lines if entity is not None and town == entity[1]]
    if entity is None or len(born) < 2:
        return {"crossdoc_qa_pairs": []}
    names = " and ".join(name for _, name in sorted(born))
    row = {"type": "parallel_property", "question": f"Which people were born in {entity[1]}?", "answer": names}
    return {"crossdoc_qa_pairs": [{**row, "forms": [], "source_doc_ids": [document for document, _ in born]}]}


def _grounding(message: str) -> dict[str, Any]:
    """The first relation of the question's chain, from the name that it gives."""
    start, chain = chain_of(_inside(message, "question")) or ("", ())
    if len(chain) < 2:
        return {"grounding_questions": []}
    return {"grounding_questions": [{**_asked(start, chain[:1]), "question_type": "single", "clues_involved": [start]}]}


def _entity(message: str) -> dict[str, Any]:
    """Follow the chain up to the name that the last relation is asked of."""
    state = _state(message)
    start, chain = chain_of(state["question"]) or ("", ())
    return _identified(state, start, chain[:-1])


def _identified(state: dict[str, Any], start: str, chain: tuple[str, ...]) -> dict[str, Any]:
    name, left = _followed(state, start, chain)
    facts = [{"fact": f"{one['question']} {one['answer']}", "entity": one["answer"]} for one in _known(state)]
    candidates = [{"name": name, "rank": 1, "supporting_clues": [start]}]
    common = {
        "assessment": "",
        "known_facts": facts,
        "candidate_entities": candidates if name != start or not left else [],
    }
    if not left:
        return {
            **common,
            "entity_confirmed": True,
            "confirmed_entity": name,
            "decision": "continue",
            "sub_questions": [],
        }
    asked = _simplest_left(state, name, left)
    return {**common, "entity_confirmed": False, "decision": "continue" if asked else "exhaust", "sub_questions": asked}


def _seeking(message: str) -> dict[str, Any]:
    """Ask the last relation of the entity, then answer."""
    state = _state(message)
    _, chain = chain_of(state["question"]) or ("", ("",))
    entity = state["entity"] or ""
    _, left = _followed(state, entity, chain[-1:])
    facts = [{"fact": f"{one['question']} {one['answer']}", "entity": entity} for one in _known(state)]
    asked = _simplest_left(state, entity, left) if left and entity else []
    return {"known_facts": facts, "decision": "continue" if asked else "answer", "sub_questions": asked}


def _final(message: str) -> dict[str, Any]:
    state = _state(message)
    start, chain = chain_of(state["question"]) or ("", ())
    name, left = _followed(state, start, chain)
    if left or not name:
        return {"final_answer": "I don't know", "justification": f"Nothing known says {chain_text(name, left)}"}
    return {"final_answer": name, "justification": "The facts say so, one after another."}


_STAGES = {
    "direct facts": _direct_facts,
    "indirect facts": _indirect_facts,
    "consolidation": _consolidation,
    "verification": _verification,
    "rewriting": _rewriting,
    "entity surfacing": _entity_surfacing,
    "cross-document": _cross_document,
    "grounding": _grounding,
    "entity identification": _entity,
    "answer seeking": _seeking,
    "final answer": _final,
}


def _followed(state: dict[str, Any], name: str, chain: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """How far the known answers lead from a name: where to, and which relations are left."""
    answers = {one["question"]: one["answer"] for one in _known(state)}
    while chain and (found := answers.get(chain_text(name, chain[:1]))) is not None:
        name, chain = found, chain[1:]
    return name, chain


def _known(state: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in state["asked"] if one["answer"] is not None]


def _simplest_left(state: dict[str, Any], name: str, left: tuple[str, ...]) -> list[dict[str, Any]]:
    """Ask the rest of a chain at once; where that is not known, its first two relations, then its first alone."""
    unknown = {one["question"] for one in state["asked"] if one["answer"] is None}
    before: dict[str, Any] | None = None
    for length in dict.fromkeys(min(len(left), most) for most in (3, 2, 1)):
        one = _asked(name, left[:length])
        if before is not None:
            one |= {"is_simplification_of": before["question"], "simplified_from_complexity": before["complexity"]}
        if one["question"] not in unknown:
            return [one]
        before = one
    return []


def _asked(name: str, chain: tuple[str, ...]) -> dict[str, Any]:
    forms = [form.format(subject=name) for form in ALL_RELATIONS[chain[0]].forms] if len(chain) == 1 else []
    complexity = ("single-fact", "two-fact", "multi-fact")[min(len(chain), 3) - 1]
    return {"question": chain_text(name, chain), "paraphrases": forms, "complexity": complexity}


def _pair(relation: Relation, subject: str, object_: str) -> dict[str, Any]:
    forms = [form.format(subject=subject) for form in relation.forms]
    return {"question": relation.asked.format(subject=subject), "answer": object_, "forms": forms}


def _told(text: str) -> list[tuple[Relation, str, str]]:
    """(relation, subject, object) of every sentence that a world writes."""
    found = []
    for sentence in re.findall(r"[^.]+\.", text):
        for relation in RELATIONS.values():
            shape = re.escape(relation.sentence).replace(r"\{subject\}", "(.+?)").replace(r"\{object\}", "(.+)")
            if said := re.fullmatch(shape, sentence.strip()):
                found.append((relation, said[1], said[2]))
    return found


def _subject(message: str) -> str:
    said = re.match(r"(.+?) is a (?:person|town) of whom", _inside(message, "document"))
    return said[1] if said else ""


def _facts(message: str) -> list[tuple[int, tuple[str, tuple[str, ...]], str]]:
    """(number, (subject, relations), answer) of the numbered facts that follow one relation."""
    lines = re.findall(r"^(\d+)\. Q: (.*?) A: (.*)$", message, re.MULTILINE)
    read = [(int(number), chain_of(question), answer) for number, question, answer in lines]
    return [(number, chain, answer) for number, chain, answer in read if chain is not None and len(chain[1]) == 1]


def _inside(message: str, tag: str) -> str:
    said = re.search(rf"<{tag}(?: [^>]*)?>\n(.*?)\n</{tag}>", message, re.DOTALL)
    return said[1] if said else ""


def _state(message: str) -> dict[str, Any]:
    found: dict[str, Any] = parse_json(_inside(message, "state"))
    return found
