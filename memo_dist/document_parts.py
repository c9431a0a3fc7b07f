"""DocumentPart: what is recorded of a run of one document's tokens, and how the parts of documents fold.

Covers: the record, folding the parts of one id. Does not cover: all ids of a memory (documents.py), files of records
(files/documents_file.py).

A part counts: +1 memorized, -1 forgotten. Parts of one document join once they reach from its beginning to its end
without a gap, so that a document is one record whatever the order of its parts and wherever it was cut; until then they
stay apart, and can be taken back one by one. Whole documents of one id that have equal tokens and fingerprints cancel.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from memo_dist.fingerprints import fingerprints, joined
from memo_dist.segments import Origin, Segment


class Identity(NamedTuple):
    """What tells a document from every other, wherever it was read: its key, tokens and fingerprint."""

    key: int
    tokens: int
    fingerprint: int


class DocumentPart(NamedTuple):
    """A run of one document's tokens, or all of them.

    Attributes:
        id: what the memory calls the document.
        source, position, position_in: where it was read; see Origin.
        start, stop: of the run in its document; see Segment.
        tokens: their number. fingerprint: see fingerprints.py.
        ends: the document's last token is in it.
        times: how often it is held; below 0: forgotten, before the rest of its document was.
    """

    id: str
    source: str
    position: int
    position_in: str
    start: int
    stop: int
    tokens: int
    fingerprint: int
    ends: bool
    times: int = 1

    @property
    def whole(self) -> bool:
        """Whether it is a whole document."""
        return self.start == 0 and self.ends

    @property
    def origin(self) -> Origin:
        """Where the document was read."""
        return Origin(self.source, self.position, self.position_in)

    def identity(self, key: int) -> Identity:
        """Of a whole document with this key."""
        return Identity(key, self.tokens, self.fingerprint)


def document_key(document_id: str) -> int:
    """The 64-bit name of a document id; it also decides which shard keeps the record."""
    return int.from_bytes(hashlib.blake2b(document_id.encode(), digest_size=8).digest(), "little")


def place_key(document_id: str, origin: Origin) -> int:
    """The 64-bit name of one document among all that have its id: of the id and where it was read."""
    words = "\0".join([document_id, origin.source, str(origin.position)])
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little")


def parts_of(documents: list[tuple[str, Segment]], keys: list[int]) -> list[DocumentPart]:
    """The part that each (document id, segment) pair is; `keys` are those of the ids."""
    values = fingerprints([segment.tokens for _, segment in documents], keys)
    return [
        DocumentPart(
            name,
            *segment.origin,
            start=segment.start,
            stop=segment.next_start,
            tokens=len(segment.tokens),
            fingerprint=value,
            ends=segment.ends,
        )
        for (name, segment), value in zip(documents, values, strict=True)
    ]


def folded(parts: Iterable[DocumentPart], key: int) -> list[DocumentPart]:
    """The parts of one id, with what makes whole documents joined, and what was forgotten taken off; sorted."""
    loose: list[DocumentPart] = []
    whole: list[DocumentPart] = []
    for part in _summed(parts):
        (whole if part.whole else loose).append(part)
    together = defaultdict(list)
    for part in loose:
        together[part.id, part.origin, part.times > 0].append(part)
    left: list[DocumentPart] = []
    for runs in together.values():
        made, rest = _joined(runs, key)
        whole += made
        left += rest
    alike = defaultdict(list)
    for part in _summed(whole):
        alike[part.tokens, part.fingerprint].append(part)
    return sorted([*left, *chain.from_iterable(_cancelled(same) for same in alike.values())])


def _summed(parts: Iterable[DocumentPart]) -> list[DocumentPart]:
    """Equal parts as one, with their counts added."""
    counts: dict[tuple[object, ...], int] = defaultdict(int)
    for part in parts:
        counts[part[:-1]] += part.times
    return [DocumentPart._make((*fields, count)) for fields, count in counts.items() if count]


def _joined(runs: list[DocumentPart], key: int) -> tuple[list[DocumentPart], list[DocumentPart]]:
    """Whole documents made of runs of one sign and place, and the runs that are left."""
    sign = 1 if runs[0].times > 0 else -1
    left = {run: abs(run.times) for run in runs}
    starts = defaultdict(list)
    for run in sorted(runs):
        starts[run.start].append(run)
    made: list[DocumentPart] = []
    for first in starts[0]:
        while left[first] and (line := list(_line(first, starts, left))) and line[-1].ends:
            value = 0
            for run in line:
                value = joined(value, run.fingerprint, tokens=run.tokens, key=key)
                left[run] -= 1
            tokens = sum(run.tokens for run in line)
            made.append(first._replace(stop=line[-1].stop, tokens=tokens, fingerprint=value, ends=True, times=sign))
    return made, [run._replace(times=sign * count) for run, count in left.items() if count]


def _line(
    first: DocumentPart, starts: dict[int, list[DocumentPart]], left: dict[DocumentPart, int]
) -> Iterator[DocumentPart]:
    """Runs without a gap from `first` on, as far as they go."""
    run: DocumentPart | None = first
    passed: set[DocumentPart] = set()
    while run is not None:
        yield run
        passed.add(run)
        follow = starts.get(run.stop, []) if not run.ends else []
        run = next((other for other in follow if left[other] and other not in passed), None)


def _cancelled(same: list[DocumentPart]) -> list[DocumentPart]:
    """Whole documents of equal text, with as many forgotten as memorized taken off; the first places go first."""
    spare = min(sum(p.times for p in same if p.times > 0), -sum(p.times for p in same if p.times < 0))
    if not spare:
        return same
    off = {1: spare, -1: spare}
    left = []
    for part in sorted(same):
        sign = 1 if part.times > 0 else -1
        taken = min(abs(part.times), off[sign])
        off[sign] -= taken
        if part.times != sign * taken:
            left.append(part._replace(times=part.times - sign * taken))
    return left
