"""A batch of arenas of RocketSim v2: apply controls, step the physics, copy the state into arrays."""

import struct
from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter, methodcaller
from typing import Any

import numpy as np
import RocketSim
from numba import njit
from numpy.typing import NDArray

from rlbot.sim import arenas
from rlbot.sim.arenas import CONTROLS, TICKS_PER_SECOND
from rlbot.sim.details import DETAILS, NO_CAR
from rlbot.sim.placement import CarPlacement, Placement
from rlbot.sim.rocketsim2 import snapshot as codec
from rlbot.sim.rocketsim2.exact import make_arena, settle
from rlbot.sim.state import ARENA, CAR, GYM_ARENA, GYM_BALL, GYM_CAR, PADS, State

_CONTROL_KEY = f"V{CONTROLS * 4}"
_MAX_CACHED_CONTROLS = 4096
_SOON = 1e-3  # s, larger than the rounding error of a timer that is counted down
_FLIP_TIME = 1.25  # s after a jump in which a second jump or a flip is possible: RocketSim's DOUBLEJUMP_MAX_DELAY
_GROUND_Z = 18.0  # a car placed at most this high with level wheels stands on the ground (it rests at 17)
_BALL_END = GYM_ARENA + GYM_BALL  # column of an arena's row
# The columns of position, velocity and angular velocity in the rows of get_gym_state().
_BALL_AT, _CAR_AT = (
    tuple(slice(at, at + 3) for at in (int(record.fields[name][1]) // 4 - first for name in names))  # type: ignore[index]
    for record, first, names in (
        (ARENA, GYM_ARENA, ("ball_pos", "ball_vel", "ball_ang_vel")),
        (CAR, 0, ("pos", "vel", "ang_vel")),
    )
)


# Fields of a car's get_state() that get_gym_state() lacks. Its next jump and its grip depend on them.
_MORE = {
    "has_jumped": "?", "has_double_jumped": "?", "has_flipped": "?", "is_supersonic": "?", "air_time_since_jump": "f",
    "handbrake_val": "f",
}  # fmt: skip
_MORE_RECORD = np.dtype(list(_MORE.items()))
_MORE_PACKED = "".join(_MORE.values())

# These are called with `map`, without Python code in between. The arrays of an arena are copied before those of the
# next one are made, while they are in the CPU's cache.
_get_state, _more_of, _transposed = methodcaller("get_state"), attrgetter(*_MORE), attrgetter("T")


def _gym_bytes(arena: Any) -> bytes:
    """Returns the arrays of get_gym_state(), one after the other, or no bytes if RocketSim refuses because some numbers
    are NaN. Raises any other error."""
    try:
        return b"".join(map(_transposed, arena.get_gym_state()))
    except RuntimeError as error:
        if "NaN" not in str(error):
            raise
        return b""


@njit(cache=True)
def _take(gym, arenas, more, first, first_car, slots, arena_rows, car_rows, cars):  # type: ignore[no-untyped-def]
    """Copies what was read of these `arenas` into a state, except the pad timers.

    `gym`: the numbers of their get_gym_state(), in which pads, ball and cars each come twice, as seen by blue and by
    orange. `more`: the fields _MORE of the cars from number `first` on. `first_car`[n]: the first car of arena n.
    `slots`: the slot of each car, in the order in which they were added.
    """
    at = 0
    for n in arenas:
        arena = arena_rows[n]
        arena[:GYM_ARENA] = gym[at : at + GYM_ARENA]
        at += GYM_ARENA
        arena[_BALL_END : _BALL_END + PADS] = gym[at : at + 2 * PADS : 2]
        at += 2 * PADS
        arena[GYM_ARENA:_BALL_END] = gym[at : at + 2 * GYM_BALL : 2]
        at += 2 * GYM_BALL
        for c in range(first_car[n], first_car[n + 1]):
            car_rows[n, slots[c], :GYM_CAR] = gym[at : at + 2 * GYM_CAR : 2]
            at += 2 * GYM_CAR
            car, real = cars[n, slots[c]], more[c - first]
            car.has_jumped, car.has_double_jumped, car.has_flipped = (
                real.has_jumped, real.has_double_jumped, real.has_flipped,
            )  # fmt: skip
            car.is_supersonic = real.is_supersonic
            car.air_time_since_jump, car.handbrake = real.air_time_since_jump, real.handbrake_val
            spent = car.has_double_jumped > 0 or car.has_flipped > 0 or car.air_time_since_jump >= _FLIP_TIME
            car.has_flip = 1.0 if car.on_ground > 0 or not spent else 0.0
            car.demo_timer = 0.0  # for demolished cars it is read later


@njit(cache=True)
def _advance_timers(before, after, cars, seconds, events):  # type: ignore[no-untyped-def]
    """Counts the timers of taken pads down, and lists in `events` (arena, pad or 34 + slot) what must be read by
    itself: pads that were taken during the step, also if they had just come back, and demolished cars."""
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
        for slot in range(cars.shape[1]):
            if cars[n, slot].is_demoed > 0:
                events[count, 0], events[count, 1] = n, PADS + slot
                count += 1
    return count


# Of a car's get_state(), in the order of DETAILS; the last three become its car bumped and its touches.
_details_of = attrgetter(
    "wheels_with_contact", "supersonic_time", "time_spent_boosting", "is_jumping", "last_controls.jump", "jump_time",
    "flip_time", "flip_rel_torque", "is_auto_flipping", "auto_flip_timer", "auto_flip_torque_scale", "car_contact_id",
    "car_contact_cooldown_timer",
)  # fmt: skip


class _Controls(dict[bytes, Any]):
    """RocketSim's controls by the bytes of eight numbers; each is made when it is first needed."""

    def __missing__(self, key: bytes) -> Any:
        throttle, steer, pitch, yaw, roll, jump, boost, handbrake = struct.unpack("=8f", key)
        made = RocketSim.CarControls(
            throttle, steer, pitch, yaw, roll, jump=jump > 0, boost=boost > 0, handbrake=handbrake > 0
        )
        made.clamp_fix()
        if len(self) >= _MAX_CACHED_CONTROLS:  # continuous actions never repeat
            self.clear()
        self[key] = made
        return made


class Arenas(arenas.Arenas):
    """`rlbot.sim.rocketsim2.exact` explains why equal initial states have equal next states."""

    def __init__(
        self,
        team_sizes: Sequence[tuple[int, int]],
        tick_skip: int,
        action_delay: int = 0,
        team_slots: int | None = None,
        orange_first: Sequence[bool] = (),
    ) -> None:
        super().__init__(team_sizes, tick_skip, action_delay, team_slots, orange_first)
        # Cars are by slot, added cars in the order in which they were added, which is also that of get_gym_state().
        self._added_slots = [
            [*slots[blue:], *slots[:blue]] if first else slots
            for slots, (blue, _), first in zip(self.slots, self.team_sizes, self.orange_first, strict=True)
        ]
        self._added_slot = np.array([*chain.from_iterable(self._added_slots)], np.int64)
        self._arenas: list[Any] = [None] * len(self)
        self._added: list[list[Any]] = [[]] * len(self)
        self._cars: list[list[Any]] = [[]] * len(self)
        self._pads: list[list[Any]] = [[]] * len(self)
        for n in range(len(self)):
            self._make(n)
        self._controls = _Controls()
        self._events = np.zeros((len(self) * (PADS + 2 * self.team_slots), 2), np.int64)
        self._first_car = np.concatenate([[0], self.present.sum(1).cumsum()])
        self._touches: list[int] | None = None  # of each car, counted once they are asked for

    def _make(self, n: int) -> None:
        """Makes arena n with its cars."""
        arena, added = make_arena(self.team_sizes[n], self.orange_first[n])
        by_slot = dict(zip(self._added_slots[n], added, strict=True))
        self._arenas[n], self._added[n], self._pads[n] = arena, added, arena.get_boost_pads()
        self._cars[n] = [by_slot[slot] for slot in self.slots[n]]

    def step(self, controls: NDArray[np.float32], before: State, after: State) -> None:
        """The pad timers are those of `before`, counted down."""
        assert controls.shape == (self.num_cars, CONTROLS) and controls.dtype == np.float32
        if self.action_delay:
            self._advance(self.action_delay)
        self._apply(controls)
        self._advance(self.tick_skip - self.action_delay)
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

    def _advance(self, ticks: int) -> None:
        for arena in self._arenas:
            arena.step(ticks)

    def _apply(self, controls: NDArray[np.float32]) -> None:
        keys = np.frombuffer(controls.tobytes(), _CONTROL_KEY).tolist()
        made = map(self._controls.__getitem__, keys)
        for car, controls_of_car in zip(chain.from_iterable(self._cars), made, strict=True):
            car.set_controls(controls_of_car)

    def _respawn(self, n: int, slot: int, state: State) -> None:
        """Respawns a car at most one step early, with a seed that depends on the state.

        RocketSim itself would draw the position from a generator that cannot be seeded; no episode could be repeated.
        """
        seed = int(state.arenas[n : n + 1].view(np.uint32)[4:8].sum()) & 0x7FFFFFFF
        self._cars[n][self.slots[n].index(slot)].respawn(seed)
        self._read_one(n, state)

    def _read_demolished(self, n: int, slot: int, state: State) -> None:
        """Reads a demolished car. get_gym_state() does not serve: it gives the position of the last demolition, which
        is unknown after a restore, and the rotation of the tick before."""
        car, real = state.cars[n, slot], self._cars[n][self.slots[n].index(slot)].get_state()
        car["pos"], car["vel"], car["ang_vel"] = real.pos, real.vel, real.ang_vel
        car["forward"], car["right"], car["up"] = real.rot_mat.forward, real.rot_mat.right, real.rot_mat.up
        car["quat"] = car["euler"] = 0  # get_state() lacks them, and nothing uses them
        car["demo_timer"] = real.demo_respawn_timer

    def place(self, n: int, placement: Placement, state: State) -> None:
        arena, cars = self._arenas[n], self._cars[n]
        settle(arena, cars)
        arena.ball.set_state(_ball_state(placement))
        for car, start in zip(cars, placement.cars, strict=True):
            car.set_state(car_state(start))
        for pad, left in zip(self._pads[n], placement.pads or [0.0] * PADS, strict=True):
            pad.set_state(codec.pad_state(left))
        self._read_one(n, state)
        state.pad_timer[n] = placement.pads or 0.0

    def rebuild(self, n: int) -> None:
        """Makes a new arena n, in 20 ms. The old one cannot be repaired: NaN stays in fields that cannot be set, and a
        ball that was NaN never falls again."""
        self._make(n)
        if self._touches is not None:
            self._count_touches(n, self._touches)

    def details(self) -> NDArray[np.void]:
        if self._touches is None:
            self._touches = [0] * self.num_cars
            for n in range(len(self)):
                self._count_touches(n, self._touches)
        rows: list[Any] = []
        for first, cars in zip(self._first_car.tolist(), self._cars, strict=False):
            index = {car.id: first + i for i, car in enumerate(cars)}
            for car in cars:
                *known, other, cooldown = _details_of(car.get_state())
                known[7] = known[7].as_tuple()
                bumped = index.get(other, NO_CAR) if cooldown > 0 else NO_CAR
                rows.append((*known, bumped, self._touches[len(rows)]))
        self._touches[:] = [0] * self.num_cars
        return np.array(rows, DETAILS)

    def _count_touches(self, n: int, touches: list[int]) -> None:
        index = {car.id: int(self._first_car[n]) + i for i, car in enumerate(self._cars[n])}

        def count(arena: Any, car: Any, data: Any) -> None:
            touches[index[car.id]] += 1

        self._arenas[n].set_ball_touch_callback(count)

    def read(self, n: int, state: State) -> None:
        self._read_one(n, state)
        state.pad_timer[n] = [pad.get_state().cooldown for pad in self._pads[n]]

    def _read(self, start: int, stop: int, state: State) -> None:
        """Copies arenas [start, stop) into `state`, except pad timers and demolished cars."""
        first, last = self._first_car[start], self._first_car[stop]
        gym = [*map(_gym_bytes, self._arenas[start:stop])]
        shown = np.array([n for n, numbers in enumerate(gym, start) if numbers], np.int64)
        more = chain.from_iterable(map(_more_of, map(_get_state, chain.from_iterable(self._added[start:stop]))))
        packed = struct.pack("=" + _MORE_PACKED * (last - first), *more)
        _take(
            np.frombuffer(b"".join(gym), np.float32), shown, np.frombuffer(packed, _MORE_RECORD), first,
            self._first_car, self._added_slot, state.arena_rows, state.car_rows, state.cars,
        )  # fmt: skip
        if len(shown) < len(gym):
            for n in sorted({*range(start, stop)} - {*shown.tolist()}):
                self._read_broken(n, state)

    def _read_one(self, n: int, state: State) -> None:
        """Copies arena n into `state`, except the pad timers."""
        self._read(n, n + 1, state)
        for slot in self.slots[n]:
            if state.car_is_demoed[n, slot]:
                self._read_demolished(n, slot, state)

    def _read_broken(self, n: int, state: State) -> None:
        """Reads an arena for which get_gym_state() refuses because something is NaN: positions and velocities as they
        are, and NaN for everything that is derived from them, so that it is not mistaken for an older state."""
        ball = state.arena_rows[n, GYM_ARENA:_BALL_END]
        things = [(ball, _BALL_AT, self._arenas[n].ball.get_state())]
        rows = (state.car_rows[n, slot, :GYM_CAR] for slot in self.slots[n])
        things += [(row, _CAR_AT, car.get_state()) for row, car in zip(rows, self._cars[n], strict=True)]
        for row, (pos, vel, spin), real in things:
            row[pos.start :] = np.nan
            row[pos], row[vel], row[spin] = real.pos, real.vel, real.ang_vel

    def snapshot(self) -> dict[str, NDArray[np.float32]]:
        """Returns everything that RocketSim can read and set: see `rlbot.sim.rocketsim2.snapshot`."""
        return codec.encode(self._arenas, self._cars, self.slots, 2 * self.team_slots)

    def restore(self, snapshot: Mapping[str, NDArray[np.float32]]) -> None:
        codec.decode(snapshot, self._arenas, self._cars, self.slots)


def _ball_state(placement: Placement) -> Any:
    return RocketSim.BallState(
        pos=RocketSim.Vec(*placement.ball_pos),
        vel=RocketSim.Vec(*placement.ball_vel),
        ang_vel=RocketSim.Vec(*placement.ball_ang_vel),
    )


def car_state(start: CarPlacement) -> Any:
    """Returns RocketSim's state of a car with this initial state."""
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
