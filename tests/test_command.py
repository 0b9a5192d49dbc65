"""What a user sees: lines instead of tracebacks, no directory left behind, jobs that fail on their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlbot import command
from rlbot.command import compose
from rlbot.config import ConfigError

# (command line, what its one to three lines have to hold)
MALFORMED = [
    # settings that do not exist
    (["learner.batch_siz=3"], "learner.batch_siz: no such setting; did you mean learner.batch_size?"),
    (["batch_size=3"], "batch_size: no such setting; did you mean learner.batch_size?"),
    (["+learner.gama=0.9"], "learner.gama: no such setting; did you mean learner.gamma?"),
    (["curriculum.stages.1.untill=5"], "did you mean curriculum.stages.1.until?"),
    (["xyzzy=3"], "xyzzy: no such setting"),
    (["learner.xyzzy=3"], "learner.xyzzy: no such setting; learner has: batch_size"),
    (["reward.terms.tuch=1"], "reward.terms.tuch: no such name; did you mean touch?"),
    (["reward=touch", "reward.terms.demo=1"], "add it with +reward.terms.demo=VALUE"),
    (["env.reset.nearball=1"], "env.reset.nearball: no such name; did you mean near_ball?"),
    (["hydra.run.dirr=x"], "hydra.run.dirr: "),
    (["curriculum.stages.7.until=5"], "curriculum.stages.7.until=5: "),
    (["curriculum.stages.first.until=5"], "curriculum.stages.first.until=5: "),
    # options of groups
    (["env=socar"], "env=socar: no such option of env; there are: soccar"),
    (["experiment=debugg"], "experiment=debugg: no such option of experiment; there are: bench_end_to_end, debug, "),
    (["envv=soccar"], "envv: no such setting; did you mean env?"),
    (["hydra/launcher=nonsense"], "hydra/launcher=nonsense: no such option of hydra/launcher"),
    (["seed=1", "learner=null"], "learner=null: "),
    (["+env=soccar"], "env "),
    # what Hydra's grammar refuses
    (["seed"], "seed: must be NAME=VALUE"),
    ([""], "'': must be NAME=VALUE"),
    (["=3"], "=3: "),
    (["learner.batch_size==3"], "learner.batch_size==3: cannot be read"),
    (["model.hidden=[1,2"], "model.hidden=[1,2: cannot be read"),
    (["user.name=\u0141ukasz"], "quotes inside quotes: \"user.name='VALUE'\""),
    (["curriculum.stages.0.teams.2v2=1"], "curriculum.stages.0.teams={2v2:VALUE}"),
    (["seed=1,2"], "seed=1,2: many values need --multirun"),
    (["learner=ppo,ppo"], "learner=ppo,ppo: many values need --multirun"),
    (["seed=range(1,3)"], "seed=range(1,3): many values need --multirun"),
    (["+seed=1"], "seed: is there already; leave out the +"),
    (["~xyzzy"], "xyzzy: no such setting"),
    (["~learner.gamma"], "learner.gamma: is missing"),
    (["~env"], "env: is missing"),
    (["seed=${xyzzy}"], "seed: "),
    (["seed=???"], "seed: has no value; give it one with seed=VALUE"),
    # types
    (["learner.batch_size=1e3"], "learner.batch_size=1000.0: must be a whole number; write 1_000"),
    (["learner.batch_size=abc"], "learner.batch_size=abc: must be a whole number"),
    (["learner.batch_size="], "learner.batch_size=: must be a whole number"),
    (["seed=null"], "seed=null: must be a whole number"),
    (["env.num_envs=true"], "env.num_envs=true: must be a whole number"),
    (["learner.gamma=high"], "learner.gamma=high: must be a number"),
    (["model.layer_norm=1"], "model.layer_norm=1: must be true or false"),
    (["model.hidden=256"], "model.hidden=256: must be a list"),
    (["user.notify=on"], "user.notify="),
    (["curriculum.stages=3"], "curriculum.stages=3: must be a list"),
    (["user.name=''"], "user.name=: must not be empty"),
    (["user.name='\udcff'"], "must be printable text"),
    (["reward.terms.touch=much"], "reward.terms.touch=much: must be a number"),
    (["+reward.terms.mine={weight: 1}"], "reward.terms.mine._target_=null: must be module.function"),
    (["+reward.terms.mine={_target_: a.b}"], "reward.terms.mine.weight: is missing"),
    (["+reward.terms.mine=1"], "reward.terms.mine: no such name"),
    # ranges
    (["env.num_envs=0"], "env.num_envs=0: must be at least 1"),
    (["env.tick_skip=121"], "env.tick_skip=121: must be at most 120"),
    (["learner.gamma=1.01"], "learner.gamma=1.01: must be at most 1"),
    (["learner.gamma=0"], "learner.gamma=0: must be above 0"),
    (["learner.gae_lambda=-0.1"], "learner.gae_lambda=-0.1: must be at least 0"),
    (["learner.clip_range=0"], "learner.clip_range=0: must be above 0"),
    (["learner.learning_rate=0"], "learner.learning_rate=0: must be above 0"),
    (["learner.epochs=0"], "learner.epochs=0: must be at least 1"),
    (["total_timesteps=0"], "total_timesteps=0: must be at least 1"),
    (["seed=99999999999"], "seed=99999999999: must be at most"),
    (["total_timesteps=" + "9" * 400], "must be at most"),
    (["learner.learning_rate=" + "9" * 400], "must be at most"),
    (["model.hidden=[256,0]"], "model.hidden.1=0: must be at least 1"),
    (["reward.team_spirit=2"], "reward.team_spirit=2: must be at most 1"),
    (["model.activation=rel"], "model.activation=rel: must be one of relu"),
    (["hardware.device=gpu"], "hardware.device=gpu: must be one of auto, cpu, cuda"),
    (["curriculum.stages.1.opponent=me"], "curriculum.stages.1.opponent=me: no such opponent; there are: self, past"),
    (["curriculum.stages.0.teams={3v3:1}"], "curriculum.stages.0.teams.3v3: no such name; there are: 1v1"),
    (["user.notify.events=[stop]"], "user.notify.events.0=stop: must be one of start"),
    # across settings
    (["env.action_delay=8"], "env.action_delay=8: must be below env.tick_skip=8"),
    (["learner.minibatch_size=3000"], "does not divide learner.batch_size=32768; use for example 2048"),
    (
        ["learner.minibatch_size=40000"],
        "learner.minibatch_size=40000: must be at most learner.batch_size=32768",
    ),
    (["learner.batch_size=8", "learner.minibatch_size=8"], "must be at least 16, one step of env.num_envs=8"),
    (["env.reset={kickoff:0,near_ball:0,airborne:0,anywhere:0}"], "at least one share must be above 0"),
    (["model.hidden=[]"], "model.hidden=[]: needs at least one layer"),
    (["curriculum.stages=[]"], "curriculum.stages=[]: needs at least one stage"),
    (["curriculum.stages.0.until=null"], "curriculum.stages.0.until=null: only the last stage"),
    (["curriculum.stages.1.until=2_000_000"], "curriculum.stages.1.until=2000000: must be above the 2000000"),
    (["curriculum.stages.1.name=duel"], "curriculum.stages.1.name=duel: another stage has this name"),
    (["curriculum.stages.0.teams={1v1:0}"], "curriculum.stages.0.teams="),
    (
        ["+curriculum.stages.0.reward.tuch=1"],
        "curriculum.stages.0.reward.tuch: no such name; did you mean touch?",
    ),
    (["reward.zero_sum=[tuch]"], "reward.zero_sum.0=tuch: no such name; did you mean touch?"),
    (["env.collision_meshes=nowhere"], "nowhere"),
    (["objective=rating", "rating.enabled=false"], "objective=rating: needs rating.enabled=true"),
    (["resume=nowhere/step_1"], "resume=nowhere/step_1: no such folder"),
]

PROGRAM = """
import sys
from rlbot import command

def main(config, directory):
    with command.building():
        if config.seed == 13:
            (directory / "half.txt").write_text("made while building")
            raise ValueError("seed=13: brings bad luck;\\ntake another")
        if config.seed == 130:
            raise KeyboardInterrupt
    if config.seed == 14:
        raise ValueError("a fault of ours")
    (directory / "result.txt").write_text(config.user.name, encoding="utf-8")
    return float(config.seed)

if __name__ == "__main__":
    command.run(main, "train")
    print("after")
"""


def ids(value: object) -> str:
    return " ".join(value)[:40].encode("ascii", "replace").decode() if isinstance(value, list) else ""


@pytest.mark.parametrize(("arguments", "expected"), MALFORMED, ids=ids)
def test_a_malformed_command_line_is_told_in_a_line(arguments: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(arguments)
    assert expected in str(caught.value)
    assert 1 <= len(str(caught.value).splitlines()) <= 3


class Program:
    """A command of a few lines, run in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        self.file = folder / "program.py"
        self.file.write_text(PROGRAM, encoding="utf-8")

    def start(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        root = str(Path(command.__file__).parents[1])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HYDRA_")}
        return subprocess.Popen(
            [sys.executable, str(self.file), *arguments],
            cwd=self.folder,
            env={**inherited, "PYTHONPATH": root, "PYTHONIOENCODING": "cp1252", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*arguments, **environment)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*"))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["learner.batch_siz=3"],
            "[ERROR] learner.batch_siz: no such setting; did you mean learner.batch_size?",
        ),
        (["env=socar"], "[ERROR] env=socar: no such option of env; there are: soccar"),
        (
            ["seed=-1", "keep_best=x"],
            "[ERROR] seed=-1: must be at least 0\n[ERROR] keep_best=x: must be a whole",
        ),
        (["seed=13"], "[ERROR] seed=13: brings bad luck;\n[ERROR] take another"),
        (["user.name=\u0141ukasz"], "[ERROR] user.name=\\u0141ukasz: letters beyond ASCII"),
        (["--multrun", "seed=1"], "[ERROR] unrecognized arguments: --multrun"),
        (["--config-name", "nonsense"], "[ERROR] Cannot find primary config 'nonsense'"),
        (["hydra.run.dir=${xyzzy}"], "[ERROR] "),
        (["-m", "seed=1,2", "env=socar"], "[ERROR] env=socar: no such option of env"),
        (["-m", "env=soccar,nonsense"], "[ERROR] env=nonsense: no such option of env"),
        (
            ["-m", "seed=-1,13"],
            "[ERROR] job 0 (seed=-1): seed=-1: must be at least 0\n[ERROR] job 1 (seed=13): seed=13",
        ),
    ],
    ids=ids,
)
def test_a_mistake_costs_lines_and_leaves_nothing(program: Program, arguments: list[str], expected: str) -> None:
    status, _, err = program.run(*arguments)
    lines = err.splitlines()
    assert status == 1
    assert expected in err
    assert 1 <= len(lines) <= 3
    assert all(line.startswith("[ERROR] ") and line.isascii() for line in lines)
    assert program.left() == []


def test_a_run_leaves_its_directory_and_goes_on(program: Program) -> None:
    both = [program.start("user.name='\u0141ukasz'"), program.start("user.name='\u0141ukasz'")]
    for process in both:
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (0, "after\n", "")
    results = list(program.folder.glob("outputs/*/*/result.txt"))
    assert [path.read_text(encoding="utf-8") for path in results] == ["\u0141ukasz"] * 2  # started at the same time
    assert not list(program.folder.rglob("*.log"))


def test_runs_that_start_at_the_same_moment_get_directories_of_their_own(program: Program) -> None:
    clock = "import datetime, hydra.core.utils\nclass Clock:\n    now = lambda: datetime.datetime(2026, 1, 1)\n"
    program.file.write_text(f"{clock}hydra.core.utils.datetime = Clock\n{PROGRAM}")
    for arguments in (["seed=1"], ["seed=2"], ["-m", "seed=3"], ["-m", "seed=4"]):
        assert program.run(*arguments)[0] == 0
    results = [path.relative_to(program.folder).parent.as_posix() for path in program.folder.rglob("result.txt")]
    assert sorted(results) == [
        "multirun/2026-01-01/00-00-00-000000-2/0",
        "multirun/2026-01-01/00-00-00-000000/0",
        "outputs/2026-01-01/00-00-00-000000",
        "outputs/2026-01-01/00-00-00-000000-2",
    ]


@pytest.mark.parametrize("seed", ["-1", "13"])
def test_a_directory_that_was_there_is_not_touched(program: Program, seed: str) -> None:
    mine = program.folder / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    status, _, _ = program.run(f"seed={seed}", "hydra.run.dir=mine")
    assert status == 1
    assert (mine / "notes.txt").read_text() == "keep"
    assert (mine / ".hydra").exists() == (seed == "13")  # settings are checked before Hydra writes there


def test_a_crash_shows_where_and_keeps_the_directory(program: Program) -> None:
    status, _, err = program.run("seed=14")
    assert status == 1
    assert "Traceback" in err
    assert err.splitlines()[-1] == "[ERROR] ValueError: a fault of ours"
    assert "overrides.yaml" in program.left()


@pytest.mark.parametrize("where", ["argument", "environment"])
def test_a_traceback_is_shown_where_it_is_wanted(program: Program, where: str) -> None:
    if where == "argument":
        status, _, err = program.run("seed=13", "debug=true")
    else:
        status, _, err = program.run("seed=13", HYDRA_FULL_ERROR="1")
    assert status == 1
    assert "Traceback" in err
    assert "[ERROR] seed=13: brings bad luck" in err
    assert program.left() == []


def test_an_interrupt_while_building(program: Program) -> None:
    assert program.run("seed=130") == (130, "", "[ERROR] interrupted\n")
    assert program.left() == []


def test_a_failing_job_leaves_the_others_alone(program: Program) -> None:
    status, out, err = program.run("--multirun", "seed=1,13,14,2")
    assert status == 1
    assert [line for line in out.splitlines() if line] == [
        f"[START] Job {i}: seed={s}" for i, s in enumerate([1, 13, 14, 2])
    ]
    assert err.splitlines()[-2:] == [
        "[ERROR] job 1 (seed=13): seed=13: brings bad luck;; take another",
        "[ERROR] job 2 (seed=14): ValueError: a fault of ours",
    ]
    (sweep,) = program.folder.glob("multirun/*/*")
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == [
        "0",
        "2",
        "3",
    ]  # 2 crashed: it stays
    assert [json.loads(line)["job"] for line in (sweep / command.FAILURES).read_text().splitlines()] == [1, 2]


def test_what_main_returns_reaches_the_sweeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    returned = []
    sweep = BasicSweeper.sweep

    def spy(self: BasicSweeper, arguments: list[str]) -> object:
        batches = sweep(self, arguments)
        returned.extend(job.return_value for batch in batches for job in batch)
        return batches

    monkeypatch.setattr(BasicSweeper, "sweep", spy)
    monkeypatch.setattr(sys, "argv", ["program", "-m", "seed=4,-1,5"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        command.run(lambda config, directory: config.seed / 2)
    assert returned == [2.0, None, 2.5]


@pytest.mark.parametrize("flags", [["--help"], ["--cfg", "job"], ["--info", "defaults"], ["--hydra-help"]])
def test_the_flags_of_hydra_still_work(program: Program, flags: list[str]) -> None:
    status, out, err = program.run(*flags)
    assert (status, err) == (0, "")
    assert len(out) > 500
    assert program.left() == []


def test_a_mistake_is_answered_before_anything_heavy_is_imported(program: Program) -> None:
    program.file.write_text(
        PROGRAM.replace("command.run(", "import atexit; atexit.register(lambda: print(*sys.modules)); command.run(")
    )
    for mistake in ("learner.gama=1", "learner.gamma=2"):
        _, out, _ = program.run(mistake)
        assert "hydra.core" in out.split()
        assert not {"torch", "numba", "RocketSim", "tensorboard"} & set(out.split())
