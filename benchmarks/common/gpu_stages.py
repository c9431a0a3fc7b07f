"""What benchmarks/gpu/gpu.py measures: a text without a tokenizer, the device's own rates, the stages of the memory.

Covers: rates, and their shares of what the same device does. Does not cover: equality, banks beyond a device's memory.
"""

import re
import statistics
import sysconfig
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from memo_dist import TextConfig
from memo_dist.device.backend import Array, to_device, to_host
from memo_dist.device.lanes import lanes, pinned_bytes
from memo_dist.models.protocol import ShardRoom
from memo_dist.models.text.associations import Associations
from memo_dist.models.text.banks import BankRange
from memo_dist.models.text.cleanup import HashedCleanup
from memo_dist.models.text.codes import key_words, mask_words, signs, value_words
from memo_dist.models.text.encoder import HashedEncoder
from memo_dist.models.text.ledger import Ledger
from memo_dist.segments import NO_TOKENS, Segment
from memo_dist.shard import Shard

VOCABULARY = 32_000
_ROW = 12  # bytes of an association: name and token
_ENTRY = 16  # of one in the ledger


Documents = list[tuple[str, Segment]]


def text(wanted: int) -> Documents:
    """Documents of `wanted` tokens together, or all there are; a rare word shares its number with others."""
    documents, counted, held = [], Counter[str](), 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts and held < wanted:
            found = re.findall(r"\w+|\s+|[^\w\s]", path.read_text(encoding="utf-8", errors="ignore"))[: wanted - held]
            counted.update(found)
            held += len(found)
            documents.append((str(path), found))
    common = {word: number for number, (word, _) in enumerate(counted.most_common(VOCABULARY))}
    return [(name, _segment(words, common)) for name, words in documents if words]


def _segment(words: list[str], common: dict[str, int]) -> Segment:
    tokens = [common.get(word, zlib.crc32(word.encode()) % VOCABULARY) for word in words]
    return Segment(0, NO_TOKENS, np.array(tokens, np.uint32), True)


class Bench:
    """Timing on one device: the median of `repeat`, after one to warm up, with all work done."""

    def __init__(self, xp: ModuleType, repeat: int) -> None:
        self.xp, self.repeat = xp, repeat

    def finish(self) -> None:
        """Wait for the device."""
        if self.xp is not np:
            self.xp.cuda.Device().synchronize()

    def seconds(self, work: Callable[[], object]) -> float:
        spans = []
        for _ in range(self.repeat + 1):
            self.finish()
            began = time.perf_counter()
            work()
            self.finish()
            spans.append(time.perf_counter() - began)
        return statistics.median(spans[1:])


def device_rates(bench: Bench, size: int, count: int) -> dict[str, float]:
    """FLOP/s of a product of size^3; bytes/s of copies of `count` bytes."""
    xp = bench.xp
    left, right = (to_device(np.random.default_rng(i).standard_normal((size, size), np.float32), xp) for i in range(2))
    host, there = pinned_bytes(count, xp), xp.zeros(count, np.uint8)
    host[:] = 1
    other = xp.zeros(count // 8, np.uint64)
    _, up, down = lanes(xp)
    return {
        "gemm_flops": 2 * size**3 / bench.seconds(lambda: left @ right),
        "copy_bytes": 2 * other.nbytes / bench.seconds(other.copy),
        "upload_bytes": count / bench.seconds(lambda: up.upload(host, there)),
        "download_bytes": count / bench.seconds(lambda: down.download(there, host)),
    }


def shard_of(config: TextConfig, documents: Documents, xp: ModuleType, **more: Any) -> Shard:
    """All documents memorized."""
    shard = Shard(
        config,
        range(config.num_banks),
        room=ShardRoom(expected=config.num_layers * sum(len(s.tokens) for _, s in documents), xp=xp, **more),
    )
    shard.memorize_segments(documents)
    shard.flush()
    return shard


def all_associations(documents: Documents, config: TextConfig, xp: ModuleType) -> Associations:
    """Hashed by the host, sent to the device."""
    segments = [segment for _, segment in documents]
    found = list(HashedEncoder(config).associations(segments, range(config.num_banks)))
    names, tokens = (np.concatenate([getattr(f, name) for f in found]) for name in ("names", "tokens"))
    return Associations(to_device(names, xp), to_device(tokens, xp))


def questions(documents: Documents, config: TextConfig, count: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Whole contexts and the tokens that follow, from random places."""
    rng, reach = np.random.default_rng(0), config.windows[-1]  # a unit is a token
    long = [segment.tokens for _, segment in documents if len(segment.tokens) > reach]
    chosen = rng.choice(len(long), count, p=np.array([len(t) for t in long]) / sum(map(len, long)))
    at = [int(rng.integers(reach, len(long[i]))) for i in chosen]
    pairs = list(zip(chosen.tolist(), at, strict=True))
    return [long[i][p - reach : p] for i, p in pairs], np.array([long[i][p] for i, p in pairs])


def stages(
    bench: Bench, documents: Documents, config: TextConfig, rates: dict[str, float], asked: int
) -> dict[str, dict[str, float]]:
    """Rates and shares, each stage by itself, then memorizing and asking as a whole."""
    xp, dim, segments = bench.xp, config.inner_dim, [segment for _, segment in documents]
    tokens = sum(len(segment.tokens) for segment in segments)
    gemm, copy = rates["gemm_flops"], rates["copy_bytes"]

    def row(count: int, work: Callable[[], object], flops: float = 0, moved: float = 0) -> dict[str, float]:
        per_second = count / bench.seconds(work)
        if not flops and not moved:
            return {"per_s": per_second}
        share = per_second * flops / gemm if flops else per_second * moved / copy
        return {"per_s": per_second, "share_of_gemm" if flops else "share_of_copy": share}

    encoder, banks = HashedEncoder(config), range(config.num_banks)
    pairs = all_associations(documents, config, xp)
    values = value_words(config.vocab_size, dim, config.seed, xp=xp)

    def merged() -> Associations:
        ledger = Ledger(0, 2**64, 1, xp=xp)
        (change,) = ledger.merge(pairs)
        return change.added

    distinct = merged()
    part = Associations(distinct.names[: 1 << 16], distinct.tokens[: 1 << 16])
    matrices = BankRange(config, banks, values, xp=xp)

    def expanded() -> tuple[Array, Array]:
        words = mask_words(part.hashes, dim) ^ values[part.tokens]
        return signs(key_words(part.hashes, dim)), signs(words)

    def product() -> None:
        # the second takes the first out again, so that loads stay what they are in use
        matrices.memorize(distinct)
        matrices.forget(distinct)

    rows = {
        "hash on the host (tokens)": row(tokens, lambda: list(encoder.associations(segments, banks))),
        "ledger (associations)": row(len(pairs), merged, moved=_ROW + _ENTRY),
        "codes (associations)": row(len(part), expanded, moved=_ROW + 2 * 4 * dim),
        "products (associations)": row(2 * len(distinct), product, flops=2 * dim**2),
        "memorize (tokens)": row(
            tokens, lambda: shard_of(config, documents, xp), flops=2 * dim**2 * len(distinct) / tokens
        ),
    }
    shard = shard_of(config, documents, xp)
    cleanup = HashedCleanup(config, encoder, xp=xp, prior=shard.token_counts())
    contexts, following = questions(documents, config, asked)
    cues = cleanup.encoder.query(contexts)
    windows = to_device(cues.values.ravel(), xp)
    held = shard.contents.matrices  # type: ignore[attr-defined]  # preset text has them
    reads = to_host(held.retrieve(windows)).reshape(*cues.values.shape, dim)

    def ask() -> np.ndarray:
        cues = cleanup.encoder.query(contexts)
        reads = shard.retrieve(cues.values.ravel()).reshape(*cues.values.shape, dim)
        return cleanup.rank(reads, cues.filled).tokens[:, 0]

    rows["retrieve (windows)"] = row(len(windows), lambda: held.retrieve(windows), flops=2 * dim**2)
    search = 2 * dim * config.vocab_size
    rows["cleanup (queries)"] = row(asked, lambda: cleanup.rank(reads, cues.filled), flops=search)
    rows["ask (queries)"] = row(asked, ask, flops=search + 2 * dim**2 * config.num_layers)
    rows["ask (queries)"]["recall"] = float((ask() == following).mean())
    return rows
