"""Reflecting: documents -> reflections.jsonl, by five steps, each with a file of its own.

Covers: the order of the steps, what passes from one to the next, groups of documents, the finished file. Does not
cover: what a step asks (steps.py), reading documents.

The steps: direct and indirect facts of every chunk; consolidation of a document's facts; verification of every pair;
entity surfacing, which asks for names by what is said of them; questions across documents. Documents are grouped by the
entities that they surfaced, never by anybody's list of questions. No document is dropped for being small.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from memo_dist.durable import write_bytes, writing
from memo_dist.endpoint.endpoint import Endpoint
from memo_dist.endpoint.journal import Journal
from memo_dist.endpoint.options import EndpointOptions
from memo_dist.endpoint.work import Ask, Item, work_off
from memo_dist.errors import OutputExistsError
from memo_dist.reflect.chunks import Chunk, chunks_of
from memo_dist.reflect.options import STEPS, ReflectOptions, steps_folder
from memo_dist.reflect.pairs import Pair, different, holds_name, plain
from memo_dist.reflect.steps import (
    Unverified,
    consolidation_items,
    cross_document_items,
    fact_items,
    surfacing_items,
    verification_items,
)
from memo_dist.reflections.reflection import Reflection

Progress = Callable[[str, int, int], None]  # step, items done, of how many


@dataclass(frozen=True)
class Reflected:
    """What was done: `reflections` by step, `failed` items by step, which the same command asks again."""

    out: str
    documents: int
    reflections: dict[str, int]
    failed: dict[str, int]


def reflect(
    documents: Iterable[tuple[str, str]],
    out: Path,
    *,
    endpoint: EndpointOptions,
    options: ReflectOptions | None = None,
    on_progress: Progress = lambda step, done, total: None,
) -> Reflected:
    """Draw reflections from documents; a stopped run of the same output goes on with what it has.

    Args:
        documents: (id, text) pairs. out: the file; the steps' files lie in a folder beside it.

    Raises:
        OutputExistsError: `out` is there without the files of its steps. FencedError: another process writes it.
        EndpointError: the endpoint does not answer; what is done is kept. StorageError: a file cannot be written.
    """
    folder = steps_folder(out)
    if out.exists() and not folder.is_dir():
        raise OutputExistsError(f"{out} exists, and {folder} does not; nothing was changed. Choose another place")
    chosen = options or ReflectOptions()
    chunks = [
        chunk for name, text in documents for chunk in chunks_of(name, text, words=chosen.words, overlap=chosen.overlap)
    ]
    run = _Run(chunks, folder, chosen, at_once=endpoint.concurrency, on_progress=on_progress)
    reflections = asyncio.run(_reflected(run, endpoint))
    with writing(out):
        write_bytes(out, b"".join(one.to_json().encode() + b"\n" for one in reflections))
    counts = {step: sum(one.step == step for one in reflections) for step in STEPS}
    return Reflected(
        out=str(out),
        documents=len({chunk.document for chunk in chunks}),
        reflections={step: count for step, count in counts.items() if count},
        failed=run.failed,
    )


async def _reflected(run: "_Run", endpoint: EndpointOptions) -> list[Reflection]:
    async with Endpoint(endpoint) as opened:
        return await run.reflections(opened.complete)


class _Run:
    """The steps, one after another.

    Attributes:
        failed: items that have no result, by step.
    """

    def __init__(
        self, chunks: Sequence[Chunk], folder: Path, options: ReflectOptions, *, at_once: int, on_progress: Progress
    ) -> None:
        self._chunks, self._folder, self._options = chunks, folder, options
        self._at_once, self._on_progress = at_once, on_progress
        self.failed: dict[str, int] = {}

    async def reflections(self, ask: Ask) -> list[Reflection]:
        """All reflections, in the order of the steps and of the documents; of equal ones the first."""
        drawn = [
            Unverified(pair, self._chunks[place])
            for step in STEPS[:2]
            for place, pairs in enumerate(await self._facts(step, ask))
            for pair in pairs
        ]
        facts = _by_document(one.pair for one in drawn)
        found = await self._step("consolidation", lambda: consolidation_items(facts), ask)
        whole = {chunk.document: chunk for chunk in reversed(self._chunks)}
        drawn += [Unverified(pair, whole[pair.docs[0]]) for pairs in found for pair in pairs]
        verified = [one.pair for one in drawn]
        if "verification" not in self._options.skip:
            found = await self._step("verification", lambda: verification_items(drawn), ask)
            verified = [pair for pairs in found for pair in pairs]
        held = _by_document(verified)
        found = await self._step("entity_surfacing", lambda: surfacing_items(held), ask)
        surfaced = [pair for pairs in found for pair in pairs]
        groups = groups_by_entity(verified, surfaced)
        found = await self._step("cross_document", lambda: cross_document_items(groups), ask)
        crossing = different(pair for pairs in found for pair in pairs)
        names = defaultdict[str, list[str]](list)
        for pair in surfaced:
            names[pair.docs[0]].append(pair.entity)
        made = [
            pair.reflection(name for document in pair.docs for name in names[document])
            for pair in [*verified, *surfaced, *crossing]
        ]
        return list({one.id: one for one in reversed(made)}.values())[::-1]

    async def _facts(self, step: str, ask: Ask) -> list[list[Pair]]:
        """The different facts of each chunk, of all epochs."""
        epochs = self._options.epochs
        found = await self._step(step, lambda: fact_items(step, self._chunks, epochs), ask)
        chunks = [found[first : first + epochs] for first in range(0, len(found), epochs)]
        return [different(pair for pairs in chunk for pair in pairs) for chunk in chunks]

    async def _step(self, step: str, items: Callable[[], list[Item]], ask: Ask) -> list[list[Pair]]:
        """The pairs of each item of a step; of one that failed, none."""
        if step in self._options.skip:
            return []
        with Journal(self._folder / f"{step}.jsonl") as journal:
            results: list[Any] = await work_off(
                items(),
                journal,
                ask,
                at_once=self._at_once,
                on_done=lambda done, total: self._on_progress(step, done, total),
            )
        missing = sum(result is None for result in results)
        if missing:
            self.failed[step] = missing
        return [[Pair.of_row(row) for row in result or []] for result in results]


def groups_by_entity(facts: Sequence[Pair], surfaced: Sequence[Pair]) -> dict[str, list[Pair]]:
    """Entities that several documents surfaced, each with the facts that name it, one of each document in turn."""
    names, documents = dict[str, str](), defaultdict[str, dict[str, None]](dict)
    for pair in surfaced:
        entity = plain(pair.entity)
        names.setdefault(entity, pair.entity)
        documents[entity][pair.docs[0]] = None
    of = _by_document(facts)
    groups = {}
    for entity, shared in documents.items():
        if len(shared) > 1:
            lines = [
                [pair for pair in of.get(document, []) if holds_name(f"{pair.question} {pair.answer}", entity)]
                for document in shared
            ]
            groups[names[entity]] = [pair for row in zip_longest(*lines) for pair in row if pair is not None]
    return groups


def _by_document(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    found = defaultdict[str, list[Pair]](list)
    for pair in pairs:
        found[pair.docs[0]].append(pair)
    return dict(found)
