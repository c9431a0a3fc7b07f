"""Codes: hashes and +-1 vectors from counters alone.

Covers: the 64-bit mixer, the symbols of tokens, the packed sign codes of keys, masks and values.
Does not cover: how windows are made of tokens (encoder.py).

There is no table of keys: equal hashes give equal codes on every machine, in NumPy and CuPy, whatever the batch. The
tests hold fixed vectors.

All integer arithmetic is modulo 2**64. Codes are kept packed, one bit a sign, bit 1 meaning -1, so that the
elementwise product of two codes is the XOR of their words.
"""

from types import ModuleType

import numpy as np

from memo_dist.device.backend import Array, namespace, unpack_bits

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 / golden ratio, the increment of SplitMix64
_BEGIN_SYMBOL = 0xFFFFFFFF  # begin of document; token ids stay below 2**31
_VALUE_SALT = 0x76616C756573  # "values"
MASK_64 = 2**64 - 1


def mix64(x: Array) -> Array:
    """SplitMix64's output function, a bijection on 64-bit words; any shape, uint64 -> uint64.

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014 (variant 13 of Stafford's
    mixers).
    """
    xp = namespace(x)
    u = xp.uint64
    x = (x ^ (x >> u(30))) * u(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> u(27))) * u(0x94D049BB133111EB)
    return x ^ (x >> u(31))


def mix64_int(x: int) -> int:
    """`mix64` of one Python integer."""
    x &= MASK_64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK_64
    return x ^ (x >> 31)


def symbol_offset(seed: int) -> int:
    """What is added to a token id before it is mixed into its symbol."""
    return mix64_int(seed + GOLDEN)


def begin_symbol(seed: int) -> int:
    """The hashed symbol that pads layer 0 before a document's first token."""
    return mix64_int(_BEGIN_SYMBOL + symbol_offset(seed))


def token_symbols(tokens: Array, seed: int) -> Array:
    """Token ids (n,) -> hashed symbols (n,) uint64, the leaves that windows are made of."""
    xp = namespace(tokens)
    return mix64(tokens.astype(xp.uint64) + xp.uint64(symbol_offset(seed)))


def sign_words(hashes: Array, dim: int, stream: int) -> Array:
    """Counter-based sign code of each hash, packed: (n,) uint64 -> (n, dim / 64) uint64.

    word_i(w) = mix64(w + (stream * dim / 64 + i + 1) * golden); streams of one hash do not overlap.
    """
    xp = namespace(hashes)
    count = dim // 64
    # made where the hashes are: a list would be copied to a GPU at every call
    steps = xp.arange(stream * count + 1, (stream + 1) * count + 1, dtype=xp.uint64) * xp.uint64(GOLDEN)
    return mix64(hashes[:, None] + steps[None, :])


def key_words(hashes: Array, dim: int) -> Array:
    """Packed key of each window hash, (n, dim / 64)."""
    return sign_words(hashes, dim, stream=0)


def mask_words(hashes: Array, dim: int) -> Array:
    """Packed mask of each window hash, (n, dim / 64); independent of its key."""
    return sign_words(hashes, dim, stream=1)


def value_words(vocab_size: int, dim: int, seed: int, *, xp: ModuleType = np) -> Array:
    """Packed value codes O of all token ids and of "end of document": (V + 1, dim / 64)."""
    ids = xp.arange(vocab_size + 1, dtype=xp.uint64)
    return sign_words(mix64(ids + xp.uint64(mix64_int(seed + _VALUE_SALT))), dim, stream=0)


def signs(words: Array) -> Array:
    """Packed codes (n, k) uint64 -> +-1 vectors (n, 64 k) float32."""
    xp = namespace(words)
    vectors = unpack_bits(words).astype(xp.float32)
    vectors *= -2
    vectors += 1
    return vectors
