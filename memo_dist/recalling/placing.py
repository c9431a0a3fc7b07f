"""Placing: which documents a passage stands in, by the anchors on it.

Covers: lines of tokens, spans of one, prompts that go on in several ways. Does not cover: what anchors are
(models/text/keys.py), finding passages (exact.py, trace.py).

Some windows of the anchor rung are held with the documents that they stand in. A passage of some dozens of words has
one or more; the documents named are those that the most of its anchors name. A shorter one is followed to the first
anchor, each way that it goes on.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from memo_dist.models.text.keys import is_anchor
from memo_dist.recalling.exact import LEFT, Path, Spell, Start, follow_exactly, steps_to_say
from memo_dist.recalling.lookup import ExactLookup, Lookup, SolvedLookup
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.walking import walked_on
from memo_dist.solved.walk import State

_FURTHER = 64  # tokens that a passage is followed to find an anchor
_MOST_WAYS = 64  # ways to go on that are looked at
MOST_NAMED = 8  # of more documents than that a passage stands in "several"


@dataclass(frozen=True)
class Place:
    """Where a passage stands.

    Attributes:
        documents: ids, sorted; the first MOST_NAMED of them.
        count: how many documents there are; 0 where no anchor is on the passage.
        several: they are several, and the memory does not tell which.
        owners: all their ids.
    """

    documents: list[str]
    count: int
    several: bool = False
    owners: tuple[str, ...] = field(default=(), repr=False, compare=False)


NOWHERE = Place([], 0)


def placed(lookup: ExactLookup, lines: list[np.ndarray]) -> list[Place]:
    """Where each of some lines of (n,) token ids stands."""
    return _places(lookup, [(line, 0, len(line)) for line in lines])


def placed_further(lookup: ExactLookup, lines: list[np.ndarray], *, from_start: bool = False) -> list[Place]:
    """The same, of passages that were recalled: where no anchor is on one yet, it is followed until there should be,
    each way that it goes on, or the likeliest where it is not held as it is."""
    found = placed_starts(lookup, [Start(tokens=line) for line in lines], from_start=from_start)
    short = [index for index, place in enumerate(found) if not place.count]
    starts = [Start(tokens=lines[index]) for index in short]
    followed = follow_exactly(lookup, starts, RecallOptions(max_tokens=_FURTHER, beam=1))
    longer = [_after(start, paths[0]) for start, paths in zip(starts, followed, strict=True)]
    for index, place in zip(short, placed(lookup, longer), strict=True):
        found[index] = place
    return found


def placed_starts(
    lookup: ExactLookup, starts: list[Start], *, spell: Spell | None = None, from_start: bool = False
) -> list[Place]:
    """Where passages that are held stand, however they go on; of many documents, those that are found in a few ways.

    Args:
        starts: with what is owed, which is part of the passage. spell: as `follow_exactly` takes it.
    """
    found = placed(lookup, [start.tokens for start in starts])
    short = [index for index, place in enumerate(found) if starts[index].owed or not place.count]
    options = RecallOptions(max_tokens=_FURTHER, from_start=from_start)
    followed = follow_exactly(lookup, [starts[index] for index in short], options, spell=spell)
    several = [_ways(lookup, starts[i], paths, spell=spell) for i, paths in zip(short, followed, strict=True)]
    owners = iter(_owners(lookup, [(way, 0, len(way)) for ways in several for way in ways]))
    either = [{owner for _ in ways for owner in next(owners)} for ways in several]
    for index, place in zip(short, _named(lookup, either), strict=True):
        found[index] = place
    return found


def _ways(lookup: ExactLookup, start: Start, paths: list[Path], *, spell: Spell | None) -> list[np.ndarray]:
    """A passage with what follows it up to the first anchor, each way once; first those that were followed furthest."""
    ways: list[np.ndarray] = []
    held = [path for path in paths if path.tokens and not path.owed and path.weight > -LEFT]
    for path in sorted(held, key=lambda path: -len(path.tokens))[:_MOST_WAYS]:
        line = _after(start, path)
        if any(np.array_equal(line[: len(way)], way) for way in ways):
            continue
        least = len(start.tokens) + max(1, steps_to_say(start, path, spell))
        ends = least + np.flatnonzero(_windows(lookup, line, least - 1)[1])
        ways += [line[:end] for end in ends[:1].tolist()]
    return ways


def _after(start: Start, path: Path) -> np.ndarray:
    return np.concatenate([start.tokens, np.array(path.tokens, np.int64)])


def stands_of(lookup: Lookup, lines: list[np.ndarray]) -> list[Place]:
    """Where each of some lines of (n,) token ids stands, all of which a memory holds; nowhere, if it cannot tell."""
    if lookup.reader.is_solved:
        return placed_surely(lookup.solved, lines)
    if lookup.reader.has_ledger:
        return placed_starts(lookup.exact, [Start(tokens=line) for line in lines])
    return [NOWHERE] * len(lines)


def placed_surely(lookup: SolvedLookup, lines: list[np.ndarray]) -> list[Place]:
    """Where lines that a solved memory holds stand. An anchor of one document tells it; where none is on a line, it is
    followed to one, for as long as it goes on in one way alone."""
    owners, several = _sole_owners(lookup, lines)
    short = [index for index, one in enumerate(owners) if not one]
    walks = walked_on(lookup, [(lines[index], "") for index in short], _FURTHER)
    sure = [next((i for i, s in enumerate(walk.states) if s != State.SURE), len(walk.tokens)) for walk in walks]
    longer = [
        np.concatenate([lines[index], np.array(walk.tokens[:kept], np.int64)])
        for index, walk, kept in zip(short, walks, sure, strict=True)
    ]
    further, _ = _sole_owners(lookup, longer)
    for index, one in zip(short, further, strict=True):
        owners[index] = one
    found = _named(lookup, owners)
    return [
        Place([], 0, several=more) if not place.count else place for place, more in zip(found, several, strict=True)
    ]


def _sole_owners(lookup: SolvedLookup, lines: list[np.ndarray]) -> tuple[list[set[int]], list[bool]]:
    """The document that the most anchors on each line name alone; whether some name several."""
    anchors = [_anchors(lookup, line, start=0, stop=len(line)) for line in lines]
    numbers, several = lookup.reader.anchors_at(np.concatenate([np.zeros(0, np.uint64), *anchors]))
    edges = np.cumsum([len(hashes) for hashes in anchors])[:-1]
    told = list(zip(np.split(numbers, edges), np.split(several, edges), strict=True)) if lines else []
    sole = [_commonest([[n] for n in one[(one >= 0) & ~more].tolist()]) for one, more in told]
    return [one if len(one) == 1 else set() for one in sole], [bool(more.any()) for _, more in told]


def _places(lookup: ExactLookup, stretches: list[tuple[np.ndarray, int, int]]) -> list[Place]:
    return _named(lookup, _owners(lookup, stretches))


def _owners(lookup: ExactLookup, stretches: list[tuple[np.ndarray, int, int]]) -> list[set[int]]:
    """Those that the most anchors that end in each stretch name."""
    anchors = [_anchors(lookup, tokens, start=start, stop=stop) for tokens, start, stop in stretches]
    found = lookup.reader.documents_at(np.concatenate([np.zeros(0, np.uint64), *anchors]))
    owners, at = [], 0
    for hashes in anchors:
        named = [found.of(window)[0].tolist() for window in range(at, at + len(hashes))]
        at += len(hashes)
        owners.append(_commonest(named))
    return owners


def _anchors(lookup: ExactLookup, tokens: np.ndarray, *, start: int, stop: int) -> np.ndarray:
    """Hashes of the anchors that end in a stretch, each once."""
    hashes, anchored = _windows(lookup, tokens[:stop], start)
    return np.unique(hashes[anchored])


def _windows(lookup: ExactLookup, tokens: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """The window of the anchor rung behind each token from `start` on, and whether it is filled and an anchor."""
    line, rung = np.asarray(tokens, np.int64), lookup.config.anchor_rung
    cues = lookup.encoder.prefixes(line, np.arange(start + 1, len(line) + 1))
    hashes = cues.values[:, rung]
    return hashes, cues.filled[:, rung] & is_anchor(hashes)


def _commonest(named: list[list[int]]) -> set[int]:
    """The owners that the most anchors name."""
    counts = Counter(owner for owners in named for owner in owners)
    most = max(counts.values(), default=0)
    return {owner for owner, count in counts.items() if count == most}


def _named(lookup: ExactLookup, owners: list[set[int]]) -> list[Place]:
    names = lookup.reader.documents_named({owner for several in owners for owner in several})
    ids = [sorted({name for owner in several for name in names.get(owner, [])}) for several in owners]
    return [Place(one[:MOST_NAMED], len(one), owners=tuple(one)) if one else NOWHERE for one in ids]
