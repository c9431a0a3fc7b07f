"""Contamination: the verdicts of `contaminated` on made items, against how they were made and an exact search.

    PYTHONPATH=. python benchmarks/recall/contamination.py M.memo TEXTS --unseen OTHER [--count 200] [--json FILE]

TEXTS is the folder that the memory was built of, OTHER one of texts of the same kind that it does not hold. An item is
30 to 80 words. Of each kind there are `--count`:

    verbatim (cut out of TEXTS, white space as it comes; every other one in lower case)
    5% changed, 10% changed (of the words, at least one: another word of TEXTS in its place, left out, or doubled)
    rephrased (a stand-in: the words in groups of three in another order, a third of them other words)
    unseen (cut out of OTHER)

An unseen item is held after all if the exact search finds half of its words in TEXTS, one after the other. Precision is
the share of the items called verbatim or near-verbatim that are held; recall, of each kind, the share that is called
so. Prints one JSON object.
"""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist.files.opened import open_memory
from memo_dist.recalling.contamination import CLEAN, NEAR, SHORT, VERBATIM, judged_items
from memo_dist.recalling.lookup import Lookup

_RATES = {"5% changed": 0.05, "10% changed": 0.10}
_CHUNK = 64


def words_of(folder: Path) -> list[list[str]]:
    """The words of each file."""
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    found = [path.read_bytes().decode(errors="replace").split() for path in paths if path.is_file()]
    return [words for words in found if len(words) > 120]


def cut(texts: list[list[str]], rng: random.Random) -> list[str]:
    """30 to 80 words one after the other, of a text chosen by its length."""
    (text,) = rng.choices(texts, [len(text) for text in texts])
    size = rng.randint(30, 80)
    start = rng.randrange(len(text) - size)
    return text[start : start + size]


def changed(words: list[str], rate: float, *, others: list[str], rng: random.Random) -> list[str]:
    """With a share of the words changed, at least one."""
    chosen = set(rng.sample(range(len(words)), max(1, round(rate * len(words)))))
    found: list[str] = []
    for place, word in enumerate(words):
        if place not in chosen:
            found.append(word)
            continue
        found += rng.choice([[rng.choice(others)], [rng.choice(others)], [], [word, word]])
    return found


def rephrased(words: list[str], *, others: list[str], rng: random.Random) -> list[str]:
    """In another order, and a third of them other words."""
    groups = [words[at : at + 3] for at in range(0, len(words), 3)]
    rng.shuffle(groups)
    return [rng.choice(others) if rng.random() < 1 / 3 else word for group in groups for word in group]


def items_of(ours: list[list[str]], theirs: list[list[str]], count: int) -> dict[str, list[str]]:
    rng, others = (
        random.Random(17),
        [word for text in random.Random(3).sample(ours, min(20, len(ours))) for word in text],
    )
    made: dict[str, list[str]] = {"verbatim": []}
    for number in range(count):
        said = " ".join(cut(ours, rng))
        made["verbatim"].append(said.lower() if number % 2 else said)
    for kind, rate in _RATES.items():
        made[kind] = [" ".join(changed(cut(ours, rng), rate, others=others, rng=rng)) for _ in range(count)]
    made["rephrased"] = [" ".join(rephrased(cut(ours, rng), others=others, rng=rng)) for _ in range(count)]
    made["unseen"] = [" ".join(cut(theirs, rng)) for _ in range(count)]
    return made


def is_held(item: str, whole: str) -> bool:
    """Whether half of an item's words stand in a text one after the other, white space and case aside."""
    words = item.casefold().split()
    half = -(-len(words) // 2)
    return any(" ".join(words[at : at + half]) in whole for at in range(len(words) - half + 1))


def main() -> None:
    parser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--unseen", type=Path, required=True)
    parser.add_argument("--count", type=int, default=200, help="of each kind")
    add_json(parser)
    given = parser.parse_args()
    ours, theirs = words_of(given.texts), words_of(given.unseen)
    whole = "\n".join(" ".join(text).casefold() for text in ours)
    result: dict[str, Any] = {}
    called, right = 0, 0
    with open_memory(given.memory) as memory:
        tokenizer = memory.tokenizer
        if tokenizer is None:
            parser.error(f"{given.memory} is a memory of bare token ids; give a memory of text")
        lookup = Lookup(memory)
        for kind, items in items_of(ours, theirs, given.count).items():
            began, verdicts = time.process_time(), []
            for at in range(0, len(items), _CHUNK):
                verdicts += judged_items(lookup, tokenizer, items[at : at + _CHUNK])
            seconds = time.process_time() - began
            counts = Counter(one.verdict for one in verdicts)
            found = [item for item, one in zip(items, verdicts, strict=True) if one.verdict in (VERBATIM, NEAR)]
            held = len(found) if kind not in ("rephrased", "unseen") else sum(is_held(item, whole) for item in found)
            called, right = called + len(found), right + held
            shares = {name: round(counts[name] / len(items), 4) for name in (VERBATIM, NEAR, CLEAN, SHORT)}
            result[kind] = {**shares, "called held": round(len(found) / len(items), 4)}
            result[kind]["of these held"] = round(held / max(1, len(found)), 4)
            result[kind]["ms"] = round(1000 * seconds / len(items), 1)
    result = {"items": 5 * given.count, "precision": round(right / max(1, called), 4), **result}
    print(json.dumps(result, indent=1))
    write_json(given.json, result)


if __name__ == "__main__":
    main()
