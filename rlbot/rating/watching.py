"""Record matches and trace them: full recordings of some matches, positions and shots of all."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import BatchEnv
from rlbot.env.counts import COUNTS
from rlbot.picture.heatmap import Traces, cells
from rlbot.policy import Bot, load_critic
from rlbot.recording import Recorder
from rlbot.recording.decisions import Seen, decision

_SHOT_SECONDS = 4.0  # a goal within this time after a shot belongs to it


class MatchRecorder:
    """Records some of the matches of a batch.

    Call `before_step` with what each player's network saw (None: it has none) and the chosen controls, `after_step`
    after the step, and `finish` at the end.
    """

    def __init__(
        self,
        env: BatchEnv,
        players: Sequence[Any],
        sides: Sequence[NDArray[np.int64]],
        chosen: Mapping[int, int],
        details: Mapping[str, Any],
    ) -> None:
        """`sides`: the rows of each of the two `players` in the batch; `chosen`: {arena: number of its match}."""
        self._env, self._players, self._chosen = env, players, dict(chosen)
        self._critics = [load_critic(each) if chosen and isinstance(each, Bot) else None for each in players]
        # Which of a player's cars are in the arena.
        self._places = {n: [np.flatnonzero(env.car_arena[cars] == n) for cars in sides] for n in chosen}
        self._sides = sides
        names = [each if isinstance(each, str) else each.name for each in players]
        self._recorders = {}
        for n, places in self._places.items():
            name_of = {int(env.car_slot[car]): names[side] for side in (0, 1) for car in sides[side][places[side]]}
            slots = env.arenas.slots[n]
            self._recorders[n] = Recorder(slots, [name_of[slot] for slot in slots], env.rules.tick_skip, details)

    def before_step(self, seen: Sequence[Seen | None], controls: NDArray[np.float32]) -> None:
        for n, recorder in self._recorders.items():
            made = []
            for side, places in enumerate(self._places[n]):
                if len(places):
                    cars, look = self._sides[side][places], seen[side]
                    look = None if look is None else look.rows(places)
                    choice = decision(self._players[side], look, controls[cars], self._critics[side])
                    made.append((self._env.car_slot[cars].tolist(), choice))
            recorder.add(self._env.state, made, n)

    def after_step(self) -> None:
        for n, recorder in self._recorders.items():
            if self._env.ended[n]:
                recorder.add(self._env.final, arena=n)

    def finish(self) -> dict[int, bytes]:
        """Returns {number of the match: content of its recording file}."""
        files = {}
        for n, recorder in self._recorders.items():
            recorder.add(self._env.state, arena=n)
            files[self._chosen[n]] = recorder.finish().to_bytes()
        return files


class Tracer:
    """Collects `Traces` of matches: positions of ball and cars, places of shots, and boost."""

    def __init__(
        self, env: BatchEnv, is_first: NDArray[np.bool_], first_is_blue: NDArray[np.bool_], seconds: float
    ) -> None:
        self._env, self._is_first, self._side = env, is_first, np.where(is_first, 0, 1)
        self._sign = np.where(first_is_blue, 1.0, -1.0).astype(np.float32)  # of x and y, per arena
        self._shots_before = np.zeros(env.num_envs)
        self._open: list[tuple[int, int, float, float]] = []  # arena, step, x, y of shots that may become goals
        self._shots: list[tuple[float, float, float]] = []
        self._step = 0
        self.traces = Traces.empty(seconds)

    def after_step(self) -> None:
        env, traces = self._env, self.traces
        sign = self._sign[:, None]
        ball = env.state.ball_pos[:, :2] * sign
        cars = env.state.car_pos[env.car_arena, env.car_slot, :2] * self._sign[env.car_arena][:, None]
        alive = env.state.car_is_demoed[env.car_arena, env.car_slot] == 0
        for k, places in enumerate((ball, cars[alive & self._is_first], cars[alive & ~self._is_first])):
            np.add.at(traces.heat[k], cells(places), 1)
        second = min(int(self._step * env.rules.seconds_per_step), traces.boost.shape[1] - 1)
        boost = env.state.car_boost[env.car_arena, env.car_slot]
        np.add.at(traces.boost, (self._side[alive], second), boost[alive])
        np.add.at(traces.boost_count, (self._side[alive], second), 1)
        self._take_shots(ball)
        self._step += 1

    def _take_shots(self, ball: NDArray[np.float32]) -> None:
        env = self._env
        shots = env.counts[:, COUNTS.index("shots")]
        for car in np.flatnonzero((shots > self._shots_before) & self._is_first).tolist():
            n = int(env.car_arena[car])
            place = env.final.ball_pos[n, :2] * self._sign[n] if env.ended[n] else ball[n]
            self._open.append((n, self._step, float(place[0]), float(place[1])))
        self._shots_before = shots.copy()
        latest = self._step - _SHOT_SECONDS / env.rules.seconds_per_step
        kept = []
        for shot in self._open:
            n, step, x, y = shot
            ended = int(env.ended[n])
            if not ended and step >= latest:
                kept.append(shot)
            else:
                scored = ended == (1 if self._sign[n] > 0 else 2)
                self._shots.append((x, y, float(scored)))
        self._open = kept

    def finish(self) -> Traces:
        rows = [*self._shots, *((x, y, 0.0) for _, _, x, y in self._open)]
        self.traces.shots = np.array(rows, np.float32).reshape(-1, 3)
        return self.traces
