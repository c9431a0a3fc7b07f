"""Steps: what each step of reflecting asks, and what it makes of the replies.

Covers: the items of the five steps. Does not cover: their order and files (reflecting.py), asking (endpoint/).

An item's result is a list of rows of pairs, so that whoever goes on with a stopped run has it from the journal.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from memo_dist.endpoint.options import Sampling
from memo_dist.endpoint.prompt_file import PromptFile
from memo_dist.endpoint.replies import listed, reply_object, text_in, texts_in, truth_in
from memo_dist.endpoint.work import Ask, Item, content_key
from memo_dist.reflect.chunks import Chunk
from memo_dist.reflect.pairs import Pair, by_document, holds_name, numbered, pairs_of_reply

DRAWN = Sampling(temperature=1.1, max_tokens=32768)
CHECKED = Sampling(temperature=0.0, max_tokens=256)
WRITTEN_ANEW = Sampling(temperature=0.0, max_tokens=1024)
TRIALS = 3  # of a question whose reply cannot be read
MOST_REWRITINGS = 5
FACTS_OF_A_PROMPT = 60
FACTS_OF_A_GROUP = 20

Rows = list[dict[str, Any]]


def prompt(name: str) -> PromptFile:
    """A prompt of this package."""
    return PromptFile.of("memo_dist.reflect", name)


def fact_items(step: str, chunks: Sequence[Chunk], epochs: int) -> list[Item]:
    """Direct or indirect facts: one question for each chunk and epoch."""
    asked = prompt(step)

    def item(chunk: Chunk, epoch: int) -> Item:
        def message() -> str:  # made when it is sent: of all chunks at once it would be the corpus again
            return asked.filled(document=chunk.document, text=chunk.text, date=chunk.date)

        def pairs(reply: dict[str, Any]) -> list[Pair]:
            return pairs_of_reply(reply, "qa_pairs", docs=[chunk.document], step=step)

        key = content_key([step, asked.version, chunk.document, chunk.text, chunk.date, epoch])
        return Item(key, _asking(message, pairs), {"step": step, "doc": chunk.document, "epoch": epoch})

    return [item(chunk, epoch) for chunk in chunks for epoch in range(epochs)]


def consolidation_items(facts: dict[str, list[Pair]]) -> list[Item]:
    """One question for each document that has two facts and more, or for each sixty of them."""
    return [
        _of_facts("consolidation", document, some)
        for document, pairs in facts.items()
        for some in _parts(pairs, FACTS_OF_A_PROMPT)
        if len(some) > 1
    ]


def surfacing_items(facts: dict[str, list[Pair]]) -> list[Item]:
    """One question for each document, or for each sixty of its facts."""
    return [
        _of_facts("entity_surfacing", document, some)
        for document, pairs in facts.items()
        for some in _parts(pairs, FACTS_OF_A_PROMPT)
    ]


def _of_facts(step: str, document: str, some: Sequence[Pair]) -> Item:
    asked, facts = prompt(step), numbered(some)

    def pairs(reply: dict[str, Any]) -> list[Pair]:
        if step == "consolidation":
            return pairs_of_reply(reply, "consolidated_qa_pairs", docs=[document], step=step)
        return [
            pair for row in listed(reply, "entity_surfacing_qa_pairs") if (pair := _surfaced(row, document)) is not None
        ]

    key = content_key([step, asked.version, document, facts])
    return Item(
        key, _asking(lambda: asked.filled(document=document, facts=facts), pairs), {"step": step, "doc": document}
    )


def _surfaced(row: dict[str, Any], document: str) -> Pair | None:
    """A pair that surfaces an entity; None where the question gives it away, or the answer is another."""
    pair = replace(Pair.of_reply(row, docs=[document], step="entity_surfacing"), entity=text_in(row, "entity"))
    if holds_name(pair.question, pair.entity) or not pair.answer.casefold().startswith(pair.entity.casefold()):
        return None
    return replace(pair, forms=tuple(form for form in pair.forms if not holds_name(form, pair.entity)))


@dataclass(frozen=True)
class Unverified:
    """A pair, and the text that it was drawn from."""

    pair: Pair
    chunk: Chunk


def verification_items(pairs: Sequence[Unverified]) -> list[Item]:
    """One item for each pair: it is checked, and written anew up to five times while it does not stand alone. One that
    never does has no row of a pair in its result."""
    checking, rewriting = prompt("verification"), prompt("rewriting")

    def item(one: Unverified) -> Item:
        async def run(ask: Ask) -> Rows:
            pair = one.pair
            for trial in range(MOST_REWRITINGS + 1):
                message = checking.filled(question=pair.question, answer=pair.answer)
                if await _read(ask, message, CHECKED, read=lambda reply: truth_in(reply, "is_self_contained")):
                    return [pair.to_row()]
                if trial < MOST_REWRITINGS:
                    message = rewriting.filled(
                        question=pair.question, answer=pair.answer, document=one.chunk.document, text=one.chunk.text
                    )
                    pair = await _read(ask, message, WRITTEN_ANEW, read=partial(_written_anew, pair))
            return []

        versions = (checking.version, rewriting.version)
        key = content_key(["verification", *versions, one.pair.to_row(), one.chunk.text])
        return Item(key, run, {"step": "verification", "doc": one.chunk.document})

    return [item(one) for one in pairs]


def _written_anew(old: Pair, reply: dict[str, Any]) -> Pair:
    return replace(
        old, question=text_in(reply, "question"), answer=text_in(reply, "answer"), forms=texts_in(reply, "forms")
    )


def cross_document_items(groups: dict[str, list[Pair]]) -> list[Item]:
    """One question for each twenty facts of the documents that share an entity, if they are of two documents and more.

    Args:
        groups: entity -> facts about it, of several documents, in turn.
    """
    asked, step = prompt("cross_document"), "cross_document"

    def item(entity: str, some: Sequence[Pair]) -> Item:
        facts, documents = by_document(some), sorted({one.docs[0] for one in some})

        def pairs(reply: dict[str, Any]) -> list[Pair]:
            found = []
            for row in listed(reply, "crossdoc_qa_pairs"):
                named = sorted(set(texts_in(row, "source_doc_ids")) & set(documents))
                found.append(Pair.of_reply(row, docs=named if len(named) > 1 else documents, step=step))
            return found

        key = content_key([step, asked.version, entity, facts])
        return Item(
            key, _asking(lambda: asked.filled(entity=entity, facts=facts), pairs), {"step": step, "entity": entity}
        )

    return [
        item(entity, some)
        for entity, pairs in groups.items()
        for some in _parts(pairs, FACTS_OF_A_GROUP)
        if len({one.docs[0] for one in some}) > 1
    ]


def _parts(pairs: Sequence[Pair], size: int) -> list[Sequence[Pair]]:
    return [pairs[first : first + size] for first in range(0, len(pairs), size)]


def _asking(
    message: Callable[[], str], pairs: Callable[[dict[str, Any]], list[Pair]]
) -> Callable[[Ask], Awaitable[Rows]]:
    async def run(ask: Ask) -> Rows:
        return [pair.to_row() for pair in await _read(ask, message(), DRAWN, read=pairs)]

    return run


async def _read(ask: Ask, message: str, sampling: Sampling, *, read: Callable[[dict[str, Any]], Any]) -> Any:
    """What a reply says, asked again while it cannot be read.

    Raises:
        ValueError: none of three replies can be.
    """
    for trial in range(TRIALS):
        try:
            return read(reply_object(await ask(message, sampling)))
        except ValueError as error:
            if trial == TRIALS - 1:
                raise ValueError(f"none of {TRIALS} replies can be read; the last: {error}") from error
    raise AssertionError("there is at least one trial")
