"""Sign planes: the cells of a bank in a few bits, for recall only.

Covers: quantising a bank and vectors. Does not cover: reading them (kernels/planes.py), files
(files/published_writer.py).

    cell ~ scale * q,   q = sum_{p<b} 2^p s_p,  s_p in {-1, 1}:   the 2^b odd integers around 0
    read   r_j = scale * sum_p 2^p (d - 2 popcount(key ^ plane_p[j]))
A bank's cells are sums of N random signs, nearly Gaussian with variance N, so a uniform quantiser with the step that
is best for a Gaussian (Max, 1960) is nearly the best there is. The scale makes up for what quantising takes from an
association's own signal (Bussgang's gain sum q C / sum C^2), so scores stay near 1 and cleanup works as it is; what is
left is more noise, as of a bank that holds `noise_factor(b)` times the associations.
"""

import numpy as np

# bits -> (step in standard deviations, share of a Gaussian's variance that is lost)
_QUANTISERS = {1: (1.0, 0.3634), 2: (0.9957, 0.1188), 4: (0.3352, 0.01154), 8: (0.0308, 0.000104)}
BITS = tuple(_QUANTISERS)
EXACT = 16  # bits: the cells as they are
PUBLISHED_BITS = (*BITS, EXACT)


def noise_factor(bits: int) -> float:
    """How many times the associations a bank seems to hold; 1 / (1 - loss), for one bit pi / 2."""
    return 1 / (1 - _QUANTISERS[bits][1]) if bits in _QUANTISERS else 1.0


def quantize(cells: np.ndarray, bits: int) -> tuple[np.ndarray, float]:
    """One bank in `bits` bits a cell.

    Args:
        cells: (d, d) int16. bits: one of BITS.

    Returns:
        planes (bits, d, d / 64) uint64: bit i of row j of plane p is 1 where s_p of cell (i, j) is -1; and the scale, 0
        for an empty bank.
    """
    step = _QUANTISERS[bits][0]
    values = cells.astype(np.float32)
    energy = float(np.square(values, dtype=np.float64).sum())
    half = 1 << (bits - 1)
    deviation = np.float32(np.sqrt(energy / cells.size) or 1.0)
    level = np.clip(np.floor(values / (step * deviation)).astype(np.int64) + half, 0, 2 * half - 1)
    gain = float(((2 * level + 1 - 2 * half) * values).sum(dtype=np.float64))
    signs = (level[None] >> np.arange(bits)[:, None, None]) & 1 == 0
    packed = np.packbits(signs.transpose(0, 2, 1), axis=2, bitorder="little")
    return np.ascontiguousarray(packed).view("<u8"), energy / gain if gain else 0.0


def sign_planes(vectors: np.ndarray, bits: int) -> np.ndarray:
    """Vectors (n, d) as odd integers of at most 2^bits - 1, in steps of the largest entry of each: packed signs
    (n, bits, d / 64) uint64, bit 1 meaning -1."""
    half = 1 << (bits - 1)
    step = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-30) / half
    level = np.clip(np.floor(vectors / step).astype(np.int64) + half, 0, 2 * half - 1)
    signs = (level[:, None, :] >> np.arange(bits)[:, None]) & 1 == 0
    return np.ascontiguousarray(np.packbits(signs, axis=2, bitorder="little")).view("<u8")
