"""The number of CPU cores that this process may use. Not in rlbot.hardware, because that imports PyTorch."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def available_cores(root: Path = Path("/")) -> int:
    """Returns the number of CPU cores this process may use. A container or a batch job may allow fewer than the machine
    has, by naming cores (affinity) or by limiting CPU time (cgroups). `root`: the root of the file system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota(root)
    return cores if quota is None else max(min(cores, math.ceil(quota)), 1)


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Returns the CPU time that the control groups of this process allow, in CPUs; None if there is no limit.

    If several groups have a limit, the lowest counts. Version 2 has "QUOTA PERIOD" in cpu.max, version 1 has one file
    for each. In a container a group's path may lie outside of the mount, so its parents up to the mount are read too.
    https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/scheduler/sched-bwc.html
    """
    limits: list[float] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0":  # version 2, alone or beside version 1
            mounts = ["", "unified"]
        elif "cpu" in controllers.split(","):
            mounts = ["cpu", controllers]
        else:
            continue
        for mount in mounts:
            folder = root / "sys/fs/cgroup" / mount
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts) + 1):
                limits += _limit(folder.joinpath(*parts[:depth]))
    return min(limits, default=None)


def _limit(group: Path) -> Iterator[float]:
    """Yields the limits of one control group, in CPUs; nothing if it has none."""
    quota, _, period = _read(group / "cpu.max").partition(" ")
    for allowed, of in ((quota, period), (_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us"))):
        if allowed.isdigit() and of.isdigit() and int(of):  # "max" and -1: no limit
            yield int(allowed) / int(of)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
