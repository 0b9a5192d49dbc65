"""Environment variables that libraries read when they are loaded. Every command sets them before it imports these.

A variable that the user has set is not changed.
"""

import os
import platform
import sys
from pathlib import Path


def set_defaults() -> None:
    """Sets the variables that are not set. Processes that are started afterwards inherit them."""
    # OpenMP reads these when PyTorch loads. Threads that spin while they wait take CPU time from the workers and from
    # each other. Threads that sleep at once wake too late for the small operations of an update. So GNU's OpenMP spins
    # for about 0.2 ms (docs/performance.md). If the user has set a policy, the spin count is left alone too.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    # glibc reads this in processes started from now on. Huge pages make an arena step and an update 2 to 4% faster.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    # Without this, the last bits of MKL's results depend on the memory address of a matrix, and a resumed run would
    # differ in the last bits. It costs 3% of an update. Seen and measured on Intel processors, so not set on others.
    if _is_intel():
        os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")


def load_numba() -> None:
    """Loads Numba's array functions without scipy.linalg. Numba would import it, 9 MB in each process, only to see if
    it is installed. Functions that need it, such as np.dot, can still import it later. Call this before anything is
    compiled."""
    if "scipy.linalg" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment] # makes its import fail
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules["scipy.linalg"]


def _is_intel() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return "GenuineIntel" in (cpuinfo.read_text(errors="replace") if cpuinfo.exists() else platform.processor())
