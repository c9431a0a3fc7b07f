"""Stored: how many bytes a memory takes on disk, packed as files pack it.

Covers: cells, ledger, indexes, documents' records. Does not cover: memory and sorted runs (memory_plan.py), the format
itself (docs/reference/format.md); `benchmarks/building/format.py` measures what real memories take.
"""

import math

import numpy as np

from memo_dist.memory_config import MemoryConfig
from memo_dist.models import model_of
from memo_dist.models.text.keys import ANCHOR_EVERY
from memo_dist.planning.processes import STORED_BANK_BYTES, STORED_COUNT_BYTES, STORED_DOCUMENT_BYTES

_DOCUMENT_BITS = 32
_PACKED_REACH = 256  # cells beyond it do not fit a byte
_FEW_CELLS = 1 << 16  # of a bank, whose places take 2 bytes; in larger ones they take 4
# Bits that zstd's codes, Huffman's, take above the entropy of cells: a whole bit tells the few values that there are
# at small loads, and codes are no longer than 11 bits at large ones.
_CODE_BITS, _FEW_VALUES_BITS, _FEW_VALUES = 0.08, 0.65, 50


def stored_bytes(
    config: MemoryConfig, associations: int, documents: int, *, shards: int, token_share: float = 1.0
) -> int:
    """Bytes of a memory's shard files.

    Args:
        associations: of the ledger; 0 where the model keeps none.
        documents: whose records are kept. shards: each counts every token.
        token_share: of the bits of a token, what is kept of them: 1 if all tokens were alike frequent, the most.
    """
    counts = 8 * (config.vocab_size + 1) * shards if associations else 0
    bank = _bank_bytes(config, associations / config.num_banks) + STORED_BANK_BYTES
    anchors = _anchors(config, associations)
    rows = associations * _row_bytes(associations, token_share * config.vocab_size.bit_length())
    rows += anchors * _row_bytes(anchors, _DOCUMENT_BITS)
    return round(config.num_banks * bank + rows + counts + documents * STORED_DOCUMENT_BYTES)


def _anchors(config: MemoryConfig, associations: int) -> int:
    return associations // (config.num_layers * ANCHOR_EVERY)  # of the windows of one rung


def _bank_bytes(config: MemoryConfig, load: float) -> float:
    """Cells of a bank of `load` associations: the entropy of their halves, a byte each at most, and what those of its
    many signs that are large take more.

    A cell is a sum of `load` signs, so Gaussian with that variance; below a load of 1 so many banks have cells at all.
    """
    if not model_of(config).has_ledger:
        return config.bank_bytes
    cells = config.bank_bytes // np.dtype(config.cell_type).itemsize
    entropy = math.log2(2 * math.pi * math.e * max(1.0, load)) / 2 - 1
    bits = min(8.0, entropy + (_CODE_BITS if load > _FEW_VALUES else _FEW_VALUES_BITS)) * min(1.0, load)
    large = math.erfc(_PACKED_REACH / math.sqrt(2 * load)) if load else 0.0
    exception = 4 if cells <= _FEW_CELLS else 6
    return cells * (bits / 8 + min(1.0, exception * large))


def _row_bytes(associations: int, token_bits: float) -> float:
    """An association in a ledger of so many: name, token, and how often it was seen."""
    if not associations:
        return 0.0
    name = max(0.0, 64 - math.log2(associations)) + 2  # Elias-Fano's bound
    return (name + token_bits) / 8 + STORED_COUNT_BYTES
