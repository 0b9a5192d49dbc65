"""The files in conf/, their types and limits, and the checks across groups."""

import dataclasses
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from rlbot.settings.command import compose
from rlbot.settings.document import add_missing, document, load_document
from rlbot.settings.errors import ConfigError
from rlbot.settings.forms import RewardTerm
from rlbot.settings.schema import TrainConfig
from rlbot.values.target import Target

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = [
    f"{path.parent.name}={path.stem}"
    for path in sorted((ROOT / "conf").glob("*/*.yaml"))
    if path.parent.name not in ("hydra", "sweep")  # sweeps need extras: tests/test_sweep.py
]

REFERENCE: dict[str, Any] = {
    "total_timesteps": 5_000_000,
    "seed": 0,
    "resume": None,
    "debug": False,
    "checkpoint_interval": 250_000,
    "keep_best": 5,
    "log_interval": 5.0,
    "rating.enabled": True,
    "rating.matches": 10,
    "rating.opponents": 3,
    "rating.anchors": (),
    "rating.match_seconds": 60.0,
    "env.num_envs": 64,
    "env.tick_skip": 8,
    "env.action_delay": 0,
    "env.time_limit": 300.0,
    "env.no_touch_limit": 10.0,
    "env.collision_meshes": None,
    "env.reset": {"kickoff": 0.2, "near_ball": 0.5, "airborne": 0.1, "anywhere": 0.2},
    "model.hidden": (256, 256, 256),
    "model.layer_norm": True,
    "model.activation": "relu",
    "model.shared_trunk": False,
    "model.action_head": "table",
    "learner.batch_size": 16_384,
    "learner.minibatch_size": 1_024,
    "learner.epochs": 2,
    "learner.learning_rate": 6e-4,
    "learner.anneal_learning_rate": True,
    "learner.anneal_from": 0,
    "learner.anneal_to": 0.0,
    "learner.gamma": 0.99,
    "learner.gae_lambda": 0.95,
    "learner.clip_range": 0.2,
    "learner.clip_range_value": None,
    "learner.entropy_coef": 0.003,
    "learner.value_coef": 0.5,
    "learner.max_grad_norm": 0.5,
    "learner.target_kl": None,
    "learner.normalize_advantage": True,
    "learner.normalize_return": True,
    "hardware.device": "auto",
    "hardware.precision": "auto",
    "hardware.threads": None,
    "hardware.time_limit": None,
    "user.name": "aaron",
    "user.notify.enabled": False,
    "user.notify.url_env": "RLBOT_NOTIFY_URLS",
    "user.notify.events": ("start", "checkpoint", "end", "failure"),
    "reward.clip": 10.0,
    "reward.team_spirit": 0.0,
}


@pytest.fixture(scope="module")
def default() -> TrainConfig:
    return compose()


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_every_group_is_valid(option: str) -> None:
    compose([option])


@pytest.mark.parametrize("key", REFERENCE)
def test_defaults_are_the_reference(default: TrainConfig, key: str) -> None:
    value: Any = default
    for name in key.split("."):
        value = getattr(value, name)
    assert document(value) == document(REFERENCE[key])


def test_default_curriculum_is_three_stages(default: TrainConfig) -> None:
    stages = [(s.until, s.teams, s.opponent.shares) for s in default.curriculum.stages.values()]
    assert stages == [
        (2_000_000, {"1v1": 1.0}, {"self": 1.0}),
        (3_500_000, {"1v2": 1.0}, {"past": 1.0}),
        (None, {"2v2": 1.0}, {"self": 1.0}),
    ]


def test_punishments_are_negative(default: TrainConfig) -> None:
    assert {name for name, term in default.reward.terms.items() if term.weight < 0} == {"concede"}
    assert default.reward.terms["goal"] == RewardTerm(10.0, None)


def test_debug_recipe_runs_every_stage_and_wins_over_the_root() -> None:
    debug = compose(["experiment=debug"])
    assert (debug.total_timesteps, debug.checkpoint_interval, debug.env.num_envs) == (1_000, 500, 2)
    assert (debug.learner.batch_size, debug.learner.minibatch_size) == (256, 64)
    bounds = [stage.until for stage in debug.curriculum.stages.values()]
    assert bounds[-1] is None
    # Stages change between batches: each must hold at least the start of one.
    starts = [0, *(bound for bound in bounds if bound is not None)]
    begun = range(0, debug.total_timesteps, debug.learner.batch_size)
    ends = [*starts[1:], debug.total_timesteps]
    assert all(any(a <= step < b for step in begun) for a, b in zip(starts, ends, strict=True))
    assert compose(["experiment=debug", "total_timesteps=2_000"]).total_timesteps == 2_000


def test_values_are_in_the_files_only() -> None:
    def classes(kind: type) -> list[type]:
        inner = [t for hint in get_type_hints(kind).values() for t in (hint, *get_args(hint))]
        return [kind, *(c for t in inner if dataclasses.is_dataclass(t) for c in classes(t))]  # type: ignore[arg-type]

    fields = [field for kind in classes(TrainConfig) for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    assert len(fields) > 45
    assert all(f.default is f.default_factory is dataclasses.MISSING for f in fields)


def test_settings_are_read_only(default: TrainConfig) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        default.seed = 1  # type: ignore[misc]


def test_a_minibatch_need_not_divide_the_batch() -> None:
    """PPO cuts the batch into equal parts near this size: tests/learner/test_ppo.py."""
    learner = compose(["learner.batch_size=16384", "learner.minibatch_size=3000"]).learner
    assert (learner.batch_size, learner.minibatch_size) == (16384, 3000)
    assert compose(["learner.batch_size=32_769"]).learner.batch_size == 32_769


def test_a_list_item_is_set_by_its_index() -> None:
    assert compose(["curriculum.stages.duel.until=20_000"]).curriculum.stages["duel"].until == 20_000


def test_a_term_of_the_users_own() -> None:
    term = "{_target_: mine.py:fast, weight: 2, top_speed: 2300}"
    reward = compose([f"+reward.terms.fast={term.replace('mine.py:fast', repr('mine.py:fast'))}"]).reward
    assert reward.terms["fast"] == RewardTerm(2.0, Target("mine.py:fast", {"top_speed": 2300}))
    assert compose(["+reward.terms.fast={_target_: a.b, weight: 1}", "reward.zero_sum=[fast]"]).reward.zero_sum == (
        "fast",
    )


def test_a_user_may_have_any_name() -> None:
    assert compose(["user.name='\u0141ukasz'"]).user.name == "\u0141ukasz"


def test_all_problems_are_found_and_three_lines_told() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["seed=-1", "env.num_envs=0", "learner.gamma=2", "learner.epochs=x"])
    assert len(caught.value.problems) == 4
    assert str(caught.value).splitlines() == [
        "seed=-1: must be at least 0",
        "env.num_envs=0: must be at least 1",
        "and 2 more",
    ]


def test_own_meshes_may_be_named_either_way(tmp_path: Path) -> None:
    meshes = tmp_path / "soccar"
    meshes.mkdir()
    (meshes / "mesh_0.cmf").write_bytes(b"")
    for folder in (tmp_path, meshes):
        assert compose([f"env.collision_meshes='{folder.as_posix()}'"]).env.collision_meshes == folder.as_posix()


def test_resume_takes_a_folder_that_is_there(tmp_path: Path) -> None:
    assert compose(["resume=latest"]).resume == "latest"
    assert compose([f"resume='{tmp_path.as_posix()}'"]).resume == tmp_path.as_posix()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("key", ["env.time_limit", "env.reset.kickoff", "learner.learning_rate", "reward.terms.goal"])
def test_no_number_may_be_nan_or_infinite(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match="must be a finite number"):
        compose([f"{key}={value}"])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("model.activation=sigmoid", "model.activation=sigmoid: must be one of relu, tanh"),
        ("model.action_head=row", "model.action_head=row: must be one of table, multi_discrete, continuous"),
        ("curriculum.stages.duel.teams={4v4: 1}", "curriculum.stages.duel.teams.4v4: no such name; there are: 1v1"),
        ("+curriculum.stages.duel.reset={corner: 1}", "curriculum.stages.duel.reset.corner: no such name; there are"),
    ],
)
def test_names_are_those_of_the_rooms_that_have_them(wrong: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        compose([wrong])


def test_an_installed_wheel_finds_its_settings(tmp_path: Path) -> None:
    def python(*arguments: str, cwd: Path, path: str = "") -> str:
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), cwd=ROOT)
    (wheel,) = tmp_path.glob("rlbot_trainer-*.whl")
    site, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    python("-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel), cwd=elsewhere)
    code = (
        "from rlbot.settings import config, command; "
        "print(config.config_dir(), command.compose(['experiment=debug']).total_timesteps)"
    )
    assert python("-c", code, cwd=elsewhere, path=str(site)).split() == [str(site / "rlbot" / "conf"), "1000"]
    for folder in ("template", "template_rlgym"):  # of an exported bot, with files that are no modules
        shipped = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rlbot" / "export" / folder).rglob("*.*")}
        assert {
            path for path in shipped if not path.endswith((".pyc", "__pycache__")) and not (site / path).is_file()
        } == set()


def test_settings_that_came_after_a_checkpoint_are_filled_in() -> None:
    """But not the names that a user left out of a mapping, which mean something."""
    chosen = compose(["hardware.time_limit=5", "rating.matches=3"])
    saved = document(compose(["reward=touch", "seed=7"]))
    terms = dict(saved["reward"]["terms"])
    del saved["hardware"]["time_limit"], saved["rating"]
    saved["hardware"]["compile"] = True  # a setting that is gone
    add_missing(saved, document(chosen))
    filled = load_document(saved)
    assert (filled.hardware.time_limit, filled.rating, filled.seed) == (5, chosen.rating, 7)
    assert document(filled)["reward"]["terms"] == terms


def test_a_stage_may_end_by_skill() -> None:
    until = "curriculum.stages.duel.until={{{}}}".format
    config = compose([until("touches_per_minute: 8, goals_per_minute: 1.5, timesteps: 2_000_000")])
    stage = config.curriculum.stages["duel"]
    assert stage.skills == {"touches_per_minute": 8.0, "goals_per_minute": 1.5} and stage.latest == 2_000_000
    assert load_document(document(config)) == config
    only = compose([until("rating: -20")]).curriculum.stages["duel"]
    assert (only.skills, only.latest) == ({"rating": -20.0}, None)
    for wrong, told in (
        ([until("touches: 8")], "curriculum.stages.duel.until.touches: no such name; there are: touches_per_minute, "),
        ([until("timesteps: 5")], "needs a skill, such as {touches_per_minute: 8}"),
        ([until("speed: fast")], "curriculum.stages.duel.until.speed=fast: must be a number"),
        ([until("speed: 5, timesteps: 0")], "curriculum.stages.duel.until.timesteps=0: must be at least 1"),
        ([until("speed: 5, timesteps: 4_000_000")], "outnumbered.until=3500000: must be above the 4000000 of the"),
        ([until("rating: 5"), "rating.enabled=false"], "duel.until.rating: needs rating.enabled=true"),
        ([until("score_against_past: 0.6")], "until.score_against_past: needs past among the opponents"),
    ):
        with pytest.raises(ConfigError) as refused:
            compose(wrong)
        assert told in str(refused.value)
