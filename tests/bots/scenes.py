"""Scenes to ask players about, as a state and the cars in it; and where the weights of Nexto and Necto lie."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rlbot
from rlbot.bots import Cars
from rlbot.sim import State

WEIGHTS = Path(rlbot.__file__).parents[2] / "shared" / "bots"
needs_weights = pytest.mark.skipif(
    not (WEIGHTS / "nexto-model.pt").is_file(), reason="the weights of Nexto and Necto are not beside the checkout"
)
GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text())


def weights(name: str) -> str:
    return str(WEIGHTS / f"{name}-model.pt")


def cars_of(
    arena: list[int],
    slot: list[int],
    ticks: int = 0,
    controls: Any = None,
    tick_skip: int = 8,
    seed: int = 0,
    action_delay: int = 0,
) -> Cars:
    count = len(arena)
    given = np.zeros((count, 8), np.float32) if controls is None else np.array(controls, np.float32)
    numbers = np.array(arena) * 4 + slot
    return Cars(
        np.array(arena), np.array(slot), np.full(count, ticks), given, tick_skip, action_delay, numbers, seed, ticks
    )


def scene(golden: dict[str, Any]) -> tuple[State, Cars]:
    """A stored scene, and all its cars."""
    state = State(1)
    for name in ("ball_pos", "ball_vel", "ball_ang_vel"):
        getattr(state, name)[0] = golden[name]
    state.pad_active[0] = golden["pads"]
    for player in golden["players"]:
        car = state.cars[0, player["slot"]]
        for name in ("pos", "vel", "ang_vel", "forward", "up", "boost", "demo_timer", "on_ground"):
            car[name] = player[name]
        car["present"] = 1
        car["is_demoed"] = player["demoed"]
        car["has_double_jumped"], car["has_flipped"] = player["double_jumped"], player["flipped"]
    slots = [player["slot"] for player in golden["players"]]
    controls = [player["controls"] for player in golden["players"]]
    return state, cars_of([0] * len(slots), slots, golden["ticks"], controls)


def some_state(num_arenas: int, seed: int) -> State:
    """Numbers that may be anything; all cars are there."""
    rng = np.random.default_rng(seed)
    state = State(num_arenas)
    state.memory[:] = rng.uniform(-1, 1, state.memory.shape)
    state.ball_pos[:] *= 4000
    state.car_pos[:] *= 4000
    state.car_vel[:] *= 2000
    for name in ("car_is_demoed", "car_on_ground", "car_has_double_jumped", "car_has_flipped", "pad_active"):
        view = getattr(state, name)
        view[:] = view > 0
    state.car_boost[:] = 100 * np.abs(state.car_boost)
    state.present[:] = 1
    return state
