"""RLGym's states made from arrays, against those of RLGym's own engine on the same play: every field."""

from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.reward import Reward
from rlbot.sim import load_meshes
from tests.conftest import needs_rocketsim3
from tests.env.test_source import Gym, drawn, starts

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
from rlgym.rocket_league.api import Car, GameState
from rlgym.rocket_league.sim import RocketSimEngine

from rlbot.env.rlgym.states import GameStates

CAR = [name for name in Car.__slots__ if not name.startswith("_") and name != "physics"]
DERIVED = ["is_demoed", "is_boosting", "is_supersonic", "on_ground", "has_flip", "can_flip", "is_flipping", "is_blue"]
BODY = ["position", "linear_velocity", "angular_velocity", "rotation_mtx"]
SEEN = {"touches": 0, "jumps": 0, "flips": 0, "boosts": 0, "demos": 0, "bumps": 0, "pads": 0}


def differences(one: Any, other: Any, at: str, names: list[str], tolerance: float = 0.0) -> list[str]:
    """The fields in which two of RLGym's objects differ, in value or kind."""
    found = []
    for name in names:
        a, b = getattr(one, name), getattr(other, name)
        same = a == b if isinstance(a, str | None) else np.abs(np.subtract(a, b, dtype=float)).max() <= tolerance
        kinds = isinstance(a, np.ndarray) == isinstance(b, np.ndarray) and np.shape(a) == np.shape(b)
        if not (same and kinds):
            found.append(f"{at}.{name}: {a!r} != {b!r}")
    return found


def compare(ours: GameState, theirs: GameState) -> list[str]:
    found = differences(ours, theirs, "state", ["goal_scored", "scoring_team"])
    found += differences(ours, theirs, "state", ["boost_pad_timers", "inverted_boost_pad_timers"], 1e-3)
    found += differences(ours.ball, theirs.ball, "ball", BODY)
    found += differences(ours.inverted_ball, theirs.inverted_ball, "inverted ball", BODY)
    found += differences(ours.config, theirs.config, "config", ["gravity", "dodge_deadzone"])
    assert list(ours.cars) == list(theirs.cars)
    for agent, car in ours.cars.items():
        found += differences(car, theirs.cars[agent], agent, CAR + DERIVED)
        found += differences(car.physics, theirs.cars[agent].physics, agent, [*BODY, "forward", "up", "euler_angles"])
        found += differences(car.inverted_physics, theirs.cars[agent].inverted_physics, f"inverted {agent}", BODY)
    return found


def note(state: GameState) -> None:
    for car in state.cars.values():
        SEEN["touches"] += car.ball_touches > 0
        SEEN["jumps"] += car.is_jumping
        SEEN["flips"] += car.is_flipping
        SEEN["boosts"] += car.is_boosting
        SEEN["demos"] += car.is_demoed
        SEEN["bumps"] += car.bump_victim_id is not None
    SEEN["pads"] += (state.boost_pad_timers > 0).any()


def test_every_field_is_as_rlgyms_engine_gives_it() -> None:
    """A car that comes back from a demolition ends the episode: RLGym lets it come back where chance will."""
    load_meshes(engine="rocketsim2")
    size, rules = (2, 2), Rules(no_touch_limit=6.0)
    mix = {"kickoff": 0.1, "near_ball": 0.5, "airborne": 0.2, "anywhere": 0.2}
    env, gym = BatchEnv([size], Reward([]), mix, rules, engine="rocketsim2"), Gym(size, 0)
    placements, states = starts(4, env.team_sizes[0]), GameStates(env.arenas)
    env.reset(seed=4)
    gym.start(next(placements))
    assert states.agents == [["blue-0", "blue-1", "orange-0", "orange-1"]] and states.agents[0] == gym.engine.agents
    (first,) = states.read(env.state, [0])
    assert compare(first, gym.engine._get_state()) == []
    rng, compared, goals = np.random.default_rng(1), 0, 0
    for step in range(400):
        if step % 97 == 50:
            victim = step // 97 % 4
            env.arenas._cars[0][victim].demolish()
            gym.cars[victim].demolish()
        controls = drawn(rng, 4)
        controls[:, 5] = rng.random(4) < 0.2  # jumps, and a second press for flips
        demoed = env.state.car_is_demoed[0].copy()
        *_, info = env.step(controls)
        gym.step(controls, 8)
        if not info:
            (state,) = states.read(env.state, (env.steps * 8).tolist())
            back = (demoed > env.state.car_is_demoed[0]).any()
            if not back:
                assert compare(state, gym.engine.state) == [], f"step {step}"
                assert state.tick_count == env.steps[0] * 8
                note(state)
                compared += 1
                continue
            env._start(0)
        else:
            goals += info["final_info"]["ended"][0] < 3
            assert abs(env.final.ball_pos[0, 1]) > 5215.5 or info["final_info"]["ended"][0] == 3
        gym.start(next(placements))
        states.read(env.state, [0])
    assert compared > 350 and goals > 0 and min(SEEN.values()) > 0, (compared, goals, SEEN)


def test_a_state_is_kept_as_it_was() -> None:
    env = BatchEnv([(1, 1)], Reward([]), {"kickoff": 1.0})
    states = GameStates(env.arenas)
    env.reset(seed=0)
    (kept,) = states.read(env.state, [0])
    before = kept.ball.position.copy(), kept.cars["blue-0"].physics.position.copy()
    for _ in range(60):
        env.step(np.tile(np.array([1, 0, 0, 0, 0, 0, 1, 0], np.float32), (2, 1)))
    (now,) = states.read(env.state, [480])
    assert now.cars["blue-0"].physics.position[1] != before[1][1]
    np.testing.assert_array_equal(kept.ball.position, before[0])
    np.testing.assert_array_equal(kept.cars["blue-0"].physics.position, before[1])


@needs_rocketsim3
def test_rocketsim3_tells_the_same_as_rocketsim2() -> None:
    """A jump, a flip, boost and handbrake from a kickoff: the engines differ by little in half a second."""
    played = []
    for engine in ("rocketsim2", "rocketsim3"):
        load_meshes(engine=engine)
        env = BatchEnv([(1, 1), (2, 2)], Reward([]), {"kickoff": 1.0}, Rules(tick_skip=4), engine=engine)
        states = GameStates(env.arenas)
        env.reset(seed=2)
        rows = [states.read(env.state, [0, 0])]
        for step in range(24):
            jump = 5 <= step < 8 or 10 <= step < 12
            controls = np.array([1, 0.3, -1 if step >= 10 else 0, 0, 0, jump, step > 2, step > 20], np.float32)
            env.step(np.tile(controls, (6, 1)))
            rows.append(states.read(env.state, [4 * step + 4] * 2))
        played.append(rows)
    for step, (ours, theirs) in enumerate(zip(*played, strict=True)):
        for one, other in zip(ours, theirs, strict=True):
            assert differences(one, other, f"step {step}", ["tick_count", "goal_scored"]) == []
            assert differences(one.ball, other.ball, f"step {step}", BODY, 1.0) == []
            for agent, car in one.cars.items():
                at, more = f"step {step} {agent}", [name for name in CAR if name not in ("jump_time", "boost_amount")]
                assert differences(car, other.cars[agent], at, more, 0.035) == []
                assert differences(car.physics, other.cars[agent].physics, at, BODY, 25.0) == []


@needs_rocketsim3
def test_states_of_rocketsim3_can_be_set_in_rlgyms_engine() -> None:
    """A state goes through RLGym's engine unchanged, but for what that does not set; touches are counted in ticks."""
    env = BatchEnv([(2, 2)] * 4, Reward([]), {"near_ball": 0.7, "anywhere": 0.3}, engine="rocketsim3")
    states, engine = GameStates(env.arenas), RocketSimEngine()
    env.reset(seed=3)
    states.read(env.state, [0] * 4)
    rng, touched = np.random.default_rng(0), 0
    for step in range(150):
        controls = drawn(rng, 16)
        controls[:, 5] = rng.random(16) < 0.2
        env.step(controls)
        read = states.read(env.state, [8] * 4)
        touches = [car.ball_touches for state in read for car in state.cars.values()]
        for before, count in zip(env.state.car_touched.ravel().tolist(), touches, strict=True):
            assert (count > 0) == (before > 0) and count <= 8
        touched += sum(touches)
        if step % 10 == 0:
            for state in read:
                engine.set_state(state, {})
                for agent, car in engine.state.cars.items():
                    names = [name for name in CAR if name not in ("ball_touches", "bump_victim_id")]
                    assert differences(state.cars[agent], car, agent, names, 1e-6) == []
                    assert differences(state.cars[agent].physics, car.physics, agent, BODY, 1e-3) == []
    assert touched > 3
