"""Action masks: what they forbid is what has no effect."""

import numpy as np
import pytest

from rlbot.env import ACTION_TABLE, BatchEnv, RocketSimEnv, RocketSimVectorEnv, Rules
from rlbot.env.action_mask import mask_size, masks_of, pack, patterns, unpack
from rlbot.reward import Reward
from rlbot.sim import State

JUMP, BOOST = 5, 6
ON_GROUND, IN_AIR = {"on_ground": 1.0, "has_flip": 1.0}, {"on_ground": 0.0, "has_flip": 0.0}
CASES = {  # a car, and whether its buttons boost and jump have an effect
    "on the ground, empty": (ON_GROUND, False, True),
    "on the ground": (ON_GROUND | {"boost": 0.5}, True, True),
    "in the air with a flip": (IN_AIR | {"has_flip": 1.0, "has_jumped": 1.0, "air_time_since_jump": 1.2}, False, True),
    "in the air without a flip": (IN_AIR | {"has_jumped": 1.0, "air_time_since_jump": 1.3, "boost": 9.0}, True, False),
    "rising from a jump": (IN_AIR | {"has_jumped": 1.0, "has_flipped": 1.0}, False, True),
    "flipped after it drove off a wall": (IN_AIR | {"has_flipped": 1.0}, False, False),
    "on its roof": (IN_AIR | {"up": (0, 0.1, -0.99), "pos": (0, 0, 40)}, False, True),
    "upside down in the air": (IN_AIR | {"up": (0, 0.1, -0.99), "pos": (0, 0, 400)}, False, False),
}


def state_of(*cars: dict) -> State:
    """An arena with one car for each of `cars`, in slot 2."""
    state = State(len(cars))
    state.car_up[..., 2], state.car_pos[..., 2] = 1.0, 500.0
    for n, fields in enumerate(cars):
        for name, value in fields.items():
            state.cars[name][n, 2] = value
    return state


def allowed_in(state: State, table: object = ACTION_TABLE) -> np.ndarray:
    arenas = np.arange(len(state))
    return unpack(masks_of(state, patterns(table), arenas, np.full_like(arenas, 2)), len(np.array(table)))


def test_it_forbids_the_rows_that_press_a_button_without_effect() -> None:
    cars, boosts, jumps = zip(*CASES.values(), strict=True)
    for name, allowed, boost, jump in zip(CASES, allowed_in(state_of(*cars)), boosts, jumps, strict=True):
        fits = (boost | (ACTION_TABLE[:, BOOST] == 0)) & (jump | (ACTION_TABLE[:, JUMP] == 0))
        np.testing.assert_array_equal(allowed, fits, err_msg=name)
        # 39 of the 90 rows boost, 18 jump, 9 do both.
        assert allowed.sum() == {(0, 0): 42, (1, 0): 72, (0, 1): 51, (1, 1): 90}[boost, jump]


def test_in_a_table_of_the_users_own_a_button_is_pressed_above_zero_and_one_action_is_always_allowed() -> None:
    rows = [(1, 0, 0, 0, 0, 0.2, 0, 0), (1, 0, 0, 0, 0, -1, 0.5, 0), (1, 0, 0, 0, 0, 0, -0.5, 0)]
    state = state_of(IN_AIR, IN_AIR | {"boost": 1.0}, ON_GROUND)
    assert allowed_in(state, rows).tolist() == [[False, False, True], [False, True, True], [True, False, True]]
    assert allowed_in(state, rows[:2]).tolist() == [[True, True], [False, True], [True, False]]


def test_masks_are_packed_from_the_lowest_bit_of_the_first_byte_on() -> None:
    masks = np.random.default_rng(0).random((5, 90)) < 0.5
    packed = pack(masks)
    assert packed.shape == (5, mask_size(90)) == (5, 12) and packed[0, 1] & 1 == masks[0, 8]
    np.testing.assert_array_equal(unpack(packed, 90), masks)
    assert [mask_size(count) for count in (2, 8, 9)] == [1, 1, 2]


@pytest.mark.parametrize("tick_skip", [1, 8])
def test_a_forbidden_press_changes_nothing(engine: str, tick_skip: int) -> None:
    """A step with random rows of the table, and one from the same state without the presses that the mask forbids. Left
    out are arenas in which a car takes a pad or lands in the step: it pressed before that."""
    env = BatchEnv([(1, 1)] * 16, Reward([]), {"anywhere": 1.0, "airborne": 1.0}, Rules(tick_skip), engine=engine)
    env.reset(seed=0)
    rng, which, compared = np.random.default_rng(0), patterns(ACTION_TABLE), 0
    for _ in range(150):
        snapshot, before = env.snapshot(), env.state.copy()
        env.restore(*snapshot)
        every = unpack(masks_of(env.state, which, env.car_arena, env.car_slot), 90)
        controls = ACTION_TABLE[rng.integers(90, size=env.num_envs)]
        released = controls.copy()
        for button in (JUMP, BOOST):
            only = (ACTION_TABLE[:, button] > 0) & (ACTION_TABLE[:, JUMP + BOOST - button] == 0)
            released[~every[:, only].any(1), button] = 0
        env.step(released)
        without, goes_on = env.state.copy(), env.ended == 0
        env.restore(*snapshot)
        env.step(controls)
        landed = (before.car_on_ground == 0) & (without.car_on_ground == 1)
        fetched = env.state.car_boost_pickups > before.car_boost_pickups
        same = goes_on & (env.ended == 0) & ~(landed | fetched).any(1)
        np.testing.assert_array_equal(env.state.car_rows[same], without.car_rows[same])
        compared += int((same[env.car_arena] & (controls != released).any(1)).sum())
    assert compared > 500


def test_the_environments_for_other_libraries_tell_them() -> None:
    """In each it is the mask of the state as it is now, of the table that was chosen."""
    own = [*(tuple(row) for row in ACTION_TABLE[[0, 3]]), (1, 0, 0, 0, 0, 1, 0, 0)]
    empty = {"discrete": True, "reset_mix": {"airborne": 1.0}}
    for table, chosen in ((ACTION_TABLE, empty), (np.array(own, np.float32), {**empty, "actions": own})):
        one, many = RocketSimEnv(**chosen), RocketSimVectorEnv(3, opponent="random", **chosen)
        rng, found = np.random.default_rng(0), set()
        for env in (one, many):
            env.reset(seed=0)
        for _ in range(60):
            single, several = one.action_masks(), many.action_masks()
            for mask, state, n in [(single, one.state, 0), *((several[n], many.state, n) for n in range(3))]:
                wanted = masks_of(state, patterns(table), np.array([n]), np.array([0]))
                np.testing.assert_array_equal(mask, unpack(wanted, len(table))[0])
                found.add(int(mask.sum()))
            if any(one.step(rng.choice(np.flatnonzero(single)))[2:4]):
                one.reset()
            many.step(np.array([rng.choice(np.flatnonzero(mask)) for mask in several]))
        assert len(found) > 1
    for env in (RocketSimEnv(reset_mix={"kickoff": 1.0}), RocketSimVectorEnv(3, reset_mix={"kickoff": 1.0})):
        env.reset(seed=0)
        assert env.action_masks().shape[-1] == 90 and env.action_masks().all(), "of the table that most bots have"


def test_pettingzoo_has_them_in_infos() -> None:
    pytest.importorskip("pettingzoo", reason="needs PettingZoo: extra dev")
    from rlbot.env import parallel_env

    env = parallel_env(1, 1, discrete=True, reset_mix={"kickoff": 1.0})
    _, infos = env.reset(seed=0)
    assert {name: info["action_mask"].sum() for name, info in infos.items()} == {"blue_0": 90, "orange_0": 90}
    _, _, _, _, infos = env.step({"blue_0": 3, "orange_0": 3})
    assert infos["blue_0"]["action_mask"].dtype == np.int8 and infos["blue_0"]["action_mask"].shape == (90,)
    assert parallel_env(1, 1).reset(seed=0)[1] == {"blue_0": {}, "orange_0": {}}
