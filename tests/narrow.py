"""Runs pytest as on a processor without wide registers: `python -m tests.narrow [sse|avx2] [pytest's arguments]`.

Sums are then taken in another order, and what was equal by chance is not any more. The libraries read these variables
when they are loaded, hence pytest runs in a process of its own. Other processors than x86-64 hide NumPy's extras only.
"""

import os
import platform
import subprocess
import sys

try:
    from numpy._core import _multiarray_umath as numpy_build
except ImportError:  # NumPy 1
    from numpy.core import _multiarray_umath as numpy_build

LEVELS = {
    "sse": {
        "NUMBA_CPU_NAME": "nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "avx2": {
        "NUMBA_CPU_NAME": "haswell",
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
}
# What NumPy keeps at "avx2"; from version 2.4 on it names groups.
AVX2 = {"SSSE3", "SSE41", "POPCNT", "SSE42", "AVX", "F16C", "FMA3", "AVX2", "X86_V2", "X86_V3"}


def environment(level: str) -> dict[str, str]:
    """Returns environment variables with which libraries use no registers wider than `level`."""
    has = [name for name in numpy_build.__cpu_dispatch__ if numpy_build.__cpu_features__.get(name)]
    hidden = {"NPY_DISABLE_CPU_FEATURES": " ".join(name for name in has if level == "sse" or name not in AVX2)}
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return hidden
    return {**hidden, **LEVELS[level], "NUMBA_CPU_FEATURES": ""}  # those of the named processor, not of this one


def main(arguments: list[str]) -> int:
    level = arguments.pop(0) if arguments and arguments[0] in LEVELS else "sse"
    added = environment(level)
    print(*(f"{name}={value}" for name, value in added.items()), sep="\n", flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], env={**os.environ, **added}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
