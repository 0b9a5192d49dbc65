"""Records the play for the self-test of an exported bot: packets, and the policy's observations and actions for them.

The policy plays the cars in short scenes, tick by tick. What a policy may never do by itself (jump, flip, demolish,
pick up boost) is made to happen: one of the cars gets scripted controls.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import reset
from rlbot.env.observations import DEFAULT, SIX_CARS, Observation, observe
from rlbot.export.capture import Capture
from rlbot.policy import Bot
from rlbot.sim import PAD_POSITION, CarPlacement, Placement, make_arenas

ENGINE = "rocketsim2"  # installed everywhere, so that an export gives the same folder on every machine
ACTIVE = 3  # of RLBot's MatchPhase
FIRST_FRAME = 5000
PLAYER_IDS = np.array([23, 7, 41, 11])  # by slot
PACKET_SLOTS = [2, 0, 3, 1]  # order of the cars in packets, unlike that of the slots
SIX_PLAYER_IDS, SIX_PACKET_SLOTS = np.array([23, 7, 41, 11, 64, 5]), [3, 0, 4, 1, 5, 2]  # for teams of three
PACKET_PADS = np.lexsort((PAD_POSITION[:, 0], PAD_POSITION[:, 1]))[::-1]
TICKS = 64  # length of a scene
CLEAR = 1e-3  # lead of the most likely action's logit that counts as clear; far above float32 rounding errors
SEEDS = 20  # tried for a scene until it is always clear whether the car is on the ground
FORWARD, BOOST, JUMP, FLIP = (
    np.array(row, np.float32)
    for row in ((1, 0, 0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0, 1, 0), (0, 0, 0, 0, 0, 1, 0, 0), (1, 0, -1, 0, 0, 1, 0, 1))
)
HANDBRAKE = np.array((1, 1, 0, 1, 0, 0, 0, 1), np.float32)
RELEASED = np.zeros(8, np.float32)


Script = tuple[tuple[int, NDArray[np.float32] | None], ...]


@dataclass(frozen=True)
class Scene:
    """`sizes`: blue and orange cars, which are numbered in this order; `own`: the car whose decisions are compared;
    `start`: a placement or a kind of reset; `scripts`: for a car, controls as (first tick, controls), or None if the
    policy plays it."""

    sizes: tuple[int, int]
    own: int
    start: Placement | str
    scripts: Mapping[int, Script] = field(default_factory=dict)
    ticks: int = TICKS


def scenes(largest_team: int = 2) -> list[Scene]:
    """The scenes of the self-test. In every team size, the own car and another car each jump, double jump, flip, are
    demolished and take a boost pad at least once. With a `largest_team` of 3 there are some in larger teams, too."""
    flip = ((0, RELEASED), (4, JUMP), (16, RELEASED), (24, FLIP), (32, RELEASED))
    double_jump = ((0, JUMP), (20, RELEASED), (30, JUMP), (34, None))
    slide = ((0, HANDBRAKE), (30, FORWARD), (50, HANDBRAKE))
    beside_pad, away = (
        CarPlacement((-3584, -500, 17), pi / 2, vel=(0, 1400, 0), boost=10),
        CarPlacement((1e3, 2500, 17), 0),
    )
    fetch = Placement((beside_pad, away), (2000, 0, 93))
    victim, hunter = CarPlacement((0, 500, 17), 0), CarPlacement((0, 1000, 17), -pi / 2, vel=(0, -2290, 0), boost=100)
    hunt = {0: ((0, RELEASED),), 1: ((0, BOOST),)}
    demolition = Placement((victim, hunter), (2500, 2500, 93))
    return [
        Scene((1, 1), 0, "kickoff"),
        Scene((2, 2), 3, "kickoff"),
        Scene((1, 1), 0, "near_ball", {0: flip}, 96),
        Scene((1, 2), 1, "near_ball", {2: flip}, 96),
        Scene((2, 2), 1, "near_ball", {1: double_jump}),
        Scene((1, 1), 1, "anywhere", {0: double_jump}),
        Scene((1, 1), 0, fetch, {0: ((0, FORWARD),)}),
        Scene((1, 1), 1, fetch, {0: ((0, FORWARD),)}),
        Scene((2, 1), 1, "anywhere", {1: slide}),
        Scene((1, 1), 0, demolition, hunt),
        Scene((1, 1), 1, demolition, hunt),
        Scene((2, 2), 0, "airborne"),
        Scene((1, 2), 2, "airborne"),
    ] + [
        Scene((3, 3), 4, "kickoff"),
        Scene((3, 3), 2, "near_ball"),
        Scene((2, 3), 3, "anywhere"),
        Scene((1, 3), 2, "near_ball"),
        Scene((3, 1), 1, "airborne"),
    ] * (largest_team > 2)


@dataclass
class Recording:
    """Arrays of `self_test.npz`, in lists that grow."""

    player_id: list[int] = field(default_factory=list)  # the own car, for every packet
    first: list[bool] = field(default_factory=list)  # packet of a scene
    info: list[tuple[int, int]] = field(default_factory=list)  # frame number and phase
    ball: list[NDArray[np.float32]] = field(default_factory=list)
    pads: list[NDArray[np.float32]] = field(default_factory=list)
    cars: list[NDArray[np.float32]] = field(default_factory=list)
    observations: list[NDArray[np.float32]] = field(default_factory=list)  # for every decision
    controls: list[NDArray[np.float32]] = field(default_factory=list)
    clear: list[bool] = field(default_factory=list)  # whether one action leads the others by CLEAR

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: np.array(values) for name, values in vars(self).items()} | {"pad_order": PACKET_PADS}

    def extend(self, other: "Recording") -> None:
        for name, values in vars(self).items():
            values.extend(getattr(other, name))


class Play:
    """One arena, tick by tick, and what its cars observe."""

    def __init__(self, sizes: tuple[int, int], observation: Observation = DEFAULT) -> None:
        self._observation = observation
        team_slots = 3 if observation == SIX_CARS else None  # so that all its packets have as many rows
        self.arenas = make_arenas([sizes], 1, engine=ENGINE, team_slots=team_slots)
        self.car_arena, self.car_slot = self.arenas.car_arena, self.arenas.car_slot
        self.state, self._spare = self.arenas.state(), self.arenas.state()
        self.slots = self.arenas.slots[0]
        self.decided = np.zeros((len(self.slots), 8), np.float32)  # controls that the cars chose last
        self.applied = np.zeros((len(self.slots), 8), np.float32)  # in the last tick

    def place(self, placement: Placement) -> None:
        self.arenas.place(0, placement, self.state)
        self.decided[:] = self.applied[:] = 0

    def observe(self) -> NDArray[np.float32]:
        """(C, size) of all cars."""
        observations = np.zeros((len(self.slots), self._observation.size), np.float32)
        every = np.arange(len(self.slots))
        observe(self._observation, self.state, self.decided, self.car_arena, self.car_slot, every, observations)
        return observations

    def step(self, controls: NDArray[np.float32]) -> None:
        """Advance by a tick under `controls` (C, 8)."""
        self.applied[:] = controls
        self.arenas.step(self.applied, self.state, self._spare)
        self.state, self._spare = self._spare, self.state

    def applied_by_slot(self) -> NDArray[np.float32]:
        """(P, 8), zeros for slots without a car."""
        result = np.zeros((2 * self.arenas.team_slots, 8), np.float32)
        result[self.slots] = self.applied
        return result


def record(bot: Bot, seed: int = 0, accept: Callable[[Recording], bool] = lambda recording: True) -> Recording:
    """Play all scenes with the bot. A scene is played again, up to SEEDS times, until it is accepted.

    Raises RuntimeError if a scene never is.
    """
    recording = Recording()
    for scene in scenes(bot.observation.largest_team):
        for attempt in range(SEEDS):
            played = _play(bot, scene, seed + attempt)
            if accept(played):
                recording.extend(played)
                break
        else:
            raise RuntimeError(f"the exported bot does not play {scene} as the policy does")
    return recording


def _play(bot: Bot, scene: Scene, seed: int) -> Recording:
    """The own car takes the most likely action, the others draw theirs."""
    few = bot.observation == DEFAULT
    ids, order = (PLAYER_IDS, PACKET_SLOTS) if few else (SIX_PLAYER_IDS, SIX_PACKET_SLOTS)
    play, capture, recording = Play(scene.sizes, bot.observation), Capture(ids), Recording()
    own, cars = scene.own, np.arange(len(play.slots))
    start = scene.start
    if isinstance(start, str):
        start = reset.draw(np.random.default_rng([seed, play.slots[own]]), {start: 1.0}, scene.sizes)
    play.place(start)
    held = np.zeros_like(play.decided)
    for tick in range(scene.ticks):
        recording.player_id.append(int(ids[play.slots[own]]))
        recording.first.append(tick == 0)
        recording.info.append((FIRST_FRAME + tick, ACTIVE))
        recording.ball.append(capture.ball(play.state, 0))
        recording.pads.append(capture.pads(play.state, 0)[PACKET_PADS])
        recording.cars.append(capture.cars(play.state, 0, play.applied_by_slot())[order])
        if tick % bot.tick_skip == 0:
            observations, masks = play.observe(), bot.policy.masks(play, cars)
            mine = observations[own : own + 1], None, None if masks is None else masks[own : own + 1]
            recording.clear.append(_is_clear(bot, bot.policy.logits(*mine)[0]))
            play.decided[:] = bot.policy.sample(observations, seed, tick, cars, None, masks)[2]
            play.decided[own] = bot.policy.mode(*mine)[0]
            recording.observations.append(observations[own].copy())
            recording.controls.append(play.decided[own].copy())
        if tick % bot.tick_skip == bot.action_delay:
            held[:] = play.decided
        controls = held.copy()
        for car, script in scene.scripts.items():
            _, wanted = next(each for each in reversed(script) if each[0] <= tick)
            if wanted is not None:
                controls[car] = wanted
        play.step(controls)
    return recording


def _is_clear(bot: Bot, logits: NDArray[np.float32]) -> bool:
    """Whether the most likely choice leads by so much that rounding cannot change it."""
    head = bot.network.action_head
    if head == "continuous":
        return bool((np.abs(logits[5:]) > CLEAR).all())  # the buttons; nothing is chosen for the axes
    parts = [logits] if head == "table" else np.split(logits, [3, 6, 9, 12, 15, 17, 19])
    return all(float(part[-1] - part[-2]) > CLEAR for part in (np.sort(part) for part in parts))
