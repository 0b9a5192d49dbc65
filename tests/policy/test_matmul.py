"""Matrix products for acting: right, and each row the same whatever stands beside it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

import rlbot
from rlbot.policy.matmul import matmul, padded, whole_tiles

HAS_FMA = platform.machine().lower() in ("x86_64", "amd64") and get_host_cpu_features().get("fma")
SHAPES = [(1, 1, 1), (5, 180, 256), (64, 256, 90), (13, 7, 33), (8, 100, 21), (100, 3, 1000)]


def multiply(x: np.ndarray, weight: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    left, out = padded(len(x), x.shape[1]), padded(len(x), weight.shape[1])
    left[: len(x), : x.shape[1]] = x
    left[len(x) :] = np.nan  # what fills the tiles up means nothing
    out[:] = np.nan
    matmul(left, weight, out)
    return out[: len(x), : weight.shape[1]].copy()


def test_by_hand() -> None:
    x = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    weight = np.array([[1, 0, -1], [10, 100, 0.5]], np.float32)
    assert multiply(x, weight).tolist() == [[21, 200, 0], [43, 400, -1], [65, 600, -2]]


@pytest.mark.parametrize(("rows", "depth", "width"), SHAPES)
def test_it_is_the_product_and_a_row_never_depends_on_its_neighbours(rows: int, depth: int, width: int) -> None:
    rng = np.random.default_rng(rows)
    x, weight = (rng.normal(size=shape).astype(np.float32) for shape in ((rows, depth), (depth, width)))
    found = multiply(x, weight)
    np.testing.assert_allclose(found, x.astype(np.float64) @ weight, rtol=1e-4, atol=1e-5 * depth)
    for i in range(rows):
        assert np.array_equal(multiply(x[i : i + 1], weight)[0], found[i])
        assert np.array_equal(multiply(x[i : i + 9], weight), found[i : i + 9])


def test_whole_tiles() -> None:
    tile = whole_tiles(1)
    assert [whole_tiles(rows) for rows in (0, tile, tile + 1)] == [0, tile, 2 * tile]


@pytest.mark.skipif(not HAS_FMA, reason="needs an x86-64 processor with AVX2 and FMA")
def test_a_processor_with_smaller_registers_gives_the_same_bits(tmp_path: Path) -> None:
    """Compiled for a processor without AVX-512: other tiles, the same order of additions."""
    code = (
        "import sys, numpy as np\n"
        "from rlbot.policy import matmul as p\n"
        "rng = np.random.default_rng(0)\n"
        "x, w, out = p.padded(20, 50), rng.normal(size=(50, 70)).astype(np.float32), p.padded(20, 70)\n"
        "x[:20, :50] = rng.normal(size=(20, 50))\n"
        "if sys.argv[1] == 'small': p._ROWS, p._VECTORS, p._LANES, p._COLUMNS = 6, 2, 8, 16\n"
        "x, out = (np.pad(each, ((0, -len(each) % p._ROWS), (0, -each.shape[1] % p._COLUMNS))) for each in (x, out))\n"
        "p.matmul(x, w, out)\n"
        "print(out[:20, :70].tobytes().hex())"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_CPU_")}
    environment["NUMBA_CACHE_DIR"] = str(tmp_path)
    results = [
        subprocess.run(
            [sys.executable, "-c", code, size], cwd=Path(rlbot.__file__).parents[1], env=environment | extra,
            capture_output=True, text=True, timeout=300, check=True,
        ).stdout
        for size, extra in (("own", {}), ("small", {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}))
    ]  # fmt: skip
    assert results[0] == results[1] and len(results[0]) > 1000
