"""N arenas as one batch of learning problems: every car present is one row of the batch."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numba import njit
from numpy.typing import NDArray

from rlbot.env import finite, reset
from rlbot.env.action import NonFiniteControls, take_controls
from rlbot.env.counts import COUNTS, NOBODY, count
from rlbot.env.finite import all_finite
from rlbot.env.nonfinite import NonFinite, NonFiniteCount, NonFiniteCounts
from rlbot.env.observation import LIMIT, OBSERVATION_SIZE, observe
from rlbot.env.rules import Rules, checked_reset_mix, checked_team_sizes
from rlbot.reward import Reward
from rlbot.reward.compose import TermTotals
from rlbot.sim import Arenas

OBSERVATION_SPACE = gymnasium.spaces.Box(-LIMIT, LIMIT, (OBSERVATION_SIZE,), np.float32)
ACTION_SPACE = gymnasium.spaces.Box(-1.0, 1.0, (8,), np.float32)


BROKEN = 4  # how an episode ended whose last step gave a number that is not finite


@njit(cache=True)
def _end(arenas0, arenas, cars, steps, untouched, max_steps, max_untouched, broken, waiting, ended):  # type: ignore[no-untyped-def]
    """Advance the clocks of every arena that is not waiting; ended[n] becomes 0 (goes on), 1 (blue scored), 2 (orange
    scored), 3 (a limit) or BROKEN. Returns how many end."""
    count = 0
    for n in range(len(arenas)):
        if waiting[n]:
            ended[n] = 0
            continue
        steps[n] += 1
        touched = 0.0
        for slot in range(cars.shape[1]):
            touched += cars[n, slot].touched
        untouched[n] = 0 if touched > 0 else untouched[n] + 1
        if broken[n]:
            ended[n] = BROKEN
        elif arenas[n].blue_score > arenas0[n].blue_score:
            ended[n] = 1
        elif arenas[n].orange_score > arenas0[n].orange_score:
            ended[n] = 2
        elif steps[n] >= max_steps or untouched[n] >= max_untouched:
            ended[n] = 3
        else:
            ended[n] = 0
        count += ended[n] > 0
    return count


class BatchEnv(VectorEnv):
    """N RocketSim arenas as a gymnasium.vector.VectorEnv whose rows are cars, ordered by arena, then slot.

    `num_envs` = C, the cars present over all arenas; `car_arena` and `car_slot` (C,) locate them, slots 0 and 1 are
    blue. All cars of an arena start and end their episodes together. Arenas of one batch may have different team sizes.

    In autoreset mode SAME_STEP an arena that ended starts anew within the same step. In NEXT_STEP, which some of
    Gymnasium's wrappers ask for, the step that ends an episode returns its last observation, and the next step starts
    the arena anew whatever its actions are, with a reward of 0.

    A step that gives an arena a number that is not finite, in its physics, in what a car earned or in what it sees, is
    taken back: the arena's cars earn nothing, their episode is truncated where it was before the step, and the arena
    starts anew. Learning from such a row says that nothing happened: it bootstraps from the value of the observation
    before the step. `faults` holds what was found since `clear_statistics`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012 - gymnasium's

    def __init__(
        self,
        team_sizes: Sequence[tuple[int, int]],
        reward: Reward,
        reset_mix: Mapping[str, float],
        rules: Rules = Rules(),  # noqa: B008 - frozen
        first_arena: int = 0,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> None:
        """`team_sizes`: (blue, orange) of each arena. `first_arena`: number of the first arena in a batch that is
        spread over processes; seeds belong to arenas, so that the spread changes nothing.

        Raises ValueError for team sizes, a `reset_mix`, `rules` or a mode that do not exist."""
        self.team_sizes, self.first_arena = checked_team_sizes(team_sizes), first_arena
        self.reset_mix = checked_reset_mix(reset_mix)
        if not isinstance(rules, Rules):
            raise ValueError(f"rules={rules!r}: must be rlbot.env.Rules(...)")
        mode = AutoresetMode(autoreset_mode)
        if mode == AutoresetMode.DISABLED:
            raise ValueError(f"autoreset_mode={mode.value}: must be SameStep or NextStep")
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        self._same_step = mode == AutoresetMode.SAME_STEP
        self.rules, self.reward = rules, reward
        self.arenas = Arenas(self.team_sizes, rules.tick_skip, rules.action_delay)
        self.car_arena, self.car_slot = self.arenas.car_arena, self.arenas.car_slot
        self.num_envs = self.arenas.num_cars
        self.single_observation_space, self.single_action_space = OBSERVATION_SPACE, ACTION_SPACE
        self.observation_space = batch_space(OBSERVATION_SPACE, self.num_envs)
        self.action_space = batch_space(ACTION_SPACE, self.num_envs)

        num_arenas, num_cars = len(self.arenas), self.num_envs
        self.state, self._before = self.arenas.state(), self.arenas.state()
        self.final = self.arenas.state()  # how the last episode of each arena ended
        self.term_totals = TermTotals(num_cars, len(reward.names))
        self.counts = np.zeros((num_cars, len(COUNTS)))
        self._limits = tuple(
            np.iinfo(np.int64).max if limit is None else max(round(limit / rules.seconds_per_step), 1)
            for limit in (rules.time_limit, rules.no_touch_limit)
        )
        self.steps = np.zeros(num_arenas, np.int64)
        self._untouched = np.zeros(num_arenas, np.int64)
        self._last_touch = np.full((num_arenas, 2), NOBODY, np.int64)
        self._broken = np.zeros(num_arenas, np.bool_)
        self._waiting = np.zeros(num_arenas, np.bool_)  # to start anew in the next step, in mode NEXT_STEP
        # Of the last step: how the episode of each arena ended (0 where it goes on), and, after a step that ended one,
        # what every car saw before arenas started anew.
        self.ended = np.zeros(num_arenas, np.int64)
        self.final_obs = np.zeros((num_cars, OBSERVATION_SIZE), np.float32)
        self.faults: NonFiniteCounts = {}
        self._controls = np.zeros((num_cars, 8), np.float32)
        self._all_cars = np.arange(num_cars)
        self._cars_of = [np.flatnonzero(self.car_arena == n) for n in range(num_arenas)]
        self._rngs = self._generators(np.random.SeedSequence().generate_state(4).tolist())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start every arena anew; returns the observations (C, 180) and an empty dict. With a seed, everything that
        follows is a function of it and of the controls. Without one, the random numbers go on from where they are;
        those of an environment that was never seeded come from the system."""
        super().reset(seed=seed)
        if seed is not None:
            self._rngs = self._generators([seed])
        self._waiting[:] = False
        for n in range(len(self.arenas)):
            self._start(n)
        return self._observe(), {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Advance every arena by tick_skip ticks under `actions` (C, 8), the cars' controls, clipped to [-1, 1].

        Returns observations (C, 180), rewards (C,), terminated (C,), truncated (C,) and an info dict, empty where no
        episode ended. Where one did, the observation is the first of the next one, and info holds, as Gymnasium's
        vector environments do, "final_obs" (C,), an array of the last observations (180,), None in the other rows, and
        "final_info", in which "ended" (C,) is 1 where blue scored, 2 where orange did, 3 for a limit, BROKEN for a step
        that was taken back. "_final_obs", "_final_info" and "_ended" (C,) are True in the rows of ended episodes. (In
        mode NEXT_STEP the observation is the last one, and info holds "ended" and "_ended".) `final_obs` (C, 180) and
        `ended` (N,) of this object say the same as plain arrays.

        Raises ValueError for actions of another shape, and NonFiniteControls, which names the car, for NaN and
        infinity.
        """
        self._take(actions)
        before, after = self.state, self._before
        self.arenas.step(self._controls, before, after)
        self.state, self._before = after, before
        self._broken[:] = False
        if not all_finite(after.memory):
            spoilt = finite.in_state(after)
            self._take_back(spoilt)
            for n in spoilt:
                self.arenas.rebuild(n)
        waiting = [] if self._same_step else np.flatnonzero(self._waiting).tolist()
        for n in waiting:  # the step is their start, and nothing happens in it
            self._start(n)
            after.car_touched[n] = 0
            before.arenas[n], before.cars[n] = after.arenas[n], after.cars[n]
            self._broken[n] = False
        earned = self.reward.earn(before, after)
        if waiting:
            earned[:, waiting] = 0
        if not all_finite(earned):
            self._take_back(finite.in_rewards(earned, self.reward.labels), earned)
        obs, rewards = self._observe(), np.empty(self.num_envs, np.float32)
        if not all_finite(obs):
            self._take_back(finite.in_observations(obs, self.car_arena), earned)
            obs = self._observe()
        self.reward.pay(earned, after, self.car_arena, self.car_slot, self.term_totals, rewards)
        count(
            before.arenas, after.arenas, before.cars, after.cars, self.car_arena, self.car_slot, self._waiting,
            self._last_touch, self.counts,
        )  # fmt: skip
        longest, untouched = self._limits
        how_many = _end(
            before.arenas, after.arenas, after.cars, self.steps, self._untouched, longest, untouched, self._broken,
            self._waiting, self.ended,
        )  # fmt: skip
        ended = self.ended[self.car_arena]
        info = self._finish(obs, ended) if how_many else {}
        if not self._same_step:
            self._waiting = self.ended > 0
        return obs, rewards, (ended == 1) | (ended == 2), ended >= 3, info

    def _take(self, actions: Any) -> None:
        try:
            take_controls(actions, self._controls)
        except NonFiniteControls as error:
            n, slot = self.car_arena[error.row], self.car_slot[error.row]
            whose = f"{'blue' if slot < 2 else 'orange'}, slot {slot} of arena {self.first_arena + n}"
            raise NonFiniteControls(f"{error} ({whose})", error.row) from None

    def _take_back(self, spoilt: Mapping[int, str], earned: NDArray[np.float32] | None = None) -> None:
        """Note what was not finite, by arena, and let these arenas stand where they stood before the step."""
        before, after = self._before, self.state
        for n, name in spoilt.items():
            self._note(n, name, earned)
            after.arenas[n], after.cars[n] = before.arenas[n], before.cars[n]
            after.car_touched[n] = 0  # that was the step before
            self._controls[self._cars_of[n]] = 0
            if earned is not None:
                earned[:, n] = 0
            self._broken[n] = True

    def _note(self, n: int, name: str, earned: NDArray[np.float32] | None) -> None:
        if found := self.faults.get(name):
            self.faults[name] = NonFiniteCount(found.count + 1, found.first)
            return
        place = {
            "arena": self.first_arena + n,
            "slots": self.arenas.slots[n],
            "step_of_rollout": int(self.counts[0, COUNTS.index("steps")]),
            "step_of_episode": int(self.steps[n]),
            "terms": self.reward.names,
            "generator": self._rngs[n].bit_generator.state,  # of the arena, with whose numbers it starts anew
        }
        cars = self._cars_of[n]
        arrays = finite.kept(self._before, self.state, n) | {"controls": self._controls[cars].copy()}
        if earned is not None:
            arrays["earned"] = earned[:, n].copy()
        self.faults[name] = NonFiniteCount(1, NonFinite(name, place, arrays))

    def _observe(self) -> NDArray[np.float32]:
        obs = np.empty((self.num_envs, OBSERVATION_SIZE), np.float32)
        observe(self.state, self._controls, self.car_arena, self.car_slot, self._all_cars, obs)
        return obs

    def _finish(self, obs: NDArray[np.float32], ended: NDArray[np.int64]) -> dict[str, Any]:
        """Keep the last observations of the episodes that ended, start their arenas anew (SAME_STEP) and observe their
        first state in their rows of `obs`. Returns the info of the step; `ended` (C,)."""
        over = ended > 0
        self.final_obs = obs.copy()
        how = {"ended": ended, "_ended": over}
        for n in np.flatnonzero(self.ended).tolist():
            self.final.arenas[n], self.final.cars[n] = self.state.arenas[n], self.state.cars[n]
        if not self._same_step:
            return how
        for n in np.flatnonzero(self.ended).tolist():
            self._start(n)
        cars = np.flatnonzero(over)
        observe(self.state, self._controls, self.car_arena, self.car_slot, cars, obs)
        final_obs = np.full(self.num_envs, None, object)
        for c in cars.tolist():
            final_obs[c] = self.final_obs[c]
        return {"final_obs": final_obs, "_final_obs": over, "final_info": how, "_final_info": over}

    def _start(self, n: int) -> None:
        self.arenas.place(n, reset.draw(self._rngs[n], self.reset_mix, self.arenas.slots[n]), self.state)
        self._controls[self._cars_of[n]] = 0
        self.steps[n] = self._untouched[n] = 0
        self._last_touch[n] = NOBODY

    def _generators(self, entropy: list[int]) -> list[np.random.Generator]:
        return [np.random.default_rng([*entropy, self.first_arena + n]) for n in range(len(self.arenas))]

    def clear_statistics(self) -> None:
        """Begin `term_totals` (what each term paid), `counts` (touches, goals, ...) and `faults` anew."""
        self.term_totals.clear()
        self.faults = {}
        self.counts[:] = 0

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """All that decides how the batch goes on, as (arrays, JSON-able): `restore` continues from it.

        Every array has a row for each arena, or for each car where its name begins with "car_"."""
        arrays: dict[str, NDArray[Any]] = {
            **self.arenas.snapshot(),
            "team_sizes": np.array(self.team_sizes),
            "steps": self.steps.copy(),
            "untouched": self._untouched.copy(),
            "last_touch": self._last_touch.copy(),
            "car_controls": self._controls.copy(),
        }
        if not self._same_step:
            arrays["waiting"] = self._waiting.copy()
        return arrays, {"generators": [rng.bit_generator.state for rng in self._rngs]}

    def restore(self, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> NDArray[np.float32]:
        """Continue from a `snapshot()`; returns the current observations (C, 180). Raises ValueError where the snapshot
        is of arenas with other teams."""
        if not np.array_equal(arrays["team_sizes"], self.team_sizes):
            raise ValueError("the saved environment has other teams than this one")
        self.arenas.restore({name: arrays[name] for name in ("ball", "car", "pad")})
        self.steps[:], self._untouched[:], self._controls[:] = (
            arrays["steps"], arrays["untouched"], arrays["car_controls"],
        )  # fmt: skip
        self._last_touch[:] = arrays.get("last_touch", NOBODY)
        self._waiting[:] = arrays.get("waiting", False)
        for rng, state in zip(self._rngs, document["generators"], strict=True):
            rng.bit_generator.state = state
        for n in range(len(self.arenas)):
            self.arenas.read(n, self.state)
        return self._observe()
