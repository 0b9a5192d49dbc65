"""The bench in a real run with tiny settings: what it writes and prints. How fast anything is, no test asks."""

import json
import math
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

import rlbot
from rlbot.bench import profile
from rlbot.bench.cases import Case, cases
from rlbot.bench.controls import record
from rlbot.bench.matmuls import Products
from rlbot.bench.raw import Env, Raw, Raw3
from rlbot.env.counts import COUNTS
from rlbot.processes.cores import available_cores
from rlbot.settings.command import compose
from rlbot.settings.schema import BenchConfig
from rlbot.sim import built, choose
from rlbot.training.build import make_hardware, make_model

ROOT = Path(rlbot.__file__).parents[1]
TINY = [
    "model=mlp_small", "env.num_envs=2", "env.workers=2", "learner.batch_size=32", "learner.minibatch_size=16",
    "hardware=cpu", "bench.rounds=3", "bench.seconds=0.02", "bench.teams=[1v1]", "bench.num_envs=[]",
    "bench.workers=[]",
]  # fmt: skip
PEER = ["bench.peer=rlgym"] if find_spec("rlgym") else []  # in the extra peer, for Python 3.10 and 3.11


def tiny(*overrides: str) -> BenchConfig:
    return compose([*TINY, *overrides], "bench")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]], str]:
    """Directory, rows of bench.json and output of a run."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, "-m", "rlbot.bench", *TINY, *PEER, "bench.profile=true"]
    done = subprocess.run(
        [*command, f"hydra.run.dir={folder}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads((folder / "bench.json").read_text()), done.stdout


def test_every_contestant_has_a_row_for_one_core_and_for_all(result: Any) -> None:
    _, rows, _ = result
    names = {(name, engine) for name in ("raw", "env", "collect", "train", "learn") for engine in built()}
    names |= {("opponents", choose()), ("products", choose()), *([("rlgym", "rocketsim2")] if PEER else [])}
    found = [(row["name"], row["engine"], row["workers"]) for row in rows]
    assert sorted(found) == sorted((*name, workers) for name in names for workers in (0, 2))
    assert found[0] == ("raw", "rocketsim2", 0)
    for row in rows:
        assert (row["team_size"], row["num_envs"]) == ("1v1", 2)
        assert (row["cores"] == 1) == (row["workers"] == 0) or available_cores() == 1


def test_rows_are_what_the_rounds_gave(result: Any) -> None:
    _, rows, _ = result
    raw = {row["workers"]: row["rates"] for row in rows if (row["name"], row["engine"]) == ("raw", "rocketsim2")}
    for row in rows:
        rates = row["rates"]
        assert len(rates) == 3 and all(math.isfinite(rate) and rate > 0 for rate in rates)
        assert row["agent_steps_per_s"] == statistics.median(rates)
        ratios = [rate / bare for rate, bare in zip(rates, raw[row["workers"]], strict=True)]
        assert row["ratio_to_raw"] == pytest.approx(statistics.median(ratios))
        assert row["spread"] == pytest.approx((max(rates) - min(rates)) / statistics.median(rates))


def test_a_sweep_compares_what_all_cores_did(result: Any) -> None:
    folder, rows, _ = result
    found = json.loads((folder / "result.json").read_text())
    engine = {"raw": "rocketsim2"}  # all others: the engine that trains
    rates = {
        row["name"]: row["agent_steps_per_s"]
        for row in rows
        if row["workers"] == 2 and row["engine"] == engine.get(row["name"], choose())
    }
    assert (found["status"], found["objective"], found["command"]) == ("finished", "train", "bench")
    assert found["value"] == rates["train"] and found["gpu_load"] is None
    for name in ("raw", "collect", "learn", "products"):
        assert found[name] == rates[name]


def test_the_products_are_those_of_an_update() -> None:
    """Counted: forward and backward of every layer for each row and epoch, but no gradient of the observations; and the
    critic once more for the values."""
    config = tiny("model.hidden=[16,8]", "learner.epochs=3", "learner.minibatch_size=16")
    model, hardware = make_model(config), make_hardware(config)
    with FlopCounterMode(display=False) as counter:
        Products(model, hardware, minibatch_size=16, epochs=3)._update(32)
    first, others = 180 * 16, {"actor": 16 * 8 + 8 * 90, "critic": 16 * 8 + 8 * 1}
    of_values = first + others["critic"]
    of_a_row = sum(2 * first + 3 * rest for rest in others.values())
    assert counter.get_total_flops() == 2 * 32 * (of_values + 3 * of_a_row)


def test_memory_of_every_process_is_told(result: Any) -> None:
    _, rows, _ = result
    for row in rows:
        learner = row["name"] in ("collect", "opponents", "train", "learn", "products")
        assert (row["main_mb"] is not None) == learner
        assert len(row["worker_mb"]) == (row["workers"] if learner else max(row["workers"], 1))
        assert all(mb > 10 for mb in (*row["worker_mb"], row["main_mb"] or 11))


def test_output_shows_progress_a_table_and_every_piece_of_the_profile(result: Any) -> None:
    folder, rows, out = result
    assert out.isascii() and out.count("round ") == 6
    lines = [line.strip() for line in out.splitlines()]
    for row in rows:
        assert any(line.split()[:3] == [row["name"], f"v{row['engine'][-1]}", "1v1"] for line in lines)
    terms = [name for name, term in tiny().reward.terms.items() if term.weight != 0]
    for piece in (
        *profile.pieces(choose("auto")),
        profile.WHOLE,
        "sum of the pieces",
        *(f"of which {name}" for name in terms),
    ):
        assert any(line.startswith(f"{piece} ") for line in lines), piece
    assert (folder / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_the_profile_finds_time_in_every_piece() -> None:
    """A piece without any would be one that is not watched any more."""
    found = profile.profile(Case("1v1", 2, 0), tiny("env.no_touch_limit=0.2"))
    assert all(math.isfinite(us) and us > 0 for name, us in found.items() if not name.startswith("reward: "))


def test_the_profiler_charges_each_call_without_the_calls_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(profile, "perf_counter", lambda: now)
    profiler = profile.StepProfiler()

    def taking(seconds: float, *inner: Callable[[], None]) -> Callable[[], None]:
        def function() -> None:
            nonlocal now
            now += seconds
            for each in inner:
                each()

        return function

    physics = profiler.around("physics", taking(5.0))
    reset = profiler.around("reset", taking(2.0, physics))  # a piece that is charged with what it calls
    profiler.around("the rest", taking(1.0, physics, reset, physics))()
    assert profiler.seconds == {"the rest": 1.0, "physics": 10.0, "reset": 7.0}


def test_cases() -> None:
    config = tiny("env.workers=null", "bench.teams=[2v2,1v1]", "bench.num_envs=[2,8]", "bench.workers=[0,3]")
    assert cases(config, cores=4) == [
        Case("2v2", 2, 0), Case("2v2", 2, 4), Case("1v1", 2, 0), Case("1v1", 2, 4),
        Case("2v2", 8, 4), Case("2v2", 2, 3),
    ]  # fmt: skip
    assert [(each.start, each.stop) for each in Case("1v1", 8, 3).arena_ranges(config)] == [(0, 2), (2, 5), (5, 8)]


def test_the_mixed_case_has_all_team_sizes_in_every_process() -> None:
    ranges = Case("mixed", 20, 2).arena_ranges(tiny())
    for arenas in ranges:
        sizes = Counter(arenas.team_sizes())
        assert (sizes[1, 1], sizes[1, 2] + sizes[2, 1], sizes[2, 2]) == (7, 1, 2)  # shares 0.7, 0.1, 0.2


@pytest.mark.parametrize("controls", ["random", "to_ball"])
def test_raw_plays_what_env_plays(controls: str, engine: str) -> None:
    """The ball is where it is in the environment, also in the episodes after the first."""
    settings = ["env.no_touch_limit=0.5", f"env.engine={engine}", f"bench.controls={controls}"]
    (arenas,) = Case("2v2", 2, 0).arena_ranges(tiny(*settings))
    raw, env = Raw(arenas) if engine == "rocketsim2" else Raw3(arenas), Env(arenas)
    restarted = set()
    for step in range(20):
        assert raw.play("raw", 0.0)[0] == env.play("env", 0.0)[0] == 8
        restarted |= set(raw._restarts[step])
        if isinstance(raw, Raw):
            balls: Any = [arena.ball.get_state().pos.as_tuple() for arena in raw._arenas]
        else:
            balls = raw._state.ball_pos
        assert np.allclose(balls, env._env.state.ball_pos, atol=1.0)
    assert restarted


def test_cars_that_drive_to_the_ball_reach_it_often() -> None:
    (arenas,) = Case("1v1", 4, 0).arena_ranges(tiny("env.num_envs=4"))
    touches = []
    for to_ball in (False, True):
        env = arenas.env()
        record(env, 0, to_ball)
        touches.append(env.counts[:, COUNTS.index("touches")].sum())
    assert touches[1] > 4 * touches[0]


@pytest.mark.parametrize("teams", ["2v2", "mixed"])
def test_rlgym_starts_where_env_starts(teams: str) -> None:
    pytest.importorskip("rlgym.rocket_league", reason="RLGym is in the extra peer, for Python 3.10 and 3.11")
    from rlbot.bench.peers import RLGymPeer

    (arenas,) = Case(teams, 3, 0).arena_ranges(tiny("env.num_envs=3"))
    env = arenas.env()
    env.reset(seed=arenas.config.seed)
    for n, peer in enumerate(RLGymPeer(arenas)._envs):
        assert np.allclose(peer.state.ball.position, env.state.ball_pos[n])
        cars = list(peer.state.cars.values())
        slots = env.arenas.slots[n]
        assert np.allclose([car.physics.position for car in cars], env.state.car_pos[n, slots])
        assert np.allclose([car.physics.forward for car in cars], env.state.car_forward[n, slots], atol=1e-4)
        assert np.allclose([car.boost_amount for car in cars], env.state.car_boost[n, slots])


def test_a_bench_without_a_team_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bench.teams=\[\]"):
        tiny("bench.teams=[]")
