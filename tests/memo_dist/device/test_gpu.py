"""Every stage on a GPU gives NumPy's bits: hash, codes, ledger, products, reads, cleanup, digests, files.

Each test runs twice: on a GPU, where there is one (marked gpu), and always on a stand-in for CuPy that is made of NumPy
(stand_in.py), which shows that the code for a GPU is right as far as no CUDA is concerned.
"""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in import installed

from memo_dist import Memory, PaperConfig, TextConfig
from memo_dist.device import grouped
from memo_dist.device.backend import array_module, room_on_device, to_device, to_host
from memo_dist.errors import ConfigError, NotMemorizedError
from memo_dist.models.candidates import best_whole
from memo_dist.models.cues import Cues
from memo_dist.models.paper.cleanup import ProjectedCleanup
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text import codes
from memo_dist.models.text.associations import Associations, associate
from memo_dist.models.text.bank_assignment import bank_of
from memo_dist.models.text.banks import BankRange, exact_product
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Ledger
from memo_dist.segments import Segment
from memo_dist.shard import Shard
from memo_dist.solved.device_tables import DeviceTables
from memo_dist.solved.table import make_piece, words_of
from memo_dist.solved.values import ValueLayout
from memo_dist.solved.walk import Pieces, State, Tables
from memo_dist.stores import banks as bank_stores
from memo_dist.stores.banks import HostBanks

CONFIG = TextConfig(num_banks=5, vocab_size=40, inner_dim=64)
TOP = 2**64
words = st.lists(st.integers(0, TOP - 1), min_size=1, max_size=40)
passages = st.lists(st.integers(0, 3), min_size=1, max_size=80)
collections = st.lists(passages, min_size=1, max_size=5)
Documents = dict[str, list[int]]


@pytest.fixture(scope="module", params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def xp(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    if request.param == "stand-in":
        with installed() as module:
            yield module
        return
    try:
        yield array_module("gpu")
    except ConfigError as error:
        pytest.skip(f"NO GPU, NOT TESTED: {error}")


def segment(tokens: list[int]) -> Segment:
    return Segment(0, np.zeros(0, np.uint32), np.array(tokens, np.uint32), True)


def named(passages: list[list[int]]) -> Documents:
    """Documents with passages in common."""
    return {f"d{i}": passages[i] + passages[(i * 2) % len(passages)] for i in range(len(passages))}


def filled(
    documents: Documents,
    xp: ModuleType,
    buffer: int = 1 << 21,
    room: float | None = None,
) -> Shard:
    shard = Shard(CONFIG, range(5), room=ShardRoom(buffer=buffer, expected=PARTS, xp=xp, device_room=room))
    for name, tokens in documents.items():
        shard.memorize_segments([(name, segment(tokens))])
    return shard


PARTS = 1 << 20  # associations expected: three parts of a ledger


def some(count: int, vocab: int = 40, seed: int = 0) -> Associations:
    rng = np.random.default_rng(seed)
    found = associate(rng.integers(0, TOP, count, dtype=np.uint64), rng.integers(0, vocab, count).astype(np.uint32))
    order = np.argsort(found.names)
    return Associations(found.names[order], found.tokens[order])


def on(found: Associations, xp: ModuleType) -> Associations:
    return Associations(to_device(found.names, xp), to_device(found.tokens, xp))


def equal(device: object, host: np.ndarray) -> bool:
    ours = to_host(device)
    return ours.dtype == host.dtype and np.array_equal(ours, host)


@settings(max_examples=30, deadline=None)
@given(words, st.sampled_from([64, 256]))
def test_hashes_and_codes(xp: ModuleType, values: list[int], dim: int) -> None:
    hashes = np.array(values, np.uint64)
    there = to_device(hashes, xp)
    assert equal(codes.mix64(there), codes.mix64(hashes))
    for make in (codes.key_words, codes.mask_words):
        assert equal(make(there, dim), make(hashes, dim))
        assert equal(codes.signs(make(there, dim)), codes.signs(make(hashes, dim)))
    assert equal(codes.value_words(len(values), dim, values[0], xp=xp), codes.value_words(len(values), dim, values[0]))


@settings(max_examples=30, deadline=None)
@given(collections, st.integers(1, 50), st.integers(0, 4))
def test_associations_are_those_of_the_cpu_there(xp: ModuleType, texts: list[list[int]], size: int, first: int) -> None:
    """Hashing is the CPU's: what it gives a device is split into hashes and tokens there, and put in order, alike."""
    segments = [segment(tokens) for tokens in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memo_dist.models.text.encoder._CHUNK", size)
        found = list(HashedEncoder(CONFIG).associations(segments, range(first, 5)))
    for here in found:
        there = on(here, xp)
        assert equal(there.hashes, here.hashes)
        assert equal(associate(there.hashes, there.tokens).names, here.names)
        assert equal(bank_of(there.hashes, 5), bank_of(here.hashes, 5))


pair = st.tuples(st.sampled_from([0, 1, 2**32, 2**63, 2**63 + 5, TOP - 1]), st.integers(0, 3))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(pair, max_size=12), st.booleans()), max_size=6), st.integers(1, 5))
def test_ledger(xp: ModuleType, steps: list[tuple[list[tuple[int, int]], bool]], parts: int) -> None:
    """Merging, forgetting, names that clash, refusals."""
    ours, theirs = Ledger(0, TOP, parts, xp=xp), Ledger(0, TOP, parts)
    for pairs, forget in steps:
        found = Associations(np.array([p[0] for p in pairs], np.uint64), np.array([p[1] for p in pairs], np.uint32))
        changes = []
        for ledger, given_in in ((ours, on(found, xp)), (theirs, found)):
            seen = []
            try:
                for change in ledger.merge(given_in, weight=-1 if forget else 1):
                    seen.append(
                        [to_host(a).tolist() for c in (change.added, change.removed) for a in (c.names, c.tokens)]
                    )
            except NotMemorizedError:
                seen.append([])
            changes.append(seen)
        assert changes[0] == changes[1]
    for there, here in zip(ours.parts(), theirs.parts(), strict=True):
        assert equal(there.names, here.names)
        assert equal(there.tokens, here.tokens)
        assert equal(there.counts, here.counts)
    assert equal(ours.token_counts(5), theirs.token_counts(5))
    for low, high in ((0, TOP), (1, 2**63), (2**63, 2**63 + 6)):
        assert equal(ours.between(low, high).names, theirs.between(low, high).names)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 900),
    st.integers(1, 9),
    st.integers(1, 300),
    st.integers(4, 2000),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_products_and_reads(
    xp: ModuleType, count: int, banks: int, piece: int, rows: int, at_once: int, brought: int
) -> None:
    """Whatever goes into one product and one visit: memorize, forget, retrieve."""
    config = TextConfig(num_banks=banks, vocab_size=40, inner_dim=64)
    kept, gone = some(count), some(count // 3, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouped, "_PIECE", piece)
        patch.setattr(grouped, "_ROWS", rows)
        patch.setattr(grouped, "_CELLS", at_once * 64 * 64)
        for store in (bank_stores.ResidentBanks, HostBanks):
            patch.setattr(store, "group_bytes", brought * config.bank_bytes)
            ours = BankRange(
                config,
                range(banks),
                codes.value_words(40, 64, 0, xp=xp),
                xp=xp,
                store=store((banks, 64, 64), "<i2", xp),
            )
            theirs = BankRange(config, range(banks), codes.value_words(40, 64, 0))
            for memory, module in ((ours, xp), (theirs, np)):
                for found in (kept, gone):
                    memory.memorize(on(found, module))
                memory.forget(on(gone, module))
            assert equal(ours.cells, theirs.cells)
            assert np.array_equal(ours.loads, theirs.loads)
            asked = np.concatenate([kept.hashes, some(20, seed=2).hashes, kept.hashes[:7]])
            assert equal(ours.retrieve(to_device(asked, xp)), theirs.retrieve(asked))


def test_banks_with_more_than_int16_counts(xp: ModuleType) -> None:
    """Beyond 2^11 reads are split in two products, beyond 32,767 cells wrap around, and forgetting undoes that."""
    some_more = some(2000, seed=1)
    every = some(140_000, vocab=1)
    signs = codes.key_words(every.hashes, 64) ^ codes.mask_words(every.hashes, 64)
    alike = np.flatnonzero(signs[:, 0] & np.uint64(1))[:36_000]  # of one sign in the cell (0, 0)
    found = Associations(every.names[alike], every.tokens[alike])
    config = TextConfig(num_banks=1, vocab_size=40, inner_dim=64)
    ours = BankRange(config, range(1), codes.value_words(40, 64, 0, xp=xp), xp=xp)
    theirs = BankRange(config, range(1), codes.value_words(40, 64, 0))
    for memory, module in ((ours, xp), (theirs, np)):
        memory.memorize(on(some_more, module))
        memory.memorize(on(found, module))
    assert abs(int(theirs.cells[0, 0, 0])) < 2**16 - 36_000 + 2000
    assert equal(ours.cells, theirs.cells)
    assert equal(ours.retrieve(to_device(found.hashes[:50], xp)), theirs.retrieve(found.hashes[:50]))
    ours.forget(on(found, xp))
    theirs.forget(found)
    assert equal(ours.cells, theirs.cells)
    assert abs(theirs.cells.astype(int)).max() < 2000


@pytest.mark.parametrize("largest", [2**11, 2**15])
def test_reads_are_exact_where_factors_keep_eleven_bits(xp: ModuleType, largest: int) -> None:
    """What goes into a product passes through tensor cores unchanged."""
    rng = np.random.default_rng(0)
    keys = rng.choice([-1, 1], (2, 3, 64)).astype(np.float32)
    cells = rng.integers(-largest, largest, (2, 64, 64)).astype(np.int16)
    cells[0, :, 0] = largest - 1
    cells[0, :, 1] = -largest
    given_in: list[np.ndarray] = []
    product = xp.matmul
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(xp, "matmul", lambda a, b: given_in.append(to_host(b)) or product(a, b))
        found = exact_product(to_device(keys, xp), to_device(cells, xp), largest)
    assert equal(found, (keys.astype(np.int64) @ cells.astype(np.int64)).astype(np.int32))
    for factor in given_in:
        bits = factor.view(np.uint32)
        assert not (bits & 0x1FFF).any()  # a tensor core's float32 has 10 bits after the first; the other 13 are cut


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 2**32))
def test_the_best_of_whole_numbers_are_one_set(xp: ModuleType, size: int, keep: int, seed: int) -> None:
    """Against sorting all, with many ties."""
    rng = np.random.default_rng(seed)
    keep, padded = min(keep, size), -(-size // 64) * 64
    scores = rng.integers(-5, 5, (6, padded)).astype(np.float32)
    truth = [sorted(sorted(range(size), key=lambda c: (-row[c], c))[:keep]) for row in scores.tolist()]
    assert to_host(best_whole(to_device(scores.copy(), xp), size, keep)).tolist() == truth
    assert best_whole(scores, size, keep).tolist() == truth


@settings(max_examples=30, deadline=None)
@given(st.integers(5, 40), st.integers(1, 900), st.integers(1, 9), st.booleans(), st.integers(0, 2**32))
def test_cleanup(xp: ModuleType, count: int, noise: int, top_k: int, known: bool, seed: int) -> None:
    """With and without a prior: tokens, log-odds and scores, bit by bit; reads of empty banks among them."""
    rng = np.random.default_rng(seed)
    config = TextConfig(num_banks=1, vocab_size=700, inner_dim=128, windows=(4, 16, 64))
    prior = 5000 // rng.permutation(np.arange(1, 702)) if known else None
    encoder = HashedEncoder(config)
    theirs, ours = HashedCleanup(config, encoder, prior=prior), HashedCleanup(config, encoder, xp=xp, prior=prior)
    signal = theirs.codebook[rng.integers(0, 700, (count, 3))] * 128 * rng.integers(0, 2, (count, 3, 1))
    reads = (signal + rng.standard_normal((count, 3, 128)) * noise).astype(np.int32)
    filled = np.arange(3)[None, :] < rng.integers(1, 4, (count, 1))
    reads[~filled] = 0
    reads[0] = 0
    there, here = ours.rank(reads, filled, top_k), theirs.rank(reads, filled, top_k)
    assert equal(there.tokens, here.tokens)
    assert equal(there.log_odds, here.log_odds)
    assert equal(there.layer_scores, here.layer_scores)


@settings(max_examples=15, deadline=None)
@given(collections, collections, st.integers(1, 400), st.sampled_from(["device", "host"]))
def test_digests(
    xp: ModuleType,
    kept: list[list[int]],
    gone: list[list[int]],
    buffer: int,
    where: str,
) -> None:
    """Memorize and forget, with banks and ledger on the device or behind it."""
    texts, others = named(kept), {f"x{n}": t for n, t in named(gone).items()}
    room = 0 if where == "host" else None
    ours, theirs = filled({**texts, **others}, xp, buffer, room), filled({**texts, **others}, np)
    assert isinstance(ours.contents.matrices.store, HostBanks) == (where == "host")
    for shard in (ours, theirs):
        for name, tokens in others.items():
            shard.forget_segments([(name, segment(tokens))])
    assert np.array_equal(ours.bank_digests(), theirs.bank_digests())
    assert np.array_equal(ours.bank_digests(), filled(texts, np).bank_digests())
    cues = np.random.default_rng(0).integers(0, TOP, 20, dtype=np.uint64)
    assert equal(ours.retrieve(cues), theirs.retrieve(cues))


def test_a_memory_goes_between_devices(xp: ModuleType, tmp_path: Path, documents: Documents) -> None:
    """Saved here, opened there, merged across, and recalled alike."""
    config = TextConfig(num_banks=6, vocab_size=500)
    half = len(documents) // 2
    parts = dict(list(documents.items())[:half]), dict(list(documents.items())[half:])
    memories = {}
    for name, module in (("there", xp), ("here", np)):
        for part in (0, 1):
            memory = memories[name, part] = Memory(config, xp=module)
            for document, tokens in parts[part].items():
                memory.memorize(document, tokens)
    assert memories["there", 0].digest() == memories["here", 0].digest()
    memories["there", 0].save(tmp_path / "there.memo")
    memories["here", 0].save(tmp_path / "here.memo")
    opened = Memory.open(tmp_path / "here.memo", xp=xp)
    assert opened.digest() == Memory.open(tmp_path / "there.memo").digest() == memories["here", 0].digest()
    opened.merge(memories["here", 1])  # of the other device
    memories["here", 0].merge(memories["there", 1])
    assert opened.digest() == memories["here", 0].digest()
    prompts = [tokens[:64] for tokens in documents.values() if len(tokens) > 70]
    assert prompts
    assert opened.recall(prompts, max_tokens=6) == memories["here", 0].recall(prompts, max_tokens=6)


def test_the_paper_agrees_within_rounding(xp: ModuleType, documents: Documents) -> None:
    for composition, layers in (("jlt", 3), ("product", 2), ("direct", 1)):
        config = PaperConfig.of(500, 64, num_layers=layers, composition=composition)
        ours, theirs = Memory(config, xp=xp), Memory(config)
        for memory in (ours, theirs):
            for name, tokens in documents.items():
                memory.memorize(name, tokens)
            memory.forget("doc-1", documents["doc-1"])
        there, here = (to_host(m.shard.contents.read_banks(0, 4)) for m in (ours, theirs))
        assert np.linalg.norm(there - here) < 2e-6 * np.linalg.norm(here)
        contexts = [tokens[:64] for tokens in documents.values() if len(tokens) > 64]
        assert np.allclose(ours.retrieve(contexts).log_odds, theirs.retrieve(contexts).log_odds, rtol=1e-3, atol=1e-2)
        cleanup = ours.cleanup
        assert isinstance(cleanup, ProjectedCleanup)
        assert cleanup.xp is xp
        cues = cleanup.encoder.query(contexts)
        reads = cleanup.encoder.retrieve(ours, cues)
        truth = cleanup.rank(reads, cues.filled).tokens[:, 0]
        assert cleanup.is_best(reads, cues.filled, truth).all()
        assert not cleanup.is_best(reads, cues.filled, (truth + 1) % 500).any()
        assert cleanup.rank(np.zeros((0, 1, 64)), np.zeros((0, layers), bool)).tokens.shape == (0, 1)


def test_room_on_a_device_is_known(xp: ModuleType) -> None:
    assert 0 < room_on_device(xp) < float("inf")


def ladder_of(seed: int, windows: int, *, codes: bool, check_bits: int) -> tuple[Tables, np.ndarray]:
    """A ladder of three rungs of one, two and four pieces, in two files; hashes that its rungs hold, of which some are
    followed by several tokens."""
    rng, layout = np.random.default_rng(seed), ValueLayout(check_bits, 13)
    hashes = np.unique(rng.integers(0, 2**64, (3, max(windows, 1)), dtype=np.uint64), axis=1)[:, :windows]
    places, files, cuts = [], [], [0, 1, 2]
    parts: list[list[np.ndarray]] = [[np.zeros(3, np.uint64)], [np.zeros(1, np.uint64)]]
    for rung, cut in enumerate(cuts):
        pieces = hashes[rung] >> np.uint64(64 - cut) if cut else np.zeros(windows, np.uint64)
        for piece in range(1 << cut):
            held = np.sort(hashes[rung][pieces == np.uint64(piece)])
            common = np.minimum(rng.zipf(1.3, len(held)), 8000) - 1 if codes else rng.integers(0, 8000, len(held))
            several = rng.random(len(held)) < 0.5
            made, file = make_piece(held, common, several, layout=layout, shift=cut), (rung + piece) % 2
            row = made.shape.row()
            near, far, _ = np.cumsum(words_of(row[None, :], layout)[0]).tolist()
            at, kept = sum(len(part) for part in parts[file]), row.astype(np.int64)
            places.append([at, *kept[1:5], at + near, *kept[5:8], at + far, kept[0]])
            files.append(file)
            parts[file].append(made.words)
    first = np.array([0, 1, 3])
    known = Pieces(
        first=first, cuts=np.array(cuts), places=np.array(places), files=np.array(files), layout=layout, largest=7990
    )
    return Tables(known, [np.concatenate(part) for part in parts], lambda pieces: None), hashes


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0, 1, 7, 300, 6000]), st.booleans(), st.sampled_from([1, 4, 8]))
def test_a_ladder_is_walked_as_the_compiled_pass_does(
    xp: ModuleType, seed: int, windows: int, codes: bool, check_bits: int
) -> None:
    tables, hashes = ladder_of(seed, windows, codes=codes, check_bits=check_bits)
    rng = np.random.default_rng(seed)
    held = hashes[:, rng.integers(0, windows, 400)].T if windows else np.zeros((0, 3), np.uint64)
    values = np.concatenate([held, rng.integers(0, 2**64, (400, 3), dtype=np.uint64)])
    values[: len(held) : 5, 1] = 3  # left at the second rung
    filled = np.arange(3) < rng.integers(0, 4, len(values))[:, None]
    for device in (np, xp):
        one, other = tables.walk(Cues(values, filled)), DeviceTables(tables.pieces, tables.files, device)
        found = other.walk(Cues(values, filled))
        for name in ("states", "rungs", "tokens", "asked"):
            assert np.array_equal(getattr(one, name), getattr(found, name)), name
    if windows > 1000 and check_bits > 1:
        assert set(one.states.tolist()) == set(State)


def test_tables_without_room_on_a_device_are_refused(xp: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, _ = ladder_of(1, 300, codes=False, check_bits=8)
    monkeypatch.setattr("memo_dist.solved.device_tables.room_on_device", lambda xp: 100.0)
    with pytest.raises(ConfigError, match="room for 100; ask this memory on the CPU"):
        tables.on(xp)
