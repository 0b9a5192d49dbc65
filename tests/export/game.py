"""A match for the stand-in server: RocketSim's physics, the phases of a match, and the actions of the policy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import reset
from rlbot.env.observation import OBSERVATION
from rlbot.export.capture import Capture
from rlbot.export.folder import BotInfo, manifest, weights
from rlbot.export.self_play import PACKET_PADS, PACKET_SLOTS, PLAYER_IDS, Play
from rlbot.export.template.agent.files import make_pilot
from rlbot.export.template.agent.network import Network
from rlbot.export.template.agent.recording import field_info
from rlbot.export.template.agent.recording import packet as make_packet
from rlbot.policy import Bot
from rlbot.sim import PAD_COOLDOWN, PAD_POSITION, CarPlacement, Placement
from tests.export.server import flat

NAMES = [f"{name}[{i}]" if size > 1 else name for name, size in OBSERVATION for i in range(size)]
COUNTDOWN, KICKOFF, ACTIVE, GOAL_SCORED, REPLAY, PAUSED, ENDED = range(1, 8)
MATCH_PADS = [
    (float(x), 3310.0 if (x, y) == (-940, 3308) else float(y), float(cooldown))  # the game has one pad 2 uu elsewhere
    for (x, y), cooldown in zip(PAD_POSITION[PACKET_PADS], PAD_COOLDOWN[PACKET_PADS], strict=True)
]
Other = Callable[[int, NDArray[np.float32]], NDArray[np.float32]]  # tick, observation (180,) -> controls (8,)
Answer = Callable[[Any], NDArray[np.float32]]  # packet -> controls


@dataclass
class Difference:
    frame: int
    controls: NDArray[np.float32]
    expected: NDArray[np.float32]
    seen: set[str]  # the columns in which the bot's observation differs from the simulator's
    explained: bool  # only columns that depend on wheels differ, and the policy acts alike on the bot's observation


@dataclass
class Game:
    """One arena. The bot plays the car in `slot`, `other` all others."""

    bot: Bot  # the policy that was exported, in the project's own code
    sizes: tuple[int, int] = (1, 1)
    slot: int = 0
    other: Other = lambda tick, observation: np.zeros(8, np.float32)
    seed: int = 0
    hold_extends_timeout: bool = False
    frame: int = 700
    decisions: int = 0
    differences: list[Difference] = field(default_factory=list)
    goals: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))  # of the bot's team, of the others
    touches: int = 0

    def __post_init__(self) -> None:
        self.play = Play(self.sizes)
        self.own = self.play.slots.index(self.slot)
        self.player_id, self.team = int(PLAYER_IDS[self.slot]), int(self.slot >= 2)
        self._rng = np.random.default_rng(self.seed)
        document = manifest(self.bot, BotInfo("Tested", "nobody"))
        network = Network(document["network"], weights(self.bot), document["action_table"])
        self.shadow = make_pilot(document, network, field_info(flat, MATCH_PADS).boost_pads)

    def kickoff(self, answer: Answer, frames: int = 30) -> None:
        """Places the cars and plays the countdown, in which nothing moves."""
        self.play.place(reset.draw(self._rng, {"kickoff": 1.0}, self.play.arenas.team_sizes[0]))
        self.capture = Capture(PLAYER_IDS, self.hold_extends_timeout)
        self._cars = self.capture.cars(self.play.state, 0, self.play.applied_by_slot())
        self._expected: tuple[int, NDArray[np.float32], NDArray[np.float32]] | None = None
        self.scored = False
        self._next_decision = self.frame + frames
        for _ in range(frames):
            assert answer(self.packet(COUNTDOWN))[5] == 0, "jump is held before the start"
            self.frame += 1

    def first_acted_in_countdown(self) -> None:
        """The first decision took effect with the last tick of the countdown, as with rlgym-rlbot: one tick early, and
        so are all that follow."""
        own = slice(self.own, self.own + 1)
        self.play.decided[own] = self.bot.policy.mode(self.play.observe()[own])
        self._next_decision += self.bot.tick_skip - 1 - self.bot.action_delay

    def packet(self, phase: int, ball: bool = True) -> Any:
        state, row = self.play.state, self.capture
        return make_packet(
            flat, self.frame, phase, row.ball(state, 0) if ball else None, row.pads(state, 0)[PACKET_PADS],
            self._cars[PACKET_SLOTS],
        )  # fmt: skip

    def ticks(self, answer: Answer, count: int, check: bool = True) -> Iterator[int]:
        """Play until a goal, at most `count` ticks; yields after each."""
        for tick in range(count):
            if self.frame == self._next_decision:
                self._next_decision += self.bot.tick_skip
                self._decide(tick, self.play.observe())
            packet = self.packet(KICKOFF if tick < 240 else ACTIVE)
            self.shadow.controls(packet, self.player_id)
            controls = answer(packet)
            if check:
                self._check(controls)
            everyone = self.play.decided.copy()
            everyone[self.own] = controls
            self.step(everyone)
            yield tick
            if self.scored:
                return

    def step(self, controls: NDArray[np.float32]) -> None:
        before = self.play.state.copy()
        self.play.step(controls)
        self._cars = self.capture.cars(self.play.state, 0, self.play.applied_by_slot())
        self.frame += 1
        state = self.play.state
        self.touches += int(state.car_touched[0, self.slot])
        made = np.array([state.blue_score[0] - before.blue_score[0], state.orange_score[0] - before.orange_score[0]])
        self.scored = bool(made.any())
        self.goals += (made[::-1] if self.team else made).astype(np.int64)

    def after_goal(self, answer: Answer) -> None:
        """Sends packets without a ball, then those of a replay; the bot must press no button."""
        for phase, frames in ((GOAL_SCORED, 20), (REPLAY, 20)):
            for _ in range(frames):
                np.testing.assert_array_equal(answer(self.packet(phase, ball=False)), 0)
                self.frame += 1

    def throw(self, end: int) -> None:
        """The ball flies into orange's goal (0) or blue's (1), and the cars stand elsewhere with their handbrakes
        released, which the bot cannot see."""
        y = 4000 if end == 0 else -4000
        cars = [CarPlacement((3000 - 500 * i, 0, 17), 0) for i in range(len(self.play.slots))]
        decided = self.play.decided.copy()
        self.play.place(Placement(cars, (0, y, 100), (0, y / 2, 0)))
        self.play.decided[:] = decided
        self._cars = self.capture.cars(self.play.state, 0, self.play.applied_by_slot())

    def _decide(self, tick: int, observations: NDArray[np.float32]) -> None:
        """Chooses the controls of the policy and of the other cars in this state."""
        mine = observations[self.own].copy()
        self._expected = self.frame + self.bot.action_delay, mine, self.bot.policy.mode(mine[None])[0]
        for i in range(len(self.play.slots)):
            if i != self.own:
                self.play.decided[i] = self.other(tick, observations[i])

    def _check(self, controls: NDArray[np.float32]) -> None:
        """Compares the controls with the bot's when its decision takes effect."""
        if self._expected is None or self.frame != self._expected[0]:
            return
        _, observation, expected = self._expected
        self.decisions += 1
        if not np.allclose(controls, expected, atol=1e-5):
            self.differences.append(self._explain(observation, controls, expected))
        self.play.decided[self.own] = controls  # the previous action in its next observation

    def _explain(
        self, observation: NDArray[np.float32], controls: NDArray[np.float32], expected: NDArray[np.float32]
    ) -> Difference:
        """Returns the bot's observation, from the same program in this process with the same packets."""
        seen = self.shadow.observation
        assert seen is not None
        other = {NAMES[i] for i in np.flatnonzero(np.abs(seen - observation) > 1e-5)}
        wheels = {name for name in other if name.endswith((".on_ground", ".has_flip"))}
        again = self.bot.policy.mode(seen[None])[0]
        explained = bool(other) and other == wheels and np.allclose(controls, again, atol=1e-5)
        return Difference(self.frame, controls, expected, other, explained)
