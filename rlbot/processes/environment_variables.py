"""Environment variables that libraries read when they are loaded. Every command sets them before it imports one.

A variable that the user has set stays as it is.
"""

import os
import platform
import sys
from pathlib import Path


def set_defaults() -> None:
    """Sets the variables that are not set. Processes that are started afterwards inherit them."""
    # OpenMP, when PyTorch loads. Threads that spin while they wait take the cores from the processes that play, and
    # from each other where a core is busy; threads that sleep at once come too late for an update's small operations.
    # GNU's OpenMP spins for about 0.2 ms (docs/performance.md); who chooses a policy chooses for it, too.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # glibc, in processes started from now on: with huge pages a step of an arena and an update take 2 to 4% less.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    # MKL, whose last digits otherwise depend on where in memory a matrix begins: a resumed run would not be the same to
    # the bit. It costs 3% of an update. Seen and measured on Intel's processors, hence left alone on others.
    if _is_intel():
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


def load_numba() -> None:
    """Load Numba's arrays before anything is compiled, without SciPy's linear algebra where that is installed: Numba
    loads it, 9 MB for each process, to see whether it is there. What needs it, as np.dot does, still finds it later."""
    if "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment] # so that its import fails
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules["scipy.linalg"]


def _is_intel() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return "GenuineIntel" in (cpuinfo.read_text(errors="replace") if cpuinfo.exists() else platform.processor())
