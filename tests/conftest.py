"""What tests of several rooms share: loaded meshes, random controls."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlbot.sim import load_meshes

torch.set_num_threads(1)  # tests are small; threads would only wait for each other


@pytest.fixture(scope="session", autouse=True)
def _meshes() -> None:
    load_meshes()


def random_controls(rng: np.random.Generator, num_cars: int) -> NDArray[np.float32]:
    """Controls (num_cars, 8) that drive, jump and boost about."""
    return rng.uniform(-1, 1, (num_cars, 8)).astype(np.float32)
