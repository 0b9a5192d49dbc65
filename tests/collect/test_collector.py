"""The whole batch: the same whatever the number of workers, and workers that die, hang or fail."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rlbot.collect import Collector, worker
from rlbot.hardware import SINGLE, Group
from rlbot.settings import command
from rlbot.training.build import Components, build
from tests.together import together

SETTINGS = [
    "experiment=debug",
    "env.num_envs=5",
    "learner.batch_size=480",
    "learner.minibatch_size=60",
    "env.no_touch_limit=2.0",
]


# All team sizes at once, some of it against itself and some against past versions.
MIXED = [
    "curriculum.draw=prioritised",
    "++curriculum.stages.outnumbered.teams={1v1: 0.4, 1v2: 0.4, 2v2: 0.2}",
    "curriculum.stages.outnumbered.opponent={self: 0.4, past: 0.6}",
]


@contextmanager
def collector(*overrides: str, stage: int = 0) -> Iterator[tuple[Collector, list[str]]]:
    warnings: list[str] = []
    _, made = started(*overrides, stage=stage, warn=warnings.append)
    try:
        yield made, warnings
    finally:
        made.close()


def started(*overrides: str, stage: int = 0, warn: Callable[[str], None] = print) -> tuple[Components, Collector]:
    """The parts of a run, and its collector of a stage."""
    parts = build(command.compose([*SETTINGS, *overrides]), warn)
    parts.publish()
    fill(parts)
    return parts, parts.make_collector(stage)


def fill(parts: Components) -> None:
    for version in (100, 200):
        parts.pool.add(version, parts.publish() * np.float32(version / 100))


ROLLOUT = ("observations", "actions", "log_probs", "rewards", "terminated", "truncated")
ROLLOUT += ("final_index", "final_observations")


def arrays(made: Collector) -> dict[str, np.ndarray]:
    """All that a rollout hands over, in the order it has."""
    rollout, metrics = made.collect()
    scores = {"scores": made._pool.state()["scores"]}
    return (
        {name: getattr(rollout, name).copy() for name in ROLLOUT}
        | scores
        | {k: np.array(v) for k, v in metrics.items()}
    )


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert list(one) == list(other)
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_reward_weights_reach_every_worker_with_the_next_rollout(workers: int) -> None:
    """Each rollout has its own; then the same as if they had been those of the settings from the start."""
    zero = dict.fromkeys(command.compose(SETTINGS).reward.terms, 0.0)
    terms = {"speed_to_ball": 0.5, "own_half": 0.25}
    settings = [f"curriculum.stages.duel.reward.{name}={weight}" for name, weight in (zero | terms).items()]
    with collector(f"env.workers={workers}", *(f"++{each}" for each in settings)) as (made, _):
        arrays(made)
        expected = arrays(made)
    with collector(f"env.workers={workers}") as (made, _):
        _, metrics = made.collect()
        assert "reward_term/face_ball" in metrics and "reward_term/own_half" not in metrics
        rollout, metrics = made.collect(zero | terms)
        np.testing.assert_array_equal(rollout.rewards, expected["rewards"])
        assert {name for name in metrics if name.startswith("reward_term/")} == {
            "reward_term/speed_to_ball", "reward_term/own_half"
        }  # fmt: skip
        rollout, _ = made.collect(zero)
        assert not rollout.rewards.any()


@pytest.mark.parametrize("stage", [0, 1])
def test_what_is_handed_over_does_not_depend_on_the_number_of_workers(stage: int) -> None:
    """To the last bit, and in the same order: arrays, metrics, scores against past versions, snapshots."""
    played = []
    for workers in (0, 1, 2, 3):
        with collector(f"env.workers={workers}", *MIXED, stage=stage) as (made, warnings):
            played.append((arrays(made), arrays(made), *made.snapshot()))
            assert not warnings
    rollout = played[0][0]
    arenas = len(set((rollout["final_index"][:, 1] // 2).tolist()))
    assert stage or arenas == 5  # the learner's cars of every arena, hence of every worker, are truncated
    assert stage == 0 or "opponents/score_against_past" in played[0][1]  # episodes against versions ended
    for other in played[1:]:
        for mine, theirs in zip(played[0][:3], other[:3], strict=True):
            assert_same(mine, theirs)
        assert played[0][3] == other[3]


def test_teams_of_three_in_some_workers_only() -> None:
    """The slots are those of the whole batch, also in a worker whose own arenas have no team of three."""
    teams = "curriculum.stages.outnumbered.teams={1v1: 3, 1v3: 1, 3v3: 1, 1v2: 0}"
    settings = [
        "env.observation=six_cars",
        f"++{teams}",
        "curriculum.stages.outnumbered.opponent={self: 0.5, past: 0.5}",
    ]
    played = []
    for workers in (0, 1, 3):
        with collector(f"env.workers={workers}", *settings, stage=1) as (made, warnings):
            played.append((arrays(made), arrays(made), *made.snapshot()))
            assert not warnings
    for other in played[1:]:
        for mine, theirs in zip(played[0][:3], other[:3], strict=True):
            assert_same(mine, theirs)
        assert played[0][3] == other[3]


def of_one_process(group: Group) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """Two rollouts that a process of a group plays its share of; the second one, and the snapshot after it."""
    parts = build(command.compose([*SETTINGS, *MIXED, "env.workers=0"]), print, group)
    fill(parts)
    made = parts.make_collector(1)
    made.collect()
    return arrays(made), *made.snapshot()


def test_what_is_handed_over_does_not_depend_on_the_number_of_processes() -> None:
    """Metrics, scores and snapshots to the last bit; the rollout is that of one process, cut between agents."""
    (whole, *saved), parts = of_one_process(SINGLE), together(of_one_process)
    for mine, *theirs in parts:
        assert_same(*({name: each for name, each in one.items() if name not in ROLLOUT} for one in (whole, mine)))
        assert_same(saved[0], theirs[0])
        assert saved[1] == theirs[1]
    for name in ("observations", "actions", "log_probs", "rewards"):
        joined = np.concatenate([mine[name] for mine, *_ in parts], axis=1)
        np.testing.assert_array_equal(joined, whole[name], err_msg=name)


BREAKS = """
import numpy as np

def high(before, after):
    return np.where(after.ball_pos[:, 2:] > 300, np.nan, 0.1) * after.present
"""


def test_arenas_that_break_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BREAKS, encoding="utf-8")
    term = f"+reward.terms.high={{_target_: '{(tmp_path / 'mine.py').as_posix()}:high', weight: 1}}"
    played = []
    for workers in (0, 2):
        with collector(f"env.workers={workers}", term) as (made, _):
            played.append((arrays(made), made.faults))
    (mine, faults), (theirs, other) = played
    assert_same(mine, theirs)
    ((name, found),) = faults.items()
    assert list(other) == [name] and name.startswith("reward.terms.high (") and found.count == other[name].count > 1
    assert dict(found.first.place) == dict(other[name].first.place)
    for key, values in found.first.arrays.items():
        np.testing.assert_array_equal(values, other[name].first.arrays[key], err_msg=key)
    assert all(np.isfinite(each).all() for each in mine.values())


@pytest.mark.parametrize("model", ["mlp_small", "gru"])
def test_a_snapshot_goes_on_with_another_number_of_workers(model: str) -> None:
    with collector("env.workers=2", f"model={model}", stage=1) as (made, _):
        made.collect()
        saved = made.snapshot()
        expected = arrays(made)
    with collector("env.workers=3", f"model={model}", stage=1) as (other, _):
        other.restore(*saved)
        assert_same(expected, arrays(other))


@pytest.mark.parametrize("acting", ["workers", "learner"])
def test_a_rollout_that_was_begun_with_overlap_is_played_again_from_its_states(acting: str) -> None:
    settings = ["env.workers=2", "model=gru", f"hardware.acting={acting}", "learner.overlap=true"]
    with collector(*settings) as (made, _):
        made.collect()
        made.begin()
        saved = made.snapshot()
        expected = arrays(made)
        assert saved[0]["car_states"].any()
    with collector(*settings) as (other, _):
        other.restore(*saved)
        assert_same(expected, arrays(other))
    with collector("env.workers=0", "env.num_envs=4") as (smaller, _), pytest.raises(ValueError, match="5 arenas"):
        smaller.restore(*saved)


def test_a_snapshot_of_other_teams_is_refused_though_it_has_as_many_cars() -> None:
    teams = "++curriculum.stages.duel.teams="
    with collector("env.workers=0", "env.num_envs=3", teams + "{1v1: 0.34, 1v2: 0.33, 2v2: 0.33}") as (made, _):
        saved = made.snapshot()
        assert made.num_cars == 9
    with collector("env.workers=0", "env.num_envs=3", teams + "{1v1: 0, 1v2: 1}") as (other, _):
        assert other.num_cars == 9
        with pytest.raises(ValueError, match="arena 0 was 1v1 and is 1v2 now"):
            other.restore(*saved)
        with pytest.raises(ValueError, match="did not save the team sizes"):
            other.restore({name: each for name, each in saved[0].items() if name != "team_sizes"}, saved[1])
        assert np.isfinite(other.collect()[0].observations).all()  # as it was, from the start


def test_a_worker_that_is_replaced_may_die_at_its_start() -> None:
    with collector("env.workers=2") as (made, warnings):
        made.collect()
        start, deaths = made._replace, iter([True, False])

        def replace_and_kill(i: int, death: worker.ChildDied) -> None:
            """The next new worker is killed before it says that it is ready."""
            with pytest.MonkeyPatch.context() as patch:
                if next(deaths):
                    receive = worker.Worker.receive

                    def killed(self: worker.Worker) -> object:
                        self.process.kill()
                        return receive(self)

                    patch.setattr(worker.Worker, "receive", killed)
                start(i, death)

        made._replace = replace_and_kill  # type: ignore[method-assign]
        made._workers[1].process.kill()
        rollout, _ = made.collect()
        assert len(warnings) == 2 and all("worker 1" in line and "exit code -9" in line for line in warnings)
        assert rollout.observations[:, 8].any(axis=1).all()


def test_a_killed_worker_is_named_and_replaced() -> None:
    with collector("env.workers=2") as (made, warnings):
        made.collect()
        made.begin()
        made._workers[1].process.kill()
        rollout, metrics = made.collect()
        assert len(warnings) == 1 and "worker 1" in warnings[0] and "exit code -9" in warnings[0]
        assert np.isfinite(rollout.observations).all() and rollout.num_agents == 10
        assert rollout.observations[:, 8].any(axis=1).all() and metrics["play/speed"] > 0
        made.collect()
        assert len(warnings) == 1


def test_a_hanging_worker_is_noticed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_SILENCE", 2.0)
    with collector("env.workers=2") as (made, warnings):
        made.collect()
        process = made._workers[0].process
        os.kill(process.pid or 0, signal.SIGSTOP)
        began = time.monotonic()
        made.collect()
        assert time.monotonic() - began < 30 and "worker 0 took no step for 2 s" in warnings[0]
        assert not process.is_alive()


def test_a_worker_that_always_dies_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with collector("env.workers=1") as (made, warnings):
        replace = made._replace

        def replace_and_kill(i: int, death: worker.ChildDied) -> None:
            replace(i, death)
            made._workers[i].process.kill()

        monkeypatch.setattr(made, "_replace", replace_and_kill)
        made._workers[0].process.kill()
        with pytest.raises(RuntimeError, match="died 3 times in a row"):
            made.collect()
        assert len(warnings) >= 3


def test_nothing_is_left_when_the_parent_is_killed(tmp_path) -> None:  # type: ignore[no-untyped-def]
    arguments = ["experiment=debug", "total_timesteps=1_000_000", f"hydra.run.dir={tmp_path.as_posix()}/run"]
    arguments += ["rating.enabled=false", "env.workers=2"]
    told = tmp_path / "stderr"
    command = [sys.executable, "-m", "rlbot.train", *arguments]
    with told.open("w") as stderr, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stderr) as parent:
        family = psutil.Process(parent.pid)
        limit = time.monotonic() + 300
        while len(family.children()) < 3 and time.monotonic() < limit:  # two workers and multiprocessing's tracker
            time.sleep(0.1)
        time.sleep(2.0)
        children = family.children(recursive=True)
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive, alive
    assert told.read_text() == ""  # the workers have nobody to tell, and nothing went wrong


def test_a_worker_whose_parent_is_gone_ends_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    """Also where the parent went with something in the pipe that it had not read: a reset connection."""
    with collector("env.workers=1") as (made, _):
        made.begin()
        made.wait()
        process, child = made._workers[0].process, made._workers[0]._child
        made._workers[0].send("snapshot", False)
        time.sleep(1.0)
        child.hang_up()  # the answer is in it
        process.join(20)
        assert process.exitcode == 0
    assert capfd.readouterr().err == ""
