"""How terms are put together: weights, zero-sum, team spirit, clip, stages, and terms of the user's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlbot.reward import TERMS, Reward, Term
from rlbot.reward.compose import TermTotals, with_weights
from rlbot.settings import command
from rlbot.settings.schema import TrainConfig
from rlbot.training.build_env import make_reward
from tests.conftest import turned
from tests.reward.situations import earned, paid, random_state, state

TEAMS = [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_the_weighted_sum_and_the_clip() -> None:
    before, after = state((1, 1)), state((1, 1))
    after.blue_score[:], after.car_boost[:] = 1, 25
    items = [Term("goal", 10.0), Term("concede", -8.0), Term("boost_keep", 0.5)]
    np.testing.assert_allclose(paid(before, after, items)[0, [0, 2]], [10.25, -7.75])
    np.testing.assert_allclose(paid(before, after, items, clip=8.0)[0, [0, 2]], [8.0, -7.75])
    np.testing.assert_allclose(paid(before, after, items, clip=3.0)[0, [0, 2]], [3.0, -3.0])


@pytest.mark.parametrize("spirit", [0.0, 0.4])
def test_zero_sum_terms_cancel_between_the_teams(spirit: float) -> None:
    rng = np.random.default_rng(1)
    before, after = random_state(rng, *TEAMS), random_state(rng, *TEAMS)
    items = [Term(name, 0.5 + k) for k, name in enumerate(TERMS)]
    rewards = paid(before, after, items, TERMS, spirit)
    assert np.abs(rewards).max() > 1 and rewards[0, 0] == -rewards[0, 2] != 0
    for n, (blue, orange) in enumerate(TEAMS):
        means = rewards[n, :blue].mean(), rewards[n, 2 : 2 + orange].mean()
        assert means[0] == pytest.approx(-means[1], rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    names=st.sets(st.sampled_from(sorted(TERMS)), min_size=1),
    spirit=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_zero_sum_rewards_of_any_states_sum_to_zero_and_do_not_depend_on_the_side(
    seed: int, names: set[str], spirit: float
) -> None:
    rng = np.random.default_rng(seed)
    before, after = random_state(rng, *TEAMS), random_state(rng, *TEAMS)
    items = [Term(name, rng.uniform(-5, 5)) for name in sorted(names)]
    rewards = paid(before, after, items, sorted(names), spirit)
    scale = 1 + np.abs(rewards).max()
    for n, (blue, orange) in enumerate(TEAMS):
        blue_mean, orange_mean = rewards[n, :blue].mean(), rewards[n, 2 : 2 + orange].mean()
        assert abs(blue_mean + orange_mean) < 1e-5 * scale
        if blue == orange:
            assert abs(rewards[n].sum()) < 1e-5 * scale
    turned_rewards = paid(turned(before), turned(after), items, sorted(names), spirit)
    np.testing.assert_allclose(turned_rewards[:, [2, 3, 0, 1]], rewards, rtol=1e-5, atol=1e-5 * scale)


def test_zero_sum_takes_the_opponents_mean_off_one_term_only() -> None:
    before, after = state((1, 2)), state((1, 2))
    after.car_boost[0, [0, 2, 3]] = 100, 25, 0  # boost_keep: 1 against 0.5 and 0
    after.car_on_ground[0, 2:] = 1  # air: 1 against 0 and 0
    rewards = paid(before, after, [Term("boost_keep", 2.0), Term("air", 1.0)], ["boost_keep"])
    np.testing.assert_allclose(rewards[0], [2 * (1 - 0.25) + 1, 0, 2 * (0.5 - 1), 2 * (0 - 1)])


def test_team_spirit_keeps_a_part_and_shares_the_rest() -> None:
    before, after = state((2, 1)), state((2, 1))
    after.car_boost[0, [0, 2]] = 100
    for spirit, expected in [(0.0, [1, 0, 1, 0]), (0.4, [0.8, 0.2, 1, 0]), (1.0, [0.5, 0.5, 1, 0])]:
        rewards = paid(before, after, [Term("boost_keep", 1.0)], spirit=spirit)
        np.testing.assert_allclose(rewards[0], expected, err_msg=str(spirit))


def test_the_transforms_with_teams_of_three() -> None:
    """boost_keep is 1, 0.5 and 0 for blue, and 1 and 0.5 for two of orange."""
    before, after = state((3, 2)), state((3, 2))
    after.car_boost[0, [0, 1, 3, 4]] = 100, 25, 100, 25
    spirit = paid(before, after, [Term("boost_keep", 1.0)], spirit=0.4)
    np.testing.assert_allclose(spirit[0], [0.6 + 0.2, 0.3 + 0.2, 0.2, 0.6 + 0.3, 0.3 + 0.3, 0], rtol=1e-6)
    zero_sum = paid(before, after, [Term("boost_keep", 1.0)], ["boost_keep"])
    np.testing.assert_allclose(zero_sum[0], [1 - 0.75, 0.5 - 0.75, -0.75, 1 - 0.5, 0.5 - 0.5, 0], rtol=1e-6)


def test_the_books_hold_every_term_before_and_after_the_transforms() -> None:
    before, after = state((1, 1)), state((1, 1))
    after.car_boost[0, [0, 2]] = 100, 25
    reward = Reward([Term("boost_keep", 2.0), Term("save", 0.0), Term("air", 1.0)], ["boost_keep"], clip=0.5)
    assert reward.names == ["boost_keep", "air"]  # a weight of 0 costs nothing
    assert [reward.is_transformed(k) for k in range(2)] == [True, False]
    term_totals, out = TermTotals(2, 2), np.zeros(2, np.float32)
    for _ in range(3):
        reward.pay(reward.earn(before, after), after, np.array([0, 0]), np.array([0, 2]), term_totals, out)
    np.testing.assert_allclose(term_totals.before, [[6, 3], [3, 3]])
    np.testing.assert_allclose(term_totals.after, [[3, 3], [-3, 3]])  # before the clip
    np.testing.assert_allclose(out, [0.5, 0.0])
    term_totals.clear()
    assert not term_totals.before.any() and not term_totals.after.any()


def test_weights_may_be_changed_between_two_steps() -> None:
    before, after = state((1, 1)), state((1, 1))
    after.car_boost[0, [0, 2]] = 100, 25
    reward = Reward([Term("boost_keep", 2.0), Term("air", 0.0)], ["boost_keep"])
    for weights, names, expected in (
        ({"air": 3.0}, ["boost_keep", "air"], [2 * (1 - 0.5) + 3, 2 * (0.5 - 1) + 3]),
        ({"boost_keep": 0.0, "air": 1.0}, ["air"], [1, 1]),
        ({}, ["boost_keep"], [1, -1]),
    ):
        reward.weigh(weights)
        assert reward.names == names
        out = np.zeros(2, np.float32)
        totals = TermTotals(2, len(names))
        reward.pay(reward.earn(before, after), after, np.array([0, 0]), np.array([0, 2]), totals, out)
        np.testing.assert_allclose(out, expected)
    with pytest.raises(ValueError, match=r"reward\.terms\.touch=NaN: must be a finite number"):
        reward.weigh({"touch": float("nan")})


@pytest.mark.parametrize(
    ("items", "settings", "message"),
    [
        ([Term("touch", float("nan"))], {}, r"reward\.terms\.touch=NaN: must be a finite number"),
        ([Term("touch", float("inf"))], {}, r"reward\.terms\.touch=Infinity: must be a finite number"),
        (
            [Term("nothing_of_that_name", 1.0)],
            {},
            r"reward\.terms\.nothing_of_that_name: no such name; there are: touch, ",
        ),
        ([], {"clip": 0}, r"reward\.clip=0: must be above 0"),
        ([], {"team_spirit": 1.5}, r"reward\.team_spirit=1\.5: must be at most 1"),
        ([], {"zero_sum": ["goals"]}, r"reward\.zero_sum\.goals: no such name; did you mean goal\?"),
    ],
)
def test_wrong_values_are_refused_as_on_the_command_line(
    items: list[Term], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Reward(items, **settings)
    assert Reward([Term("touch", np.float32(0.5)), Term("goal", 10)]).names == ["touch", "goal"]


def test_a_stage_replaces_weights_and_adds_built_in_terms() -> None:
    items = with_weights([Term("touch", 1.0), Term("goal", 10.0)], {"touch": 0.0, "save": 2.0})
    assert items == [Term("touch", 0.0), Term("goal", 10.0), Term("save", 2.0)]
    config = command.compose(["curriculum=duel", "+curriculum.stages.touch.reward={touch: 0, own_half: 3}"])
    names = make_reward(config.reward, config.curriculum.stages["touch"].reward).names
    assert "touch" not in names and "own_half" in names and "touch" in make_reward(config.reward).names


OWN = """
import numpy as np

def height(before, after, above=0.0, sign=1):
    return sign * np.maximum(after.car_pos[..., 2] - above, 0)

def climb(before, after):
    return after.car_pos[:, :, 2] - before.car_pos[:, :, 2]

def flat(before, after):
    return after.ball_pos[:, 2]

def only_for_absent_cars(before, after):
    return np.where(after.present > 0, 1.0, np.nan)

def ragged(before, after):
    return [[1, 2], [3]]


def raising(before, after):
    return {}["no such key"]

number = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "my terms.py"
    file.write_text(OWN, encoding="utf-8")
    return file


def with_term(file: Path, function: str, arguments: str = "") -> TrainConfig:
    return command.compose(
        ["reward=touch", f"+reward.terms.mine={{_target_: '{file.as_posix()}:{function}', weight: 0.5{arguments}}}"]
    )


def own_reward(file: Path, function: str, arguments: str = "") -> Reward:
    return make_reward(with_term(file, function, arguments).reward)


def pay(reward: Reward) -> list[float]:
    """What the term `mine` pays the two cars, 100 and 300 high, which were 50 high before."""
    before, after = state((1, 1)), state((1, 1))
    before.car_pos[..., 2] = 50
    after.car_pos[0, [0, 2], 2] = 100, 300
    term_totals = TermTotals(2, len(reward.names))
    earned = reward.earn(before, after)
    reward.pay(earned, after, np.array([0, 0]), np.array([0, 2]), term_totals, np.zeros(2, np.float32))
    return list(term_totals.before[:, reward.names.index("mine")])


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("height", "", [50, 150]),
        ("height", ", above: 120, sign: -1", [0, -90]),
        ("climb", "", [25, 125]),
        ("only_for_absent_cars", "", [0.5, 0.5]),  # what it gives for cars that are not there is not looked at
    ],
)
def test_a_term_of_the_users_own_from_a_file(own: Path, function: str, arguments: str, expected: list[float]) -> None:
    reward = own_reward(own, function, arguments)
    assert reward.names[-1] == "mine" and len(reward.names) == 7
    np.testing.assert_allclose(pay(reward), expected, rtol=1e-6)


def test_a_term_from_a_module_and_the_transforms_on_it(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own.rename(own.with_name("own_reward_terms.py"))
    monkeypatch.syspath_prepend(own.parent)
    term = "{_target_: own_reward_terms.climb, weight: 2}"
    config = command.compose([f"+reward.terms.mine={term}", "reward.zero_sum=[mine]", "reward.clip=1000"])
    reward = make_reward(config.reward, {"mine": 0.5})  # a stage may change its weight too
    assert reward.is_transformed(reward.names.index("mine"))
    assert pay(reward) == [25, 125]


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("flat", "", r"reward\.terms\.mine returns an array of shape \(1,\); it must be \(arenas, cars\) = \(1, 4\)"),
        ("raising", "", r"reward\.terms\.mine fails: KeyError: 'no such key'"),
        ("ragged", "", r"reward\.terms\.mine fails: ValueError: setting an array element"),
        ("climb", ", hight: 3", r"reward\.terms\.mine fails: TypeError: climb\(\) got an unexpected keyword"),
    ],
)
def test_a_term_that_fails_in_play_is_named(own: Path, function: str, arguments: str, message: str) -> None:
    reward = own_reward(own, function, arguments)
    with pytest.raises(ValueError, match=message) as caught:
        pay(reward)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "function", "message"),
    [
        (OWN, "hight", "there is no function hight"),
        (OWN, "number", "there is no function number"),
        ("def climb(before, after)\n    return 0", "climb", "cannot be imported: SyntaxError: expected ':'"),
        ("raise SystemExit('bye')", "climb", "cannot be imported: SystemExit: bye"),
        (None, "climb", "cannot be imported: FileNotFoundError: no file"),
    ],
)
def test_a_term_that_cannot_be_loaded_is_named(own: Path, content: str | None, function: str, message: str) -> None:
    if content is None:
        own.unlink()
    else:
        own.write_text(content, encoding="utf-8")
    config = with_term(own, function)
    with pytest.raises(ValueError, match=r"^reward\.terms\.mine\._target_=.*my terms\.py:") as caught:
        make_reward(config.reward)
    assert message in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_all_terms_at_once_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(2)
    before, after = random_state(rng, *TEAMS), random_state(rng, *TEAMS)
    items = [Term(name, 1.0 + k) for k, name in enumerate(TERMS)]
    expected = sum(term.weight * earned(term.name, before, after) for term in items)
    np.testing.assert_allclose(paid(before, after, items), expected, rtol=1e-5, atol=1e-5)
