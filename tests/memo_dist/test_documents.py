"""Documents: records do not depend on order or cut, take back exactly, and tell equal ids apart by their texts.

Truth is a multiset of (id, text), kept beside the registry.
"""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memo_dist import Memory, PaperConfig, TextConfig
from memo_dist.document_identities import are_held, identities_of, repeated_ids, without
from memo_dist.document_parts import DocumentPart, Identity, document_key, folded, parts_of, place_key
from memo_dist.documents import DocumentRegistry, listing, rows_of
from memo_dist.errors import InputError, NotMemorizedError
from memo_dist.fingerprints import plain_fingerprint
from memo_dist.segments import NO_TOKENS, Origin, Segment

CONFIGS = {
    "text": TextConfig(num_banks=3, vocab_size=20, inner_dim=64),
    "paper": PaperConfig.of(20, 64, num_heads=2, num_layers=1),
}
texts = st.lists(st.integers(0, 3), min_size=1, max_size=12)


def pieces(name: str, text: list[int], cuts: list[int], position: int = 0) -> list[tuple[str, Segment]]:
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    origin = Origin("f.jsonl", position)
    return [
        (name, Segment(a, NO_TOKENS, np.array(text[a:b], np.uint32), b == len(text), origin=origin))
        for a, b in itertools.pairwise(edges)
    ]


def recorded(registry: DocumentRegistry, documents: list[tuple[str, Segment]], sign: int = 1) -> None:
    keys = [document_key(name) for name, _ in documents]
    for key, part in zip(keys, parts_of(documents, keys), strict=True):
        (registry.add if sign > 0 else registry.subtract)(key, part)


def held(registry: DocumentRegistry) -> Counter[tuple[str, int, int]]:
    found = Counter[tuple[str, int, int]]()
    for _, part in rows_of(registry.table()):
        found[part.id, part.tokens, part.fingerprint] += part.times * part.whole
    return found


def expected(documents: list[tuple[str, list[int]]]) -> Counter[tuple[str, int, int]]:
    return Counter((name, len(text), plain_fingerprint(text, document_key(name))) for name, text in documents)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), texts), max_size=5), st.data())
def test_parts_in_any_order_and_cut_are_the_documents(pool: list[tuple[str, list[int]]], data: st.DataObject) -> None:
    """Also of several documents of one id, through checkpoints, and taken out again by other cuts in another order."""
    numbers = st.lists(st.integers(1, 11), max_size=3)
    parts = [one for at, (name, text) in enumerate(pool) for one in pieces(name, text, data.draw(numbers), at)]
    registry = DocumentRegistry()
    for part in data.draw(st.permutations(parts)):
        recorded(registry, [part])
        if data.draw(st.booleans()):  # a checkpoint: another registry goes on from the table
            table, registry = registry.table(), DocumentRegistry()
            registry.add_table(table)
    assert held(registry) == expected(pool)
    assert all(part.whole for _, part in rows_of(registry.table()))
    assert (len(registry), registry.num_tokens) == (len(pool), sum(len(text) for _, text in pool))
    gone = [at for at in range(len(pool)) if data.draw(st.booleans())]
    minus = [one for at in gone for one in pieces(*pool[at], data.draw(numbers), at)]
    for part in data.draw(st.permutations(minus)):
        recorded(registry, [part], sign=-1)
        if data.draw(st.booleans()):
            table, registry = registry.table(), DocumentRegistry()
            registry.add_table(table)
    left = [one for at, one in enumerate(pool) if at not in gone]
    assert held(registry) == expected(left)
    assert {part.position for _, part in rows_of(registry.table())} == {at for at in range(len(pool)) if at not in gone}
    assert (len(registry), registry.num_tokens) == (len(left), sum(len(text) for _, text in left))


@settings(max_examples=200, deadline=None)
@given(texts, st.lists(st.integers(1, 11), max_size=3), st.data())
def test_what_was_added_in_part_is_taken_back_in_part(text: list[int], cuts: list[int], data: st.DataObject) -> None:
    parts = pieces("a", text, cuts)
    some = data.draw(st.lists(st.sampled_from(range(len(parts))), unique=True, max_size=len(parts) - 1))
    one, two = DocumentRegistry(), DocumentRegistry()
    recorded(one, [parts[at] for at in some])
    kept = [at for at in some if data.draw(st.booleans())]
    recorded(one, [parts[at] for at in some if at not in kept], sign=-1)
    recorded(two, [parts[at] for at in kept])
    assert one.table() == two.table()


def test_registries_that_are_merged_hold_what_both_did() -> None:
    rng = np.random.default_rng(0)
    pool = [(f"d{i % 40}", rng.integers(0, 9, 5).tolist()) for i in range(60)]
    parts = [one for at, (name, text) in enumerate(pool) for one in pieces(name, text, [2], at)]
    halves = [DocumentRegistry(), DocumentRegistry()]
    for at in rng.permutation(len(parts)).tolist():
        recorded(halves[at % 2], [parts[at]])  # both hold parts of the same documents
    halves[0].add_table(halves[1].table())
    assert held(halves[0]) == expected(pool)
    assert repeated_ids(identities_of([halves[0].table()])) == 20


def test_many_parts_are_folded_in_as_they_come() -> None:
    registry, count = DocumentRegistry(), 10_000
    names = [f"d{i}" for i in range(count)]
    recorded(registry, [(name, Segment(0, NO_TOKENS, np.array([1, 2], np.uint32), True)) for name in names])
    assert len(registry) == count
    low = registry.table().column("low").to_pylist()
    assert low == sorted(low)
    assert [part.id for part in registry.parts(document_key("d77"))] == ["d77"]
    assert registry.parts(document_key("unknown")) == []
    for name in names[::2]:
        recorded(registry, [(name, Segment(0, NO_TOKENS, np.array([1, 2], np.uint32), True))], sign=-1)
    assert {part.id for _, part in rows_of(registry.table())} == set(names[1::2])


def test_the_place_that_was_forgotten_goes_first() -> None:
    parts = [DocumentPart("a", "f", at, "rows", 0, 2, 2, 99, True) for at in range(3)]
    left = folded([*parts, parts[1]._replace(times=-1)], 5)
    assert [part.position for part in left] == [0, 2]
    elsewhere = parts[0]._replace(source="g", times=-1)
    assert [part.position for part in folded([*parts, elsewhere], 5)] == [1, 2]
    assert place_key("a", parts[0].origin) != place_key("a", parts[1].origin)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=12), st.lists(st.integers(0, 4), max_size=12))
def test_identities_are_compared_as_often_as_they_are_held(mine: list[int], asked: list[int]) -> None:
    def rows(numbers: list[int]) -> np.ndarray:
        return np.array([Identity(n, 1, 2) for n in numbers], np.dtype([(name, "<u8") for name in Identity._fields]))

    spare, fits = Counter(mine), []
    for number in asked:
        fits.append(spare[number] > 0)
        spare[number] -= fits[-1]
    assert are_held(rows(asked), rows(mine)).tolist() == fits
    taken = [number for number, fit in zip(asked, fits, strict=True) if fit]
    left = without(np.sort(rows(mine)), rows(taken))["key"].tolist()
    assert left == sorted((Counter(mine) - Counter(taken)).elements())


def test_a_document_that_is_not_whole_is_named() -> None:
    registry = DocumentRegistry()
    recorded(registry, pieces("a.txt", [1, 2, 3, 4], [2])[:1])
    with pytest.raises(InputError, match=r"'a\.txt' of 'f\.jsonl' is held in part only"):
        identities_of([registry.table()])


def test_the_first_of_many_are_listed_by_place() -> None:
    registry = DocumentRegistry()
    for at in range(50):
        recorded(registry, pieces(f"d{at}", [at], [], position=at))
    table = registry.table()
    slices = [table.slice(at, 7) for at in range(0, 50, 7)]
    assert listing(slices, first=5).column("id").to_pylist() == [f"d{at}" for at in range(5)]
    assert listing(slices).column("position").to_pylist() == list(range(50))


def reordered(text: list[int], rng: np.random.Generator) -> list[list[int]]:
    """Other orders of a text: blocks exchanged, reversed, a token moved, loops walked in another order."""
    a, b, c, d = np.sort(rng.integers(0, len(text) + 1, 4)).tolist()
    at = int(rng.integers(len(text)))
    return [
        [*text[:a], *text[c:d], *text[b:c], *text[a:b], *text[d:]],
        text[::-1],
        [*text[:at], *text[at + 1 :], text[at]],
    ]


@pytest.mark.parametrize("preset", CONFIGS)
def test_a_text_in_another_order_is_not_forgotten(preset: str) -> None:
    """Nor one with equal counts of all runs of four tokens; nothing changes, and the true text still goes."""
    rng = np.random.default_rng(0)
    hub = [9, 9, 9, 9]
    loops = [[*hub, 1, 2, *hub, 3, 4, 5, *hub], [*hub, 3, 4, 5, *hub, 1, 2, *hub]]
    cases = [(text, other) for text in rng.integers(0, 4, (40, 12)).tolist() for other in reordered(text, rng)]
    for text, other in [*cases, (loops[0], loops[1])]:
        if other == text:
            continue
        memory = Memory(CONFIGS[preset])
        memory.memorize("a", text)
        before, documents = memory.digest(), memory.documents()
        with pytest.raises(NotMemorizedError, match="nothing changed"):
            memory.forget("a", other)
        assert memory.digest() == before
        assert memory.documents() == documents
        memory.forget("a", text)
        assert memory.documents() == []
        assert preset == "paper" or memory.digest() == Memory(CONFIGS[preset]).digest()


def test_documents_are_listed_and_saved(tmp_path: Path) -> None:
    memory = Memory(CONFIGS["text"])
    memory.memorize("b", [1, 2, 3])
    memory.memorize("a", [4, 5])
    assert [(part.id, part.tokens, part.source) for part in memory.documents()] == [("a", 2, ""), ("b", 3, "")]
    memory.save(tmp_path / "m.memo")
    opened = Memory.open(tmp_path / "m.memo")
    assert opened.documents() == memory.documents()
    opened.forget("b", [1, 2, 3])
    assert [part.id for part in opened.documents()] == ["a"]
