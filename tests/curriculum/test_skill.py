"""Skills at which a stage ends: the windows they are measured over, and what must be reached."""

from rlbot.curriculum import Stage, stage_at
from rlbot.curriculum.skill import RATINGS, SKILLS, WINDOW, Measured, add, means, measure, reached
from rlbot.env.counts import COUNTS


def test_a_skill_is_the_mean_over_the_last_iterations_and_one_of_them_is_not_enough() -> None:
    measured: Measured = {}
    touches = [100.0, *range(9)]  # the first one was lucky
    for n, value in enumerate(touches):
        assert means(measured, ["touches_per_minute"]) == {}
        measure(measured, ["touches_per_minute"], {"play/touches_per_minute": value, "play/speed": 1.0}, 32 * (n + 1))
    assert means(measured, ["touches_per_minute"]) == {"touches_per_minute": (100 + 36) / 10}
    measure(measured, ["touches_per_minute"], {"play/touches_per_minute": 9.0}, 352)
    assert means(measured, ["touches_per_minute"]) == {"touches_per_minute": 4.5}  # 0 to 9: the first is forgotten
    assert measured["touches_per_minute"][0] == [64, 0.0] and len(measured["touches_per_minute"]) == WINDOW


def test_an_iteration_in_which_it_was_not_measured_does_not_count() -> None:
    measured: Measured = {}
    for n in range(20):
        metrics = {"opponents/score_against_past": 0.5} if n % 2 else {}
        measure(measured, ["score_against_past"], metrics, n)
        assert ("score_against_past" in means(measured, ["score_against_past"])) == (n == 19)


def test_the_rating_is_the_mean_of_the_last_versions_and_comes_only_once() -> None:
    measured: Measured = {}
    for timesteps, points in ((100, 300.0), (100, 300.0), (200, 500.0), (150, 9.0), (300, 700.0)):
        add(measured, "rating", timesteps, points)
    assert RATINGS == 2 and measured == {"rating": [[200, 500.0], [300, 700.0]]}
    assert means(measured, ["rating", "speed"]) == {"rating": 600.0}


def test_all_skills_of_a_stage_must_be_reached() -> None:
    skills = {"touches_per_minute": 8.0, "goals_per_minute": 1.0}
    assert reached({"touches_per_minute": 8.0, "goals_per_minute": 1.5}, skills)
    assert not reached({"touches_per_minute": 7.9, "goals_per_minute": 1.5}, skills)
    assert not reached({"touches_per_minute": 9.0}, skills) and not reached({}, {})


def test_a_stage_ends_by_skill_or_timesteps_whichever_comes_first() -> None:
    def stage(until: int | None, **skills: float) -> Stage:
        return Stage("name", until, {"1v1": 1.0}, {"self": 1.0}, skills=skills)

    stages = [stage(300, touches_per_minute=8), stage(None, goals_per_minute=1), stage(900), stage(None)]
    assert [stage_at(stages, timesteps) for timesteps in (0, 299, 300, 10**9)] == [0, 0, 1, 1]
    assert [stage_at(stages, 100, passed) for passed in (-1, 0, 1, 2, 3)] == [0, 0, 1, 2, 2]
    assert [stage_at(stages, 1000, passed) for passed in (0, 1, 2)] == [1, 1, 3]
    assert [each.end for each in stages] == [
        "touches_per_minute 8 or 300 timesteps", "goals_per_minute 1", "900 timesteps", "the end"
    ]  # fmt: skip


def test_every_skill_has_a_curve() -> None:
    counted = {f"play/{name}_per_minute" for name in COUNTS}
    others = {"play/speed", "play/air_share", "opponents/score_against_past", None}
    assert set(SKILLS.values()) - counted == others
