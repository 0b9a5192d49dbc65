"""Decides when to act: every tick_skip frames. Controls take effect action_delay frames later, and are then held."""

from typing import Any

import numpy as np

from .network import Floats, Network
from .observation import observe
from .tracker import Tracker

COUNTDOWN, KICKOFF, ACTIVE, PAUSED = 1, 2, 3, 6  # of RLBot's MatchPhase
MOVING = (KICKOFF, ACTIVE, PAUSED)  # phases after which play goes on
JUMP = 5  # its place in the controls
STALE = 120  # frames; a packet this much older than the last one belongs to another match
NEUTRAL = np.zeros(8, np.float32)


class Pilot:
    """Computes the controls of one car from each packet."""

    def __init__(
        self,
        network: Network,
        tracker: Tracker,
        tick_skip: int,
        action_delay: int,
        deterministic: bool,
        seed: int | None = None,
    ) -> None:
        self.network, self.tracker, self.deterministic = network, tracker, deterministic
        self.tick_skip, self.action_delay = tick_skip, action_delay
        self.observation: Floats | None = None  # of the last decision
        self.decided = NEUTRAL  # controls of the last decision
        self.decisions = 0
        self._generator = np.random.default_rng(seed)
        self._held = NEUTRAL  # the current controls
        self._frame: int | None = None  # of the last packet
        self._phase = 0
        self._next_decision = self._takes_effect = 0

    def controls(self, packet: Any, player_id: int) -> Floats:
        """(8,) throttle, steer, pitch, yaw, roll, jump, boost, handbrake.

        Raises KeyError where the match is on and there is no such player in the packet.
        """
        frame, phase = int(packet.match_info.frame_num), int(packet.match_info.match_phase)
        ticks = 0 if self._frame is None else frame - self._frame
        if -STALE < ticks < 0 or (ticks == 0 and self._frame is not None and phase == self._phase):
            return self._controls(self._phase)  # an old packet, or the same one again
        before, self._frame, self._phase = (self._phase if ticks >= 0 else 0), frame, phase
        if phase == before == PAUSED:  # nothing moves: decisions wait, even if the frame numbers rise
            self._next_decision += ticks
            self._takes_effect += ticks
            return self._controls(phase)
        self.tracker.update(packet, max(ticks, 0) if before in MOVING else 0)
        if phase == PAUSED:
            return self._controls(phase)
        if phase not in (COUNTDOWN, KICKOFF, ACTIVE):
            self._begin(frame)
            return self._controls(phase)
        if before not in MOVING or (phase == COUNTDOWN and frame >= self._next_decision):
            self._begin(frame)
        if frame >= self._next_decision:
            self._decide(player_id, frame)
        if frame >= self._takes_effect:
            self._held = self.decided
        return self._controls(phase)

    def _begin(self, frame: int) -> None:
        """Starts an episode: as in training, the cars are at rest and all previous controls are zero."""
        self.tracker.release_handbrakes()
        self.decided = self._held = NEUTRAL
        self._next_decision = self._takes_effect = frame

    def _decide(self, player_id: int, frame: int) -> None:
        self.observation = observe(self.tracker, player_id, self.decided.tolist(), self.network.observation_size)
        logits = self.network.logits(self.observation)
        self.decided = (
            self.network.likeliest(logits) if self.deterministic else self.network.draw(logits, self._generator)
        )
        self.decisions += 1
        self._next_decision, self._takes_effect = frame + self.tick_skip, frame + self.action_delay

    def _controls(self, phase: int) -> Floats:
        if phase == COUNTDOWN:
            controls: Floats = self._held.copy()
            controls[JUMP] = 0  # a button that was held before the start would not cause a jump
            return controls
        return self._held if phase in (KICKOFF, ACTIVE) else NEUTRAL
