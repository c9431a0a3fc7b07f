"""Pair: a question and an answer on their way to a reflection.

Covers: pairs in rows and replies, numbered lists of them for prompts, names in them. Does not cover: the steps.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from memo_dist.endpoint.replies import listed, text_in, texts_in
from memo_dist.reflections.reflection import Reflection


@dataclass(frozen=True)
class Pair:
    """A question and its answer.

    Attributes:
        forms: the question in other words. entity: the name that the answer begins with, of entity surfacing.
        docs: that it was drawn from. step: that drew it.
    """

    question: str
    answer: str
    forms: tuple[str, ...] = ()
    entity: str = ""
    docs: tuple[str, ...] = ()
    step: str = ""

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Pair":
        texts: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in row.items()}
        return cls(**texts)

    @classmethod
    def of_reply(cls, row: dict[str, Any], *, docs: Sequence[str], step: str) -> "Pair":
        """The pair that a language model wrote.

        Raises:
            ValueError: it has no question or no answer.
        """
        question = text_in(row, "question")
        forms = dict.fromkeys(form for form in texts_in(row, "forms") if form != question)
        return cls(question, text_in(row, "answer"), tuple(forms), docs=tuple(docs), step=step)

    def reflection(self, entities: Iterable[str] = ()) -> Reflection:
        """What is written of it; `id` names question, answer and documents.

        Args:
            entities: names that its documents surfaced; those that it holds are kept.
        """
        text = f"{self.question}\n{self.answer}"
        kept = [name for name in entities if name == self.entity or holds_name(text, name)]
        named = json.dumps([self.question, self.answer, self.docs])
        return Reflection(
            id=hashlib.blake2b(named.encode(), digest_size=16).hexdigest(),
            question=self.question,
            answer=self.answer,
            forms=self.forms,
            entities=tuple(dict.fromkeys(kept)),
            step=self.step,
            docs=self.docs,
        )


def pairs_of_reply(reply: dict[str, Any], name: str, *, docs: Sequence[str], step: str) -> list[Pair]:
    """The pairs of a reply's list.

    Raises:
        ValueError: it is no list of questions and answers.
    """
    return [Pair.of_reply(row, docs=docs, step=step) for row in listed(reply, name)]


def numbered(pairs: Sequence[Pair]) -> str:
    """Pairs as prompts list them, from 1 on."""
    return "\n".join(f"{number}. Q: {one.question} A: {one.answer}" for number, one in enumerate(pairs, start=1))


def by_document(pairs: Sequence[Pair]) -> str:
    """Pairs as prompts list them, each with the document that it is from."""
    return "\n".join(f"[{one.docs[0]}] Q: {one.question} A: {one.answer}" for one in pairs)


def different(pairs: Iterable[Pair]) -> list[Pair]:
    """The first of those with one question and answer, but for case and white space."""
    return list({(plain(one.question), plain(one.answer)): one for one in reversed(list(pairs))}.values())[::-1]


def plain(text: str) -> str:
    """A text without case, and with single spaces."""
    return " ".join(text.casefold().split())


def holds_name(text: str, name: str) -> bool:
    """Whether a name stands in a text as whole words."""
    return re.search(rf"(?<!\w){re.escape(plain(name))}(?!\w)", plain(text)) is not None
