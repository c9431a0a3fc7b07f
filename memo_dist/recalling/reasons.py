"""Reasons: why recall says nothing more, for people.

Covers: codes, sentences, what would help. Does not cover: finding out (exact_session.py, solved_session.py,
session.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

TOO_SHORT, NOT_HELD, AMBIGUOUS, BELOW_CONFIDENCE = CODES = ("too_short", "not_held", "ambiguous", "below_confidence")
_FEW = 3  # ways that a sentence names
_SHOWN = 60  # characters of a text that a sentence repeats


@dataclass(frozen=True)
class Way:
    """One of several ways in which a memory goes on.

    Attributes:
        text: its first tokens; of bare token ids these, as numbers.
        count: how often its first token follows; None where the memory does not count.
        share: how probable it is among all.
    """

    text: str
    count: int | None
    share: float


@dataclass(frozen=True)
class Reason:
    """Why recall stopped, where it was neither the length nor the end of a document.

    Attributes:
        code: one of CODES, which programs may compare.
        text: for people: why, and what would help.
        between: where it is "ambiguous", the likeliest ways to go on.
    """

    code: str
    text: str
    between: list[Way] = field(default_factory=list)


def too_short(prompt: str, shortest: int, *, units: str) -> Reason:
    """A prompt of fewer units than the shortest window; `prompt` says how many."""
    helps = f"give at least {shortest} {units}, or say that it begins a document (from_start)"
    return Reason(TOO_SHORT, f"{prompt}; the shortest window is {shortest}: {helps}")


def not_held(*, exact_prompt: bool = False, slips_matter: bool = False) -> Reason:
    """A prompt that the memory has nothing like.

    Args:
        exact_prompt: it was asked as it is typed because that was asked for. slips_matter: because no other is asked.
    """
    if exact_prompt:
        return Reason(NOT_HELD, "the memory does not hold this as it is typed: let slips be mended (exact_prompt)")
    if slips_matter:
        return Reason(NOT_HELD, "the memory does not hold this as it is typed: look for slips, or give another part")
    return Reason(NOT_HELD, "the memory does not hold this, or anything like it: give another part of the text")


def only_end(end: str) -> Reason:
    """A prompt of which the memory holds only what it ends with."""
    return Reason(NOT_HELD, f"of this the memory holds only the end, {_shortened(end)!r}: ask with that alone")


def left(said: int) -> Reason:
    """A continuation that the memory surely told up to here."""
    return Reason(NOT_HELD, f"nothing in the memory surely goes on from here, after {said} tokens: ask from further on")


def ambiguous(between: Sequence[Way], ways: int) -> Reason:
    """A place from which the memory goes on in several ways.

    Args:
        between: the likeliest, best first. ways: how many there are; 0 if that is not known.
    """
    named = [_named(way) for way in between[:_FEW]]
    more = [f"{ways - len(named)} more"] * (ways > len(named))
    told = ", or ".join([*named, *more]) if ways else f"oftenest with {named[0]}" if named else "told by their first"
    return Reason(
        AMBIGUOUS,
        f"the memory goes on from here in several ways: {told}. Give more of the text before it, or ask for "
        "several continuations",
        list(between[:_FEW]),
    )


def below_confidence(sure: float, wanted: float) -> Reason:
    """A continuation that is known, but not surely enough."""
    return Reason(
        BELOW_CONFIDENCE,
        f"what follows is told with a confidence of {sure:.2g}, and {wanted:g} was asked for: give more of the text "
        "before it, or ask for less (min_confidence)",
    )


def _named(way: Way) -> str:
    often = f"{way.count:,} time{'s' * (way.count > 1)}, " if way.count else ""
    return f"{_shortened(way.text)!r} ({often}{way.share:.0%})"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}...{text[-_SHOWN // 2 :]}"
