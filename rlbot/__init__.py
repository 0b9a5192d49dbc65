"""Trains Rocket League bots: simulation, environment, rewards, learner, curriculum, configured with Hydra."""

import os
import platform
from pathlib import Path

# Read by OpenMP when PyTorch loads. Threads that spin while they wait take the cores from the processes that play, and
# from each other where a core is busy; threads that sleep at once come too late for an update's small operations.
# GNU's OpenMP spins for about 0.2 ms: see docs/performance.md. Whoever sets the policy otherwise is heard.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
# Heard by processes that are started from now on, where memory comes from glibc: it asks for huge pages, with which a
# step of an arena and an update take 2 to 4% less.
os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")


def _is_intel() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return "GenuineIntel" in (cpuinfo.read_text(errors="replace") if cpuinfo.exists() else platform.processor())


# MKL's last digits otherwise depend on where in memory a matrix begins, and a resumed run would not be the same to the
# bit. It costs 3% of an update. Not on other processors, where MKL would take a slow path.
if _is_intel():
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
