"""Matrix products for acting: each row of the result is the same to the last bit, whatever other rows are in the batch.

Every number of the result is summed in order, from the first product to the last. Exact resumes, and rollouts that do
not depend on the number of workers, need this: NumPy's OpenBLAS changes the last bits of a row with the number of rows.
OpenBLAS is also slower: a little in NumPy 2.5, up to nine times in NumPy 1.26 on CPUs that are newer than it
(docs/performance.md).
"""

from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def _has_avx512() -> bool:
    try:
        return bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
    except RuntimeError:  # LLVM does not know the features of this platform
        return False


# A tile is the part of the result that is summed in registers at once: _ROWS rows of _VECTORS vectors. AVX-512 has 32
# registers of 16 numbers; most other CPUs have 16 of 8, or 32 of 4. The tile size never changes a value of the result.
_ROWS, _VECTORS, _LANES = (8, 2, 16) if _has_avx512() else (6, 2, 8)
_COLUMNS = _VECTORS * _LANES


def whole_tiles(rows: int) -> int:
    """`rows`, rounded up to a multiple of the rows of a tile."""
    return -(-rows // _ROWS) * _ROWS


def padded(rows: int, columns: int) -> Floats:
    """Memory for the result or the first factor of `matmul`: (rows, columns), rounded up to whole tiles, of zeros."""
    return np.zeros((whole_tiles(rows), -(-columns // _COLUMNS) * _COLUMNS), np.float32)


def _generate_tile(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    whole, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), _LANES)
    x, i, weight, j, out, row, column, depth = arguments

    def number(value: int) -> Any:
        return ir.Constant(whole, value)

    def rows(k: int, array: Any, row: Any, column: Any) -> tuple[Any, Any]:
        """Address of (row, column) in argument k, and the distance to the next row."""
        made = make_array(signature.args[k])(context, builder, array)  # type: ignore[no-untyped-call]
        step = builder.extract_value(made.shape, 1)
        return builder.gep(made.data, [builder.add(builder.mul(row, step), column)]), step

    def vectors(start: Any) -> list[Any]:
        at = (builder.gep(start, [number(v * _LANES)]) for v in range(_VECTORS))
        return [builder.bitcast(each, vector.as_pointer()) for each in at]

    def after(start: Any, step: Any, count: int) -> Any:
        return builder.gep(start, [builder.mul(step, number(count))])

    x_start, x_step = rows(0, x, i, number(0))
    weight_start, weight_step = rows(2, weight, number(0), j)
    out_start, out_step = rows(4, out, row, column)
    x_rows = [after(x_start, x_step, r) for r in range(_ROWS)]
    before, loop, done = builder.block, builder.append_basic_block("loop"), builder.append_basic_block("done")
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(whole)
    sums = [[builder.phi(vector) for _ in range(_VECTORS)] for _ in range(_ROWS)]
    multiply_add = get_or_insert_function(  # type: ignore[no-untyped-call]
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{_LANES}f32"
    )
    columns = [
        builder.load(each, align=4) for each in vectors(builder.gep(weight_start, [builder.mul(k, weight_step)]))
    ]
    nothing, first = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)
    totals = []
    for x_row, row_sums in zip(x_rows, sums, strict=True):
        factor = builder.insert_element(nothing, builder.load(builder.gep(x_row, [k])), first)
        factors = builder.shuffle_vector(factor, nothing, everywhere)
        totals.append(
            [builder.call(multiply_add, [factors, each, total]) for each, total in zip(columns, row_sums, strict=True)]
        )
    following = builder.add(k, number(1))
    k.add_incoming(number(0), before)
    k.add_incoming(following, loop)
    for row_sums, row_totals in zip(sums, totals, strict=True):
        for total, new in zip(row_sums, row_totals, strict=True):
            total.add_incoming(ir.Constant(vector, [0.0] * _LANES), before)
            total.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, done)

    builder.position_at_end(done)
    for r, row_totals in enumerate(totals):
        for place, total in zip(vectors(after(out_start, out_step, r)), row_totals, strict=True):
            builder.store(total, place, align=4)
    return context.get_dummy_value()


@intrinsic
def _tile(context, x, i, weight, j, out, row, column, depth):  # type: ignore[no-untyped-def]
    """Compute one tile of `out` at (row, column): rows from i of `x` times columns from j of `weight`. Written in LLVM
    IR, since the sums of an ordinary loop do not stay in registers."""
    assert x.layout == weight.layout == out.layout == "C", "rows lie one after the other"
    arguments = (x, types.intp, weight, types.intp, out, types.intp, types.intp, types.intp)
    return types.void(*arguments), _generate_tile


@njit(cache=True)
def matmul(x, weight, out):  # type: ignore[no-untyped-def]
    """out[:, :N] = x[:, :K] @ weight, for `weight` (K, N) and `x` and `out` from `padded`. The padding of `out` is
    overwritten with meaningless numbers."""
    depth, width = weight.shape
    whole = width // _COLUMNS * _COLUMNS
    for j in range(0, whole, _COLUMNS):
        for i in range(0, len(x), _ROWS):
            _tile(x, i, weight, j, out, i, j, depth)  # type: ignore[call-arg]  # Numba fills in the context
    if whole < width:  # the last columns, filled up to a tile
        rest = np.zeros((depth, _COLUMNS), np.float32)
        rest[:, : width - whole] = weight[:, whole:]
        for i in range(0, len(x), _ROWS):
            _tile(x, i, rest, 0, out, i, whole, depth)  # type: ignore[call-arg]
