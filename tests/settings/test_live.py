"""Which settings may change while a run trains, and with which checks."""

from typing import Any

import pytest

from rlbot.settings.command import compose
from rlbot.settings.errors import ConfigError
from rlbot.settings.live import LIVE, changed, value_of
from rlbot.settings.names import NAME, settings
from rlbot.values.ramp import Ramp

OWN = "+reward.terms.own={_target_: 'mine.py:own', weight: 1, reach: 5}"


def test_settings_change_and_nothing_else_does() -> None:
    config = compose([OWN])
    new = changed(
        config,
        {
            "learner.learning_rate": 2e-4,
            "learner.entropy_coef": {"from": 0.01, "to": 0.0, "over": 1000},
            "reward.terms.touch": 0.25,
            "reward.terms.own": 0.5,
            "curriculum.stages.duel.reward.goal": 3,
            "curriculum.stages.duel.until": 1_000_000,
            "total_timesteps": 9_000_000,
            "hardware.time_limit": None,
        },
    )
    assert new.learner.learning_rate == 2e-4 and new.learner.entropy_coef == Ramp(0.01, 0.0, 1000)
    assert new.reward.terms["touch"].weight == 0.25 and new.total_timesteps == 9_000_000
    own = new.reward.terms["own"]
    assert own.weight == 0.5 and own.target == config.reward.terms["own"].target
    assert new.curriculum.stages["duel"].reward["goal"] == 3.0 and new.curriculum.stages["duel"].until == 1_000_000
    assert value_of(new, "reward.terms.own") == 0.5 and value_of(new, "reward.terms.nothing") is None
    back = changed(
        new,
        {
            key: value_of(config, key)
            for key in (
                "learner.learning_rate", "learner.entropy_coef", "reward.terms.touch", "reward.terms.own",
                "curriculum.stages.duel.reward.goal", "curriculum.stages.duel.until", "total_timesteps",
            )
        },
    )  # fmt: skip
    assert back == config


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"learner.gamma": 0.9},
            "learner.gamma: cannot change while a run trains, only after resume=; these can: ",
        ),
        ({"env.num_envs": 4}, "env.num_envs: cannot change while a run trains"),
        ({"seed": 4}, "seed: cannot change while a run trains"),
        ({"learner.learning_rat": 4}, "learner.learning_rat: no such setting; did you mean learner.learning_rate?"),
        ({"learner.learning_rate": -1}, "learner.learning_rate=-1: must be above 0"),
        ({"learner.target_kl": "high"}, "learner.target_kl=high: must be a number"),
        ({"reward.terms.tuoch": 1.0}, "reward.terms.tuoch: no such name; did you mean touch?"),
        ({"reward.terms.touch": {"_target_": "a.py:b"}}, "reward.terms.touch: only its weight can change"),
        ({"curriculum.stages.dual.until": 5}, "curriculum.stages.dual: there is no stage of this name"),
        ({"curriculum.stages.duel.until": 4_000_000}, "until=3500000: must be above the 4000000 of the stage before"),
        ({"learner.anneal_from": 5_000_000}, "learner.anneal_from=5000000: must be below total_timesteps=5000000"),
    ],
)
def test_what_may_not_change_is_refused_in_one_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        changed(compose([OWN]), changes)
    assert told in str(refused.value) and len(str(refused.value).splitlines()) == 1


def test_every_name_is_one_of_the_settings() -> None:
    known = set(settings())
    for name in LIVE:
        assert name in known or name.removesuffix(f".{NAME}") in known, name
