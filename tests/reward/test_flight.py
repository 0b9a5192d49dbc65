"""Which balls are on their way into a goal: by hand, and against RocketSim."""

import numpy as np
import pytest
import RocketSim

from rlbot.reward.flight import heading_into

CASES = [
    ("a straight shot at each goal", (0, 3000, 300), (0, 3000, 0), 1),
    ("", (0, -3000, 300), (0, -3000, 0), -1),
    ("away from it", (0, 3000, 300), (0, -1000, 0), 0),
    ("at rest", (0, 5000, 93), (0, 0, 0), 0),
    ("rolling in, 2120 uu in 2.2 s", (0, 3000, 93), (0, 1000, 0), 1),
    ("too slow: 2120 uu in 3.1 s", (0, 3000, 93), (0, 700, 0), 0),
    ("past the post: 1060 uu to the side", (0, 3000, 93), (1000, 2000, 0), 0),
    ("inside the post: 700 uu to the side", (0, 3000, 93), (660, 2000, 0), 1),
    ("over the bar: 300 + 1060 - 325 x 0.5 uu high", (0, 4000, 300), (0, 1120, 1060), 0),
    ("under it: z = 300 + 0.5 x 500 - 325 x 0.25 = 469", (0, 4000, 300), (0, 2240, 500), 1),
    ("from a height, with a bounce before the line", (0, 2000, 900), (0, 1500, 0), 1),
    ("off the ceiling", (0, 0, 1800), (0, 2500, 1500), 0),
    ("off the side wall", (3900, 3000, 300), (2000, 2000, 0), 0),
    ("between the posts, over the line", (0, 5200, 200), (0, 100, 0), 1),
    ("behind the goal's side", (2000, 5200, 200), (0, 100, 0), 0),
]


@pytest.mark.parametrize(("what", "pos", "vel", "expected"), CASES)
def test_by_hand(what: str, pos: tuple[float, ...], vel: tuple[float, ...], expected: int) -> None:
    assert heading_into(np.array(pos, np.float32), np.array(vel, np.float32)) == expected
    turned = heading_into(np.array(pos, np.float32) * [-1, -1, 1], np.array(vel, np.float32) * [-1, -1, 1])
    assert turned == -expected


def test_rocketsim_agrees_with_nearly_all() -> None:
    """Balls that fly toward the goal, alone in an arena for 3 s. Off a post or the bar they may go in too."""
    arena = RocketSim.Arena(RocketSim.GameMode.SOCCAR)
    rng, found = np.random.default_rng(0), []
    for _ in range(300):
        pos = rng.uniform((-2500, 1000, 93.15), (2500, 4500, 700)).astype(np.float32)
        to_goal = rng.uniform((-1300, 5120, 93), (1300, 5120, 700)) - pos
        vel = (to_goal / np.linalg.norm(to_goal) * rng.uniform(1000, 3500)).astype(np.float32)
        arena.ball.set_state(RocketSim.BallState(pos=RocketSim.Vec(*pos.tolist()), vel=RocketSim.Vec(*vel.tolist())))
        went_in = False
        for _ in range(400):  # until all of it is behind the line
            arena.step(1)
            went_in |= arena.ball.get_state().pos.y > 5120 + 91.25
        found.append((heading_into(pos, vel) == 1, went_in))
    told, real = np.array(found).T
    assert 80 < told.sum() < 220
    assert real[told].mean() > 0.97 and told[real].mean() > 0.92
