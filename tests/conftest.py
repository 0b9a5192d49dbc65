# ruff: noqa: E402 - environment variables are set before PyTorch is imported
"""Shared by all tests: loaded meshes, engines, random controls, the rotated field, and runs in processes."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rlbot.processes.environment_variables import set_defaults

set_defaults()  # as every command does before it imports PyTorch
import torch
from numpy.typing import NDArray

from rlbot.sim import State, choose, load_meshes, obtain_meshes
from rlbot.sim.engines import EXTENSION
from tests.launching import Launch, Training

torch.set_num_threads(1)  # tests are small; threads would only wait for each other


@pytest.fixture(scope="session", autouse=True)
def _meshes() -> None:
    obtain_meshes()
    for engine in {"rocketsim2", choose("auto")}:
        load_meshes(engine=engine)


needs_rocketsim3 = pytest.mark.skipif(
    find_spec(EXTENSION) is None, reason="RocketSim v3 is not built here: it needs Rust, see native/"
)


@pytest.fixture(params=["rocketsim2", pytest.param("rocketsim3", marks=needs_rocketsim3)])
def engine(request: pytest.FixtureRequest) -> str:
    """Each installed engine."""
    name: str = request.param
    return name


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts `python -m rlbot.train` in tmp_path. At the end of the test, runs that are still there are killed."""
    started: list[Training] = []

    def start(*arguments: str, **environment: str) -> Training:
        started.append(Training(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for training in started:
        training.process.kill()


def random_controls(rng: np.random.Generator, num_cars: int) -> NDArray[np.float32]:
    """Returns random controls (num_cars, 8)."""
    return rng.uniform(-1, 1, (num_cars, 8)).astype(np.float32)


def turned(state: State) -> State:
    """Returns the state with the field rotated by half a turn and the teams swapped."""
    other = state.copy()
    for view in (other.ball_pos, other.ball_vel, other.ball_ang_vel):
        view[:, :2] *= -1
    other.pad_timer[:] = state.pad_timer[:, ::-1]
    other.pad_active[:] = state.pad_active[:, ::-1]
    other.blue_score[:], other.orange_score[:] = state.orange_score, state.blue_score
    other.cars[:] = np.roll(state.cars, state.team_slots, axis=1)
    for name in ("pos", "vel", "ang_vel", "forward", "right", "up"):
        other.cars[name][..., :2] *= -1
    return other
