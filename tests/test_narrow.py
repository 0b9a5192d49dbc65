"""What `make test-narrow` hides is hidden: from NumPy, PyTorch and Numba."""

import os
import platform
import subprocess
import sys

import pytest

from tests.narrow import environment

ASK = """
import torch
from numba.core.registry import cpu_target
try:
    from numpy._core._multiarray_umath import __cpu_dispatch__ as used, __cpu_features__ as has
except ImportError:
    from numpy.core._multiarray_umath import __cpu_dispatch__ as used, __cpu_features__ as has
wide = [name for name in used if has.get(name)]
print(any(name in ("AVX", "AVX2", "X86_V3") for name in wide), any(name in ("AVX512F", "X86_V4") for name in wide))
print(torch.backends.cpu.get_cpu_capability())
print(cpu_target.target_context.codegen().magic_tuple()[1:])
"""


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="names processors of x86-64")
def test_wide_registers_are_hidden() -> None:
    """Numba keeps what it compiled under the name and features of the processor: never mixed up with another's."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, **environment("sse")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.stdout.splitlines(), done.stderr) == (["False False", "DEFAULT", "('nehalem', '')"], "")
