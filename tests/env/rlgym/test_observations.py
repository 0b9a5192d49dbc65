"""Observation builders of RLGym's: what cars see, as in RLGym's own environment, and how they are called."""

import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlbot.env import BatchEnv, Rules
from rlbot.env.observations import Observation
from rlbot.env.purity import check_purity
from rlbot.policy.bot import read_observation
from rlbot.reward import Reward, Term
from rlbot.sim import load_meshes
from rlbot.values.target import PartError, Target
from tests.conftest import random_controls
from tests.env.test_source import MIX, Gym, starts
from tests.launching import run_command

pytest.importorskip("rlgym.rocket_league.sim", reason="RLGym is in the extra rlgym, for Python 3.10 and 3.11")
pytest.importorskip("rlgym_tools.rocket_league.obs_builders.relative_default_obs", reason="needs rlgym-tools")
from rlgym.api import RLGym
from rlgym.rocket_league.done_conditions import GoalCondition
from rlgym.rocket_league.reward_functions import TouchReward
from rlgym_tools.rocket_league.action_parsers.action_history_wrapper import ActionHistoryWrapper
from rlgym_tools.rocket_league.shared_info_providers.ball_prediction_provider import BallPredictionProvider

from rlbot.env.rlgym.game import RLGymReward

DEFAULT = "rlgym.rocket_league.obs_builders.DefaultObs"
RELATIVE = "rlgym_tools.rocket_league.obs_builders.relative_default_obs.RelativeDefaultObs"
PREDICTION = "rlgym_tools.rocket_league.shared_info_providers.ball_prediction_provider.BallPredictionProvider"


class Remembers:
    """Keeps state during an episode, and looks at all that `shared_info` has."""

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        self.calls, self.last = 0, initial_state.ball.position
        shared_info["action_history"] = {agent: np.zeros((8, 8)) for agent in agents}  # as before any action

    def build_obs(self, agents: Any, state: Any, shared_info: Any) -> dict[str, Any]:
        moved = state.ball.position - self.last
        self.calls, self.last = self.calls + 1, state.ball.position
        soon = shared_info["ball_prediction"][0].position / 6000
        history = shared_info["action_history"]
        clock = [self.calls / 100, state.tick_count / 1000, float(state.goal_scored)]
        return {agent: np.concatenate([clock, moved / 100, soon, history[agent].ravel()]) for agent in agents}


PROVIDED = {"shared_info": {"_target_": PREDICTION, "limit_seconds": 0.5, "step_seconds": 0.5}}
BUILDERS = {
    "default": Target(DEFAULT, {"zero_padding": 2}),
    "unpadded": Target(DEFAULT, {"zero_padding": None}),
    "relative": Target(RELATIVE, {"dodge_relative": False}),
    "remembers": Target(f"{__name__}.Remembers", PROVIDED),
}


class Engine:
    """RLGym's engine, whose episodes begin at given placements."""

    def __init__(self, gym: Gym, placements: Any) -> None:
        self.gym, self.placements = gym, placements

    def __getattr__(self, name: str) -> Any:
        return getattr(self.gym.engine, name)

    def set_state(self, state: Any, shared_info: Any) -> Any:
        self.gym.engine._tick_count = 0
        self.gym.start(next(self.placements))
        return self.gym.engine._get_state()


class Controls:
    """The controls themselves, for eight ticks; as a state mutator it leaves the state alone."""

    def reset(self, *arguments: Any) -> None:
        pass

    apply = reset

    def parse_actions(self, actions: Any, state: Any, shared_info: Any) -> Any:
        return {agent: np.tile(row, (8, 1)) for agent, row in actions.items()}


@pytest.mark.parametrize("name", BUILDERS)
def test_observations_are_those_of_rlgyms_own_environment(name: str) -> None:
    load_meshes(engine="rocketsim2")
    observation = Observation("own", BUILDERS[name], sizes=(2, 2))
    env = BatchEnv([(2, 2)], Reward([]), MIX, Rules(no_touch_limit=6.0), engine="rocketsim2", observation=observation)
    builder = observation.builder()
    provider = BallPredictionProvider(0.5, 0.5) if name == "remembers" else None
    engine = Engine(Gym((2, 2), 0), starts(4, env.team_sizes[0]))
    rlgym = RLGym(
        Controls(), builder._make(), ActionHistoryWrapper(Controls()), TouchReward(), engine, GoalCondition(),
        shared_info_provider=provider,
    )  # fmt: skip

    def same(rows: Any, theirs: Any, what: str) -> None:
        wanted = np.clip(list(theirs.values()), -10, 10)
        np.testing.assert_allclose(rows, wanted, rtol=1e-5, atol=1e-5, err_msg=what)

    same(env.reset(seed=4)[0], rlgym.reset(), "the first state")
    rng, episodes = np.random.default_rng(1), 0
    for step in range(400):
        controls = random_controls(rng, 4)
        controls[:, 0], controls[:, 5:] = 1.0, controls[:, 5:] > 0.5
        rows, *_, info = env.step(controls)
        theirs, *_ = rlgym.step(dict(zip(rlgym.agents, controls, strict=True)))
        same(list(info["final_obs"]) if info else rows, theirs, f"step {step}")
        if info or env.state.car_is_demoed.any():
            if not info:  # RLGym draws where it comes back
                env._start(0)
                rows = env._observe()
            same(rows, rlgym.reset(), f"a start at step {step}")
            episodes += 1
    assert episodes >= 3


class Diary:
    """Writes down how builders and rewards are called."""

    calls: list[Any] = []  # noqa: RUF012 - shared by all objects on purpose

    def __init__(self, nan_at: int = -1) -> None:
        self.nan_at = nan_at

    def reset(self, agents: Any, initial_state: Any, shared_info: Any) -> None:
        assert initial_state.tick_count == 0
        self.calls.append((id(self), "reset"))

    def build_obs(self, agents: Any, state: Any, shared_info: Any) -> Any:
        self.calls.append((id(self), "build", state.tick_count))
        strange = np.nan if state.tick_count == self.nan_at else 20.0
        return {agent: [i, strange, state.tick_count / 800] for i, agent in enumerate(agents)}


class Rewarded(Diary):
    build_obs = None  # type: ignore[assignment]

    def get_rewards(self, agents: Any, state: Any, terminated: Any, truncated: Any, shared_info: Any) -> Any:
        self.calls.append((id(self), "reward", state.tick_count))
        return dict.fromkeys(agents, 0.0)


def diary(sizes: list[tuple[int, int]], **arguments: Any) -> BatchEnv:
    Diary.calls.clear()
    target = Target(f"{__name__}.Diary", arguments.pop("target", {}))
    reward = Reward([Term("told", 1.0, RLGymReward(Rewarded))])
    observation = Observation("own", target)
    rules = Rules(time_limit=0.4)  # 6 steps
    return BatchEnv(sizes, reward, {"kickoff": 1.0}, rules, observation=observation, **arguments)


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_builders_are_called_in_rlgyms_order(mode: str, engine: str) -> None:
    load_meshes(engine=engine)
    env = diary([(1, 1), (2, 1)], engine=engine, autoreset_mode=mode)
    assert env.observation.columns == (("Diary", 3),) and env.single_observation_space.shape == (3,)
    Diary.calls.clear()  # of finding out the size
    rows, _ = env.reset(seed=0)
    assert rows[:, 0].tolist() == [0, 1, 0, 1, 2] and set(rows[:, 1]) == {10.0}, "cut off at 10"
    for _ in range(8 if mode == "NextStep" else 7):
        rows, *_, info = env.step(np.zeros((5, 8)))
        if info:
            last = rows if mode == "NextStep" else np.stack(info["final_obs"])
            assert last[:, 2] == pytest.approx(0.06)
    episode = [("reset",), ("build", 0), *((kind, 8 * n) for n in range(1, 7) for kind in ("build", "reward"))]
    ids = {call[0] for call in Diary.calls}
    assert len(ids) == 4, "a builder and a reward function for each arena"
    per_arena = [[call[1:] for call in Diary.calls if call[0] == one] for one in ids]
    wanted = [*episode, *episode][: len(episode) + 4]
    for kind in ("build", "reward"):
        of_kind = [calls for calls in per_arena if any(call[0] == kind for call in calls)]
        assert of_kind == [[call for call in wanted if call[0] in ("reset", kind)]] * 2
    joined = [call[1:] for call in Diary.calls]
    assert joined[:6] == [("reset",), ("reset",), ("build", 0)] * 2
    assert joined[6:10] == [("build", 8), ("build", 8), ("reward", 8), ("reward", 8)]
    np.testing.assert_array_equal(env.observed(env.observation, np.array([0, 4])), rows[[0, 4]])


def test_a_step_whose_observation_is_not_finite_is_undone() -> None:
    env = diary([(1, 1)], target={"nan_at": 16})
    env.reset(seed=0)
    env.step(np.zeros((2, 8)))
    _, _, _, truncated, info = env.step(np.zeros((2, 8)))
    assert truncated.all() and list(env.faults) == ["the observation (Diary)"]
    assert np.stack(info["final_obs"])[:, 2] == pytest.approx(0.01), "what it saw before the step"


def test_another_bots_builder_sees_the_same_in_a_batch_of_another_observation() -> None:
    """As in evaluations: it begins when it is first asked, and in every episode."""
    own = Observation("own", BUILDERS["remembers"])
    one, other = (
        BatchEnv([(1, 1), (1, 1)], Reward([]), MIX, Rules(time_limit=0.4), observation=each)
        for each in (own, Observation())
    )
    rows, _ = one.reset(seed=3)
    other.reset(seed=3)
    rng, asked = np.random.default_rng(0), np.array([0, 1, 3])
    for _ in range(20):
        np.testing.assert_array_equal(other.observed(own, asked), rows[asked])
        controls = random_controls(rng, 4)
        rows = one.step(controls)[0]
        other.step(controls)
    assert other.rlgym is None


def test_it_travels_with_its_file_and_the_size_of_its_training(tmp_path: Path) -> None:
    code = "from rlgym.rocket_league.obs_builders import DefaultObs\n\nclass Mine(DefaultObs):\n    pass\n"
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    target = Target(f"{tmp_path / 'mine.py'}:Mine", {"zero_padding": None})
    made = Observation("own", target, sizes=(2, 2))
    assert (made.columns, replace(made, sizes=(1, 1)).columns) == ((("Mine", 132),), (("Mine", 92),))
    document = {"observation_from": made.document()}
    assert document["observation_from"] == {"target": target.document(), "source": code, "sizes": [2, 2]}
    (tmp_path / "mine.py").unlink()
    assert read_observation(document).columns == made.columns
    assert pickle.loads(pickle.dumps(read_observation(document))).size == 132
    assert read_observation({"observation_from": Observation("own", BUILDERS["default"]).document()}).size == 132


class Lacks(Diary):
    def build_obs(self, agents: Any, state: Any, shared_info: Any) -> Any:
        return shared_info["scoreboard"]


class Ragged(Diary):
    def build_obs(self, agents: Any, state: Any, shared_info: Any) -> Any:
        return {agent: np.zeros(i + 3) for i, agent in enumerate(agents)}


class Silent(Diary):
    def build_obs(self, agents: Any, state: Any, shared_info: Any) -> Any:
        return {}


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target(f"{__name__}.Silent", {}), "env.observation fails: KeyError: 'blue-0'"),
        (Target(f"{__name__}.Silent", {"x": 1}), "env.observation fails: TypeError"),
        (
            Target(f"{__name__}.Ragged", {}),
            "builds observations of shape (3,) and (4,); it must be (size,), alike for all",
        ),
        (Target(f"{__name__}.Lacks", {}), "scoreboard is not in shared_info; env.observation.shared_info may name a"),
        (
            Target(f"{__name__}.Silent", {"shared_info": {"_target_": "rlgym.nothing.Here"}}),
            "env.observation.shared_info._target_=rlgym.nothing.Here: cannot be imported",
        ),
    ],
)
def test_a_builder_that_cannot_be_used_is_named(target: Target, message: str) -> None:
    with pytest.raises(PartError, match=re.escape(message)):
        Observation("own", target).columns  # noqa: B018


def test_a_size_that_depends_on_the_number_of_cars_is_refused_where_it_changes() -> None:
    observation = Observation("own", BUILDERS["unpadded"])
    env = BatchEnv([(1, 1), (2, 2)], Reward([]), {"kickoff": 1.0}, observation=observation)
    message = "builds observations of 92 or 132 numbers, where it must be 92: their size must not depend on the number"
    with pytest.raises(PartError, match=re.escape(message)):
        env.reset(seed=0)


def test_what_it_keeps_is_no_offence_to_the_check_of_a_start() -> None:
    observation = Observation("own", BUILDERS["remembers"])
    check_purity(BatchEnv([(1, 1), (2, 2)], Reward([]), {"kickoff": 1.0}, observation=observation))


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "builder"), [(0, f"{DEFAULT}, zero_padding: 2"), (2, RELATIVE)])
def test_a_run_trains_is_resumed_and_evaluated_with_one(tmp_path: Path, workers: int, builder: str) -> None:
    """The newest version is rated, too, in a process that plays with the checkpoints alone."""
    lookup = "{_target_: rlgym.rocket_league.action_parsers.LookupTableAction}"
    parts = [f"env.observation={{_target_: {builder}}}", f"env.actions={lookup}"]
    quick = ["experiment=debug", f"env.workers={workers}", "hardware.threads=1", "hydra.run.dir=run"]
    status, out, err = run_command(tmp_path, "rlbot.train", *quick, *parts, "total_timesteps=600")
    assert (status, err) == (0, "") and "Rating of the version at" in out
    assert re.search(r"RLGym parts: \d+ us a step and car", out)
    status, out, err = run_command(tmp_path, "rlbot.train", "resume=run", "total_timesteps=1200")
    assert (status, err) == (0, "") and "Training finished at" in out
    status, _, err = run_command(tmp_path, "rlbot.train", "resume=run", "env.observation=small")
    assert status == 1 and "it was trained with another observation than the one asked for" in err
    status, _, err = run_command(tmp_path, "rlbot.train", "resume=run", "++env.observation.zero_padding=4")
    assert status == 1 and "it was trained with another observation than the one asked for" in err
    played = ["matches=2", "match_seconds=5", "workers=0"]
    status, out, err = run_command(tmp_path, "rlbot.evaluate", "checkpoint=run", *played)
    assert (status, err) == (0, "") and "touches a minute" in out
