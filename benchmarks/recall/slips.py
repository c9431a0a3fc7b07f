"""Slips: half sentences as people type and machines read them, answered by a memory; right, silent or wrong.

    PYTHONPATH=. python benchmarks/recall/slips.py M.memo TEXTS [--unseen OTHER] [--infini-gram] [--count 200]

TEXTS is a folder of the texts that the memory holds, OTHER one of texts that it does not, as far as a prompt of them
stands in TEXTS to the letter. A prompt is 6 to 14 words from the beginning of a sentence, of 20 to 30 words where
characters are confused, that stand once in the texts, white space aside. An answer of three words or more is right if
its first six are the text's next words, case and white space aside; "as typed" if they follow the prompt as it was
typed, slip and all, somewhere else in the texts; silent if there are fewer; else wrong. Kinds:

    plain, wrapped (other line breaks), lower (case)
    early (two letters of one of the first words exchanged), exchanged (of any word)
    left out (a word, not the last), doubled (a word, not the last)
    ocr (a tenth of the characters as OCR confuses them)

Prints one JSON object: of each kind the shares, and milliseconds of an answer (p50, p99) of one prompt at a time; of
unseen texts the share that is answered. With --infini-gram, of the same tokens, the same prompts are answered by
infini-gram 2.6 (pip install infini-gram): the commonest token after the longest suffix that occurs, one by one.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.infini_gram import Distribution, index, peer
from benchmarks.common.script import add_json, script_parser, write_json
from memo_dist.files.opened import OpenMemory, open_memory
from memo_dist.recalling.options import RecallOptions
from memo_dist.recalling.session import Session
from pipelines.plan import CorpusOptions, plan_corpus

_CONFUSED = {
    "a": "o", "b": "h", "c": "e", "d": "cl", "e": "c", "f": "t", "g": "q", "h": "b", "i": "l", "k": "lc", "l": "1i",
    "m": "rn", "n": "u", "o": "0", "p": "n", "q": "g", "r": "n", "s": "5", "t": "f", "u": "n", "v": "y", "w": "vv",
    "y": "v", "z": "2", "1": "l", "0": "o", "B": "8", "I": "l", "O": "0", "S": "5", "T": "I",
}  # fmt: skip
_RATE = 0.1
_NEXT, _SAID, _ALIKE = 12, 3, 6  # words that are known to follow, that an answer must have, that must be the text's
_OUTCOMES = ("right", "as typed", "silent", "wrong")
_MOST_SAID = 20  # tokens of an answer
Prompt = tuple[str, str, str]  # kind, text, what follows
Ask = Callable[[str], str]


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


def outcome(prompt: str, said: str, rest: str, *, whole: str) -> str:
    """Of one answer; `whole`: the texts as they are compared."""
    words = said.casefold().split()
    if len(words) < _SAID:
        return "silent"
    first = " ".join(words[:_ALIKE])
    if " ".join(rest.casefold().split()).startswith(first):
        return "right"
    between = " " * said[:1].isspace()
    return "as typed" if " ".join(prompt.casefold().split()) + between + first in whole else "wrong"


def asked(ask: Ask, prompts: Iterator[Prompt], whole: str) -> dict[str, dict[str, Any]]:
    """Of each kind the shares of outcomes, and milliseconds."""
    told: dict[str, list[tuple[str, float]]] = {}
    for kind, prompt, rest in prompts:
        began = time.perf_counter()
        said = ask(prompt)
        seconds = time.perf_counter() - began
        told.setdefault(kind, []).append((outcome(prompt, said, rest, whole=whole), seconds))
    found = {}
    for kind, several in told.items():
        shares = {one: sum(name == one for name, _ in several) / len(several) for one in _OUTCOMES}
        times = np.quantile([seconds for _, seconds in several], [0.5, 0.99]) * 1000
        rounded = {name: round(share, 4) for name, share in shares.items()}
        found[kind] = {"prompts": len(several), **rounded, "p50_ms": round(times[0], 1), "p99_ms": round(times[1], 1)}
    return found


def answers(memory: OpenMemory) -> Ask:
    """Of the memory."""
    session, options = Session(memory, memory.tokenizer), RecallOptions(max_tokens=_MOST_SAID)
    return lambda prompt: session.recall([prompt], options)[0].text or ""


def peers_answers(memory: OpenMemory, following: Distribution) -> Ask:
    """Of infini-gram: the commonest token after the longest suffix that occurs, then the next one."""
    tokenizer, end = memory.tokenizer, memory.config.end_of_document
    assert tokenizer is not None

    def ask(prompt: str) -> str:
        tokens = tokenizer.encode([prompt])[0].tolist()
        said: list[int] = []
        while len(said) < _MOST_SAID:
            counts = following(np.array([*tokens, *said]))
            best = max(counts, key=lambda token: (counts[token], -token), default=end)
            if best == end:
                break
            said.append(best)
        return tokenizer.continuation(tokens, said)

    return ask


def main() -> None:
    parser: argparse.ArgumentParser = script_parser(__doc__)
    parser.add_argument("memory", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--infini-gram", action="store_true", help="ask infini-gram as well")
    parser.add_argument("--count", type=int, default=200, help="of each kind")
    add_json(parser)
    given = parser.parse_args()
    texts = lines_of(given.texts)
    whole = "\n".join(texts)
    folded = whole.casefold()
    with open_memory(given.memory) as memory:
        ask = answers(memory)
        ask("a prompt that loads what is loaded once")
        result: dict[str, Any] = {
            "tokens": memory.manifest.tokens,
            "bytes_per_token": round(memory.bytes_on_disk / memory.manifest.tokens, 2),
            "held": asked(ask, prompts_of(texts, given.count), folded),
        }
        if given.unseen is not None:
            told = asked(ask, prompts_of(lines_of(given.unseen), given.count, whole), folded)
            result["unseen_answered"] = {kind: round(1 - found["silent"], 4) for kind, found in told.items()}
        if given.infini_gram:
            with tempfile.TemporaryDirectory() as folder:
                plan = plan_corpus([str(given.texts)], CorpusOptions())
                result["infini_gram_bytes_per_token"] = index(memory, plan, Path(folder))[1] / memory.manifest.tokens
                theirs = peers_answers(memory, peer(Path(folder), memory.config.end_of_document))
                result["infini_gram"] = asked(theirs, prompts_of(texts, given.count), folded)
    print(json.dumps(result, indent=1))
    write_json(given.json, result)


if __name__ == "__main__":
    main()
