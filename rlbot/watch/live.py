"""A match that is played live, in real time, with commands such as pause and speed."""

import contextlib
import math
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.policy import Bot, Critic, OwnCritic, load_critic
from rlbot.rating.matches import BotActor, Player, actor, seen_by
from rlbot.recording import Decision, find_events
from rlbot.recording.decisions import decision
from rlbot.recording.recorder import TEAM_NAMES, TICK_RATE
from rlbot.reward import Reward
from rlbot.sim import State
from rlbot.values.target import PartError
from rlbot.watch.server import Events, new_queue

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
_RECENT = 150  # frames that are searched for events, such as the last touch before a goal
_LARGEST_DELAY = 0.5  # s; if the match is further behind real time, it does not catch up
_BALL_Z = 93.15  # uu: height of a ball at rest
_FIELD = (4096.0 - 200.0, 5120.0 - 200.0)  # uu: largest |x| and |y| where a user may place the ball


@dataclass(frozen=True)
class Lineup:
    """Who plays: first the blue player, then the orange one. `title` is shown in the viewer."""

    players: tuple[Player, Player]
    names: tuple[str, str]
    title: str = ""
    tick_skip: int = 8
    action_delay: int = 0
    engine: str = "auto"


class LiveMatch:
    """Plays in a thread, and only while there are listeners. A kickoff follows every goal; the match has no end.

    `next_lineup()` is called about once a second; if it returns a Lineup, a new match begins. `show(state)` is called
    with every state.
    """

    def __init__(
        self,
        lineup: Lineup,
        team_sizes: tuple[int, int],
        deterministic: bool = False,
        seed: int = 0,
        next_lineup: Callable[[], Lineup | None] = lambda: None,
        show: Callable[[State], None] | None = None,
    ) -> None:
        self._next_lineup, self._show, self._team_sizes = next_lineup, show, team_sizes
        self._seed, self._matches = seed, 0
        self._status: dict[str, Any] = {"paused": False, "speed": 1.0, "deterministic": deterministic, "message": ""}
        self._listeners: list[Events] = []
        self._commands: deque[Mapping[str, Any]] = deque()
        self._condition = threading.Condition()
        self._ended = False
        self._start_match(lineup)
        self._thread = threading.Thread(target=self._run, name="rlbot-live", daemon=True)

    @property
    def engine(self) -> str:
        """The engine that plays, with its version."""
        return self._env.engine

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the match and the streams of all listeners."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for events in self._listeners:
            with contextlib.suppress(queue.Full):
                events.put_nowait(None)

    def listen(self) -> Events:
        events = new_queue()
        with self._condition:
            for each in (("header", self._header), ("status", dict(self._status)), ("frame", self._frame)):
                events.put_nowait(each)
            self._listeners.append(events)
            self._condition.notify_all()
        return events

    def leave(self, events: Events) -> None:
        with self._condition:
            if events in self._listeners:
                self._listeners.remove(events)

    def command(self, command: Mapping[str, Any]) -> None:
        """One of {"paused": bool}, {"speed": one of SPEEDS}, {"step": 1}, {"deterministic": bool}, {"restart": true} or
        {"ball": [x, y]} in uu. Raises ValueError for anything else."""
        _check(command)
        with self._condition:
            self._commands.append(dict(command))
            self._condition.notify_all()

    def _run(self) -> None:
        try:
            self._play()
        except PartError as error:
            self._status |= {"paused": True, "message": str(error)}
            self._send("status", dict(self._status))
            print(f"[ERROR] {error}", file=sys.stderr, flush=True)

    def _play(self) -> None:
        due = checked = time.monotonic()
        while True:
            with self._condition:
                while not (self._ended or self._commands or (self._listeners and not self._status["paused"])):
                    self._condition.wait()
                    due = time.monotonic()
                if self._ended:
                    return
                commands = list(self._commands)
                self._commands.clear()
            for command in commands:
                self._execute(command)
            if time.monotonic() - checked > 1.0:
                checked = time.monotonic()
                if (lineup := self._next_lineup()) is not None:
                    self._restart(lineup)
            if self._status["paused"] or not self._listeners:
                continue
            self._step()
            due += self._env.rules.seconds_per_step / self._status["speed"]
            now = time.monotonic()
            due = max(due, now - _LARGEST_DELAY)
            with self._condition:
                if due > now and not self._commands and not self._ended:
                    self._condition.wait(due - now)

    def _execute(self, command: Mapping[str, Any]) -> None:
        if "step" in command:
            self._step()
        elif "restart" in command:
            self._restart(self._lineup)
        elif "ball" in command:
            self._place_ball(*command["ball"])
        else:
            self._status.update(command)
            if "deterministic" in command:
                for act in self._actors:
                    if isinstance(act, BotActor):
                        act.deterministic = command["deterministic"]
                self._decide()
            self._send("status", dict(self._status))

    def _start_match(self, lineup: Lineup) -> None:
        self._lineup = lineup
        self._status["message"] = ""
        rules = Rules(lineup.tick_skip, lineup.action_delay, time_limit=None, no_touch_limit=None)
        self._env = env = BatchEnv([self._team_sizes], Reward([]), {"kickoff": 1.0}, rules, engine=lineup.engine)
        self._sides = [np.flatnonzero(env.car_team == team) for team in (0, 1)]
        self._critics: list[Critic | OwnCritic | None] = [
            load_critic(player) if isinstance(player, Bot) else None for player in lineup.players
        ]
        self._matches += 1
        self._observations, _ = env.reset(seed=self._seed + self._matches - 1)
        deterministic = bool(self._status["deterministic"])
        self._actors = [
            actor(player, deterministic, self._seed + self._matches, env, cars, cars)
            for player, cars in zip(lineup.players, self._sides, strict=True)
        ]
        self._tick = self._steps = 0
        self._recent: deque[tuple[int, State]] = deque(maxlen=_RECENT)
        cars = zip(env.arenas.slots[0], env.car_team.tolist(), strict=True)
        self._header = {
            "engine": env.engine,
            "tick_rate": TICK_RATE,
            "title": lineup.title,
            "cars": [{"slot": slot, "team": TEAM_NAMES[team], "name": lineup.names[team]} for slot, team in cars],
            "action_table": ACTION_TABLE.tolist(),
        }
        self._controls = np.zeros((env.num_envs, 8), np.float32)
        self._decisions = [Decision(self._controls[cars]) for cars in self._sides]
        self._decide()
        self._frame = self._frame_document(env.state)

    def _restart(self, lineup: Lineup) -> None:
        with self._condition:
            self._start_match(lineup)
        self._send("header", self._header)
        self._send("frame", self._frame)

    def _step(self) -> None:
        env = self._env
        self._observations, _, terminated, _, _ = env.step(self._controls)
        self._steps += 1
        self._tick += env.rules.tick_skip
        if terminated.any():
            self._publish(env.final)
        self._decide()
        self._publish(env.state)

    def _decide(self) -> None:
        """Chooses the controls of every car in the current state."""
        for side, cars in enumerate(self._sides):
            if len(cars):
                act, player, critic = self._actors[side], self._lineup.players[side], self._critics[side]
                self._controls[cars] = act(self._observations[cars], self._steps)
                self._decisions[side] = decision(player, seen_by(act), self._controls[cars], critic)

    def _place_ball(self, x: float, y: float) -> None:
        arrays, document = self._env.snapshot()
        arrays["ball"][0, :9] = [x, y, _BALL_Z, 0, 0, 0, 0, 0, 0]
        self._observations = self._env.restore(arrays, document)
        self._decide()
        self._publish(self._env.state)

    def _publish(self, state: State) -> None:
        if self._show is not None:
            self._show(state)
        self._frame = self._frame_document(state)
        self._send("frame", self._frame)

    def _send(self, name: str, document: Any) -> None:
        with self._condition:
            for events in list(self._listeners):
                try:
                    events.put_nowait((name, document))
                except queue.Full:  # the browser is suspended; it connects again when it continues
                    self._listeners.remove(events)

    def _frame_document(self, state: State) -> dict[str, Any]:
        """Returns the state as the JSON document of a "frame" event."""
        self._recent.append((self._tick, state.copy()))
        chosen = {
            int(car): (made, row)
            for made, cars in zip(self._decisions, self._sides, strict=True)
            for row, car in enumerate(cars)
        }
        cars = [_car(state, slot, *chosen[k]) for k, slot in enumerate(self._env.arenas.slots[0])]
        return {
            "tick": self._tick,
            "score": [int(state.blue_score[0]), int(state.orange_score[0])],
            "ball": {
                "pos": _rounded(state.ball_pos[0]),
                "vel": _rounded(state.ball_vel[0]),
                "angVel": _rounded(state.ball_ang_vel[0], 3),
            },
            "pads": _rounded(state.pad_timer[0], 2),
            "cars": cars,
            "events": self._events(),
        }

    def _events(self) -> list[dict[str, Any]]:
        states = self._env.state.of(len(self._recent))
        for t, (_, frame) in enumerate(self._recent):
            states.arena_rows[t], states.car_rows[t] = frame.arena_rows[0], frame.car_rows[0]
        ticks = np.array([tick for tick, _ in self._recent], np.int32)
        return [event._asdict() for event in find_events(states, ticks) if event.tick == self._tick]


def _check(command: Mapping[str, Any]) -> None:
    if len(command) != 1:
        raise ValueError("one command at a time")
    (name, value), *_ = command.items()
    if name in ("paused", "deterministic"):
        sound = isinstance(value, bool)
    elif name == "speed":
        sound = not isinstance(value, bool) and value in SPEEDS
    elif name == "ball":
        sound = (
            isinstance(value, list)
            and len(value) == 2
            and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in value)
            and all(math.isfinite(each) and abs(each) <= most for each, most in zip(value, _FIELD, strict=True))
        )
    else:
        sound = name in ("step", "restart") and value in (1, True)
    if not sound:
        raise ValueError(f"{name} cannot be {value!r:.50}")


def _car(state: State, slot: int, made: Decision, row: int) -> dict[str, Any]:
    car: dict[str, Any] = {
        "pos": _rounded(state.car_pos[0, slot]),
        "vel": _rounded(state.car_vel[0, slot]),
        "forward": _rounded(state.car_forward[0, slot], 4),
        "up": _rounded(state.car_up[0, slot], 4),
        "boost": round(float(state.car_boost[0, slot]), 1),
        "onGround": bool(state.car_on_ground[0, slot]),
        "demoed": bool(state.car_is_demoed[0, slot]),
        "supersonic": bool(state.car_is_supersonic[0, slot]),
        "controls": _rounded(made.controls[row], 3),
    }
    if made.value is not None:
        car["value"] = round(float(made.value[row]), 3)
    if made.action is not None and made.action_probability is not None:
        car["action"] = int(made.action[row])
        car["actionProbability"] = round(float(made.action_probability[row]), 4)
    if made.top_actions is not None and made.top_probabilities is not None:
        car["topActions"] = made.top_actions[row].tolist()
        car["topProbabilities"] = _rounded(made.top_probabilities[row], 4)
    return car


def _rounded(values: NDArray[np.float32], digits: int = 1) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
