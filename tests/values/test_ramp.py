"""Ramps: their values, how settings write them, and what is wrong with others."""

import pytest

from rlbot.settings.command import compose
from rlbot.settings.document import document, load_document
from rlbot.settings.errors import ConfigError
from rlbot.values.ramp import Ramp, example, shown_ramp, value_at


def test_a_ramp_goes_linearly_from_one_end_to_the_other_and_stays() -> None:
    ramp = Ramp(1.0, 0.2, 2_000_000)
    found = [ramp.at(timesteps) for timesteps in (0, 500_000, 1_000_000, 1_500_000, 2_000_000, 9_000_000)]
    assert found == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.2], abs=1e-12)
    assert ramp.at(2_000_000) == 0.2 and ramp.at(-5) == 1.0  # exactly
    assert value_at(0.5, 10**9) == 0.5 and value_at(ramp, 1_000_000) == ramp.at(1_000_000)
    assert shown_ramp(ramp) == "1 to 0.2 within 2000000 timesteps" and shown_ramp(3e-4) == "0.0003"
    assert [example(each) for each in (ramp, Ramp(0.0, 2.0, 9), 0.5)] == [1.0, 2.0, 0.5]


def test_settings_take_a_number_or_a_ramp_and_are_written_as_they_were_read() -> None:
    ramp = "{from: 1, to: 0.5, over: 2_000}"
    config = compose(
        [
            *(f"{name}={ramp}" for name in ("learner.learning_rate", "learner.entropy_coef", "learner.clip_range")),
            f"reward.terms.touch={ramp}",
            f"+reward.terms.mine={{_target_: 'mine.py:mine', weight: {ramp}, over: 5}}",
            f"curriculum.stages.duel.reward.goal={ramp}",
        ]
    )
    expected = Ramp(1.0, 0.5, 2000)
    learner = config.learner
    assert learner.learning_rate == learner.entropy_coef == learner.clip_range == expected
    assert config.reward.terms["touch"].weight == config.reward.terms["mine"].weight == expected
    assert config.curriculum.stages["duel"].reward["goal"] == expected
    assert document(config)["reward"]["terms"]["touch"] == {"from": 1.0, "to": 0.5, "over": 2000}
    assert load_document(document(config)) == config


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["learner.clip_range={from: 0.2, to: 0, over: 5}"], "learner.clip_range.to=0: must be above 0"),
        (["learner.entropy_coef={from: x, to: 0, over: 5}"], "learner.entropy_coef.from=x: must be a number"),
        (["learner.entropy_coef={from: 1, to: 0, over: 0}"], "learner.entropy_coef.over=0: must be at least 1"),
        (["learner.learning_rate={from: 1, to: 2}"], "must be a number, or a ramp {from: NUMBER, to: NUMBER, over: "),
        (["reward.terms.touch={from: 1, until: 2}"], "must be a number, or a ramp"),
        (["curriculum.stages.duel.reward.goal={from: 1}"], "must be a number, or a ramp"),
        (["learner.value_coef={from: 1, to: 2, over: 3}"], "learner.value_coef="),  # not one that may be a ramp
        (["learner.learning_rate=null"], "learner.learning_rate=null: must be a number"),
    ],
)
def test_what_is_no_ramp_is_told(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose(overrides)
    assert told in str(refused.value)
