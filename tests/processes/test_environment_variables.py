"""What the commands tell the libraries, and that the user's choice stays. Importing rlbot sets nothing."""

import os
import subprocess
import sys

import pytest

from rlbot.processes import environment_variables


@pytest.mark.parametrize("intel", [True, False])
@pytest.mark.parametrize(
    ("chosen", "changed"),
    [
        ({}, {}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": None}),
        ({"GOMP_SPINCOUNT": "0"}, {"GOMP_SPINCOUNT": "0"}),
        ({"GLIBC_TUNABLES": "", "MKL_CBWR": "AVX2"}, {"GLIBC_TUNABLES": "", "MKL_CBWR": "AVX2"}),
    ],
)
def test_only_what_is_not_set_is_set(
    chosen: dict[str, str], changed: dict[str, str | None], intel: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = dict(chosen)
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(environment_variables, "_is_intel", lambda: intel)
    environment_variables.set_defaults()
    default = {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "3000",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "MKL_CBWR": "AUTO,STRICT" if intel else None,
    }
    assert {name: environment.get(name) for name in default} == {**default, **changed}


def test_numba_loads_without_scipy_and_finds_it_when_it_needs_it() -> None:
    pytest.importorskip("scipy", reason="needs SciPy: what is not installed is not loaded")
    program = """
import sys
import numpy as np
from rlbot.processes.environment_variables import load_numba
load_numba()
from numba import njit
assert njit(lambda x: x.sum() + np.sqrt(x[0]))(np.ones(3)) == 4.0
assert "scipy.linalg" not in sys.modules
assert njit(lambda x: np.dot(x, x))(np.arange(3.0)) == 5.0
assert njit(lambda x: np.convolve(x, x))(np.arange(3.0)).tolist() == [0.0, 0.0, 1.0, 4.0, 4.0]
assert "scipy.linalg" in sys.modules
load_numba()
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_importing_rlbot_sets_no_environment_variable() -> None:
    program = "import os; before = dict(os.environ); import rlbot, rlbot.policy, rlbot.env; assert os.environ == before"
    subprocess.run([sys.executable, "-c", program], check=True)
