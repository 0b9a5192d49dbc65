"""Which stage a timestep belongs to, and the team sizes of its arenas."""

from itertools import pairwise

import pytest

from rlbot.curriculum import Stage, orange_first, self_play, stage_at, team_sizes
from rlbot.values.ramp import Ramp


def stage(until: int | None = None, **teams: float) -> Stage:
    return Stage("name", until, {name.lstrip("_"): share for name, share in teams.items()}, {"self": 1.0})


def test_a_stage_ends_where_the_next_begins_and_the_last_never() -> None:
    stages = [stage(300), stage(600), stage(None)]
    at = {0: 0, 299: 0, 300: 1, 599: 1, 600: 2, 10**12: 2}
    assert {timesteps: stage_at(stages, timesteps) for timesteps in at} == at
    assert stage_at([stage(100)], 500) == 0  # an `until` of the last stage ends nothing
    assert stage_at([stage(None)], 0) == 0


def test_ramps_of_the_run_count_from_its_start_and_those_of_a_stage_from_its_beginning() -> None:
    run = {"touch": Ramp(1.0, 0.0, 1000), "goal": 10.0, "air": Ramp(0.0, 0.1, 100)}
    each = Stage("score", None, {"1v1": 1.0}, {"self": 1.0}, {"goal": Ramp(2.0, 4.0, 200), "air": 0.5}, weights=run)
    assert each.reward_weights(600, began=600) == pytest.approx({"touch": 0.4, "goal": 2.0, "air": 0.5})
    assert each.reward_weights(700, began=600) == pytest.approx({"touch": 0.3, "goal": 3.0, "air": 0.5})
    assert each.reward_weights(5000, began=600) == {"touch": 0.0, "goal": 4.0, "air": 0.5}
    assert each.ramped() == ["touch", "goal"]


@pytest.mark.parametrize(
    ("shares", "arenas", "expected"),
    [
        ({"_1v1": 1.0}, 3, [(1, 1)] * 3),
        ({"_2v2": 0.3}, 2, [(2, 2)] * 2),  # shares need not sum to 1
        ({"_1v2": 1.0}, 5, [(1, 2), (2, 1), (1, 2), (2, 1), (1, 2)]),  # both sides alternate
        ({"_1v1": 0.5, "_2v2": 0.5}, 4, [(1, 1), (2, 2)] * 2),  # spread over the arenas
        ({"_1v1": 1.0, "_1v2": 0.0}, 2, [(1, 1)] * 2),
        # 7 arenas by 5 : 3 : 2 are 3.5, 2.1 and 1.4: the odd one goes to the largest remainder
        ({"_1v1": 5, "_1v2": 3, "_2v2": 2}, 7, [(1, 1), (1, 2), (1, 1), (2, 2), (1, 1), (2, 1), (1, 1)]),
        # 5 by 1 : 1 : 1 are 1.67 each: two odd ones, to the first two
        ({"_1v1": 1, "_1v2": 1, "_2v2": 1}, 5, [(1, 1), (1, 2), (2, 2), (1, 1), (2, 1)]),
        ({"_1v1": 0.9, "_2v2": 0.1}, 1, [(1, 1)]),
    ],
)
def test_team_sizes(shares: dict[str, float], arenas: int, expected: list[tuple[int, int]]) -> None:
    assert team_sizes(stage(**shares), arenas) == expected


def test_every_arena_has_teams_whatever_the_shares() -> None:
    for arenas in range(1, 40):
        sizes = team_sizes(stage(_1v1=0.1, _1v2=0.7, _2v2=0.2), arenas)
        assert len(sizes) == arenas
        for teams, share in (((1, 1), 0.1), ((2, 2), 0.2)):
            assert abs(sizes.count(teams) - share * arenas) < 1
        assert sizes.count((1, 2)) - sizes.count((2, 1)) in (0, 1)


def test_orange_is_first_in_half_of_the_arenas_of_each_kind() -> None:
    assert orange_first(stage(_1v1=1.0), 8) == [False, False, True, True] * 2
    mixed = Stage("name", None, {"1v1": 0.5, "1v2": 0.3, "2v2": 0.2}, {"self": 0.5, "past": 0.5})
    kinds = list(zip(team_sizes(mixed, 400), self_play(mixed, 400), strict=True))
    first = orange_first(mixed, 400)
    for kind in set(kinds):
        of_kind = [first[n] for n in range(400) if kinds[n] == kind]
        assert abs(sum(of_kind) - len(of_kind) / 2) <= 1, kind


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"self": 1.0}, "11111111"),
        ({"past": 1.0}, "00000000"),
        ({"self": 3, "past": 1}, "10111011"),  # spread evenly
        ({"self": 0.1, "past": 0.8, "idle": 0.1}, "00000000"),  # 0.8 of an arena
        ({"self": 1, "random": 1}, "01010101"),
    ],
)
def test_the_share_of_self_play_is_spread_over_the_arenas(shares: dict[str, float], expected: str) -> None:
    duel = Stage("name", None, {"1v1": 1.0}, shares)
    assert "".join(str(int(each)) for each in self_play(duel, 8)) == expected


@pytest.mark.parametrize("arenas", [24, 64, 250])
def test_any_arenas_in_a_row_are_as_the_whole_batch(arenas: int) -> None:
    """Whatever the number of workers and processes: team sizes, sides and self-play, also each among the others."""
    mixed = Stage("name", None, {"1v1": 0.5, "1v2": 0.3, "2v2": 0.2}, {"self": 0.5, "past": 0.5})
    kinds = list(zip(team_sizes(mixed, arenas), self_play(mixed, arenas), strict=True))
    cars = [sum(teams) for teams, _ in kinds]
    assert abs(sum(own for _, own in kinds) - arenas / 2) < 1
    for parts in range(2, 9):
        bounds = [arenas * i // parts for i in range(parts + 1)]
        for a, b in pairwise(bounds):
            share = (b - a) / arenas
            assert abs(sum(cars[a:b]) - share * sum(cars)) <= 4
            for kind in set(kinds):
                assert abs(kinds[a:b].count(kind) - share * kinds.count(kind)) < 2, (parts, a, kind)
    if arenas > 60:  # the learner plays alone against two and in a team against one, with and without itself
        assert {((1, 2), True), ((2, 1), True), ((1, 2), False), ((2, 1), False)} <= set(kinds)
