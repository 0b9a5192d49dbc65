"""rlgym-learn as a contestant of the bench, for real with tiny settings. How fast it is, no test asks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from rlbot.bench import __main__ as bench
from rlbot.bench import measure
from rlbot.bench.cases import Case
from rlbot.bench.processes import Contestant, ContestantProcesses
from rlbot.settings.command import compose

TINY = [
    "model=mlp_small", "env.num_envs=2", "env.workers=2", "learner.batch_size=32", "learner.minibatch_size=16",
    "hardware=cpu", "bench.peer=rlgym_learn",
]  # fmt: skip

Makers = list[Callable[[], Contestant]]


@pytest.fixture
def contestants(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], dict[str, Makers]]:
    """Of a number of workers: the players of each processes, none of them started."""

    def of(workers: int) -> dict[str, Any]:
        with monkeypatch.context() as patched:
            patched.setattr(measure, "ContestantProcesses", lambda players, threads: players)
            entries = measure._entries(Case("1v1", 2, workers), compose(TINY, "bench"), lambda players: players)
            return {entry.turns[0]: entry.processes for entry in entries}

    return of


def test_it_plays_beside_rlgym_where_there_are_workers(contestants: Any) -> None:
    pytest.importorskip("rlgym.rocket_league", reason="RLGym is in the extra peer, for Python 3.10 and 3.11")
    names = ["raw", "env", "collect", "opponents", "rlgym"]
    assert list(contestants(0)) == names
    assert list(contestants(2)) == [*names, "rlgym_learn"]


def test_it_trains_and_leaves_nothing(
    contestants: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for package in ("rlgym_learn", "rlgym_learn_algos"):
        pytest.importorskip(package, reason="rlgym-learn is in the extra peer, for Python 3.10 and 3.11")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with ContestantProcesses(contestants(2)["rlgym_learn"], threads=None) as processes:
        processes.ready()
        assert processes.play("rlgym_learn", 0.01) > 0 and processes.play("rlgym_learn", 0.01) > 0
        ((main, *workers),) = processes.peak_memory()
        assert main > 10 and len(workers) == 2
        player = psutil.Process(processes._children[0].process.pid)
        started = [player, *player.children(recursive=True)]
        assert len(started) >= 3
    assert not psutil.wait_procs(started, timeout=5)[1]
    assert not list(tmp_path.glob("rlbot-bench-*")) and not list(tmp_path.glob("*checkpoints*"))
    assert capfd.readouterr().out == ""


def test_without_its_packages_the_bench_says_how_to_install_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "find_spec", lambda name: None)
    bench._require_peer(None)
    for peer in ("rlgym", "rlgym_learn"):
        with pytest.raises(ValueError, match=rf"bench\.peer={peer}: .* missing; .* numpy<2:\n.*\[bench,peer\]"):
            bench._require_peer(peer)
