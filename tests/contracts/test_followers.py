"""Followers and documents of windows, a contract: wherever the ledger is, it says what stands in the documents.

Covers: contents in memory, out of core and behind a device, readers in process, stored and on a cluster, against
counting in the documents by tests/reference.py; compiled search against plain; names that clash; parts whose edge
cuts the rows of a window. Does not cover: what recall makes of followers (memo_dist/recalling).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from contracts.configs import CONFIGS, Documents, documents_of
from contracts.makers import EXACT_READERS, behind_a_device, contents, on_a_cluster, owner_of, reference_of, segments_of
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import mix64

from memo_dist import MemoryConfig
from memo_dist.errors import ConfigError
from memo_dist.models.contents import LedgerContents
from memo_dist.models.cues import Reader
from memo_dist.models.text import contents as text_contents
from memo_dist.models.text.associations import DOCUMENT_SALT, TOKEN_SALT
from memo_dist.models.text.followers import Followers, find_followers, gathered
from memo_dist.models.text.ledger import NO_ENTRIES, Entries, Ledger
from memo_dist.stores.parts import HostParts, ResidentParts

TEXT = [name for name in CONFIGS if name.startswith("text")]
LONG = np.random.default_rng(5).integers(0, 40, 300).tolist()
#: Documents that repeat themselves and one another: windows with several followers, anchors of several documents.
DOCUMENTS: Documents = {
    **documents_of(seed=8, count=5),
    "long": LONG,
    "again": LONG,
    "loops": [1, 2, 3, 0, 19] * 12 + [1, 2, 3, 0, 4] * 8,
    "short": [5],
}
Truth = dict[int, list[tuple[int, int]]]  # of a window: (token or document, count), the commonest first


def truth_of(counts: Counter[tuple[int, int]]) -> Truth:
    found: Truth = {}
    for (window, what), count in counts.items():
        found.setdefault(window, []).append((what, count))
    return {window: sorted(pairs, key=lambda pair: (-pair[1], pair[0])) for window, pairs in found.items()}


def strangers(held: Truth) -> list[int]:
    """Windows that are not held: of any hash, and with the upper half of one that is."""
    rng = np.random.default_rng(0)
    return [*rng.integers(0, 2**64, 30, dtype=np.uint64).tolist(), *(window ^ 1 for window in list(held)[:40])]


def agree(answer: Callable[[np.ndarray], Followers], truth: Truth) -> None:
    """All windows together in any order, repeated, alone, and none."""
    rng = np.random.default_rng(1)
    windows = [*truth, *strangers(truth), *list(truth)[:7]]
    rng.shuffle(windows)
    for asked in (windows, windows[:1], windows[1:4], list(truth)[:1], []):
        found = answer(np.array(asked, np.uint64))
        assert len(found) == len(asked)
        assert (found.bounds.dtype, found.tokens.dtype, found.counts.dtype) == (np.int64, np.int64, np.int64)
        assert found.held.tolist() == [window in truth for window in asked]
        for row, window in enumerate(asked):
            tokens, counts = found.of(row)
            assert list(zip(tokens.tolist(), counts.tolist(), strict=True)) == truth.get(window, [])


@pytest.fixture(scope="module", params=TEXT)
def config(request: pytest.FixtureRequest) -> MemoryConfig:
    return CONFIGS[request.param]


@pytest.fixture(params=["memory", "host"])
def held(request: pytest.FixtureRequest, config: MemoryConfig) -> Iterator[LedgerContents]:
    """Contents of many parts, so that edges fall among the rows of windows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_contents, "PART_ENTRIES", 100)
        patch.setattr(text_contents, "_PER_ANCHOR", 2)
        made = behind_a_device(config) if request.param == "host" else contents(config)
        assert made.with_ledger is not None
        yield made.with_ledger


def test_contents_say_what_follows_each_window(config: MemoryConfig, held: LedgerContents) -> None:
    for one in segments_of(DOCUMENTS):
        held.memorize([one])
    reference = reference_of(config, DOCUMENTS)
    truth, anchors = truth_of(reference.counts), truth_of(reference.anchors)
    assert max(map(len, truth.values())) > 2
    assert max(map(len, anchors.values())) > 1
    agree(held.followers, truth)
    agree(held.documents_at, anchors)
    assert owner_of("again") in {document for pairs in anchors.values() for document, _ in pairs}


def test_what_is_forgotten_follows_no_more(config: MemoryConfig, held: LedgerContents) -> None:
    """And whoever asks sees it at once, nobody having flushed."""
    held.memorize(segments_of(DOCUMENTS))
    less = {name: tokens for name, tokens in DOCUMENTS.items() if name not in ("again", "loops")}
    held.forget(segments_of({name: DOCUMENTS[name] for name in ("again", "loops")}))
    agree(held.documents_at, truth_of(reference_of(config, less).anchors))
    agree(held.followers, truth_of(reference_of(config, less).counts))


def test_contents_of_some_banks_answer_for_these(config: MemoryConfig) -> None:
    part = contents(config, range(1, 3)).with_ledger
    assert part is not None
    part.memorize(segments_of(DOCUMENTS))
    reference = reference_of(config, DOCUMENTS)
    for answer, counts in ((part.followers, reference.counts), (part.documents_at, reference.anchors)):
        agree(answer, {w: pairs for w, pairs in truth_of(counts).items() if 1 <= reference.bank(w) < 3})


READERS = [*EXACT_READERS, pytest.param("on a cluster", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=READERS)
def reader(
    request: pytest.FixtureRequest, config: MemoryConfig, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    if request.param == "on a cluster":
        request.getfixturevalue("ray_local")
    make = {**EXACT_READERS, "on a cluster": on_a_cluster}[request.param]
    with make(config, DOCUMENTS, tmp_path_factory.mktemp("reader")) as made:
        yield made


def test_readers_say_what_follows_each_window(config: MemoryConfig, reader: Reader) -> None:
    assert reader.has_ledger
    agree(reader.followers, truth_of(reference_of(config, DOCUMENTS).counts))


def test_readers_say_in_which_documents_anchors_stand(config: MemoryConfig, reader: Reader) -> None:
    agree(reader.documents_at, truth_of(reference_of(config, DOCUMENTS).anchors))


def test_readers_count_the_tokens_that_follow(config: MemoryConfig, reader: Reader) -> None:
    counted = Counter(token for _, token in reference_of(config, DOCUMENTS).counts)
    counts = reader.token_counts()
    assert counts is not None
    assert (counts.dtype, counts.tolist()) == (np.uint64, [counted[token] for token in range(config.vocab_size + 1)])


def test_readers_without_a_ledger_say_so(tmp_path: Path) -> None:
    with EXACT_READERS["in process"](CONFIGS["jlt"], {}, tmp_path) as memory:
        assert not memory.has_ledger
        with pytest.raises(ConfigError, match="keeps no ledger and cannot be read exactly"):
            memory.followers(np.zeros(1, np.uint64))
        with pytest.raises(ConfigError, match="keeps no ledger and cannot be asked for documents"):
            memory.documents_at(np.zeros(1, np.uint64))
        assert memory.token_counts() is None


# Entries


def name_of(window: int, what: int, salt: int) -> int:
    """The name of an association, as models/text/associations.py states it."""
    return window ^ mix64(what + salt) >> 32


def entries_of(counts: Counter[tuple[int, int]], salt: int) -> Entries:
    """Sorted by name, then by token."""
    rows = sorted((name_of(window, what, salt), what, count) for (window, what), count in counts.items())
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return Entries(*(np.array(c, kind) for c, kind in zip(columns, (np.uint64, np.uint32, np.uint32), strict=True)))


def namesakes(salt: int) -> tuple[int, int]:
    """Two windows with one upper half whose associations with tokens 1 and 2 have one name."""
    return 5 << 32 | mix64(1 + salt) >> 32, 5 << 32 | mix64(2 + salt) >> 32


lower = st.sampled_from([0, 1, 2, 2**31, 2**32 - 1])
upper = st.sampled_from([0, 1, 5, 2**31, 2**32 - 1])
windows = st.one_of(
    st.tuples(upper, lower).map(lambda halves: halves[0] << 32 | halves[1]),
    st.sampled_from([*namesakes(TOKEN_SALT), *namesakes(DOCUMENT_SALT)]),
)
counted = st.dictionaries(st.tuples(windows, st.integers(0, 6)), st.integers(1, 3), max_size=60).map(Counter)


@settings(max_examples=150, deadline=None)
@given(counts=counted, strange=st.lists(windows, max_size=10), salt=st.sampled_from([TOKEN_SALT, DOCUMENT_SALT]))
def test_compiled_and_plain_search_are_one_and_find_all(
    counts: Counter[tuple[int, int]], strange: list[int], salt: int
) -> None:
    truth, entries = truth_of(counts), entries_of(counts, salt)
    asked = np.array([*strange, *truth, *strange], np.uint64)
    for plain in (False, True):
        found = find_followers(entries, asked, salt=salt, plain=plain)
        for row, window in enumerate(asked.tolist()):
            tokens, times = found.of(row)
            assert list(zip(tokens.tolist(), times.tolist(), strict=True)) == truth.get(window, [])
    assert len(find_followers(NO_ENTRIES, asked, salt=salt).tokens) == 0


@pytest.mark.parametrize("salt", [TOKEN_SALT, DOCUMENT_SALT])
def test_two_associations_of_one_name_belong_each_to_its_window(salt: int) -> None:
    one, two = namesakes(salt)
    entries = entries_of(Counter({(one, 1): 3, (two, 2): 4}), salt)
    assert entries.names[0] == entries.names[1]
    for plain in (False, True):
        found = find_followers(entries, np.array([one, two], np.uint64), salt=salt, plain=plain)
        assert (found.bounds.tolist(), found.tokens.tolist(), found.counts.tolist()) == ([0, 1, 2], [1, 2], [3, 4])


@pytest.mark.parametrize("store", ["resident", "host"])
@settings(max_examples=60, deadline=None)
@given(counts=counted, parts=st.integers(1, 40), low=st.sampled_from([0, 5 << 32]))
def test_an_edge_of_parts_cuts_no_window(store: str, counts: Counter[tuple[int, int]], parts: int, low: int) -> None:
    """Parts so narrow that their edges fall between the names of one window."""
    high = low + (1 << 32)  # one upper half, so that every edge does
    counts = Counter({(low | window & 0xFFFFFFFF, what): n for (window, what), n in counts.items()})
    made = {
        "resident": lambda: ResidentParts(parts),
        "host": lambda: HostParts(parts, np),
    }
    ledger = Ledger(low, high, parts, store=made[store]())
    entries = entries_of(counts, TOKEN_SALT)
    for _ in ledger.merge_entries(Entries(entries.names, entries.tokens, entries.counts.astype(np.int64))):
        pass
    truth = truth_of(counts)

    def answer(asked: np.ndarray) -> Followers:
        found = [(rows, find_followers(part, asked[rows])) for part, rows in ledger.parts_of(asked)]
        return gathered(found, len(asked))

    asked = np.array([*truth, *(low | window & 0xFFFFFFFF for window in strangers(truth))], np.uint64)
    found = answer(asked)
    for row, window in enumerate(asked.tolist()):
        tokens, times = found.of(row)
        assert list(zip(tokens.tolist(), times.tolist(), strict=True)) == truth.get(window, [])
