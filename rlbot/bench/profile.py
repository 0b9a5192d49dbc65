"""Where the time of a step of a rollout goes.

A `Collector` collects as in training, on one core, in turns with and without a profiler around each piece. A piece is
charged only its own time, without the watched pieces that it calls and without the profiler's overhead, so the pieces
add up to the whole. Reward terms run in one compiled pass, so each is also timed alone.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from time import perf_counter
from typing import Any

import numpy as np

import rlbot.env.batch
import rlbot.policy.actor
from rlbot.bench.cases import ArenaRange, Case
from rlbot.collect import Collector
from rlbot.collect.env_shard import EnvShard
from rlbot.collect.rollout import Rollout
from rlbot.env import ACTION_TABLE, BatchEnv
from rlbot.policy import Policy
from rlbot.reward import Reward
from rlbot.reward.compose import TermTotals
from rlbot.settings.schema import BenchConfig
from rlbot.sim import State, choose
from rlbot.sim.engines import module
from rlbot.training.build import build
from rlbot.training.build_env import make_reward

WHOLE = "whole step, unobserved"
# (owner of the function, its name, the piece that its time is charged to).
_WATCHED: tuple[tuple[Any, str, str], ...] = (
    (Reward, "earn", "reward"),
    (Reward, "pay", "reward"),
    (rlbot.env.batch, "all_finite", "finite numbers"),
    (rlbot.env.batch, "count", "ending and counts"),
    (rlbot.env.batch, "_end", "ending and counts"),
    (rlbot.env.batch, "_tell_cars", "ending and counts"),
    (rlbot.env.batch, "observe", "observe"),
    (BatchEnv, "_start", "reset"),
    (BatchEnv, "snapshot", "settling before a rollout"),
    (BatchEnv, "restore", "settling before a rollout"),
    (Policy, "sample", "policy: sampling"),  # without the forward pass
    (Policy, "logits", "policy: matrix products"),  # without norms and activations
    (rlbot.policy.actor, "finish_layer", "policy: norms and activations"),
    (Rollout, "add", "rollout storage"),
    (Rollout, "finish", "rollout storage"),
    (BatchEnv, "step", "the rest"),
    (EnvShard, "collect", "the rest"),
    (Collector, "collect", "the rest"),
)
_WHOLES = ("reset", "settling before a rollout")  # these are also charged for the functions they call
# The same of each engine's Arenas. What is left of v2's step is reading; v3 sets controls, steps and reads in one call.
_ENGINE = {
    "rocketsim2": (("_advance", "physics"), ("_apply", "set controls"), ("step", "read state")),
    "rocketsim3": (("step", "physics"),),
}


def pieces(engine: str) -> tuple[str, ...]:
    """The pieces of a collect step on this engine, in the order of the table."""
    return tuple(dict.fromkeys([*(piece for _, piece in _ENGINE[engine]), *(piece for _, _, piece in _WATCHED)]))


class StepProfiler:
    """Charges the time of nested calls to names; each call without the calls inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner, self._closed, self._cost = 0.0, False, 0.0
        self._cost = self._overhead()
        self.seconds.clear()

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        closes = name in _WHOLES

        def watched(*args: Any, **kwargs: Any) -> Any:
            if self._closed:
                return function(*args, **kwargs)
            outer, self._inner, self._closed = self._inner, 0.0, closes
            began = perf_counter()
            result = function(*args, **kwargs)
            took = perf_counter() - began
            self.seconds[name] += took - self._inner
            self._inner, self._closed = outer + took + self._cost, False
            return result

        return watched

    def _overhead(self, calls: int = 20_000) -> float:
        """Seconds of overhead of a watched call that it is not charged with."""
        nothing = self.around("", lambda: None)
        best = np.inf
        for _ in range(5):
            self.seconds.clear()
            began = perf_counter()
            for _ in range(calls):
                nothing()
            best = min(best, perf_counter() - began - self.seconds[""])
        return best / calls


def profile(case: Case, config: BenchConfig) -> dict[str, float]:
    """{piece: us per arena step}, with the whole unwatched step under WHOLE. Reward terms are named "reward: NAME";
    their time is part of "reward". `case` must be on one core. There are bench.rounds turns of bench.seconds with the
    profiler, and as many without."""
    (arenas,) = case.arena_ranges(config)
    engine = choose(arenas.config.env.engine)
    components = build(case.config(config), print)
    components.publish()
    profiler = StepProfiler()
    collector = components.make_collector(0)
    collector.collect()  # warm-up: everything is compiled, and caches are full
    took, unwatched_steps, steps = 0.0, 0, 0
    for _ in range(config.bench.rounds):
        began = perf_counter()
        unwatched_steps += _collect(collector, config.bench.seconds)
        took += perf_counter() - began
        with _profiled(profiler, engine):
            steps += _collect(collector, config.bench.seconds)
    found = {piece: profiler.seconds[piece] / steps for piece in pieces(engine)}
    found |= {f"reward: {name}": alone for name, alone in _terms(arenas)} | {WHOLE: took / unwatched_steps}
    return {name: value / arenas.stop * 1e6 for name, value in found.items()}


@contextmanager
def _profiled(profiler: StepProfiler, engine: str) -> Iterator[None]:
    """Within this context, all watched functions are charged to `profiler`."""
    arenas = module(engine).Arenas
    watched = [*((arenas, name, piece) for name, piece in _ENGINE[engine]), *_WATCHED]
    new = [(owner, name, profiler.around(piece, getattr(owner, name))) for owner, name, piece in watched]
    with ExitStack() as stack:
        for owner, name, function in new:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, function)
        yield


def _collect(collector: Collector, seconds: float) -> int:
    """Collect whole rollouts for `seconds`; returns the number of steps."""
    steps, began = 0, perf_counter()
    while not steps or perf_counter() - began < seconds:
        steps += collector.collect()[0].num_steps
    return steps


def lines(found: dict[str, float]) -> Iterator[str]:
    """The profile as a table of ASCII."""
    known = [piece for piece in pieces("rocketsim2") if piece in found]
    total = sum(found[piece] for piece in known)
    yield f"{'piece of a collect step':36} {'us':>8} {'share':>7}"
    for piece in known:
        yield f"{piece:36} {found[piece]:8.3f} {found[piece] / total:7.1%}"
        if piece == "reward":
            for name in found:
                if name.startswith("reward: "):
                    yield f"  {'of which ' + name[8:]:34} {found[name]:8.3f} {found[name] / total:7.1%}"
    yield f"{'sum of the pieces':36} {total:8.3f} {1:7.1%}"
    yield f"{WHOLE:36} {found[WHOLE]:8.3f} {found[WHOLE] / total:7.1%}"


def _terms(arenas: ArenaRange, pairs: int = 50, repeats: int = 5) -> Iterator[tuple[str, float]]:
    """(name, seconds a step) of each reward term alone, minus the time of a reward without terms."""
    env, rng = arenas.env(), np.random.default_rng(0)
    env.reset(seed=0)
    states: list[tuple[State, State]] = []
    for _ in range(pairs):
        before = env.state.copy()
        env.step(ACTION_TABLE[rng.integers(len(ACTION_TABLE), size=env.num_envs)])
        states.append((before, env.state.copy()))

    def seconds(reward: Reward) -> float:
        term_totals, out = TermTotals(env.num_envs, len(reward.names)), np.zeros(env.num_envs, np.float32)
        best = np.inf
        for _ in range(repeats):
            began = perf_counter()
            for before, after in states:
                reward.pay(reward.earn(before, after), after, env.car_arena, env.car_slot, term_totals, out)
            best = min(best, perf_counter() - began)
        return best / pairs

    settings = dataclasses.replace(arenas.config.reward, terms={}, zero_sum=())
    nothing = seconds(make_reward(settings))
    for name, term in arenas.config.reward.terms.items():
        if term.weight != 0:
            alone = make_reward(dataclasses.replace(settings, terms={name: term}))
            yield name, max(seconds(alone) - nothing, 0.0)
