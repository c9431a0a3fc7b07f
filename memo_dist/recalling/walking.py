"""Walking: how sure it is that a prompt is a solved memory's text, and how that goes on.

Covers: the evidence of a prompt's own places, continuation token by token. Does not cover: one step up a ladder
(solved/walk.py), which reading of a prompt is asked, what is said (solved_session.py).

A window that is not held passes c check bits with probability 2^-c, and a solved memory gives no other sign. So a
prompt speaks for itself: each of its places where a unit ends is asked as well. The end is c bits of evidence, if the
walk from there does not tell that the prompt has left the memory's text. Of the places before, one that gives the
prompt's own next token is some more, and one that is held a little, as unseen text has them, too; what is before the
last place that is not held counts a quarter, as it says little of what is behind it. The first of those that are not
held, or give another token, takes several bits, the next ones little, because one slip spoils all windows over it. With
b bits in all, against even odds, the prompt is the memory's text with probability 1 / (1 + 2^-b). A step of a
continuation that is held again is c bits more for all before it; one that has left the text is a guess, and so is all
behind it. The weights were fitted: docs/explanation/published.md says how.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from memo_dist.recalling.exact import Spell
from memo_dist.recalling.lookup import SolvedLookup
from memo_dist.recalling.overlap import after
from memo_dist.recalling.snapping import Next
from memo_dist.recalling.support import Support
from memo_dist.solved.walk import State, Walked

_PLACES = 16  # last ones of a prompt that are asked
AGREES = 4.0  # bits of a place that gives the prompt's own next token: about 1 in 16 of unseen text does
_HELD = 1.0  # bits of another one that is held
_EARLIER = 0.25  # of these bits, before the last place that is not held
_SLIP, _AFTER = 4.0, 0.5  # bits that the first place takes which is not held, and those that follow it
_GUESS = 3.0  # bits for the commonest token of a window, where the next one is not held: 8 of 9 are right
_AHEAD = 8  # steps beyond the last token asked for, to confirm it
_BEFORE = 64  # tokens that spelling looks back to

Says = Callable[[np.ndarray, int, int], bool]  # (tokens, place, token): it says what the prompt says there


@dataclass(frozen=True)
class Judged:
    """What a solved memory says of one prompt.

    Attributes:
        bits: of evidence that the prompt's end is held.
        state: of the walk from the prompt's end.
        support: of each place asked, whether it is held.
    """

    bits: float
    state: State
    support: Support

    @property
    def sure(self) -> float:
        """The probability that what the end says goes on."""
        if self.state == State.NOT_HELD:
            return 0.0
        guessed = _probability(_GUESS) if self.state == State.LEFT else 1.0
        return guessed * _probability(max(self.bits, -1000.0))


def judged(
    lookup: SolvedLookup,
    prompts: Sequence[np.ndarray],
    *,
    says: Says | None = None,
    at_start: bool = False,
    everywhere: bool = False,
) -> list[Judged]:
    """What a memory holds of each prompt, in one question to it.

    Args:
        prompts: (n,) token ids each.
        says: whether another token than the prompt's own says the same there; None: none does.
        everywhere: ask all places of a prompt, not its last ones alone.
    """
    if not prompts:
        return []
    last = slice(None) if everywhere else slice(1 - _PLACES, None)
    ends = [np.append(lookup.encoder.unit_ends(tokens)[last], len(tokens)) for tokens in prompts]
    ends = [places.astype(np.int64) for places in ends]
    cues = [lookup.encoder.prefixes(t, p, at_start) for t, p in zip(prompts, ends, strict=True)]
    walked = lookup.walk(cues)
    found, at = [], 0
    for tokens, places, cue in zip(prompts, ends, cues, strict=True):
        rows = slice(at, at + len(places))
        at += len(places)
        found.append(_judged(lookup, tokens, places, depths=cue.filled.sum(axis=1), walked=walked[rows], says=says))
    return found


def _judged(
    lookup: SolvedLookup,
    tokens: np.ndarray,
    places: np.ndarray,
    *,
    depths: np.ndarray,
    walked: Walked,
    says: Says | None,
) -> Judged:
    held, own = walked.held.copy(), np.append(tokens, -1)[places]
    agrees = held & (walked.tokens == own)
    for row in np.flatnonzero(held[:-1] & ~agrees[:-1] & (walked.states[:-1] == State.SURE)).tolist():
        held[row] = says is not None and says(tokens, int(places[row]), int(walked.tokens[row]))
    state, windows = State(int(walked.states[-1])), np.array(lookup.config.windows)
    asked = depths > 0
    bits = (lookup.check_bits if state != State.LEFT else 0) + _bits(held[asked], agrees[asked])
    units = np.concatenate([[0], np.cumsum(lookup.encoder.units_begun(tokens))])[places]
    support = Support(
        ends=places[asked],
        units=units[asked],
        windows=windows[depths[asked] - 1],
        longest=np.where(held | (walked.states == State.LEFT), windows[walked.rungs], 0)[asked],
        held=held[asked],
        asked=int(walked.rungs[-1]),
    )
    return Judged(bits, state, support)


def _bits(held: np.ndarray, agrees: np.ndarray) -> float:
    """What the places are worth, the end last, which is worth nothing if it is held."""
    slips = ~held & np.concatenate([[True], held[:-1]])[: len(held)]
    worth = np.where(agrees, AGREES, np.where(held, _HELD, 0.0))[:-1]
    worth[: int(np.flatnonzero(~held[:-1]).max(initial=-1)) + 1] *= _EARLIER
    return float(worth.sum()) - (_SLIP - _AFTER) * float(slips.sum()) - _AFTER * float((~held).sum())


def _probability(bits: float) -> float:
    return float(1 / (1 + 2.0**-bits))


def stretches(lookup: SolvedLookup, tokens: np.ndarray, most: int) -> tuple[Support, np.ndarray]:
    """The last places of a prompt at which a window is held, however the prompt goes on there; and at which of them a
    stretch of the memory ends, because it goes on otherwise or the next place is not held."""
    ends = np.append(lookup.encoder.unit_ends(tokens)[1 - most :], len(tokens)).astype(np.int64)
    cue = lookup.encoder.prefixes(tokens, ends)
    walked, asked = lookup.walk([cue]), cue.filled[:, 0]
    windows = np.array(lookup.config.windows)
    units = np.concatenate([[0], np.cumsum(lookup.encoder.units_begun(tokens))])[ends]
    other = (walked.states == State.SURE) & (walked.tokens != np.append(tokens, -1)[ends])
    held, longest = walked.held, np.where(walked.held, windows[walked.rungs], 0)
    support = Support(
        ends=ends[asked],
        units=units[asked],
        windows=windows[cue.filled.sum(axis=1)[asked] - 1],
        longest=longest[asked],
        held=held[asked],
        asked=int(walked.rungs[-1]),
    )
    return support, other[asked]


def next_tokens(lookup: SolvedLookup, contexts: list[np.ndarray]) -> list[Next]:
    """The token after each context that is held; none where none is, or where the document ends."""
    walked = lookup.walk_after(contexts)
    known = walked.held & (walked.tokens != lookup.config.end_of_document)
    told = zip(walked.tokens.tolist(), known.tolist(), walked.states.tolist(), strict=True)
    return [Next([token] if held else [], all_known=state == State.SURE) for token, held, state in told]


@dataclass(kw_only=True)
class Walk:
    """How a prompt goes on, as far as it is held.

    Attributes:
        tokens, windows: without "end of document"; the window that said each, in units.
        states: of each step, also of the one that says "end of document".
        owed: what is still owed. stop: "end_of_document", "lost", or "" where it would go on.
    """

    context: list[int]
    owed: str = ""
    tokens: list[int] = field(default_factory=list)
    windows: list[int] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    stop: str = ""

    def likely(self, check_bits: int) -> list[float]:
        """Of each step, the probability that it is right, if the prompt is held and its end says what goes on."""
        steps, guessed, found = len(self.states), 1.0, []
        for step, state in enumerate(self.states):
            if step and state == State.LEFT:
                guessed *= _probability(_GUESS)
            found.append(guessed * _probability(check_bits * min(steps - step, _AHEAD)))
        return found


def walked_on(
    lookup: SolvedLookup,
    prompts: Sequence[tuple[np.ndarray, str]],
    max_tokens: int,
    *,
    spell: Spell | None = None,
    at_start: bool = False,
) -> list[Walk]:
    """How each prompt goes on, with some steps more than was asked for.

    Args:
        prompts: token ids, and text that the continuation must say first. spell: see exact.follow_exactly.
    """
    config, reach = lookup.config, lookup.config.context_length
    walks = [Walk(context=tokens[-reach:].tolist(), owed=owed) for tokens, owed in prompts]
    begun = [len(walk.context) for walk in walks]
    for _ in range(max_tokens + _AHEAD):
        going = [index for index, walk in enumerate(walks) if not walk.stop]
        if not going:
            break
        found = lookup.walk_after([np.array(walks[i].context[-reach:], np.int64) for i in going], at_start)
        for row, index in enumerate(going):
            walk, state = walks[index], State(int(found.states[row]))
            token, rung = int(found.tokens[row]), int(found.rungs[row])
            if state == State.NOT_HELD:
                walk.stop = "lost"
                continue
            if walk.owed:
                said = _owed_after(walk, token, begun[index], spell=spell, end=config.end_of_document)
                if said is None:
                    walk.stop = "lost"
                    continue
                walk.owed = said
            walk.states.append(state)
            if token == config.end_of_document:
                walk.stop = "end_of_document"
                continue
            walk.context.append(token)
            walk.tokens.append(token)
            walk.windows.append(config.windows[rung])
    return walks


def _owed_after(walk: Walk, token: int, begun: int, *, spell: Spell | None, end: int) -> str | None:
    """What is owed after a token, all of it until it is said whole; None if its tokens say something else."""
    if spell is None or token == end:
        return None
    found = after(spell(walk.context[:begun][-_BEFORE:], [*walk.tokens, token]), walk.owed)
    return None if found is None else walk.owed if found[1] else ""
