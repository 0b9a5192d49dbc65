"""A reset from training packs: `_target_: rlbot.env.packs.shot`.

The package rlgym-tools (Apache 2.0) ships 5,480 shots of 297 packs that players made; any file of its format will do: a
pack in each line as JSON, its "shots" with position, velocity and angles (pitch, yaw, roll) of the ball and of one car.
Shots of fields of another shape are left out.
"""

import functools
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from rlbot.env.own_reset import is_inside
from rlbot.sim import CarPlacement, Placement

_FILE = "rocket_league/state_mutators/training_pack_states.jsonl.gz"
_GOAL_LINE = 4900.0  # uu: where the cars that no pack knows of keep their goals
_PLACES = (0.0, 400.0, -400.0, 800.0, -800.0)  # x of them
_GAP = 300.0


def shot(generator: np.random.Generator, teams: tuple[int, int], path: str | None = None) -> Placement:
    """One of the shots for the first car of either team, its tank full; the other cars keep their goals.

    `path`: a .jsonl or .jsonl.gz file; by default that of the installed rlgym-tools. Raises ValueError if it is not
    there or holds something else."""
    shots = _shots(path)
    one = shots[generator.integers(len(shots))]
    car, ball = one["car"], one["ball"]
    turned = teams[0] == 0 or (teams[1] > 0 and generator.random() < 0.5)
    shooters, others = teams[::-1] if turned else teams
    pitch, yaw, roll = car["euler_angles"]
    cars = [CarPlacement(tuple(car["position"]), yaw, pitch, roll, tuple(car["linear_velocity"]), boost=100.0)]
    taken = [ball["position"], car["position"]]
    for side in [-1.0] * (shooters - 1) + [1.0] * others:
        x = next(x for x in _PLACES if all(np.hypot(x - p[0], side * _GOAL_LINE - p[1]) > _GAP for p in taken))
        taken.append([x, side * _GOAL_LINE, 0.0])
        cars.append(CarPlacement((x, side * _GOAL_LINE, 17.0), -side * np.pi / 2))
    placement = Placement(cars, tuple(ball["position"]), tuple(ball["linear_velocity"]))
    if not turned:
        return placement
    placement = placement.turned()
    return Placement([*placement.cars[shooters:], *placement.cars[:shooters]], placement.ball_pos, placement.ball_vel)


@functools.lru_cache(maxsize=4)
def _shots(path: str | None) -> list[dict[str, Any]]:
    file = _of_rlgym_tools() if path is None else Path(path).expanduser()
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            shots = [shot for line in lines for shot in json.loads(line)["shots"]]
        shots = [shot for shot in shots if all(is_inside(shot[what]["position"]) for what in ("ball", "car"))]
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} holds no training packs: {type(error).__name__}: {error}") from error
    if not shots:
        raise ValueError(f"{file} holds no shots")
    return shots


def _of_rlgym_tools() -> Path:
    spec = importlib.util.find_spec("rlgym_tools")
    if spec is None or spec.origin is None:
        raise ValueError("rlgym-tools is not installed: pip install --no-deps rlgym-tools, or give the path of a file")
    return Path(spec.origin).parent / _FILE
