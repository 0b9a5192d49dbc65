"""A batch of RocketSim arenas: apply controls, step the physics, copy the state into arrays."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import RocketSim
from numba import njit
from numpy.typing import NDArray

from rlbot.sim import calls
from rlbot.sim import snapshot as codec
from rlbot.sim.calls import Methods
from rlbot.sim.exact import make_arena, settle
from rlbot.sim.state import ARENA, CAR, GYM_ARENA, GYM_BALL, GYM_CAR, MAX_CARS, PADS, State

TICKS_PER_SECOND = 120
CONTROLS = 8  # throttle, steer, pitch, yaw, roll, jump, boost, handbrake
_CONTROL_KEY = f"V{CONTROLS * 4}"
_MAX_CACHED_CONTROLS = 4096
_SOON = 1e-3  # s, more than a pad's counted timer is ever off
_GROUND_Z = 18.0  # a car placed at most this high with level wheels stands on the ground (it rests at 17)
_BALL_END = GYM_ARENA + GYM_BALL  # in an arena's row of a state
# Where position, velocity and spin are in the rows of get_gym_state().
_BALL_AT, _CAR_AT = (
    tuple(slice(at, at + 3) for at in (int(record.fields[name][1]) // 4 - first for name in names))  # type: ignore[index]
    for record, first, names in (
        (ARENA, GYM_ARENA, ("ball_pos", "ball_vel", "ball_ang_vel")),
        (CAR, 0, ("pos", "vel", "ang_vel")),
    )
)


@dataclass(frozen=True)
class CarPlacement:
    """Where one car starts. Position uu, velocity uu/s, angular velocity rad/s, angles rad, boost 0 to 100."""

    pos: tuple[float, float, float]
    yaw: float
    pitch: float = 0.0
    roll: float = 0.0
    vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ang_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    boost: float = 100 / 3


@dataclass(frozen=True)
class Placement:
    """How an episode starts: the ball, and a car for each occupied slot, in the order of the slots."""

    cars: Sequence[CarPlacement]
    ball_pos: tuple[float, float, float] = (0.0, 0.0, 93.15)
    ball_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ball_ang_vel: tuple[float, float, float] = (0.0, 0.0, 0.0)


@njit(cache=True)
def _advance_timers(before, after, cars, seconds, events):  # type: ignore[no-untyped-def]
    """Count the timers of taken pads down. Lists in `events` (arena, pad or 34 + slot): pads taken during the step,
    whose exact timer is to be read, also those that came back and were taken again at once, and demolished cars."""
    count = 0
    for n in range(len(after)):
        for i in range(PADS):
            if after[n].pad_active[i] > 0:
                after[n].pad_timer[i] = 0.0
            else:
                after[n].pad_timer[i] = before[n].pad_timer[i] - seconds
                if before[n].pad_active[i] > 0 or after[n].pad_timer[i] < _SOON:
                    events[count, 0], events[count, 1] = n, i
                    count += 1
        for slot in range(MAX_CARS):
            if cars[n, slot].is_demoed > 0:
                events[count, 0], events[count, 1] = n, PADS + slot
                count += 1
    return count


class _Controls(dict[bytes, tuple[Any]]):
    """RocketSim's controls for eight numbers, given as their bytes, each as a tuple of one argument; made when they are
    first asked for."""

    def __missing__(self, key: bytes) -> tuple[Any]:
        throttle, steer, pitch, yaw, roll, jump, boost, handbrake = struct.unpack("=8f", key)
        made = RocketSim.CarControls(
            throttle, steer, pitch, yaw, roll, jump=jump > 0, boost=boost > 0, handbrake=handbrake > 0
        )
        made.clamp_fix()
        if len(self) >= _MAX_CACHED_CONTROLS:  # continuous actions never repeat
            self.clear()
        self[key] = (made,)
        return self[key]


class Arenas:
    """N soccar arenas of given team sizes, stepped together.

    `car_arena` and `car_slot`, both (C,), say which arena and slot each of the C cars present has: ordered by arena,
    then slot. Meshes must be loaded before (`load_meshes`).
    """

    def __init__(self, team_sizes: Sequence[tuple[int, int]], tick_skip: int, action_delay: int = 0) -> None:
        """`team_sizes`: (blue, orange) cars of each arena, at most 2 a team; `action_delay`: ticks of a step during
        which the previous controls still apply."""
        assert all(0 <= size <= 2 for sizes in team_sizes for size in sizes), team_sizes
        assert 0 <= action_delay < tick_skip, (action_delay, tick_skip)
        self.tick_skip, self.action_delay = tick_skip, action_delay
        slots = [[*range(blue), *range(2, 2 + orange)] for blue, orange in team_sizes]
        self.slots = slots
        self.present = np.zeros((len(slots), MAX_CARS), bool)
        for n, occupied in enumerate(slots):
            self.present[n, occupied] = True
        self.car_arena, self.car_slot = (index.astype(np.int64) for index in np.nonzero(self.present))
        made = [make_arena(occupied) for occupied in slots]
        self._arenas: list[Any] = [arena for arena, _ in made]
        self._cars: list[list[Any]] = [cars for _, cars in made]
        self._pads = [arena.get_boost_pads() for arena in self._arenas]
        self._controls = _Controls()
        self._events = np.zeros((len(slots) * (PADS + MAX_CARS), 2), np.int64)
        self._first_car = np.concatenate([[0], self.present.sum(1).cumsum()])
        self._broken = np.zeros(len(slots), np.int64)
        self._set_controls, self._get_states = Methods(self.num_cars), Methods(self.num_cars)
        self._steps, self._get_gym_states = Methods(len(slots)), Methods(len(slots))
        for n in range(len(slots)):
            self._bind(n)

    def _bind(self, n: int) -> None:
        """Look up the methods of arena n that a step calls."""
        arena, here, its_cars = self._arenas[n], slice(n, n + 1), slice(self._first_car[n], self._first_car[n + 1])
        calls.check(arena.get_gym_state(), [car.get_state() for car in self._cars[n]])
        self._steps[here], self._get_gym_states[here] = [arena.step], [arena.get_gym_state]
        self._set_controls[its_cars] = [car.set_controls for car in self._cars[n]]
        self._get_states[its_cars] = [car.get_state for car in self._cars[n]]

    def __len__(self) -> int:
        return len(self._arenas)

    @property
    def num_cars(self) -> int:
        return len(self.car_arena)

    def state(self, memory: NDArray[np.float32] | None = None) -> State:
        """An empty state for this batch, with `present` filled in."""
        state = State(len(self), memory)
        state.present[:] = self.present
        return state

    def step(self, controls: NDArray[np.float32], before: State, after: State) -> None:
        """Advance every arena by tick_skip ticks under `controls` (C, 8) and read the result into `after`.

        `before` is the state at the start of the step: the pads' timers are counted on from it.
        """
        assert controls.shape == (self.num_cars, CONTROLS) and controls.dtype == np.float32
        if self.action_delay:
            self._advance((self.action_delay,))
        self._apply(controls)
        self._advance((self.tick_skip - self.action_delay,))
        self._read(0, len(self), after)
        seconds = self.tick_skip / TICKS_PER_SECOND
        count = _advance_timers(before.arenas, after.arenas, after.cars, seconds, self._events)
        for n, which in self._events[:count].tolist():
            if which < PADS:
                after.pad_timer[n, which] = self._pads[n][which].get_state().cooldown
            else:
                self._read_demolished(n, which - PADS, after)
                if after.car_demo_timer[n, which - PADS] <= seconds:
                    self._respawn(n, which - PADS, after)

    def _advance(self, ticks: tuple[int]) -> None:
        calls.step(self._steps.addresses, id(ticks))

    def _apply(self, controls: NDArray[np.float32]) -> None:
        done = calls.apply(controls, self._set_controls.addresses, id(self._controls))
        if done < len(controls):  # these controls are new, those after them may be
            keys = np.frombuffer(controls[done:].tobytes(), _CONTROL_KEY).tolist()
            for set_controls, key in zip(self._set_controls[done:], keys, strict=True):
                set_controls(*self._controls[key])

    def _respawn(self, n: int, slot: int, state: State) -> None:
        """Respawn a car at most one step early, with a seed drawn from the state.

        Left to itself RocketSim draws the place from a generator that cannot be seeded: no episode could be repeated.
        """
        seed = int(state.arenas[n : n + 1].view(np.uint32)[4:8].sum()) & 0x7FFFFFFF
        self._cars[n][self.slots[n].index(slot)].respawn(seed)
        self._read_one(n, state)

    def _read_demolished(self, n: int, slot: int, state: State) -> None:
        """get_gym_state() tells where the last demolition was, which a restored car does not know, and how the car was
        turned a tick ago."""
        car, real = state.cars[n, slot], self._cars[n][self.slots[n].index(slot)].get_state()
        car["pos"], car["vel"], car["ang_vel"] = real.pos, real.vel, real.ang_vel
        car["forward"], car["right"], car["up"] = real.rot_mat.forward, real.rot_mat.right, real.rot_mat.up
        car["quat"] = car["euler"] = 0  # not told, and of no use
        car["demo_timer"] = real.demo_respawn_timer

    def place(self, n: int, placement: Placement, state: State) -> None:
        """Start arena n afresh and read it into `state`: all pads full; the counts of the cars begin anew, the score
        goes on. What follows is a function of the placement and the controls alone (see `rlbot.sim.exact`)."""
        arena, cars = self._arenas[n], self._cars[n]
        settle(arena, cars)
        arena.ball.set_state(_ball_state(placement))
        for car, start in zip(cars, placement.cars, strict=True):
            car.set_state(car_state(start))
        for pad in self._pads[n]:
            pad.set_state(codec.FULL_PAD)
        self._read_one(n, state)
        state.pad_timer[n] = 0.0

    def rebuild(self, n: int) -> None:
        """A new arena n, to be placed next, 20 ms. NaN stays in what cannot be set: a ball that had it never falls
        again."""
        self._arenas[n], self._cars[n] = make_arena(self.slots[n])
        self._pads[n] = self._arenas[n].get_boost_pads()
        self._bind(n)

    def read(self, n: int, state: State) -> None:
        """Copy the whole state of arena n, pad timers included, into `state`."""
        self._read_one(n, state)
        state.pad_timer[n] = [pad.get_state().cooldown for pad in self._pads[n]]

    def _read(self, start: int, stop: int, state: State) -> None:
        """Copy arenas [start, stop) into `state`, their pads' timers and what is only known of the demolished aside."""
        count = calls.read(
            start, stop, self._get_gym_states.addresses, self._get_states.addresses, self._first_car, self.car_slot,
            calls.MORE, state.arena_rows, state.car_rows, state.cars, self._broken,
        )  # fmt: skip
        for n in self._broken[:count].tolist():
            self._read_broken(n, state)

    def _read_one(self, n: int, state: State) -> None:
        """Copy arena n into `state`, its pads' timers aside."""
        self._read(n, n + 1, state)
        for slot in self.slots[n]:
            if state.car_is_demoed[n, slot]:
                self._read_demolished(n, slot, state)

    def _read_broken(self, n: int, state: State) -> None:
        """RocketSim found NaN in the ball or in a car and shows nothing of them: place and motion as they are, and NaN
        for what is derived from them, so that nobody takes it for an older one."""
        ball = state.arena_rows[n, GYM_ARENA:_BALL_END]
        things = [(ball, _BALL_AT, self._arenas[n].ball.get_state())]
        rows = (state.car_rows[n, slot, :GYM_CAR] for slot in self.slots[n])
        things += [(row, _CAR_AT, car.get_state()) for row, car in zip(rows, self._cars[n], strict=True)]
        for row, (pos, vel, spin), real in things:
            row[pos.start :] = np.nan
            row[pos], row[vel], row[spin] = real.pos, real.vel, real.ang_vel

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """Everything RocketSim lets one read and set, as arrays: see `rlbot.sim.snapshot`."""
        return codec.encode(self._arenas, self._cars, self.slots)

    def restore(self, snapshot: dict[str, NDArray[np.float32]]) -> None:
        """Put every arena into the state of `snapshot()`; counts begin anew, scores go on. What follows is a function
        of the snapshot and the controls alone (see `rlbot.sim.exact`). Raises ValueError where the snapshot is of
        another number of arenas."""
        codec.decode(snapshot, self._arenas, self._cars, self.slots)


def _ball_state(placement: Placement) -> Any:
    return RocketSim.BallState(
        pos=RocketSim.Vec(*placement.ball_pos),
        vel=RocketSim.Vec(*placement.ball_vel),
        ang_vel=RocketSim.Vec(*placement.ball_ang_vel),
    )


def car_state(start: CarPlacement) -> Any:
    """RocketSim's state of a car that starts like this."""
    grounded = start.pos[2] <= _GROUND_Z and start.pitch == start.roll == 0
    return RocketSim.CarState(
        pos=RocketSim.Vec(*start.pos),
        vel=RocketSim.Vec(*start.vel),
        ang_vel=RocketSim.Vec(*start.ang_vel),
        rot_mat=RocketSim.Angle(start.yaw, start.pitch, start.roll).as_rot_mat(),
        is_on_ground=grounded,
        wheels_with_contact=(grounded,) * 4,
        boost=start.boost,
    )
