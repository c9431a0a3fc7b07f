"""Products of banks: add many rank-1 products of sign codes to one, straight from their packed bits.

Covers: C += sum_i sign * key_i^T value_i for one bank of int16 cells. Does not cover: the codes (codes.py); other
devices; models/text/banks.py holds the plain form, a GEMM of expanded codes, that this must equal to the bit.

Method of the Four Russians (Arlazarov, Dinic, Kronrod and Faradzev, 1970): for four associations at a time the 2^4
signed sums of their value rows are tabulated, and every row of the bank adds the one that its four key bits pick. That
is d^2 / 4 int8 additions an association where a GEMM makes d^2 multiply-adds, and codes are never expanded to floats.
The tables of 24 such groups stay in a core's first cache with the picks, and their sum fits int8, so that 64 cells are
added up in a register before they are widened.

Vectors of 64 signs are spelled out as LLVM's own, of which every processor makes what it has: a loop over them, left to
the compiler, takes three times as long. Bit i of a word is element i of its vector on little-endian machines alone.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from memo_dist.kernels import compiled

_GROUP = 4  # associations tabulated together
_PATTERNS = 1 << _GROUP
_GROUPS = 24  # added up in int8: 24 * 4 < 128
_WIDTH = 64  # cells of a vector, bits of a word
_TABLE = _PATTERNS * _WIDTH
_SCALE = 8  # picks are kept as bytes of pattern * 8, and 8 * 8 is what processors' addresses can multiply by themselves

_PLACE = ir.IntType(64)
_SPREAD = ir.VectorType(ir.IntType(32), _WIDTH)
_CELLS, _SUMS, _BITS = (ir.VectorType(ir.IntType(bits), _WIDTH) for bits in (16, 8, 1))


@intrinsic
def _pick(_: Any, picks: Any, at: Any, word: Any, value: Any) -> Any:
    """picks[at + b] += value where bit b of word is set, for 64 bits b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        picks, at, word, value = arguments
        place = _vector(context, builder, signature.args[0], picks, at, _SUMS)
        added = _spread(builder, builder.trunc(value, _SUMS.element))
        added = builder.select(builder.bitcast(word, _BITS), added, _repeated(_SUMS, 0))
        _store(builder, builder.add(_load(builder, place), added), place)
        return context.get_dummy_value()

    return types.void(_array(picks, types.uint8), types.intp, types.uint64, types.intp), generate


@intrinsic
def _add_signs(_: Any, tables: Any, to: Any, like: Any, word: Any, scale: Any) -> Any:
    """tables[to + b] = tables[like + b] + (scale, or -scale where bit b of word is set), for 64 bits b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        tables, to, like, word, scale = arguments
        source, target = (_vector(context, builder, signature.args[0], tables, at, _SUMS) for at in (like, to))
        scales = [builder.trunc(value, _SUMS.element) for value in (builder.neg(scale), scale)]
        turned, kept = (_spread(builder, value) for value in scales)
        signs = builder.select(builder.bitcast(word, _BITS), turned, kept)
        _store(builder, builder.add(_load(builder, source, _WIDTH), signs), target, _WIDTH)
        return context.get_dummy_value()

    return types.void(_array(tables, types.int8), types.intp, types.intp, types.uint64, types.intp), generate


@intrinsic
def _add_picked(
    _: Any, cells: Any, at: Any, tables: Any, start: Any, picks: Any, first: Any, groups: Any, sign: Any
) -> Any:
    """cells[at : at + 64] += sign * sum_g table_g[picks[first + 64 g]], a row of 64; at least one group."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        cells, at, tables, start, picks, first, groups, sign = arguments
        kinds = signature.args
        row = _vector(context, builder, kinds[0], cells, at, _CELLS)
        table = builder.ptrtoint(_vector(context, builder, kinds[2], tables, start, _SUMS), _PLACE)
        pick = context.make_array(kinds[4])(context, builder, picks).data
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        group, place, total = builder.phi(_PLACE), builder.phi(_PLACE), builder.phi(_SUMS)
        picked = builder.zext(builder.load(builder.gep(pick, [place])), _PLACE)
        offset = builder.add(builder.mul(group, _PLACE(_TABLE)), builder.mul(picked, _PLACE(_WIDTH // _SCALE)))
        entry = builder.inttoptr(builder.add(table, offset), _SUMS.as_pointer())
        added = builder.add(total, _load(builder, entry, _WIDTH))
        following = builder.add(group, _PLACE(1))
        for phi, initial, later in (
            (group, _PLACE(0), following),
            (place, first, builder.add(place, _PLACE(_WIDTH))),
            (total, _repeated(_SUMS, 0), added),
        ):
            phi.add_incoming(initial, before)
            phi.add_incoming(later, loop)
        builder.cbranch(builder.icmp_signed("<", following, groups), loop, after)
        builder.position_at_end(after)
        wide = builder.sext(added, _CELLS)
        turned = builder.select(builder.icmp_signed("<", sign, _PLACE(0)), builder.neg(wide), wide)
        _store(builder, builder.add(_load(builder, row), turned), row)
        return context.get_dummy_value()

    arrays = _array(cells, types.int16), _array(tables, types.int8), _array(picks, types.uint8)
    place = types.intp
    return types.void(arrays[0], place, arrays[1], place, arrays[2], place, place, place), generate


def _array(kind: Any, element: Any) -> Any:
    if not isinstance(kind, types.Array) or kind.layout != "C" or kind.dtype != element or not kind.mutable:
        raise TypingError(f"expected a C-contiguous array of {element} that may be written, not {kind}")
    return kind


def _vector(context: Any, builder: Any, kind: Any, array: Any, at: Any, vector: Any) -> Any:
    """Pointer to the vector that begins `at` elements into an array."""
    first = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(first, [at]), vector.as_pointer())


def _load(builder: Any, pointer: Any, align: int = 1) -> Any:
    loaded = builder.load(pointer)
    loaded.align = align
    return loaded


def _store(builder: Any, value: Any, pointer: Any, align: int = 1) -> None:
    builder.store(value, pointer).align = align


def _repeated(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * _WIDTH)


def _spread(builder: Any, value: Any) -> Any:
    """A vector of one value that is not known yet."""
    single = builder.insert_element(ir.Constant(_SUMS, ir.Undefined), value, ir.IntType(32)(0))
    return builder.shuffle_vector(single, ir.Constant(_SUMS, ir.Undefined), ir.Constant(_SPREAD, [0] * _WIDTH))


@compiled
def add_products(cells: np.ndarray, keys: np.ndarray, values: np.ndarray, sign: int) -> None:
    """C += sign * sum_i key_i^T value_i, modulo 2^16.

    Args:
        cells: (d, d) int16, C-contiguous, changed in place.
        keys, values: packed codes (m, d / 64) uint64.
        sign: 1 or -1.
    """
    count, words = keys.shape
    dim = cells.shape[0]
    tables = np.empty(_GROUPS * _TABLE + _WIDTH, np.int8)
    start = -np.int64(tables.ctypes.data) % _WIDTH  # a vector that straddles two lines of a cache is read twice
    picks = np.empty(_GROUPS * dim, np.uint8)
    for first in range(0, count, _GROUP * _GROUPS):
        lot = min(count - first, _GROUP * _GROUPS)
        groups = (lot + _GROUP - 1) // _GROUP
        picks[:] = 0
        for group in range(groups):
            row = first + group * _GROUP
            # where a last group is short, no key has the bits of those that are missing
            for member in range(min(_GROUP, count - row)):
                for word in range(words):
                    _pick(picks, (word * _GROUPS + group) * _WIDTH, keys[row + member, word], _SCALE << member)
        for word in range(words):
            for group in range(groups):
                table = start + group * _TABLE
                row = first + group * _GROUP
                members = min(_GROUP, count - row)
                tables[table : table + _WIDTH] = 0
                for member in range(members):
                    _add_signs(tables, table, table, values[row + member, word], 1)
                # a key bit of 0 is +1: each set bit turns one value around
                for member in range(members):
                    half = 1 << member
                    for pattern in range(half):
                        to, like = table + (half + pattern) * _WIDTH, table + pattern * _WIDTH
                        _add_signs(tables, to, like, values[row + member, word], -2)
            for i in range(dim):
                # rows go by 64, as words of the keys do
                first_pick = i // _WIDTH * _GROUPS * _WIDTH + i % _WIDTH
                _add_picked(cells, i * dim + word * _WIDTH, tables, start, picks, first_pick, groups, sign)
