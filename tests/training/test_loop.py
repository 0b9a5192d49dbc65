"""The loop with real components: stages, learning rate, checkpoints, the pool, stopping and going on."""

import dataclasses
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rlbot.collect import Collector
from rlbot.curriculum import Stage
from rlbot.settings.command import compose
from rlbot.settings.document import document
from rlbot.training.build import Components, build
from rlbot.training.loop import Orders, Progress, Schedule, Start, train
from rlbot.training.nan_guard import BadUpdates, NanGuard
from rlbot.training.summary import rate_of_a_resumed_run
from rlbot.values.ramp import Ramp

SCHEDULE = Schedule(total_timesteps=200, checkpoint_interval=60, learning_rate=8e-4, anneal_learning_rate=True)
# An iteration has 32 timesteps with 4 cars of self-play until 64, 33 with the 3 blue cars of 1v2, 32 with 8 cars.
SIZES = "learner.batch_size=32 learner.minibatch_size=16 learner.epochs=1 model.hidden=[8] env.workers=0"
STAGES = "curriculum.stages.duel.until=64 curriculum.stages.outnumbered.until=120"
TIMESTEPS = [32, 64, 97, 130, 162, 194, 226]


class Record:
    """A reporter, and a `save`, that keep their arguments."""

    def __init__(self) -> None:
        self.stages: list[tuple[int, str, int]] = []
        self.waits: list[str] = []
        self.notes: list[str] = []
        self.progress: list[Progress] = []
        self.metrics: list[dict[str, float]] = []
        self.saved: list[int] = []

    def stage(self, index: int, stage: Stage, collector: Collector) -> None:
        self.stages.append((index, stage.name, collector.num_agents))

    def started(self, text: str) -> None:
        self.waits.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def iteration(self, progress: Progress, metrics: dict[str, float]) -> None:
        self.progress.append(dataclasses.replace(progress))
        self.metrics.append(metrics)

    def save(self, progress: Progress, collector: Collector) -> None:
        self.saved.append(progress.timesteps)
        collector.snapshot()  # it is still there to be asked

    @property
    def timesteps(self) -> list[int]:
        return [each.timesteps for each in self.progress]


def run(
    schedule: Schedule = SCHEDULE,
    start: Start | None = None,
    stop_after: int = 10**6,
    overrides: str = "",
    folder: Path | None = None,
    orders: Callable[[Progress], Orders] | None = None,
) -> tuple[Record, Components, Progress]:
    config = compose(["experiment=debug", *f"{SIZES} {STAGES} {overrides}".split()])
    components, record = build(config, print), Record()
    progress = train(
        ppo=components.ppo,
        pool=components.pool,
        stages=components.stages,
        make_collector=components.make_collector,
        publish=components.publish,
        schedule=schedule,
        start=start or (Progress(), None),
        reporter=record,
        save=record.save,
        orders=orders or asked_after(stop_after),
        nan_guard=NanGuard(folder, config.learner.max_bad_updates, record.notes.append),
    )
    return record, components, progress


def asked_after(count: int) -> Callable[[Progress], Orders]:
    answers: Iterator[int] = iter(range(10**6))
    return lambda _: Orders(stop=next(answers) >= count)


@pytest.fixture(scope="module")
def whole() -> tuple[Record, Components, Progress]:
    return run()


def test_stages_change_at_their_bounds(whole: tuple[Record, Components, Progress]) -> None:
    record, _, progress = whole
    assert record.stages == [(0, "duel", 4), (1, "outnumbered", 3), (2, "doubles", 8)]
    assert record.waits[1:] == [f"Making the arenas of stage {name}" for name in ("1 (outnumbered)", "2 (doubles)")]
    assert record.timesteps == TIMESTEPS and progress.timesteps == TIMESTEPS[-1]
    assert [metrics["curriculum/stage"] for metrics in record.metrics] == [0, 0, 1, 1, 2, 2, 2]
    assert [each.stage for each in record.progress] == [0, 0, 1, 1, 2, 2, 2]
    assert progress.iterations == 7 and progress.seconds > 0
    assert progress.reward == record.metrics[-1]["reward/step"]
    assert progress.episodes == sum(metrics["episode/count"] for metrics in record.metrics)


def test_a_stage_is_learned_with_statistics_of_its_own_returns(whole: tuple[Record, Components, Progress]) -> None:
    _, components, _ = whole
    assert components.ppo.return_scale.statistics.count.item() == TIMESTEPS[-1] - TIMESTEPS[3]


def test_the_learning_rate_falls_to_zero_over_the_whole_run(whole: tuple[Record, Components, Progress]) -> None:
    rates = [metrics["learner/learning_rate"] for metrics in whole[0].metrics]
    # before each iteration: 8e-4 x (1 - timesteps / 200)
    expected = [8e-4, 6.72e-4, 5.44e-4, 4.12e-4, 2.8e-4, 1.52e-4, 2.4e-5]
    assert rates == pytest.approx(expected, rel=1e-9)
    assert SCHEDULE.learning_rate_at(200) == SCHEDULE.learning_rate_at(300) == 0.0
    constant = dataclasses.replace(SCHEDULE, anneal_learning_rate=False)
    assert constant.learning_rate_at(0) == constant.learning_rate_at(199) == 8e-4


def test_the_learning_rate_of_a_run_that_goes_on() -> None:
    """Finished at 200 timesteps, going on to 600: by default as if it had been meant to from the start."""
    longer = dataclasses.replace(SCHEDULE, total_timesteps=600)
    assert longer.learning_rate_at(200) == pytest.approx(8e-4 * 2 / 3)
    rest = dataclasses.replace(longer, learning_rate=1e-4, anneal_from=200, anneal_to=0.1)
    rates = [rest.learning_rate_at(timesteps) for timesteps in (0, 200, 300, 400, 600, 700)]
    assert rates == pytest.approx([1e-4, 1e-4, 7.75e-5, 5.5e-5, 1e-5, 1e-5])


def test_the_learning_rate_that_a_resumed_run_goes_on_with_is_said() -> None:
    saved = {"config": document(compose(["total_timesteps=1000", "learner.learning_rate=8e-4"]))}

    def told(timesteps: int, *overrides: str) -> list[str]:
        return list(rate_of_a_resumed_run(compose(["learner.learning_rate=8e-4", *overrides]), timesteps, saved))

    assert told(250, "total_timesteps=1000") == ["[OK] Learning rate now: 0.0006"]
    (line,) = told(1000, "total_timesteps=4000")
    assert line.startswith("[WARN] Learning rate now: 0.0006; with the settings before it was 0.")
    assert line.endswith("learner.anneal_from=1000 learner.learning_rate=8e-05")
    (line,) = told(1000, "total_timesteps=4000", "learner.anneal_from=1000")
    assert line.startswith("[WARN] Learning rate now: 0.0008; with the settings before it was 0.")
    (line,) = told(500, "total_timesteps=1000", "learner.anneal_learning_rate=false")
    assert line.startswith("[WARN] Learning rate now: 0.0008; with the settings before it was 0.0004")
    ramp = "learner.learning_rate={from: 8e-4, to: 4e-4, over: 1000}"
    assert told(500, "total_timesteps=1000", ramp) == [
        "[WARN] Learning rate now: 0.0006; with the settings before it was 0.0004."
    ]
    saved["config"] = document(compose(["total_timesteps=1000", ramp]))
    assert told(500, "total_timesteps=2000") == ["[OK] Learning rate now: 0.0006"]


def test_ramps_set_the_learner_and_the_reward_of_every_iteration() -> None:
    """Iterations begin at 0, 32, 64, 97 timesteps; the second stage at 64."""
    ramp = "{{from:{},to:{},over:{}}}".format
    record, _, _ = run(
        dataclasses.replace(SCHEDULE, total_timesteps=100, learning_rate=Ramp(8e-4, 0.0, 128), learner={
            "entropy_coef": Ramp(0.0, 0.064, 64), "clip_range": 0.1
        }),
        overrides=f"reward.terms.save={ramp(0, 2, 100)} ++curriculum.stages.outnumbered.reward.goal={ramp(1, 34, 66)}",
    )  # fmt: skip

    def curve(name: str) -> list[float]:
        return [metrics.get(name, float("nan")) for metrics in record.metrics]

    assert curve("learner/learning_rate") == pytest.approx([8e-4, 6e-4, 4e-4, 8e-4 * 31 / 128])
    assert curve("learner/entropy_coef") == pytest.approx([0.0, 0.032, 0.064, 0.064])
    assert curve("learner/clip_range") == [0.1] * 4
    assert curve("reward_weight/save") == pytest.approx([0.0, 0.64, 1.28, 1.94])
    assert curve("reward_weight/goal") == pytest.approx([math.nan, math.nan, 1.0, 1 + 33 / 2], nan_ok=True)
    assert [each.stage_began for each in record.progress] == [0, 0, 64, 64]


SKILL = "curriculum.stages.duel.until={speed:1,timesteps:100_000} curriculum.stages.outnumbered.until={speed:1e6}"


def test_a_stage_ends_by_skill_or_at_its_last_timestep() -> None:
    """Cars are always faster than 1 uu/s: ten iterations of 32 timesteps. 1e6 uu/s is never reached."""
    schedule = dataclasses.replace(SCHEDULE, total_timesteps=420, checkpoint_interval=10**6)
    record, _, _ = run(schedule, overrides=SKILL)
    assert [index for index, *_ in record.stages] == [0, 1] and record.timesteps[9:11] == [320, 353]
    assert [each.stage_began for each in record.progress] == [0] * 10 + [320] * 4
    assert "Stage duel has reached speed" in record.notes[0] and "at 320 timesteps" in record.notes[0]
    assert [i for i, metrics in enumerate(record.metrics) if "skill/speed" in metrics] == [9]
    capped = SKILL.replace("speed:1,timesteps:100_000", "speed:1e6,timesteps:100")
    record, _, _ = run(dataclasses.replace(schedule, total_timesteps=140), overrides=capped)
    assert [each.stage_began for each in record.progress] == [0] * 4 + [128]


@pytest.mark.parametrize("stop", [4, 10])
def test_a_stage_that_ends_by_skill_ends_there_after_a_resume_too(stop: int) -> None:
    """Stopped in the middle of the window, and when the skill has just been reached."""
    schedule = dataclasses.replace(SCHEDULE, total_timesteps=360, checkpoint_interval=10**6)
    _, _, progress = run(schedule, overrides=SKILL, stop_after=stop)
    assert (progress.timesteps, progress.skilled) == (32 * stop, stop == 10)
    saved = Progress(**json.loads(json.dumps(dataclasses.asdict(progress))))
    record, _, _ = run(schedule, overrides=SKILL, start=(saved, None))
    assert {each.stage_began for each in record.progress if each.stage == 1} == {320}
    assert record.timesteps[:2] == ([160, 192] if stop == 4 else [353, 386])


def test_with_overlap_no_rollout_of_a_stage_that_has_ended_is_begun() -> None:
    schedule = dataclasses.replace(SCHEDULE, total_timesteps=360, checkpoint_interval=10**6, overlap=True)
    record, _, _ = run(schedule, overrides=SKILL.replace("env.workers=0", "") + " learner.overlap=true env.workers=1")
    assert record.timesteps[9:11] == [320, 353] and [index for index, *_ in record.stages] == [0, 1]


def test_ratings_count_for_the_stage_in_which_their_versions_were_saved() -> None:
    asked = iter([(), (), ((0, 900.0), (32, 100.0)), ((64, 500.0),), (), ()])
    schedule = dataclasses.replace(SCHEDULE, total_timesteps=170, checkpoint_interval=10**6)
    record, _, _ = run(
        schedule,
        overrides="curriculum.stages.duel.until={rating:300} curriculum.stages.outnumbered.until=1000",
        orders=lambda progress: Orders(ratings=next(asked)),
    )
    assert [each.stage for each in record.progress] == [0, 0, 0, 0, 1, 1]  # (100 + 500) / 2, not with 900
    assert [metrics.get("skill/rating") for metrics in record.metrics][3] == 300.0


def test_a_checkpoint_whenever_a_multiple_was_passed_and_once_at_the_end(
    whole: tuple[Record, Components, Progress],
) -> None:
    assert whole[0].saved == [64, 130, 194, 226]  # past 60, 120, 180, and the end
    assert run(dataclasses.replace(SCHEDULE, total_timesteps=60))[0].saved == [64]  # both at once: one
    often = dataclasses.replace(SCHEDULE, total_timesteps=60, checkpoint_interval=5)
    assert run(often)[0].saved == [32, 64]
    assert run(dataclasses.replace(SCHEDULE, total_timesteps=60, checkpoint_interval=10**6))[0].saved == [64]


def test_the_pool_grows_with_the_checkpoints_but_not_at_the_end(whole: tuple[Record, Components, Progress]) -> None:
    record, components, _ = whole
    assert components.pool.versions().tolist() == [64, 130, 194] and record.notes == []


def test_a_stage_against_the_past_begins_with_the_policy_as_it_is() -> None:
    rare = dataclasses.replace(SCHEDULE, total_timesteps=97, checkpoint_interval=10**6)
    record, components, _ = run(rare)
    assert components.pool.versions().tolist() == [64] and len(record.notes) == 1
    assert "the opponent is a frozen copy" in record.notes[0]


def test_stopping_saves_and_returns() -> None:
    record, _, progress = run(stop_after=3)
    assert record.timesteps == TIMESTEPS[:3] and progress.timesteps == 97
    assert record.saved == [64, 97]
    record, _, progress = run(stop_after=0)
    assert (record.timesteps, record.saved, progress) == ([], [], Progress())


def test_going_on_in_the_middle_of_a_stage_and_after_the_end() -> None:
    started = Progress(timesteps=130, iterations=4, episodes=5, seconds=2.0, stage=1)
    record, _, progress = run(start=(started, None))
    assert record.timesteps == TIMESTEPS[4:] and record.saved == [194, 226]
    assert progress.iterations == 7 and progress.episodes >= 5 and progress.seconds > 2
    done = Progress(timesteps=226, iterations=7, stage=2)
    record, _, progress = run(start=(done, None))
    assert (record.timesteps, record.saved, progress.timesteps) == ([], [], 226)


def breaking(file: Path, last: int) -> str:
    """Settings of one stage, with a term that is not finite from step 9, in the second iteration, to step `last`."""
    code = "calls = 0\ndef mine(before, after):\n    global calls\n    calls += 1\n"
    code += f"    return after.present * (float('nan') if 8 < calls <= {last} else 0.1)\n"
    file.write_text(code, encoding="utf-8")
    term = f"+reward.terms.mine={{_target_:'{file.as_posix()}:mine',weight:1}}"
    return (
        f"{term} learner.max_bad_updates=3 curriculum.stages.duel.until=1000 curriculum.stages.outnumbered.until=2000"
    )


def test_a_bad_update_puts_the_checkpoint_off(tmp_path: Path) -> None:
    record, _, _ = run(overrides=breaking(tmp_path / "mine.py", 16), folder=tmp_path / "bad")
    assert record.saved == [96, 128, 192, 224]  # the first at 64 without it
    assert [metrics["env/bad_arenas"] for metrics in record.metrics] == [0, 16, 0, 0, 0, 0, 0]
    assert len(list((tmp_path / "bad").iterdir())) == 1 and len(record.notes) == 1


def test_too_many_bad_updates_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    monkeypatch.setattr(Record, "save", lambda self, progress, collector: saved.append(progress.timesteps))
    with pytest.raises(BadUpdates, match=r"3 bad updates in a row: reward\.terms\.mine \(.*mine\.py:mine\)"):
        run(overrides=breaking(tmp_path / "mine.py", 10**6))
    assert saved == []


@pytest.mark.filterwarnings("ignore:(overflow|invalid value):RuntimeWarning")
def test_weights_that_are_not_finite_are_never_saved() -> None:
    """Steps of 1e30 leave nothing finite behind, and the first checkpoint is due at once."""
    schedule = dataclasses.replace(SCHEDULE, learning_rate=1e30, checkpoint_interval=32, anneal_learning_rate=False)
    with pytest.raises(BadUpdates):
        run(schedule, overrides="learner.max_bad_updates=3")
