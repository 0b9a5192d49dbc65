"""The pool of past versions, and who plays the cars that do not learn."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rlbot.curriculum import Opponents, Pool
from rlbot.env import ACTION_TABLE
from rlbot.policy import Bot, Network

NETWORK = Network(180, (4,), layer_norm=False, activation="relu", action_head="table")
SIZE = NETWORK.size()
CAR_ARENA = np.array([0, 0, 1, 2, 2, 3])  # of six cars to play in four arenas
OBS = np.zeros((6, 180), np.float32)


def always(action: int) -> NDArray[np.float32]:
    """Weights of an actor that always takes one row of the action table."""
    vector = np.zeros(SIZE, np.float32)
    vector[SIZE - 90 + action] = 100.0  # the last 90 are the biases of the output
    return vector


BRAKE = Bot(NETWORK, always(0), 8, 0, 0, Path("brake"))


def pool(*versions: int, size: int = 8) -> Pool:
    """Version number i of those given always takes action i."""
    made = Pool(size, SIZE)
    for i, timesteps in enumerate(versions):
        made.add(timesteps, always(i))
    return made


def opponents(kind: str, versions: Pool, seed: int = 0, first_arena: int = 0, draw: str = "uniform") -> Opponents:
    """`kind`: one name, or several with a comma between them that are equally likely."""
    numbers = 4 * (CAR_ARENA + first_arena) + np.array([2, 3, 2, 2, 3, 2])
    arenas = range(first_arena, first_arena + 4)
    shares = dict.fromkeys(kind.split(","), 0.5)
    odds, bots = versions.odds(draw), {"brake": BRAKE}
    return Opponents(shares, odds, CAR_ARENA, numbers, arenas, NETWORK, versions, bots, seed)


def version(made: Opponents) -> NDArray[np.int64]:
    """Timesteps of what each arena plays against."""
    return made.current[:, 1]


def actions(controls: NDArray[np.float32]) -> list[int]:
    return [int((row == ACTION_TABLE).all(1).argmax()) for row in controls]


def test_the_pool_is_bounded_spread_and_keeps_the_first_and_the_newest() -> None:
    made = Pool(4, SIZE)
    held = []
    for timesteps in range(100, 1300, 100):
        made.add(timesteps, np.full(SIZE, timesteps, np.float32))
        held.append(made.versions().tolist())
        assert len(made) == len(held[-1]) <= 4
        assert held[-1][0] == 100 and held[-1][-1] == timesteps
        for each in held[-1]:
            assert (made.weights[made.row(each)] == each).all()
    # by hand: of 100..500 the first whose neighbours lie 200 apart goes, then 400 (300 to 500 are closest) ...
    assert held[3:7] == [[100, 200, 300, 400], [100, 300, 400, 500], [100, 300, 500, 600], [100, 300, 500, 700]]
    gaps = np.diff(held[-1])
    assert gaps.max() <= 600 and gaps.min() >= 100


def test_a_version_of_the_same_timesteps_is_replaced_and_copies_are_kept() -> None:
    made, vector = Pool(3, SIZE), np.ones(SIZE, np.float32)
    made.add(5, vector)
    vector[:] = 2
    assert (made.weights[made.row(5)] == 1).all()
    made.add(5, vector)
    assert len(made) == 1 and (made.weights[made.row(5)] == 2).all()


def test_the_state_of_the_pool_comes_back_and_then_goes_the_same_way() -> None:
    made = pool(100, 200, 300, 400, size=3)
    other = Pool(3, SIZE)
    other.load_state(made.state())
    for timesteps in (500, 600):
        for each in (made, other):
            each.add(timesteps, always(timesteps // 100))
    assert other.versions().tolist() == made.versions().tolist()
    for each in made.versions():
        np.testing.assert_array_equal(other.weights[other.row(each)], made.weights[made.row(each)])
    assert [each.tolist() for each in made.state().values()] == [each.tolist() for each in other.state().values()]
    with pytest.raises(ValueError, match=f"the saved opponents have {SIZE} weights, this run's {SIZE + 1}"):
        Pool(3, SIZE + 1).load_state(made.state())


def test_a_pool_of_another_size_takes_the_versions_over() -> None:
    made = pool(*range(100, 900, 100))
    made.record(np.array([[800, 1.0]]))
    smaller, larger = Pool(4, SIZE), Pool(12, SIZE)
    smaller.load_state(made.state())
    larger.load_state(made.state())
    assert larger.versions().tolist() == made.versions().tolist()
    added = pool(*range(100, 900, 100), size=4)
    assert smaller.versions().tolist() == added.versions().tolist()
    for each in (smaller, larger):
        state = dict(zip(each.versions().tolist(), each.state()["scores"][each.state()["active"] == 1], strict=True))
        assert state[800] == pytest.approx(0.525) and (each.weights[each.row(800)] == always(7)).all()


def test_pools_over_the_same_memory_are_one() -> None:
    memory = bytearray(Pool.num_bytes(3, SIZE))
    one, other = Pool(3, SIZE, memory), Pool(3, SIZE, memory)
    one.add(7, always(1))
    assert other.versions().tolist() == [7] and (other.weights[other.row(7)] == always(1)).all()


def test_every_arena_plays_one_version_until_its_episode_ends() -> None:
    made = opponents("past", pool(*range(0, 800, 100)))
    first = version(made).copy()
    seen = {tuple(actions(made.controls(OBS, step))) for step in range(5)}
    assert seen == {tuple(int(each) // 100 for each in first[CAR_ARENA])}
    for step in range(1, 200):
        made.redraw(np.array([1, 3]), step)
        assert version(made)[[0, 2]].tolist() == first[[0, 2]].tolist()
        if version(made)[1] != first[1]:
            break
    assert actions(made.controls(OBS, 0))[2] == version(made)[1] // 100 != first[1] // 100


def test_every_version_is_equally_likely_and_drawn_anew_at_every_end() -> None:
    made = opponents("past", pool(*range(0, 800, 100)))
    drawn: Counter[int] = Counter()
    for step in range(1000):
        made.redraw(np.arange(4), step)
        drawn.update(version(made).tolist())
    assert set(drawn) == set(range(0, 800, 100))
    assert all(abs(count - 500) < 5 * 21 for count in drawn.values())  # five standard deviations of 4000 x 1/8


def test_a_version_that_was_dropped_is_played_until_the_episode_ends() -> None:
    versions = pool(100, 200, 300, size=3)
    made = opponents("past", versions)
    made.current[:, 1] = 200
    for i in range(3, 9):  # more than there is room for, were 200 not held
        versions.add(100 * (i + 1), always(i))
        versions.hold(np.array([200]))
        made.begin(versions.odds("uniform"), step=i)
        assert 200 not in versions.versions() and len(versions) == 3
        assert actions(made.controls(OBS, 0)) == [1] * 6
    assert versions.state()["timesteps"].tolist() == [100, 200, *versions.versions()[1:]]  # and nothing else is kept
    made.redraw(np.arange(4), 1)
    assert 200 not in version(made)
    versions.hold(np.array([], np.int64))
    assert not versions.has(np.array([200])).any()


def test_versions_that_are_played_at_once_stand_in_rows_of_their_own() -> None:
    """Two versions answered by one row would use one buffer: cars would act on what others see."""
    versions = pool(100, 200, 300, size=3)
    made = opponents("past", versions)
    playing = [200, 300, 100, 100]
    made.current[:, 1] = playing
    for i in range(3, 6):
        versions.add(100 * (i + 1), always(i))
        versions.hold(np.unique(playing))
        playing[3] = 100 * (i + 1)
        made.current[3, 1] = playing[3]
        rows = [versions.row(each) for each in set(playing)]
        assert len(set(rows)) == len(rows)
        assert actions(made.controls(OBS, 0)) == [each // 100 - 1 for each in np.array(playing)[CAR_ARENA]]


def test_an_arena_whose_version_is_gone_draws_a_new_one() -> None:
    versions = pool(100, 200, 300, 400, size=3)
    made = opponents("past", versions)
    made.current[:, 1] = [50, 100, 60, 400]
    made.begin(versions.odds("uniform"), step=7)
    assert version(made)[[1, 3]].tolist() == [100, 400]
    assert set(version(made).tolist()) <= set(versions.versions().tolist())


def test_arenas_go_on_against_who_they_played_by_name() -> None:
    """Resumed with other opponents: what is still among them is played on, in place of the others one is drawn."""
    versions = pool(100, 200)
    made = opponents("idle,past,brake,random", versions)
    made.current[:] = [[0, 0], [1, 200], [2, 0], [3, 0]]
    names, played = made.snapshot()
    assert names == ["idle", "past", "brake", "random"] and played.tolist() == [0, 200, 0, 0]
    other = opponents("brake,past", versions)
    other.restore(names, played)
    other.begin(versions.odds("uniform"), step=9)
    assert other.current[1:3].tolist() == [[1, 200], [0, 0]]
    assert (other.current >= 0).all() and actions(other.controls(OBS, 0))[2:5] == [1, 0, 0]
    alone = opponents("idle", Pool(2, SIZE))
    alone.restore(names, played)
    alone.begin((np.zeros(0, np.int64), np.zeros(0)), step=9)
    assert not alone.current.any() and not alone.controls(OBS, 0).any()


def test_what_is_drawn_depends_on_seed_step_and_arena_not_on_the_batch() -> None:
    versions = pool(*range(0, 800, 100))
    draws = []
    for seed, first_arena in ((0, 0), (0, 0), (1, 0), (0, 2)):
        made = opponents("past", versions, seed, first_arena)
        table = [version(made).copy()]
        for step in range(50):
            made.redraw(np.arange(4), step)
            table.append(version(made).copy())
        draws.append(np.array(table))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert (draws[0] != draws[2]).any()
    np.testing.assert_array_equal(draws[0][:, 2:], draws[3][:, :2])  # arenas 2 and 3, in another process


def test_idle_does_nothing_and_random_takes_every_action() -> None:
    versions = Pool(2, SIZE)
    assert not opponents("idle", versions).controls(OBS, 0).any()
    made, seen = opponents("random", versions), Counter[int]()
    for step in range(1500):
        seen.update(actions(made.controls(OBS, step)))
    assert set(seen) == set(range(90)) and max(seen.values()) < 150  # 100 expected, five standard deviations are 50
    np.testing.assert_array_equal(made.controls(OBS, 3), opponents("random", versions).controls(OBS, 3))
    with pytest.raises(AssertionError):
        opponents("past", versions)  # no version to play


def test_the_rules_by_which_a_version_is_drawn() -> None:
    versions = pool(100, 200, 300, 400)
    assert versions.odds("uniform")[0].tolist() == [100, 200, 300, 400]
    np.testing.assert_allclose(versions.odds("uniform")[1], [0.25] * 4)
    assert versions.odds("recent")[1].tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(versions.odds("prioritised")[1], [0.25] * 4)  # all are even until they are played
    for _ in range(200):
        versions.record(np.array([[100, 1.0], [300, 0.0]]))  # one is beaten every time, the other never
    chances = versions.odds("prioritised")[1]
    # (1 - score)^2 + 0.001 of scores 1, 0.5, 0, 0.5
    np.testing.assert_allclose(chances, np.array([0.001, 0.251, 1.001, 0.251]) / 1.504, atol=1e-4)
    versions.record(np.array([[200, 1.0]]))
    assert versions.state()["scores"][1] == pytest.approx(0.5 + 0.05 * 0.5)
    made, drawn = opponents("past", versions, draw="prioritised"), Counter[int]()
    for step in range(1000):
        made.redraw(np.arange(4), step)
        drawn.update(version(made).tolist())
    assert drawn[300] / 4000 == pytest.approx(chances[2], abs=0.04) and drawn[100] < 20


def test_the_score_against_a_version_does_not_depend_on_the_order_of_episodes() -> None:
    against = np.array([[100, 1.0], [200, 0.5], [100, 0.0], [100, 1.0], [200, 0.0], [100, 0.5]])
    found = []
    for order in (range(6), range(5, -1, -1), (3, 1, 4, 0, 5, 2)):
        versions = pool(100, 200)
        versions.record(against[list(order)])
        found.append(versions.state()["scores"].tolist())
    # by hand: 4 episodes of mean 0.625 count as four one after another, 1 - 0.95^4 = 0.18549375; 2 of mean 0.25
    assert found[0][:2] == pytest.approx([0.5 + 0.18549375 * 0.125, 0.5 - 0.0975 * 0.25], abs=1e-12)
    assert found[0] == found[1] == found[2]


def test_a_mix_is_drawn_by_its_shares_and_told_apart() -> None:
    made, kinds = opponents("past,idle,self", pool(100)), Counter[int]()  # "self" is not played by opponents
    for step in range(500):
        made.redraw(np.arange(4), step)
        played = made.played(np.arange(4)).tolist()
        kinds.update(played)
        idle = [not row.any() for row in made.controls(OBS, step)]
        assert idle == [played[arena] == -1 for arena in CAR_ARENA]
    assert set(kinds) == {-1, 100} and abs(kinds[-1] - 1000) < 5 * 23
