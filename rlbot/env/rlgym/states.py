"""RLGym's GameState of every arena, made from the arrays of a batch.

Every field is filled as RLGym's own engine does it. The arrays in it are views of copies that nobody changes later, so
a part may keep a state as long as it likes. On RocketSim v3, which does not keep them, `supersonic_time` is exact to a
step and `jump_time` to a jump.
"""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rlbot.sim import State
from rlbot.sim.arenas import Arenas

try:
    from rlgym.rocket_league.api import Car, GameConfig, GameState, PhysicsObject
    from rlgym.rocket_league.common_values import GOAL_THRESHOLD, OCTANE
    from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, KickoffMutator
except ImportError as error:
    raise ImportError("RLGym's parts need RLGym: pip install 'rlbot-trainer[rlgym]'") from error


class GameStates:
    """Makes the GameStates of a batch. `agents`: the names of the cars of each arena, in the order of the slots, as
    RLGym's FixedTeamSizeMutator gives them: blue-0, blue-1, orange-0, ..."""

    def __init__(self, arenas: Arenas) -> None:
        self._arenas = arenas
        self.agents = [_names(*sizes) for sizes in arenas.team_sizes]
        self._config = _config()

    def read(self, state: State, ticks: Iterable[int]) -> list[Any]:
        """The GameStates of all arenas after a step or a reset. `ticks` (N,): ticks since each episode began."""
        rows = state.arenas.copy()
        cars = iter(self._cars(state))
        turned = np.stack([rows["ball_forward"], rows["ball_right"], rows["ball_up"]], axis=2)
        balls = zip(rows["ball_pos"], rows["ball_vel"], rows["ball_ang_vel"], turned, strict=True)
        scored = (np.abs(rows["ball_pos"][:, 1]) > GOAL_THRESHOLD).tolist()
        states = []
        for names, ball, goal, pads, tick in zip(self.agents, balls, scored, rows["pad_timer"], ticks, strict=True):
            game = GameState()
            game.tick_count, game.goal_scored, game.config = tick, goal, self._config
            game.ball = _body(*ball)
            game.cars = {name: next(cars) for name in names}
            for car in game.cars.values():
                if (other := car.bump_victim_id) is not None:
                    car.bump_victim_id = names[other]
            game.boost_pad_timers = pads
            states.append(game)
        return states

    def _cars(self, state: State) -> Iterable[Any]:
        """The cars of all arenas; `bump_victim_id` is still an index into the arena's cars."""
        arenas = self._arenas
        rows, more = state.cars[arenas.car_arena, arenas.car_slot], arenas.details()
        first = np.searchsorted(arenas.car_arena, arenas.car_arena)
        turned = np.stack([rows["forward"], rows["right"], rows["up"]], axis=2)
        columns = [arenas.car_team, *(rows[name] for name in _FROM_STATE)]
        columns += [*(more[name] for name in _FROM_DETAILS), more["bumped"] - first]
        numbers = zip(*(column.tolist() for column in columns), strict=True)
        bodies = zip(rows["pos"], rows["vel"], rows["ang_vel"], turned, more["flip_torque"], strict=True)
        for values, (pos, vel, spin, rotation, torque) in zip(numbers, bodies, strict=True):
            car = Car()
            (
                car.team_num, car.boost_amount, car.demo_respawn_timer, car.handbrake, jumped, double_jumped, flipped,
                car.air_time_since_jump, wheels, car.supersonic_time, car.boost_active_time, car.is_jumping,
                car.is_holding_jump, car.jump_time, car.flip_time, car.is_autoflipping, car.autoflip_timer,
                car.autoflip_direction, car.ball_touches, bumped,
            ) = values  # fmt: skip
            car.has_jumped, car.has_double_jumped, car.has_flipped = jumped > 0, double_jumped > 0, flipped > 0
            car.wheels_with_contact, car.flip_torque, car.hitbox_type = tuple(wheels), torque, OCTANE
            car.bump_victim_id = bumped if bumped >= 0 else None
            car.physics = _body(pos, vel, spin, rotation)
            yield car


def kickoff(sizes: tuple[int, int]) -> Any:
    """A GameState of (blue, orange) cars at a kickoff, as RLGym's own state mutators make it; which of the kickoffs is
    drawn from NumPy's own random numbers. Raises ValueError if RLGym cannot make it."""
    state = GameState()
    state.tick_count, state.goal_scored, state.config = 0, False, _config()
    state.ball, state.cars, state.boost_pad_timers = PhysicsObject(), {}, np.zeros(34, np.float32)
    FixedTeamSizeMutator(*sizes).apply(state, {})
    KickoffMutator().apply(state, {})
    state.ball.rotation_mtx = np.eye(3, dtype=np.float32)
    for car in state.cars.values():
        car.bump_victim_id = None
    return state


@contextmanager
def seeded(generator: np.random.Generator) -> Iterator[None]:
    """Python's and NumPy's own random numbers follow from `generator`, and go on afterwards as if nothing had been."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - those that RLGym's parts draw from
    one, other = generator.integers(2**32, size=2).tolist()
    random.seed(one)
    np.random.seed(other)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def _config() -> Any:
    config = GameConfig()
    config.gravity, config.boost_consumption, config.dodge_deadzone = 1, 1, 0.5
    return config


_FROM_STATE = (
    "boost", "demo_timer", "handbrake", "has_jumped", "has_double_jumped", "has_flipped", "air_time_since_jump",
)  # fmt: skip
_FROM_DETAILS = (
    "wheels", "supersonic_time", "boosting_time", "is_jumping", "holds_jump", "jump_time", "flip_time",
    "is_auto_flipping", "auto_flip_timer", "auto_flip_direction", "touches",
)  # fmt: skip


def _body(pos: Any, vel: Any, spin: Any, rotation: Any) -> Any:
    body = PhysicsObject()
    body.position, body.linear_velocity, body.angular_velocity, body._rotation_mtx = pos, vel, spin, rotation
    return body


def _names(blue: int, orange: int) -> list[str]:
    return [*(f"blue-{i}" for i in range(blue)), *(f"orange-{i}" for i in range(orange))]
