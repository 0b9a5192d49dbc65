"""`python -m rlbot.bench`: how fast this machine plays and learns.

bench.profile=true shows where the time of a step goes. bench.peer=rlgym measures RLGym too, bench.peer=rlgym_learn also
its trainer. experiment=bench_end_to_end "bench.teams=[1v1]" has the settings for which others publish speeds. With -m,
over models, precisions or numbers of arenas, the table of the sweep has a row for each: see docs/performance.md.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rlbot.settings import command
from rlbot.settings.errors import building
from rlbot.settings.schema import BenchConfig

if TYPE_CHECKING:
    from rlbot.bench.cases import Case
    from rlbot.run import Console


def main(config: BenchConfig, directory: Path) -> float:
    """Write bench.json and bench.png; returns agent steps a second of training, first team size, all cores."""
    with building():
        _require_psutil()
        _require_peer(config.bench.peer)
        from rlbot.sim import obtain_meshes

        obtain_meshes(config.env.collision_meshes)
    from rlbot import run
    from rlbot.bench.cases import cases
    from rlbot.bench.measure import Row, describe, measure
    from rlbot.bench.report import draw, table, write_json, write_result
    from rlbot.processes.cores import available_cores
    from rlbot.run import RESULT

    cores = available_cores()
    rows: list[Row] = []
    with run.Console(directory / "bench.log") as console:
        for name, value in run.describe_machine().items():
            console.ok(f"{name}: {value}")
        todo = cases(config, cores)
        for number, case in enumerate(todo, 1):
            console.start(f"Comparison {number}/{len(todo)}: {describe(case)}")
            with building():
                rows += measure(case, config, cores, console.ok)
        for line in table(rows):
            console.line(line)
        if config.bench.profile:
            _profile(todo[0], config, console)
        write_json(rows, directory / "bench.json")
        main_case = todo[1]
        draw(rows, main_case.team_size, main_case.num_envs, main_case.workers, directory / "bench.png")
        console.ok(f"Written: {directory / 'bench.json'}, {directory / 'bench.png'}")
    mine = [
        row
        for row in rows
        if (row.team_size, row.num_envs, row.workers) == (main_case.team_size, main_case.num_envs, main_case.workers)
    ]
    return write_result(mine, directory / RESULT)


def _require_psutil() -> None:
    if find_spec("psutil") is None:
        raise ValueError(
            "bench: the package psutil is missing, which measures the memory of processes;\n"
            "install what the bench needs with `pip install rlbot-trainer[bench]`"
        )


def _require_peer(peer: str | None) -> None:
    needed = {"rlgym": ("rlgym",), "rlgym_learn": ("rlgym", "rlgym_learn", "rlgym_learn_algos")}
    if peer is not None and any(find_spec(name) is None for name in needed[peer]):
        raise ValueError(
            f"bench.peer={peer}: its packages are missing; install them on Python 3.10 or 3.11, as they need numpy<2:\n"
            '`pip install -c constraints.txt -e ".[bench,peer]"`'
        )


def _profile(case: "Case", config: BenchConfig, console: "Console") -> None:
    from rlbot.bench.measure import describe
    from rlbot.bench.profile import lines, profile

    console.start(f"Profile of a collect step: {describe(case)}; us per arena step")
    for line in lines(profile(case, config)):
        console.line(line)


if __name__ == "__main__":
    command.run(main, "bench")
