"""The environment against its sources: bare RocketSim, and RLGym's engine where it is installed.

The same controls give the same states to the last bit. Both sources are driven by their own calls alone; of the project
they get the controls and where an episode starts.
"""

import os
from typing import Any

import numpy as np
import pytest
import RocketSim
from numpy.typing import NDArray

from rlbot.env import BatchEnv, Rules, reset
from rlbot.reward import Reward
from rlbot.sim import Placement, State, load_meshes
from rlbot.sim.rocketsim2.exact import tick_order
from tests.conftest import random_controls

MIX = {"kickoff": 0.1, "near_ball": 0.5, "airborne": 0.2, "anywhere": 0.2}
NEWEST_FIRST = os.name != "nt"
# A size, and steps: ten thousand of them take some seconds.
CASES = [
    *(pytest.param(size, 1_500, id=f"{size}") for size in ((1, 1), (2, 2))),
    *(pytest.param(size, 10_000, id=f"{size} slow", marks=pytest.mark.slow) for size in ((1, 1), (2, 2))),
]
CAR_VECTORS = ("pos", "vel", "ang_vel", "forward", "right", "up")
CAR_NUMBERS = (
    "boost", "on_ground", "has_flip", "has_jumped", "has_double_jumped", "has_flipped", "air_time_since_jump",
    "is_supersonic", "is_demoed", "demo_timer", "handbrake", "touched",
)  # fmt: skip
EVENTS = ("goals", "demos", "boost_pickups")


def ours(env: BatchEnv, counted: bool = True) -> NDArray[np.float32]:
    """All numbers of the only arena of `env`; with what is counted, if the source counts it too."""
    state, cars = env.state, env.state.cars[0][env.arenas.present[0]]
    numbers = [state.ball_pos[0], state.ball_vel[0], state.ball_ang_vel[0]]
    for car in cars:
        numbers += [car[name] for name in CAR_VECTORS]
        numbers += [np.array([car[name] for name in (*CAR_NUMBERS, *(EVENTS if counted else ()))])]
    if counted:
        numbers += [state.pad_active[0], np.array([state.blue_score[0], state.orange_score[0]])]
    return np.concatenate(numbers)


class Bare:
    """An arena of RocketSim in its default configuration."""

    def __init__(self, size: tuple[int, int]) -> None:
        kept = []  # else the next arena would lie at the same place
        while True:  # one arena in ten with four cars goes through them in another order: RocketSim's set of pointers
            self.make([0] * size[0] + [1] * size[1])
            order = tick_order(self.arena, self.cars)
            if order == sorted(order, reverse=NEWEST_FIRST):
                break
            kept.append(self.arena)
        self.pads = self.arena.get_boost_pads()

    def make(self, teams: list[int]) -> None:
        self.arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR)
        self.cars = [self.arena.add_car(team, RocketSim.CarConfig.OCTANE) for team in teams]

    def start(self, placement: Placement) -> None:
        """A tick on the ground and one in the air, so that wheels and inertia remember nothing; then the placement."""
        self.park(17, 1900, RocketSim.CarControls())
        self.park(1800, 200, RocketSim.CarControls(handbrake=True))
        ball = {name: RocketSim.Vec(*getattr(placement, f"ball_{name}")) for name in ("pos", "vel", "ang_vel")}
        self.arena.ball.set_state(RocketSim.BallState(**ball))
        for car, start in zip(self.cars, placement.cars, strict=True):
            grounded = start.pos[2] <= 18 and start.pitch == start.roll == 0
            car.set_state(
                RocketSim.CarState(
                    pos=RocketSim.Vec(*start.pos), vel=RocketSim.Vec(*start.vel), ang_vel=RocketSim.Vec(*start.ang_vel),
                    rot_mat=RocketSim.Angle(start.yaw, start.pitch, start.roll).as_rot_mat(), is_on_ground=grounded,
                    wheels_with_contact=(grounded,) * 4, boost=start.boost,
                )
            )  # fmt: skip
            car.set_controls(RocketSim.CarControls())
            car.goals = car.demos = car.boost_pickups = 0
        for pad in self.pads:
            pad.set_state(RocketSim.BoostPadState())
        self.since = self.arena.tick_count

    def park(self, z: float, ball_z: float, controls: Any) -> None:
        ball = RocketSim.BallState(pos=RocketSim.Vec(0, 0, ball_z), vel=RocketSim.Vec(0, 0, 1))
        self.arena.ball.set_state(ball)
        spots = ((-600, -600), (600, -600), (-600, 600), (600, 600))
        for car, (x, y) in zip(self.cars, spots, strict=False):
            car.set_state(RocketSim.CarState(pos=RocketSim.Vec(x, y, z), boost=0))
            car.set_controls(controls)
        self.arena.step(1)

    def step(self, controls: NDArray[np.float32], ticks: int) -> None:
        self.since = self.arena.tick_count
        for car, row in zip(self.cars, controls.tolist(), strict=True):
            jump, boost, handbrake = (x > 0 for x in row[5:])
            car.set_controls(RocketSim.CarControls(*row[:5], jump=jump, boost=boost, handbrake=handbrake))
        self.arena.step(ticks)

    def numbers(self) -> NDArray[np.float32]:
        ball = self.arena.ball.get_state()
        found = [*ball.pos, *ball.vel, *ball.ang_vel]
        for car in self.cars:
            state, hit = car.get_state(), car.get_state().ball_hit_info
            matrix = state.rot_mat
            for vector in (state.pos, state.vel, state.ang_vel, matrix.forward, matrix.right, matrix.up):
                found += vector
            found += [
                state.boost, state.is_on_ground, state.has_flip_or_jump(), state.has_jumped, state.has_double_jumped,
                state.has_flipped, state.air_time_since_jump, state.is_supersonic, state.is_demoed,
                state.demo_respawn_timer, state.handbrake_val, hit.is_valid and hit.tick_count_when_hit >= self.since,
                *(getattr(car, name) for name in EVENTS),
            ]  # fmt: skip
        found += [pad.get_state().is_active for pad in self.pads]
        return np.array([*found, self.arena.blue_score, self.arena.orange_score], np.float32)


def starts(seed: int, sizes: tuple[int, int]) -> Any:
    """The placements that a BatchEnv of one arena draws after reset(seed)."""
    rng = np.random.default_rng([seed, 0])
    while True:
        yield reset.draw(rng, MIX, sizes)


def drawn(rng: np.random.Generator, cars: int) -> NDArray[np.float32]:
    """Controls of cars that mostly drive on."""
    controls = random_controls(rng, cars)
    controls[:, 0] = 1.0
    return controls


@pytest.mark.parametrize(("size", "steps"), CASES)
def test_states_are_those_of_bare_rocketsim(size: tuple[int, int], steps: int) -> None:
    """Goals and limits start new episodes, and sometimes a car is demolished and respawns."""
    load_meshes(engine="rocketsim2")
    rules = Rules(no_touch_limit=6.0)
    env, bare = BatchEnv([size], Reward([]), MIX, rules, engine="rocketsim2"), Bare(size)
    placements = starts(3, size)
    env.reset(seed=3)
    bare.start(next(placements))
    rng, episodes, returned = np.random.default_rng(0), 0, 0
    for step in range(steps):
        if step % 150 == 10:
            victim = step // 150 % sum(size)
            env.arenas._cars[0][victim].demolish()
            bare.cars[victim].demolish()
        controls = drawn(rng, sum(size))
        *_, info = env.step(controls)
        bare.step(controls, 8)
        if info:
            bare.start(next(placements))
            episodes += 1
        else:
            returned += come_back(bare, env.state)
        np.testing.assert_array_equal(ours(env), bare.numbers(), err_msg=f"step {step}")
        cooldowns = [pad.get_state().cooldown for pad in bare.pads]
        assert np.abs(env.state.pad_timer[0] - cooldowns).max() < 1e-3  # counted on from the exact one
    assert episodes >= 10 and returned >= 1


def come_back(bare: Bare, state: State) -> int:
    """Cars whose respawn falls into the next step come back now, at a place that follows from the ball's."""
    due = [car for car in bare.cars if car.get_state().is_demoed and car.get_state().demo_respawn_timer <= 8 / 120]
    for car in due:
        car.respawn(int(state.arenas.view(np.uint32)[4:8].sum()) & 0x7FFFFFFF)
    return len(due)


class Gym(Bare):
    """RLGym's engine. It steps tick by tick and sets the controls in each: one tick late where rlbot_delay is on, which
    is an action delay of one tick. Its boost lasts 0.1% longer unless its unit of consumption is corrected. It makes
    its cars anew for each episode, and new cars drive differently in the last digits (see rlbot.sim.rocketsim2.exact):
    here they are made once, and placed as in a bare arena."""

    def __init__(self, size: tuple[int, int], delay: int) -> None:
        self.delay = delay
        super().__init__(size)

    def make(self, teams: list[int]) -> None:
        from rlgym.rocket_league.common_values import BOOST_CONSUMPTION_RATE
        from rlgym.rocket_league.sim import RocketSimEngine
        from rlgym.rocket_league.state_mutators import FixedTeamSizeMutator, KickoffMutator

        self.engine = RocketSimEngine(rlbot_delay=self.delay == 1)
        state = self.engine.create_base_state()
        FixedTeamSizeMutator(teams.count(0), teams.count(1)).apply(state, {})
        KickoffMutator().apply(state, {})
        state.config.boost_consumption = 100 / 3 / BOOST_CONSUMPTION_RATE
        self.engine.set_state(state, {})
        self.arena, self.cars = self.engine._arena, list(self.engine._cars.values())

    def start(self, placement: Placement) -> None:
        super().start(placement)
        self.engine._get_state()  # forgets the touches until now

    def step(self, controls: NDArray[np.float32], ticks: int) -> None:
        pressed = np.concatenate([controls[:, :5], controls[:, 5:] > 0], axis=1)
        agents = self.engine.agents
        self.engine.step({agent: np.tile(row, (ticks, 1)) for agent, row in zip(agents, pressed, strict=True)}, {})

    def numbers(self) -> NDArray[np.float32]:
        ball = self.engine.state.ball
        found = [*ball.position, *ball.linear_velocity, *ball.angular_velocity]
        for car in self.engine.state.cars.values():
            body = car.physics
            found += [*body.position, *body.linear_velocity, *body.angular_velocity, *body.rotation_mtx.T.ravel()]
            found += [
                car.boost_amount, car.on_ground, car.on_ground or car.has_flip, car.has_jumped, car.has_double_jumped,
                car.has_flipped, car.air_time_since_jump, car.is_supersonic, car.is_demoed, car.demo_respawn_timer,
                car.handbrake, car.ball_touches > 0,
            ]  # fmt: skip
        return np.array(found, np.float32)


@pytest.mark.parametrize("delay", [0, 1])
@pytest.mark.parametrize(("size", "steps"), CASES)
def test_states_are_those_of_rlgym(size: tuple[int, int], steps: int, delay: int) -> None:
    """If a car is demolished, both start a new episode: RLGym draws the position of its respawn."""
    pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra peer, for Python 3.10 and 3.11")
    rules = Rules(no_touch_limit=6.0, action_delay=delay)
    load_meshes(engine="rocketsim2")
    env, gym = BatchEnv([size], Reward([]), MIX, rules, engine="rocketsim2"), Gym(size, delay)
    placements = starts(4, env.team_sizes[0])
    env.reset(seed=4)
    gym.start(next(placements))
    rng, compared = np.random.default_rng(1), 0
    for step in range(steps):
        controls = drawn(rng, sum(size))
        *_, info = env.step(controls)
        gym.step(controls, 8)
        if not info and env.state.car_is_demoed.any():
            env._start(0)
            info = {"ended": 1}
        if info:
            gym.start(next(placements))
            continue
        np.testing.assert_array_equal(ours(env, counted=False), gym.numbers(), err_msg=f"step {step}")
        compared += 1
    assert compared > 0.9 * steps
