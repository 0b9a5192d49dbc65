"""N arenas as one vector environment: every car that is present is one row of the batch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numba import njit
from numpy.typing import NDArray

from rlbot.env import finite, reset
from rlbot.env.action import ACTION_TABLE, NonFiniteControls, take_controls
from rlbot.env.counts import COUNTS, NOBODY, count
from rlbot.env.finite import all_finite
from rlbot.env.nonfinite import NonFinite, NonFiniteCount, NonFiniteCounts
from rlbot.env.observation import LIMIT
from rlbot.env.observations import Observation, observe, usual
from rlbot.env.own_ending import TERMINATED, Clocks, OwnEnding, end
from rlbot.env.own_reset import OwnReset
from rlbot.env.rules import Rules, checked_reset_mix, checked_team_sizes
from rlbot.reward import Reward
from rlbot.reward.compose import TermTotals
from rlbot.sim import BLUE, FIRST_ENGINE, make_arenas, version

if TYPE_CHECKING:
    from rlbot.env.rlgym.game import Game
    from rlbot.env.rlgym.observations import RLGymObservation

ACTION_SPACE = gymnasium.spaces.Box(-1.0, 1.0, (8,), np.float32)
DISCRETE_ACTION_SPACE = gymnasium.spaces.Discrete(len(ACTION_TABLE))  # for environments that choose from the table


BROKEN = 4  # value of `ended` if the last step gave a number that is not finite


@njit(cache=True)
def _end(arenas0, arenas, cars, steps, untouched, max_steps, max_untouched, waiting, ended, broken):  # type: ignore[no-untyped-def]
    """Advance the clocks of every arena that is not waiting; set ended[n] to 0 (goes on), 1 (blue scored), 2 (orange
    scored) or 3 (a limit was reached), and `broken` to False."""
    for n in range(len(arenas)):
        broken[n] = False
        if waiting[n]:
            ended[n] = 0
            continue
        steps[n] += 1
        touched = 0.0
        for slot in range(cars.shape[1]):
            touched += cars[n, slot].touched
        untouched[n] = 0 if touched > 0 else untouched[n] + 1
        if arenas[n].blue_score > arenas0[n].blue_score:
            ended[n] = 1
        elif arenas[n].orange_score > arenas0[n].orange_score:
            ended[n] = 2
        elif steps[n] >= max_steps or untouched[n] >= max_untouched:
            ended[n] = 3
        else:
            ended[n] = 0


@njit(cache=True)
def _tell_cars(broken, car_arena, ended, terminated, truncated):  # type: ignore[no-untyped-def]
    """Set `ended` (N,) to BROKEN where `broken`; write whether the episode of each car was `terminated` or `truncated`
    (C,). Returns the number of cars whose episode ended."""
    for n in range(len(ended)):
        if broken[n]:
            ended[n] = BROKEN
    count = 0
    for c in range(len(car_arena)):
        how = ended[car_arena[c]]
        terminated[c] = how == 1 or how == 2 or how == TERMINATED
        truncated[c] = how > 0 and not terminated[c]
        count += how > 0
    return count


class BatchEnv(VectorEnv):
    """N RocketSim arenas as a gymnasium.vector.VectorEnv whose rows are cars, ordered by arena, then slot.

    `num_envs` is C, the number of cars that are present over all arenas. `car_arena`, `car_slot` and `car_team` (C,)
    give the arena, the slot and the team (0 blue, 1 orange) of each. All cars of an arena start and end their episodes
    together. Arenas of one batch may have different team sizes.

    In autoreset mode SAME_STEP an arena whose episode ended is reset within the same step. In NEXT_STEP, which some
    wrappers of Gymnasium need, the step that ends an episode returns its last observation; the next step resets the
    arena, ignores its actions and gives a reward of 0.

    If a step gives a number that is not finite in an arena's physics, rewards or observations, the step is undone in
    that arena: its cars earn nothing, the episode is truncated at the state before the step, and the arena is reset.
    Such a row bootstraps from the value of the observation before the step. `faults` holds what was found since
    `clear_statistics`.
    """

    metadata: dict[str, Any] = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}  # noqa: RUF012 - gymnasium's

    def __init__(
        self,
        team_sizes: Sequence[tuple[int, int]],
        reward: Reward,
        reset_mix: Mapping[str, float | OwnReset],
        rules: Rules = Rules(),  # noqa: B008 - frozen
        first_arena: int = 0,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        engine: str = "auto",
        endings: Sequence[OwnEnding] = (),
        observation: Observation | None = None,
        team_slots: int | None = None,
        orange_first: Sequence[bool] = (),
    ) -> None:
        """`team_sizes`: (blue, orange) of each arena. `first_arena`: number of the first arena, if a batch is split
        over several processes; `team_slots`: those of the whole batch (rlbot.sim.team_slots_for), by default as many as
        these arenas need; `orange_first`: see `rlbot.sim.Arenas`. Random numbers are seeded by the number of the arena,
        so the split changes no result. `engine`: see `rlbot.sim.choose`; its meshes must be loaded before
        (`rlbot.sim.load_meshes`). `endings`: what ends an episode besides goals and the limits of `rules`.
        `observation`: what the cars see; by default the 180 numbers of rlbot.env.observation, with a team of three
        those of rlbot.env.six_cars. With any other what is (C, 180) below is (C, observation.size).

        Raises ValueError if a team size, a kind of reset, a rule, the mode or the engine is not allowed."""
        self.team_sizes, self.first_arena = checked_team_sizes(team_sizes), first_arena
        self.reset_mix = checked_reset_mix(reset_mix)
        if not isinstance(rules, Rules):
            raise ValueError(f"rules={rules!r}: must be rlbot.env.Rules(...)")
        mode = AutoresetMode(autoreset_mode)
        if mode == AutoresetMode.DISABLED:
            raise ValueError(f"autoreset_mode={mode.value}: must be SameStep or NextStep")
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        self.autoreset_mode = mode  # where TorchRL looks for it, as in Gymnasium's own vector environments
        self._same_step = mode == AutoresetMode.SAME_STEP
        self.rules, self.reward, self.endings = rules, reward, tuple(endings)
        self.engine = version(engine)
        self.arenas = make_arenas(
            self.team_sizes, rules.tick_skip, rules.action_delay, engine, team_slots, orange_first
        )
        arenas = self.arenas
        self.car_arena, self.car_slot, self.car_team = arenas.car_arena, arenas.car_slot, arenas.car_team
        # The number of each car in the whole batch, by which its random numbers are drawn.
        self.car_number = (first_arena + self.car_arena) * 2 * arenas.team_slots + self.car_slot
        self.num_envs = self.arenas.num_cars
        self.observation = observation = usual(arenas.team_slots) if observation is None else observation
        observation.require(arenas.team_slots)
        self.single_observation_space = gymnasium.spaces.Box(-LIMIT, LIMIT, (observation.size,), np.float32)
        self.single_action_space = ACTION_SPACE
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
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
        self._waiting = np.zeros(num_arenas, np.bool_)  # will be reset in the next step (mode NEXT_STEP)
        # Of the last step: how the episode of each arena ended (0: it goes on), and, if one ended, what every car
        # observed before the reset.
        self.ended = np.zeros(num_arenas, np.int64)
        self.final_obs = np.zeros((num_cars, observation.size), np.float32)
        self.faults: NonFiniteCounts = {}
        self._controls = np.zeros((num_cars, 8), np.float32)
        self._builders = [(observation, observation.builder())] if observation.is_rlgym else []
        parts = [*(builder for _, builder in self._builders), *(ending.function for ending in self.endings)]
        self.rlgym = self._game([*parts, *reward.functions])
        self._games = [] if self.rlgym is None else [self.rlgym]
        self._all_cars = np.arange(num_cars)
        self._cars_of = [np.flatnonzero(self.car_arena == n) for n in range(num_arenas)]
        self._rngs = self._generators(np.random.SeedSequence().generate_state(4).tolist())

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Reset every arena. Returns the observations (C, 180) and an empty dict.

        If `seed` is given, everything that follows depends only on it and on the controls. Otherwise the random numbers
        continue; an environment that was never seeded takes entropy from the system."""
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

        Returns observations (C, 180), rewards (C,), terminated (C,), truncated (C,) and an info dict, which is empty if
        no episode ended. In rows whose episode ended the observation is the first one of the next episode. The info
        then has the keys of Gymnasium's vector environments: "final_obs" (C,), an object array with the last
        observation (180,) of each episode that ended and None in the other rows, and "final_info", whose "ended" (C,)
        is 1 if blue scored, 2 if orange scored, 3 if a limit was reached, BROKEN if the step was undone, and TERMINATED
        or TRUNCATED (rlbot.env.own_ending) if one of `endings` says so. "_final_obs", "_final_info" and "_ended" (C,)
        are True in the rows of ended episodes. In mode NEXT_STEP the observation is the last one of the episode, and
        info holds "ended" and "_ended". The attributes `final_obs` (C, 180) and `ended` (N,) hold the same as plain
        arrays.

        Raises ValueError if `actions` has another shape, and NonFiniteControls, which names the car, if a number is NaN
        or infinite.
        """
        self._take(actions)
        if self.rlgym is not None:
            self.rlgym.begin(self.state, self.steps)
        for game in self._games:
            game.behind = True
        before, after = self.state, self._before
        self.arenas.step(self._controls, before, after)
        self.state, self._before = after, before
        longest, untouched = self._limits
        _end(
            before.arenas, after.arenas, after.cars, self.steps, self._untouched, longest, untouched, self._waiting,
            self.ended, self._broken,
        )  # fmt: skip
        if not all_finite(after.memory):
            spoilt = finite.in_state(after)
            spoilt |= {n: f"the physics ({reason})" for n, reason in self.arenas.broken.items()}
            self._take_back(spoilt)
            for n in spoilt:
                self.arenas.rebuild(n)
        waiting = [] if self._same_step else np.flatnonzero(self._waiting).tolist()
        for n in waiting:  # the step only resets these arenas
            self._start(n)
            after.car_touched[n] = 0
            before.arenas[n], before.cars[n] = after.arenas[n], after.cars[n]
            self._broken[n] = False
        if self.rlgym is not None:
            self.rlgym.advance(after, self.steps)
        if self.endings:
            found = end(self.endings, before, after, self.clocks, self.ended)
            self.ended[:] = np.where(self._waiting, 0, found)
        if self.rlgym is not None:
            self.rlgym.end(self.ended)
        earned = self.reward.earn(before, after)
        if waiting:
            earned[:, waiting] = 0
        if not all_finite(earned):
            self._take_back(finite.in_rewards(earned, self.reward.labels), earned)
        obs, rewards = self._observe(), np.empty(self.num_envs, np.float32)
        if not all_finite(obs):
            self._take_back(finite.in_observations(obs, self.car_arena, self.observation.columns), earned)
            obs = self._observe()
        self.reward.pay(earned, after, self.car_arena, self.car_slot, self.term_totals, rewards)
        count(
            before.arenas, after.arenas, before.cars, after.cars, self.car_arena, self.car_slot, self._waiting,
            self._last_touch, self.counts,
        )  # fmt: skip
        terminated, truncated = np.empty((2, self.num_envs), np.bool_)
        how_many = _tell_cars(self._broken, self.car_arena, self.ended, terminated, truncated)
        info = self._finish(obs) if how_many else {}
        if not self._same_step:
            self._waiting = self.ended > 0
        return obs, rewards, terminated, truncated, info

    @property
    def controls(self) -> NDArray[np.float32]:
        """(C, 8) what every car does: the controls of the last step, zeros where an episode has just begun."""
        return self._controls

    @property
    def clocks(self) -> Clocks:
        """Seconds since each episode began, and since a car touched the ball in it."""
        seconds = np.float64(self.rules.seconds_per_step)
        return Clocks(self.steps * seconds, self._untouched * seconds)

    def _take(self, actions: Any) -> None:
        try:
            take_controls(actions, self._controls)
        except NonFiniteControls as error:
            n, slot, team = (each[error.row] for each in (self.car_arena, self.car_slot, self.car_team))
            whose = f"{'blue' if team == BLUE else 'orange'}, slot {slot} of arena {self.first_arena + n}"
            raise NonFiniteControls(f"{error} ({whose})", error.row) from None

    def _take_back(self, spoilt: Mapping[int, str], earned: NDArray[np.float32] | None = None) -> None:
        """Undo the step in the arenas of `spoilt` ({arena: what is not finite}), and record the fault of each."""
        before, after = self._before, self.state
        for n, name in spoilt.items():
            self._note(n, name, earned)
            after.arenas[n], after.cars[n] = before.arenas[n], before.cars[n]
            after.car_touched[n] = 0  # a touch of the step before is not counted twice
            self._controls[self._cars_of[n]] = 0
            if earned is not None:
                earned[:, n] = 0
                if self.rlgym is not None:
                    self.rlgym.take_back(n)
            self._broken[n] = True

    def _note(self, n: int, name: str, earned: NDArray[np.float32] | None) -> None:
        if found := self.faults.get(name):
            self.faults[name] = NonFiniteCount(found.count + 1, found.first)
            return
        place = {
            "arena": self.first_arena + n,
            "slots": self.arenas.slots[n],
            "step_of_rollout": int(self.counts[0, COUNTS.index("steps")]),
            "step_of_episode": int(self.steps[n]) - 1,
            "terms": self.reward.names,
            "generator": self._rngs[n].bit_generator.state,  # its next numbers give the reset that follows
        }
        cars = self._cars_of[n]
        arrays = finite.kept(self._before, self.state, n) | {"controls": self._controls[cars].copy()}
        if earned is not None:
            arrays["earned"] = earned[:, n].copy()
        self.faults[name] = NonFiniteCount(1, NonFinite(name, place, arrays))

    def _observe(self) -> NDArray[np.float32]:
        if self.rlgym is not None:
            self.rlgym.begin(self.state, self.steps)
        obs = np.empty((self.num_envs, self.observation.size), np.float32)
        self._write(self.observation, self._all_cars, obs)
        return obs

    def observed(self, observation: Observation, cars: NDArray[np.int64]) -> NDArray[np.float32]:
        """What these cars (K,), rows of the batch, see by another observation than the batch's: (K, its size)."""
        obs = np.empty((self.num_envs, observation.size), np.float32)
        self._write(observation, cars, obs)
        return obs[cars]

    def _write(self, observation: Observation, cars: NDArray[np.int64], out: NDArray[np.float32]) -> None:
        if observation.is_rlgym:
            self._builder(observation).write(cars, out)
        else:
            observe(observation, self.state, self._controls, self.car_arena, self.car_slot, cars, out)

    def _builder(self, observation: Observation) -> "RLGymObservation":
        """The builder of this observation, after it has seen the state; of another than the batch's one is made."""
        found = next((builder for each, builder in self._builders if each == observation), None)
        if found is None:
            found = observation.builder()
            self._builders.append((observation, found))
            game = self._game([found])
            assert game is not None
            self._games.append(game)
        game = found.game
        if game.behind:
            game.advance(self.state, self.steps)
        game.begin(self.state, self.steps)
        return found

    def _game(self, functions: Sequence[Any]) -> "Game | None":
        """What RLGym's parts need, if there are any among these; else RLGym is not imported."""
        parts = [function for function in functions if hasattr(function, "attach")]
        if not parts:
            return None
        from rlbot.env.rlgym.game import Game

        return Game(self.arenas, parts, self._controls)

    def _finish(self, obs: NDArray[np.float32]) -> dict[str, Any]:
        """Keep the last observations of the episodes that ended; in mode SAME_STEP reset their arenas and write their
        first observations into `obs`. Returns the info of the step."""
        ended = self.ended[self.car_arena]
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
        self._write(self.observation, cars, obs)
        final_obs = np.full(self.num_envs, None, object)
        for c in cars.tolist():
            final_obs[c] = self.final_obs[c]
        return {"final_obs": final_obs, "_final_obs": over, "final_info": how, "_final_info": over}

    def _start(self, n: int) -> None:
        start = reset.draw(self._rngs[n], self.reset_mix, self.team_sizes[n], self.first_arena + n)
        self.arenas.place(n, start, self.state)
        self._controls[self._cars_of[n]] = 0
        self.steps[n] = self._untouched[n] = 0
        self._last_touch[n] = NOBODY
        for game in self._games:
            game.fresh.add(n)

    def _generators(self, entropy: list[int]) -> list[np.random.Generator]:
        return [np.random.default_rng([*entropy, self.first_arena + n]) for n in range(len(self.arenas))]

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Change weights of the reward, as `Reward.weigh` says; sets `term_totals` to zero."""
        self.reward.weigh(weights)
        self.term_totals = TermTotals(self.num_envs, len(self.reward.names))

    def clear_statistics(self) -> None:
        """Set `term_totals` (sum of each reward term), `counts` (touches, goals, ...) and `faults` to zero."""
        self.term_totals.clear()
        self.faults = {}
        self.counts[:] = 0

    def snapshot(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Everything that `restore` needs to continue exactly, as (arrays, JSON-able document).

        Every array has a row for each arena, or for each car if its name begins with "car_"."""
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
        generators = [rng.bit_generator.state for rng in self._rngs]
        return arrays, {"engine": self.engine, "generators": generators}

    def restore(self, arrays: Mapping[str, NDArray[Any]], document: Mapping[str, Any]) -> NDArray[np.float32]:
        """Continue from a `snapshot()`; returns the current observations (C, 180). Raises ValueError if the
        snapshot was taken with another engine or with other team sizes."""
        played = document.get("engine", FIRST_ENGINE)
        if played != self.engine:
            raise ValueError(f"they were played on {played}, this environment plays on {self.engine}")
        if not np.array_equal(arrays["team_sizes"], self.team_sizes):
            raise ValueError("the saved environment has other team sizes than this one")
        self.arenas.restore(arrays)
        self.steps[:], self._untouched[:], self._controls[:] = (
            arrays["steps"], arrays["untouched"], arrays["car_controls"],
        )  # fmt: skip
        self._last_touch[:] = arrays.get("last_touch", NOBODY)
        self._waiting[:] = arrays.get("waiting", False)
        for rng, state in zip(self._rngs, document["generators"], strict=True):
            rng.bit_generator.state = state
        for n in range(len(self.arenas)):
            self.arenas.read(n, self.state)
        for game in self._games:  # what RLGym's parts keep is not saved
            game.fresh.update(range(len(self.arenas)))
        return self._observe()
