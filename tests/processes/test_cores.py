"""Cores as containers and batch jobs give them, read from files such as Linux shows."""

import os
from pathlib import Path

import pytest

from rlbot.processes.cores import available_cores, cpu_quota

QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"  # of version 1


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2.0),  # a container with version 2 sees its own group as the root
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/a/b", {"cpu.max": "max 100000", "a/cpu.max": "150000 100000", "a/b/cpu.max": "400000 100000"}, 1.5),
        ("0::/../outside", {"cpu.max": "300000 100000"}, 3.0),
        ("4:cpu,cpuacct:/docker/12", {f"cpu,cpuacct/{QUOTA}": "250000", f"cpu,cpuacct/{PERIOD}": "100000"}, 2.5),
        ("1:cpu:/job\n0::/", {f"cpu/job/{QUOTA}": "50000", f"cpu/job/{PERIOD}": "100000"}, 0.5),
        ("1:cpu:/", {f"cpu/{QUOTA}": "-1", f"cpu/{PERIOD}": "100000"}, None),
        ("3:cpuset:/", {f"cpuset/{QUOTA}": "100000", f"cpuset/{PERIOD}": "100000"}, None),
        ("nonsense\n\n0", {"cpu.max": ""}, None),
        ("0::/", {"cpu.max": "100000 0"}, None),
    ],
)  # fmt: skip
def test_the_time_that_control_groups_allow(
    groups: str, files: dict[str, str], quota: float | None, tmp_path: Path
) -> None:
    for name, text in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{each}": files[each] for each in files}}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="ascii")
    assert cpu_quota(tmp_path) == quota
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rounded = {None: cores, 0.5: 1, 1.5: 2, 2.0: 2, 2.5: 3, 3.0: 3}[quota]  # up: a part of a core is worth a process
    assert available_cores(tmp_path) == min(cores, rounded)


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path) is None and available_cores(tmp_path) >= 1
