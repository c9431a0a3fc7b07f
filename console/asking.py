"""Asking: prompts of a command line and of a file, answered in turn.

Covers: their order, their names in refusals, one that cannot be asked beside others that can. Does not cover: showing
answers (recall.py), jobs (cluster/recall_job.py).
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from memo_dist.errors import InputError, PromptError
from memo_dist.recalling.options import RecallOptions, with_flags
from memo_dist.recalling.prompts import STANDARD_INPUT, PromptRow, read_prompts
from memo_dist.recalling.questions import SHOWN
from memo_dist.recalling.recall import Continuation
from memo_dist.recalling.several_session import SeveralSession

_AT_ONCE = 16  # prompts of a file, whose answers are waited for together

Answer = tuple[PromptRow, list[Continuation]]


def answered(
    session: SeveralSession, texts: list[str], file: Path | None, *, options: RecallOptions
) -> Iterator[Answer]:
    """The answers to some texts and to the prompts of a file, in order, as they are found; best first.

    One that cannot be asked is answered "refused" beside others that can.

    Raises:
        PromptError: the first that cannot be asked, if it is one of the texts, or if none can.
        InputError: there is no prompt, or the file cannot be read.
    """
    typed = file is not None and str(file) == STANDARD_INPUT
    refused: list[Answer] = []  # before one that can be asked
    asked = False
    for row, found in _in_turn(session, _rows(texts, file), options, at_once=1 if typed else _AT_ONCE):
        best = found[0]
        if best.error is None:
            yield from refused
            refused, asked = [], True
            yield row, found
            continue
        reason = with_flags(best.error)
        if not row.of_file:
            raise PromptError(reason)
        answer = row, [replace(best, error=reason)]
        if asked or typed:
            asked = True
            yield answer
        else:
            refused.append(answer)
    if refused:
        raise PromptError(refused[0][1][0].error)
    if not asked:
        raise InputError("no prompt was given; use --prompt TEXT or --prompts FILE")


def _rows(texts: list[str], file: Path | None) -> Iterator[PromptRow]:
    yield from (PromptRow(str(number), text, of_file=False) for number, text in enumerate(texts, start=1))
    if file is not None:
        yield from read_prompts(file)


def _in_turn(
    session: SeveralSession, rows: Iterable[PromptRow], options: RecallOptions, *, at_once: int
) -> Iterator[Answer]:
    left = iter(rows)
    while some := list(itertools.islice(left, at_once)):
        questions = session.questions([row.asked for row in some], options, [_name(row) for row in some])
        yield from zip(some, session.answer(questions, options), strict=True)


def _name(row: PromptRow) -> str:
    """As a refusal names it."""
    return f"prompt {row.id} ({row.asked[:SHOWN]!r})" if isinstance(row.asked, str) else f"prompt {row.id}"
