"""Slips: half sentences as people type and machines read them, answered by a memory; right, silent or wrong.

    PYTHONPATH=. python benchmarks/recall/slips.py M.memo TEXTS [--unseen OTHER] [--count 200] [--json FILE]

TEXTS is a folder of the texts that the memory holds, OTHER one of texts that it does not, as far as a prompt of them
stands in TEXTS to the letter. A prompt is 6 to 14 words from the beginning of a sentence, of 20 to 30 words where
characters are confused, that stand once in the texts, white space aside. An answer of three words or more is right if
its first six are the text's next words, case and white space aside, silent if there are fewer, else wrong. Kinds:

    plain, wrapped (other line breaks), lower (case)
    early (two letters of one of the first words exchanged), exchanged (of any word)
    left out (a word, not the last), doubled (a word, not the last)
    ocr (a tenth of the characters as OCR confuses them)

Prints one JSON object: of each kind the shares, and milliseconds of an answer (p50, p99) of one prompt at a time; of
unseen texts the share that is answered.
"""

import argparse
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist.files.opened import open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session

_CONFUSED = {
    "a": "o", "b": "h", "c": "e", "d": "cl", "e": "c", "f": "t", "g": "q", "h": "b", "i": "l", "k": "lc", "l": "1i",
    "m": "rn", "n": "u", "o": "0", "p": "n", "q": "g", "r": "n", "s": "5", "t": "f", "u": "n", "v": "y", "w": "vv",
    "y": "v", "z": "2", "1": "l", "0": "o", "B": "8", "I": "l", "O": "0", "S": "5", "T": "I",
}  # fmt: skip
_RATE = 0.1
_NEXT, _SAID, _ALIKE = 12, 3, 6  # words that are known to follow, that an answer must have, that must be the text's
Prompt = tuple[str, str, str]  # kind, text, what follows


def lines_of(folder: Path) -> list[str]:
    """Each file on one line."""
    return [" ".join(path.read_text(errors="ignore").split()) for path in sorted(folder.iterdir()) if path.is_file()]


def sentences(
    texts: list[str], count: int, *, words: tuple[int, int], seed: int, without: str = ""
) -> Iterator[tuple[list[str], str]]:
    """The first words of sentences that another text does not have, and what follows them."""
    rng = random.Random(seed)
    whole, found, texts = "\n".join(texts), 0, [text for text in texts if len(text) > 3000]
    for _ in range(100 * count):
        text = rng.choice(texts)
        at = rng.randrange(200, len(text) - 1500)
        begins = re.search(r"[.;:!?] (?=[A-Z])", text[at : at + 800])
        if begins is None:
            continue
        size = rng.randint(*words)
        line = text[at + begins.end() :][:900].split(" ")[: size + _NEXT]
        prompt = " ".join(line[:size])
        if len(line) == size + _NEXT and whole.count(prompt) == 1 and prompt not in without:
            yield line[:size], " ".join(line[size:])
            found += 1
            if found == count:
                return


def exchanged(words: list[str], place: int, rng: random.Random) -> str:
    """With two letters of a word exchanged; one too many, where that changes nothing."""
    letters = list(words[place])
    if len(letters) > 1:
        at = rng.randrange(len(letters) - 1)
        letters[at : at + 2] = letters[at + 1], letters[at]
    if "".join(letters) == words[place]:
        letters.append("x")
    return " ".join([*words[:place], "".join(letters), *words[place + 1 :]])


def confused(text: str, rng: random.Random) -> str:
    """With a tenth of its characters as OCR confuses them."""
    return "".join(_CONFUSED.get(one, "x") if not one.isspace() and rng.random() < _RATE else one for one in text)


def prompts_of(texts: list[str], count: int, without: str = "") -> Iterator[Prompt]:
    rng = random.Random(5)
    for words, rest in sentences(texts, count, words=(6, 14), seed=11, without=without):
        last = len(words) - 1
        yield "plain", " ".join(words), rest
        cut = rng.randint(1, last)
        yield "wrapped", " ".join(words[:cut]) + "\n" + " ".join(words[cut:]), rest
        yield "lower", " ".join(words).lower(), rest
        yield "early", exchanged(words, rng.randint(0, max(0, last - 4)), rng), rest
        yield "exchanged", exchanged(words, rng.randint(0, last), rng), rest
        place = rng.randrange(last)
        yield "left out", " ".join(words[:place] + words[place + 1 :]), rest
        place = rng.randrange(last)
        yield "doubled", " ".join(words[: place + 1] + words[place:]), rest
    for words, rest in sentences(texts, count, words=(20, 30), seed=13, without=without):
        yield "ocr", confused(" ".join(words), rng), rest


def outcome(said: str, rest: str) -> str:
    words = said.casefold().split()
    if len(words) < _SAID:
        return "silent"
    return "right" if " ".join(rest.casefold().split()).startswith(" ".join(words[:_ALIKE])) else "wrong"


def asked(session: Session, prompts: Iterator[Prompt]) -> dict[str, dict[str, Any]]:
    """Of each kind the shares of outcomes, and milliseconds."""
    told: dict[str, list[tuple[str, float]]] = {}
    options = RecallOptions(max_tokens=20)
    for kind, prompt, rest in prompts:
        began = time.perf_counter()
        said = session.recall([prompt], options)[0].text or ""
        told.setdefault(kind, []).append((outcome(said, rest), time.perf_counter() - began))
    found = {}
    for kind, several in told.items():
        shares = {one: sum(name == one for name, _ in several) / len(several) for one in ("right", "silent", "wrong")}
        times = np.quantile([seconds for _, seconds in several], [0.5, 0.99]) * 1000
        rounded = {name: round(share, 4) for name, share in shares.items()}
        found[kind] = {"prompts": len(several), **rounded, "p50_ms": round(times[0], 1), "p99_ms": round(times[1], 1)}
    return found


def main() -> None:
    parser: argparse.ArgumentParser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--count", type=int, default=200, help="of each kind")
    add_json(parser)
    given = parser.parse_args()
    texts = lines_of(given.texts)
    with open_memory(given.memory) as memory:
        session = Session(memory, memory.tokenizer)
        session.recall(["a prompt that loads what is loaded once"], RecallOptions(max_tokens=1))
        result: dict[str, Any] = {
            "tokens": memory.manifest.tokens,
            "bytes_per_token": round(memory.bytes_on_disk / memory.manifest.tokens, 2),
            "held": asked(session, prompts_of(texts, given.count)),
        }
        if given.unseen is not None:
            told = asked(session, prompts_of(lines_of(given.unseen), given.count, "\n".join(texts)))
            result["unseen_answered"] = {kind: round(1 - found["silent"], 4) for kind, found in told.items()}
    print(json.dumps(result, indent=1))
    write_json(given.json, result)


if __name__ == "__main__":
    main()
