"""RLGym's state mutators as resets: what a mutator does to RLGym's first state is where an episode starts."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rlbot.env.rlgym.states import kickoff, seeded
from rlbot.sim import CarPlacement, Placement
from rlbot.sim.placement import angles
from rlbot.values.target import PartError, call

try:
    from rlgym.rocket_league.common_values import BLUE_TEAM, OCTANE
except ImportError as error:
    raise ImportError("RLGym's parts need RLGym: pip install 'rlbot-trainer[rlgym]'") from error


class RLGymReset:
    """A state mutator of RLGym's as a reset of one's own: OwnReset(0.2, RLGymReset(RandomPhysicsMutator), "random").

    It gets a state with the cars of the arena (blue-0, ...) at a kickoff, and an empty `shared_info`. Of what it leaves
    there count places, rotations, velocities and boost of the cars, the ball but for its rotation, and the boost pads;
    jumps, flips and demolitions do not. Its random numbers are those of NumPy and of Python, seeded for each start.
    """

    def __init__(self, make: Callable[[], Any], label: str = "an RLGym state mutator") -> None:
        """`make` is called once. Raises PartError if it fails. `label`: what messages call it."""
        self._mutator = call(label, make)

    def __call__(self, generator: np.random.Generator, sizes: tuple[int, int]) -> Placement:
        """The start of an episode for (blue, orange) cars. Raises PartError if the mutator changes the number of cars
        of a team, the hitbox, gravity, the use of boost or the dead zone of dodges."""
        with seeded(generator):
            state = kickoff(sizes)
            self._mutator.apply(state, {})
        return _placement(state, sizes)


def _placement(state: Any, sizes: tuple[int, int]) -> Placement:
    config = state.config
    if (config.gravity, config.boost_consumption, config.dodge_deadzone) != (1, 1, 0.5):
        raise PartError("gravity, boost_consumption and dodge_deadzone stay 1, 1 and 0.5 here")
    cars = sorted(state.cars.values(), key=lambda car: int(car.team_num))  # in the order of the slots: blue first
    blue = sum(car.team_num == BLUE_TEAM for car in cars)
    if (blue, len(cars) - blue) != sizes:
        raise PartError(f"leaves {blue} blue and {len(cars) - blue} orange cars; the arena has {sizes[0]}, {sizes[1]}")
    if any(car.hitbox_type != OCTANE for car in cars):
        raise PartError("every car has the hitbox of the Octane here")
    pos, vel, spin = (_three(getattr(state.ball, name)) for name in ("position", "linear_velocity", "angular_velocity"))
    pads = np.asarray(state.boost_pad_timers, float)
    return Placement([_car(car) for car in cars], pos, vel, spin, pads.tolist() if pads.any() else ())


def _car(car: Any) -> CarPlacement:
    body = car.physics
    yaw, pitch, roll = angles(np.asarray(body.forward, float), np.asarray(body.up, float))
    motion = _three(body.linear_velocity), _three(body.angular_velocity)
    return CarPlacement(_three(body.position), yaw, pitch, roll, *motion, float(car.boost_amount))


def _three(vector: Any) -> tuple[float, float, float]:
    x, y, z = np.asarray(vector, float).tolist()
    return x, y, z
