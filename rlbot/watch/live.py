"""A match that is played while somebody watches: at the pace of a clock, with pause, speed and other wishes."""

import contextlib
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlbot.env import ACTION_TABLE, BatchEnv, Rules
from rlbot.policy import Bot, Critic, load_critic
from rlbot.rating.matches import Player, actor
from rlbot.recording import Decision, find_events
from rlbot.recording.decisions import decision
from rlbot.recording.recorder import TICK_RATE
from rlbot.reward import Reward
from rlbot.sim import BLUE, TEAM_OF_SLOT, State
from rlbot.watch.server import Events, new_queue

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0)
_MEMORY = 150  # frames, in which it is looked for who touched the ball before a goal
_LATE = 0.5  # s behind the clock, after which the time that was lost is not made up for
_BALL_Z = 93.15  # uu, where a placed ball rests
_FIELD = (4096.0 - 200.0, 5120.0 - 200.0)  # uu, within which a ball may be placed


@dataclass(frozen=True)
class Cast:
    """Who plays: the first is blue, the second orange; what is told of them, and their pace."""

    players: tuple[Player, Player]
    names: tuple[str, str]
    title: str = ""
    tick_skip: int = 8
    action_delay: int = 0


class LiveMatch:
    """Plays in a thread of its own, and only while somebody listens. Every goal is followed by a kickoff, without end.

    `renew()` is asked now and then who is to play from now on; None changes nothing. `show(state)` is given every
    state.
    """

    def __init__(
        self,
        cast: Cast,
        team_sizes: tuple[int, int],
        deterministic: bool = False,
        seed: int = 0,
        renew: Callable[[], Cast | None] = lambda: None,
        show: Callable[[State], None] | None = None,
    ) -> None:
        self._renew, self._show, self._team_sizes = renew, show, team_sizes
        self._seed, self._matches = seed, 0
        self._status: dict[str, Any] = {"paused": False, "speed": 1.0, "deterministic": deterministic, "message": ""}
        self._listeners: list[Events] = []
        self._wishes: deque[Mapping[str, Any]] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._begin(cast)
        self._thread = threading.Thread(target=self._run, name="rlbot-live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the match, and tell all who listen."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        for events in self._listeners:
            with contextlib.suppress(queue.Full):
                events.put_nowait(None)

    def listen(self) -> Events:
        events = new_queue()
        with self._changed:
            for each in (("header", self._header), ("status", dict(self._status)), ("frame", self._frame)):
                events.put_nowait(each)
            self._listeners.append(events)
            self._changed.notify_all()
        return events

    def leave(self, events: Events) -> None:
        with self._changed:
            if events in self._listeners:
                self._listeners.remove(events)

    def command(self, wish: Mapping[str, Any]) -> None:
        """One of {"paused": bool}, {"speed": one of SPEEDS}, {"step": 1}, {"deterministic": bool}, {"restart": true} or
        {"ball": [x, y]} in uu. Raises ValueError for anything else."""
        _check(wish)
        with self._changed:
            self._wishes.append(dict(wish))
            self._changed.notify_all()

    def _run(self) -> None:
        due = asked = time.monotonic()
        while True:
            with self._changed:
                while not (self._ended or self._wishes or (self._listeners and not self._status["paused"])):
                    self._changed.wait()
                    due = time.monotonic()
                if self._ended:
                    return
                wishes = list(self._wishes)
                self._wishes.clear()
            for wish in wishes:
                self._fulfil(wish)
            if time.monotonic() - asked > 1.0:
                asked = time.monotonic()
                if (cast := self._renew()) is not None:
                    self._start_anew(cast)
            if self._status["paused"] or not self._listeners:
                continue
            self._step()
            due += self._env.rules.seconds_per_step / self._status["speed"]
            now = time.monotonic()
            due = max(due, now - _LATE)
            with self._changed:
                if due > now and not self._wishes and not self._ended:
                    self._changed.wait(due - now)

    def _fulfil(self, wish: Mapping[str, Any]) -> None:
        if "step" in wish:
            self._step()
        elif "restart" in wish:
            self._start_anew(self._cast)
        elif "ball" in wish:
            self._place_ball(*wish["ball"])
        else:
            self._status.update(wish)
            if "deterministic" in wish:
                self._make_actors()
                self._decide()
            self._tell("status", dict(self._status))

    def _begin(self, cast: Cast) -> None:
        self._cast = cast
        self._status["message"] = ""
        rules = Rules(cast.tick_skip, cast.action_delay, time_limit=None, no_touch_limit=None)
        self._env = env = BatchEnv([self._team_sizes], Reward([]), {"kickoff": 1.0}, rules)
        self._sides = [np.flatnonzero(TEAM_OF_SLOT[env.car_slot] == team) for team in (0, 1)]
        self._critics: list[Critic | None] = [
            load_critic(player) if isinstance(player, Bot) else None for player in cast.players
        ]
        self._matches += 1
        self._observations, _ = env.reset(seed=self._seed + self._matches - 1)
        self._make_actors()
        self._tick = self._steps = 0
        self._memory: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=_MEMORY)
        slots = env.arenas.slots[0]
        self._header = {
            "tick_rate": TICK_RATE,
            "title": cast.title,
            "cars": [{"slot": slot, "name": cast.names[int(TEAM_OF_SLOT[slot] != BLUE)]} for slot in slots],
            "action_table": ACTION_TABLE.tolist(),
        }
        self._controls = np.zeros((env.num_envs, 8), np.float32)
        self._decisions = [Decision(self._controls[cars]) for cars in self._sides]
        self._decide()
        self._frame = self._picture(env.state)

    def _make_actors(self) -> None:
        deterministic = bool(self._status["deterministic"])
        self._actors = [
            actor(player, deterministic, self._seed + self._matches, self._env, cars, cars)
            for player, cars in zip(self._cast.players, self._sides, strict=True)
        ]

    def _start_anew(self, cast: Cast) -> None:
        with self._changed:
            self._begin(cast)
        self._tell("header", self._header)
        self._tell("frame", self._frame)

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
        """What every car does from the current state on."""
        for side, cars in enumerate(self._sides):
            if len(cars):
                seen = self._observations[cars]
                self._controls[cars] = self._actors[side](seen, self._steps)
                player, critic = self._cast.players[side], self._critics[side]
                self._decisions[side] = decision(player, seen, self._controls[cars], critic)

    def _place_ball(self, x: float, y: float) -> None:
        arrays, document = self._env.snapshot()
        arrays["ball"][0, :9] = [x, y, _BALL_Z, 0, 0, 0, 0, 0, 0]
        self._observations = self._env.restore(arrays, document)
        self._decide()
        self._publish(self._env.state)

    def _publish(self, state: State) -> None:
        if self._show is not None:
            self._show(state)
        self._frame = self._picture(state)
        self._tell("frame", self._frame)

    def _tell(self, name: str, document: Any) -> None:
        with self._changed:
            for events in list(self._listeners):
                try:
                    events.put_nowait((name, document))
                except queue.Full:  # a browser that fell asleep; it asks again when it wakes
                    self._listeners.remove(events)

    def _picture(self, state: State) -> dict[str, Any]:
        """A frame as the page wants it."""
        frame = State(1)
        frame.arena_rows[0], frame.car_rows[0] = state.arena_rows[0], state.car_rows[0]
        self._memory.append((self._tick, frame.memory))
        told = {
            int(car): (made, row)
            for made, cars in zip(self._decisions, self._sides, strict=True)
            for row, car in enumerate(cars)
        }
        cars = [_car(state, slot, *told[k]) for k, slot in enumerate(self._env.arenas.slots[0])]
        return {
            "tick": self._tick,
            "score": [int(state.blue_score[0]), int(state.orange_score[0])],
            "ball": {
                "pos": _short(state.ball_pos[0]),
                "vel": _short(state.ball_vel[0]),
                "angVel": _short(state.ball_ang_vel[0], 3),
            },
            "pads": _short(state.pad_timer[0], 2),
            "cars": cars,
            "events": self._events(),
        }

    def _events(self) -> list[dict[str, Any]]:
        states = State(len(self._memory))
        for t, (_, memory) in enumerate(self._memory):
            frame = State(1, memory)
            states.arena_rows[t], states.car_rows[t] = frame.arena_rows[0], frame.car_rows[0]
        ticks = np.array([tick for tick, _ in self._memory], np.int32)
        return [event._asdict() for event in find_events(states, ticks) if event.tick == self._tick]


def _check(wish: Mapping[str, Any]) -> None:
    if len(wish) != 1:
        raise ValueError("one wish at a time")
    (name, value), *_ = wish.items()
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
        "pos": _short(state.car_pos[0, slot]),
        "vel": _short(state.car_vel[0, slot]),
        "forward": _short(state.car_forward[0, slot], 4),
        "up": _short(state.car_up[0, slot], 4),
        "boost": round(float(state.car_boost[0, slot]), 1),
        "onGround": bool(state.car_on_ground[0, slot]),
        "demoed": bool(state.car_is_demoed[0, slot]),
        "supersonic": bool(state.car_is_supersonic[0, slot]),
        "controls": _short(made.controls[row], 3),
    }
    if made.value is not None:
        car["value"] = round(float(made.value[row]), 3)
    if made.action is not None and made.action_probability is not None:
        car["action"] = int(made.action[row])
        car["actionProbability"] = round(float(made.action_probability[row]), 4)
    if made.top_actions is not None and made.top_probabilities is not None:
        car["topActions"] = made.top_actions[row].tolist()
        car["topProbabilities"] = _short(made.top_probabilities[row], 4)
    return car


def _short(values: NDArray[np.float32], digits: int = 1) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
