"""Support: a prompt of the text is held at every place, whatever its spelling; a word that is not of it is found.

Covers: support.py, the places of encoder.py's units. Does not cover: answers (test_exact_recall.py).
"""

import inspect
import json.decoder
import random
import shlex

import numpy as np
import pytest
from tokenizers_of_all_makes import make

from memo_dist import Memory, TextConfig, Tokenizer
from memo_dist.models.text.units import unit_spans
from memo_dist.recalling.support import Support, supports
from memo_dist.tokenizer_training import train_tokenizer

DOCUMENTS = [inspect.getsource(module) for module in (shlex, json.decoder)]


@pytest.fixture(scope="module", params=["trained", "bytes"])
def memory(request: pytest.FixtureRequest) -> Memory:
    tokenizer = train_tokenizer(DOCUMENTS) if request.param == "trained" else Tokenizer.bytes()
    made = Memory(TextConfig(num_banks=400, vocab_size=tokenizer.vocab_size, inner_dim=64), tokenizer)
    for name, text in enumerate(DOCUMENTS):
        made.memorize(str(name), tokenizer.encode([text])[0])
    return made


def support_of(memory: Memory, text: str) -> Support:
    session = memory.session
    ids = session.tokenizer.encode([text])[0].astype(np.int64)
    return supports(session.lookup.exact, [ids])[0]


def passages(count: int) -> list[str]:
    """Whole words of the text, of some dozens of them."""
    rng, found = random.Random(1), []
    for _ in range(count):
        words = rng.choice(DOCUMENTS).split(" ")
        start = rng.randrange(1, len(words) - 130)
        found.append(" " + " ".join(words[start : start + rng.randrange(60, 130)]).strip())
    return found


def test_passages_are_held_at_every_place(memory: Memory) -> None:
    for passage in passages(25):
        ids = memory.session.tokenizer.encode([passage])[0].astype(np.int64)
        for written in (passage, passage.upper(), "\n\t" + "\n\t".join(passage.split())):
            support = support_of(memory, written)
            assert support.held.all(), written
            assert (support.whole, support.share, support.spoiled) == (support.asked >= 0, 1.0, 0)
        last = support_of(memory, passage)
        assert last.units[-1] == len(unit_spans(passage)) == memory.encoder.length(ids)[0]
        assert last.asked == sum(w <= last.units[-1] for w in memory.config.windows) - 1
    assert support_of(memory, passages(1)[0]).longest.max() == max(w for w in memory.config.windows if w <= 64)


def test_a_word_that_is_not_of_the_text_is_found_where_it_stands(memory: Memory) -> None:
    for passage in passages(25):
        words = passage.split(" ")
        place = next((i for i in range(len(words) // 2, len(words)) if words[i].isalpha()), 0)
        if not place:
            continue
        before = " ".join(words[:place])
        support = support_of(memory, " ".join([*words[:place], "quibble", *words[place + 1 :]]))
        units = len(unit_spans(before))
        assert not support.whole
        missing = support.units[~support.held]
        assert missing.min() > units >= support.units[support.held].min(initial=units)
        reaches = support.units - support.windows <= units
        assert not support.held[(support.units > units) & reaches & (support.windows == 4)].any()
        assert support.held[support.units <= units].all()
        assert support.spoiled <= units + 1


def test_units_are_counted_as_the_text_is_read() -> None:
    """Token by token, by any make that gives text back; spans of the text are the plain form."""
    text = 'Mr. Brön\'s "two"  --- ships,\n\n\ta gull & 1,284 wa__ves!!! \N{GRINNING FACE} of it'
    for name in ("byte-level BPE", "byte-level BPE, one word", "byte fallback"):
        tokenizer = make(name)
        encoder = Memory(TextConfig(num_banks=2, vocab_size=tokenizer.vocab_size), tokenizer).encoder
        ids = tokenizer.encode([text])[0].astype(np.int64)
        spans, said = unit_spans(text), 0
        begun = encoder.units_begun(ids)
        if "\ufffd" in "".join(tokenizer.decode([int(i)]) for i in ids):
            continue  # parts of characters are units of their own
        for place in range(len(ids)):
            added = tokenizer.continuation(ids[:place].tolist(), [int(ids[place])])
            assert begun[place] == sum(said <= start < said + len(added) for start, _ in spans)
            said += len(added)
    plain = Memory(TextConfig(num_banks=2, vocab_size=256), Tokenizer.bytes()).encoder
    line = "a  b.. ..c_d,\n(e"
    begun = plain.units_begun(np.array(list(line.encode())))
    assert np.flatnonzero(begun).tolist() == [start for start, _ in unit_spans(line)]
    assert plain.units_begun(np.zeros(0, np.int64)).tolist() == []
