"""Documents of passages: `where` and `trace` against a search of all documents.

    PYTHONPATH=. python benchmarks/recall/where_quality.py M.memo TEXTS [--count 1000] [--json FILE]

TEXTS is the folder that the memory was built of. Passages of 32 to 128 tokens are cut out of its documents at random;
`where` is asked for a third of them on one line in lower case, which `trace`, token by token, does not read. The truth
is the set of documents in whose text, without white space and case, the passage stands. An answer is *right* if it
names just these (of more than eight the first), or says "several" where there are two or more; *untold* if it names
none; else *wrong*. Prints one JSON object: of each command the shares, milliseconds of a passage, and of `where` how
often a place that it tells has other text than the passage.
"""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.recalling.kept_documents import KeptDocuments
from memo_dist.recalling.lookup import Lookup
from memo_dist.recalling.placing import MOST_NAMED
from memo_dist.recalling.trace import trace_text
from memo_dist.recalling.where import Finder, Whereabouts
from memo_dist.tokenizer import Tokenizer


def squeezed(text: str) -> str:
    """A text without white space and case."""
    return "".join(text.casefold().split())


class Texts:
    """All documents of a folder, squeezed, in one line."""

    def __init__(self, folder: Path) -> None:
        self.texts: dict[str, str] = {}
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file():
                self.texts[str(path)] = path.read_bytes().decode(errors="replace")
        self._squeezed = {name: squeezed(text) for name, text in self.texts.items()}

    def holding(self, passage: str) -> list[str]:
        """The documents that a passage stands in, sorted."""
        asked = squeezed(passage)
        return sorted(name for name, text in self._squeezed.items() if asked in text)


def passages(texts: Texts, tokenizer: Tokenizer, count: int) -> list[str]:
    """Cut out at random, long documents oftener than short ones."""
    rng, names, found = random.Random(7), list(texts.texts), list[str]()
    sizes = [len(texts.texts[name]) for name in names]
    while len(found) < count:
        (name,) = rng.choices(names, sizes)
        text = texts.texts[name]
        start = rng.randrange(max(1, len(text) - 600))
        ids = tokenizer.encode([text[start : start + 2000]])[0][1 : 1 + rng.randint(32, 128)].tolist()
        if len(ids) >= 32:
            said = tokenizer.decode(ids)
            found.append(said)
    return found


def outcome(named: list[str], count: int, several: bool, *, truth: list[str]) -> str:
    if count:
        return "right" if named == truth[:MOST_NAMED] and count == len(truth) else "wrong"
    if several:
        return "right" if len(truth) > 1 else "wrong"
    return "untold"


def misplaced(memory: OpenMemory, kept: KeptDocuments, said: str, found: Whereabouts) -> bool:
    """Whether a place that is told has another text than the passage's piece."""
    tokenizer = memory.tokenizer
    assert tokenizer is not None
    for piece in found.pieces:
        for one in piece.occurrences[:4]:
            lines = kept.lines(one.document)
            spelled = [tokenizer.decode(line.tokens[one.first_token : one.stop_token].tolist()) for line in lines]
            if not any(squeezed(piece.text) in squeezed(text) for text in spelled):
                return True
    return False


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    add_json(parser)
    given = parser.parse_args()
    texts = Texts(given.texts)
    with open_memory(given.memory) as memory:
        tokenizer = memory.tokenizer
        if tokenizer is None:
            parser.error(f"{given.memory} is a memory of bare token ids; give a memory of text")
        asked = passages(texts, tokenizer, given.count)
        truths = [texts.holding(one) for one in asked]
        finder, lookup, kept = Finder(memory), Lookup(memory), KeptDocuments(memory)
        told: dict[str, Counter[str]] = {"where": Counter(), "trace": Counter()}
        seconds, wrong_places, shown = dict.fromkeys(told, 0.0), 0, list[dict[str, Any]]()
        for index, (said, truth) in enumerate(zip(asked, truths, strict=True)):
            began = time.process_time()
            found = finder.where(said if index % 3 else " ".join(said.split()).lower())
            seconds["where"] += time.process_time() - began
            piece = max(found.pieces, key=lambda piece: piece.units, default=None)
            result = (
                "untold"
                if piece is None
                else outcome(list(piece.documents), piece.num_documents, piece.several, truth=truth)
            )
            told["where"][result] += 1
            wrong_places += misplaced(memory, kept, said, found)
            if result != "right" and len(shown) < 5:
                shown.append({"text": said[:200], "truth": truth[:3], "found": found.to_dict()["pieces"][:2]})
            began = time.process_time()
            traced = trace_text(lookup, tokenizer, said)
            seconds["trace"] += time.process_time() - began
            spans = zip(traced.found.spans, traced.stands, strict=True)
            _, place = max(spans, key=lambda pair: pair[0][1] - pair[0][0], default=(None, None))
            result = "untold" if place is None else outcome(place.documents, place.count, place.several, truth=truth)
            told["trace"][result] += 1
    summary: dict[str, Any] = {
        "passages": len(asked),
        "in several documents": sum(len(truth) > 1 for truth in truths),
        "misplaced": wrong_places,
        **{
            name: {
                **{one: round(counts[one] / len(asked), 4) for one in ("right", "untold", "wrong")},
                "ms": round(1000 * seconds[name] / len(asked), 1),
            }
            for name, counts in told.items()
        },
    }
    write_json(given.json, summary)
    print(json.dumps({**summary, "not right": shown}, indent=1))


if __name__ == "__main__":
    main()
