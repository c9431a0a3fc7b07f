"""Answering: a question in one form or several -> the answer of the reflections that they lead to, or none.

Covers: which reflections each form leads to, the vote, why nothing is said. Does not cover: forms (forms.py), reading
(reading.py).

Of each text that is asked, the strictest kind of form that leads anywhere says what it votes for, if the stored
question proves to have that form too. The answer with the most votes is said; a tie is no answer. Votes are for
answers, not for reflections: two of them that say the same agree.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memo_dist.errors import InputError
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.questions import is_unicode
from memo_dist.reflections.answered import Answered, unanswered
from memo_dist.reflections.forms import Kind, agree, asked_cues
from memo_dist.reflections.layout import holds_reflections, reflection_of
from memo_dist.reflections.reading import Led, ReflectionReader
from memo_dist.reflections.reflection import Reflection

NO_REFLECTIONS = "this memory holds no reflections; memo-dist build --reflections makes one that does"
_NOT_STORED = "no form of this question is stored"
_SHOWN = 60  # characters of an answer in a reason


@dataclass(frozen=True)
class _Vote:
    """What one text that was asked leads to.

    Attributes:
        matches: (stored question, reflection). several: there may be others.
    """

    kind: Kind
    matches: tuple[tuple[str, Reflection], ...] = ()
    several: bool = False

    @property
    def answers(self) -> dict[str, None]:
        """The different answers, in order."""
        return {said(one): None for _, one in self.matches}


def said(reflection: Reflection) -> str:
    """An answer as it is counted: white space does not tell two apart."""
    return " ".join(reflection.answer.split())


def answer_question(lookup: Lookup, question: str, forms: Sequence[str] = ()) -> Answered:
    """The answer to a question; see Askable.answer.

    Raises:
        InputError: the question or a form is no text.
    """
    return answer_questions(lookup, [(question, forms)])[0]


def answer_questions(lookup: Lookup, asked: Sequence[tuple[str, Sequence[str]]]) -> list[Answered]:
    """The answers to several questions, each with other forms of it, read together."""
    texts = [_texts(question, forms) for question, forms in asked]
    if not holds_reflections(lookup.config):
        return [unanswered(NO_REFLECTIONS) for _ in texts]
    reader = ReflectionReader(lookup)
    cues = {text: asked_cues(text) for several in texts for text in several}
    led = reader.led(cue for several in cues.values() for _, cue in several)
    rows = reader.rows(name for one in led.values() for name in one.names)
    known = {name: reflection_of(row) for name, row in rows.items()}
    votes = {text: _vote(text, several, led=led, known=known) for text, several in cues.items()}
    return [_counted([votes[text] for text in several]) for several in texts]


def _texts(question: str, forms: Sequence[str]) -> list[str]:
    if isinstance(forms, str):
        raise InputError("one text was given as forms of a question, where several are expected; give [text]")
    for text in (question, *forms):
        if not isinstance(text, str) or not is_unicode(text):
            raise InputError(f"{str(text)[:40]!r} is no text; a question and its forms are texts")
    return list(dict.fromkeys((question, *forms)))


def _vote(
    text: str, cues: Iterable[tuple[Kind, bytes]], *, led: dict[bytes, Led], known: dict[bytes, Reflection]
) -> _Vote | None:
    """The vote of a text: of the strictest kind of form that leads anywhere."""
    of_kind: dict[Kind, list[Led]] = {}
    for kind, cue in cues:
        if cue in led:
            of_kind.setdefault(kind, []).append(led[cue])
    for kind, several in of_kind.items():
        matches = dict[bytes, tuple[str, Reflection]]()
        for name in dict.fromkeys(name for one in several for name in one.names if name in known):
            one = known[name]
            stored = agree(kind, text, stored=one.questions, entities=one.entities)
            if stored is not None:
                matches[name] = stored, one
        more = kind is not Kind.PAIRS and any(one.several and known.keys() & set(one.names) for one in several)
        if matches or more:
            return _Vote(kind, tuple(matches.values()), more)
    return None


def _counted(votes: Sequence[_Vote | None]) -> Answered:
    """What the votes of all texts that were asked decide."""
    given = [vote for vote in votes if vote is not None]
    if not given:
        return unanswered(_NOT_STORED)
    sure = [vote for vote in given if len(vote.answers) == 1 and not vote.several]
    if not sure:
        return _tied(list(dict.fromkeys(answer for vote in given for answer in vote.answers)), votes)
    counts = dict[str, int]()
    for vote in sure:
        (answer,) = vote.answers
        counts[answer] = counts.get(answer, 0) + 1
    most = max(counts.values())
    best = [answer for answer, count in counts.items() if count == most]
    if len(best) > 1:
        return _tied(best, votes)
    agreeing = [vote for vote in sure if best[0] in vote.answers]
    matches = [match for vote in agreeing for match in vote.matches]
    first = min(agreeing, key=lambda vote: list(Kind).index(vote.kind))
    stored, reflection = first.matches[0]
    return Answered(
        answer=reflection.answer,
        confidence=most / len(votes),
        form=f"{first.kind.told}: {stored}",
        documents=tuple(sorted({name for _, one in matches for name in one.docs})),
        reason="",
    )


def _tied(answers: Sequence[str], votes: Sequence[_Vote | None]) -> Answered:
    """No answer, because there are several."""
    documents = {name for vote in votes if vote for _, one in vote.matches for name in one.docs}
    shown = ", ".join(repr(one if len(one) <= _SHOWN else one[:_SHOWN] + "...") for one in answers[:3])
    count = f"{len(answers)} different answers" if len(answers) > 1 else "more than one reflection"
    reason = (
        f"{count} are held for this question" + (f", such as {shown}" if shown else "") + ", and none has more votes"
    )
    return unanswered(reason, documents=tuple(sorted(documents)))
