"""A batch of RocketSim arenas: apply controls, step the physics, copy the state into arrays."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import RocketSim
from numba import njit
from numpy.typing import NDArray

from rlbot.sim import snapshot as codec
from rlbot.sim.exact import make_arena, settle
from rlbot.sim.state import CAR, CAR_WIDTH, EXTRA_OFFSET, MAX_CARS, PADS, State

TICKS_PER_SECOND = 120
CONTROLS = 8  # throttle, steer, pitch, yaw, roll, jump, boost, handbrake
_CONTROL_BYTES = CONTROLS * 4
_MAX_CACHED_CONTROLS = 4096
_GROUND_Z = 18.0  # a car placed at most this high with level wheels stands on the ground (it rests at 17)
_POSITION, _VELOCITY, _SPIN = (
    slice(at, at + 3)
    for at in (int(CAR.fields[name][1]) // 4 for name in ("pos", "vel", "ang_vel"))  # type: ignore[index]
)
_write_extras = struct.Struct("=8f").pack_into


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
    whose exact timer is to be read, and demolished cars whose respawn falls into the next step."""
    count = 0
    for n in range(len(after)):
        for i in range(PADS):
            if after[n].pad_active[i] > 0:
                after[n].pad_timer[i] = 0.0
            elif before[n].pad_active[i] > 0:
                events[count, 0], events[count, 1] = n, i
                count += 1
            else:
                after[n].pad_timer[i] = max(before[n].pad_timer[i] - seconds, 0.0)
        for slot in range(MAX_CARS):
            if cars[n, slot].is_demoed > 0 and cars[n, slot].demo_timer <= seconds:
                events[count, 0], events[count, 1] = n, PADS + slot
                count += 1
    return count


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
        self._controls: dict[bytes, Any] = {}
        self._events = np.zeros((len(slots) * (PADS + MAX_CARS), 2), np.int64)
        self._targets: WeakKeyDictionary[State, list[tuple[Any, ...]]] = WeakKeyDictionary()

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
        keys, first = controls.tobytes(), 0
        cached, delay, ticks = self._controls, self.action_delay, self.tick_skip - self.action_delay
        for arena, cars, target in zip(self._arenas, self._cars, self._write_targets(after), strict=True):
            if delay:
                arena.step(delay)
            for car in cars:
                key = keys[first : first + _CONTROL_BYTES]
                first += _CONTROL_BYTES
                car.set_controls(cached.get(key) or self._make_controls(key))
            arena.step(ticks)
            _read(arena.get_gym_state(), cars, target)
        seconds = self.tick_skip / TICKS_PER_SECOND
        count = _advance_timers(before.arenas, after.arenas, after.cars, seconds, self._events)
        for n, which in self._events[:count].tolist():
            if which < PADS:
                pad = self._arenas[n].get_boost_pads()[which]
                after.pad_timer[n, which] = pad.get_state().cooldown
            else:
                self._respawn(n, which - PADS, after)

    def _respawn(self, n: int, slot: int, state: State) -> None:
        """Respawn a car at most one step early, with a seed drawn from the state.

        Left to itself RocketSim draws the place from a generator that cannot be seeded: no episode could be repeated.
        """
        seed = int(state.arenas[n : n + 1].view(np.uint32)[4:8].sum()) & 0x7FFFFFFF
        self._cars[n][self.slots[n].index(slot)].respawn(seed)
        _read(self._arenas[n].get_gym_state(), self._cars[n], self._write_targets(state)[n])

    def place(self, n: int, placement: Placement, state: State) -> None:
        """Start arena n afresh and read it into `state`: all pads full; the counts of the cars begin anew, the score
        goes on. What follows is a function of the placement and the controls alone (see `rlbot.sim.exact`)."""
        arena, cars = self._arenas[n], self._cars[n]
        settle(arena, cars)
        arena.ball.set_state(_ball_state(placement))
        for car, start in zip(cars, placement.cars, strict=True):
            car.set_state(car_state(start))
        for pad in arena.get_boost_pads():
            pad.set_state(codec.FULL_PAD)
        self.read(n, state)

    def read(self, n: int, state: State) -> None:
        """Copy the whole state of arena n, pad timers included, into `state`."""
        arena = self._arenas[n]
        _read(arena.get_gym_state(), self._cars[n], self._write_targets(state)[n])
        state.pad_timer[n] = [pad.get_state().cooldown for pad in arena.get_boost_pads()]

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """Everything RocketSim lets one read and set, as arrays: see `rlbot.sim.snapshot`."""
        return codec.encode(self._arenas, self._cars, self.slots)

    def restore(self, snapshot: dict[str, NDArray[np.float32]]) -> None:
        """Put every arena into the state of `snapshot()`; counts begin anew, scores go on. What follows is a function
        of the snapshot and the controls alone (see `rlbot.sim.exact`). Raises ValueError where the snapshot is of
        another number of arenas."""
        codec.decode(snapshot, self._arenas, self._cars, self.slots)

    def _make_controls(self, key: bytes) -> Any:
        throttle, steer, pitch, yaw, roll, jump, boost, handbrake = struct.unpack("=8f", key)
        made = RocketSim.CarControls(
            throttle, steer, pitch, yaw, roll, jump=jump > 0, boost=boost > 0, handbrake=handbrake > 0
        )
        made.clamp_fix()
        if len(self._controls) >= _MAX_CACHED_CONTROLS:  # continuous actions never repeat
            self._controls.clear()
        self._controls[key] = made
        return made

    def _write_targets(self, state: State) -> list[tuple[Any, ...]]:
        """For each arena where in `state` its rows go, made once a state: slicing takes longer than copying."""
        found = self._targets.get(state)
        if found is not None:
            return found
        arenas = state.arenas.view(np.float32).reshape(len(self), -1)
        cars = state.cars.view(np.float32).reshape(len(self), MAX_CARS, CAR_WIDTH)
        raw = state.cars.reshape(-1).view(np.uint8).data
        targets = [
            (
                arenas[n, 0:4],
                arenas[n, 4:29],
                state.pad_active[n],
                [cars[n, slot, :36] for slot in occupied],
                raw,
                [(n * MAX_CARS + slot) * CAR.itemsize + EXTRA_OFFSET for slot in occupied],
            )
            for n, occupied in enumerate(self.slots)
        ]
        self._targets[state] = targets
        return targets


def _read(gym_state: tuple[Any, ...], cars: list[Any], target: tuple[Any, ...]) -> None:
    """Copy one arena: the rows of get_gym_state() in blue's frame, and of each car what decides its next jump."""
    info, pads, ball, *rows = gym_state
    to_info, to_ball, to_pads, to_cars, raw, extras = target
    to_info[:] = info
    to_ball[:] = ball[0]
    to_pads[:] = pads[0]
    for row, to_car, car, at in zip(rows, to_cars, cars, extras, strict=True):
        to_car[:] = row[0]
        state = car.get_state()
        if state.is_demoed:  # the row tells where the last demolition was, which a restored car does not know
            to_car[_POSITION], to_car[_VELOCITY], to_car[_SPIN] = state.pos, state.vel, state.ang_vel
        _write_extras(
            raw,
            at,
            state.has_flip_or_jump(),
            state.has_jumped,
            state.has_double_jumped,
            state.has_flipped,
            state.air_time_since_jump,
            state.is_supersonic,
            state.demo_respawn_timer,
            state.handbrake_val,
        )


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
