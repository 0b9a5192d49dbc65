"""Measure a case: everything to be measured takes turns, round after round."""

import dataclasses
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from rlbot.bench.cases import Case
from rlbot.bench.processes import Contestant, ContestantProcesses
from rlbot.bench.raw import Env, Raw, Raw3
from rlbot.settings.schema import BenchConfig
from rlbot.sim import choose

_WARM_UP = 0.2  # s


@dataclass(frozen=True)
class Row:
    """The result of one measured part (raw, env, train, ...) of one case. cores: 1 if workers is 0, else all cores.

    `rates` are agent steps a second of each round, `agent_steps_per_s` is their median, `spread` is (max - min) /
    median. `ratio_to_raw` is the median of the ratios within each round, so that a phase in which the machine is slower
    does not change it. `gpu_load`: median percent of the time that the GPU was busy at the end of the turns of "train"
    and "learn" (None without a GPU). `main_mb` and `worker_mb`: peak memory in MB of the learner's process (None if
    there is none) and of each other process. That of raw includes the BatchEnv in which its controls were recorded.
    """

    name: str
    cores: int
    team_size: str
    num_envs: int
    workers: int
    agent_steps_per_s: float
    ratio_to_raw: float
    spread: float
    rates: list[float]
    gpu_load: float | None
    main_mb: float | None
    worker_mb: list[float]


def measure(case: Case, config: BenchConfig, cores: int, tell: Callable[[str], None]) -> list[Row]:
    """Play the rounds of one case. Raises ValueError if this machine does not support a setting."""
    with ExitStack() as stack:
        contestants = {name: stack.enter_context(processes) for name, processes in _contestants(case, config)}
        for processes in contestants.values():
            processes.ready()
        turns = {name: processes for key, processes in contestants.items() for name in _TURNS[key]}
        for name, processes in turns.items():
            processes.play(name, min(_WARM_UP, config.bench.seconds))
        rates: dict[str, list[float]] = {name: [] for name in turns}
        loads: dict[str, list[float]] = {name: [] for name in turns}
        for number in range(1, config.bench.rounds + 1):
            for name, processes in turns.items():
                rates[name].append(processes.play(name, config.bench.seconds))
                if name in _LEARNING and (load := processes.gpu_load()) is not None:
                    loads[name].append(load)
            found = ", ".join(f"{name} {each[-1]:.0f}" for name, each in rates.items())
            tell(f"{describe(case)}: round {number}/{config.bench.rounds}: {found} steps/s")
        memory = {key: processes.peak_memory() for key, processes in contestants.items()}
    return [
        _row(case, cores, name, rates[name], rates["raw"], loads[name], key, memory[key])
        for key in contestants
        for name in _TURNS[key]
    ]


def describe(case: Case) -> str:
    where = f"{case.workers} workers" if case.workers else "one core"
    return f"{case.team_size}, {case.num_envs} arenas, {where}"


# The contestants of a case, and the turns that each takes. Those that end in 2 play on RocketSim v2, where the others
# play on v3.
_TURNS = {
    "raw": ("raw",),
    "raw3": ("raw3",),
    "env": ("env",),
    "train": ("collect", "train", "learn", "products"),
    "opponents": ("opponents",),
    "env2": ("env2",),
    "train2": ("collect2", "train2"),
    "rlgym": ("rlgym",),
    "rlgym_learn": ("rlgym_learn",),
}
_LEARNING = ("train", "learn", "train2")  # the turns that use a GPU


def _contestants(case: Case, config: BenchConfig) -> Iterator[tuple[str, ContestantProcesses]]:
    ranges = case.arena_ranges(config)
    yield "raw", ContestantProcesses([partial(Raw, arenas) for arenas in ranges], threads=1)
    if choose("auto") == "rocketsim3":
        yield "raw3", ContestantProcesses([partial(Raw3, arenas) for arenas in ranges], threads=1)
    yield "env", ContestantProcesses([partial(Env, arenas) for arenas in ranges], threads=1)
    for stage, name in enumerate(("train", "opponents")):
        yield name, ContestantProcesses([partial(_trainer, case, config, stage)], threads=None if case.workers else 1)
    if config.bench.both_engines and choose(config.env.engine) == "rocketsim3":
        on2 = dataclasses.replace(config, env=dataclasses.replace(config.env, engine="rocketsim2"))
        yield "env2", ContestantProcesses([partial(Env, arenas) for arenas in case.arena_ranges(on2)], threads=1)
        yield "train2", ContestantProcesses([partial(_trainer, case, on2, 0)], threads=None if case.workers else 1)
    if config.bench.peer is not None:
        from rlbot.bench.peers import RLGymPeer

        yield "rlgym", ContestantProcesses([partial(RLGymPeer, arenas) for arenas in ranges], threads=1)
    # rlgym-learn needs worker processes and one team size.
    if config.bench.peer == "rlgym_learn" and case.workers and case.team_size != "mixed":
        yield "rlgym_learn", ContestantProcesses([partial(_rlgym_learn, case, config)], threads=None)


def _trainer(case: Case, config: BenchConfig, stage: int) -> Contestant:
    from rlbot.bench.trainer import Trainer  # imports PyTorch, which the other processes do not need

    return Trainer(case.config(config), stage)


def _rlgym_learn(case: Case, config: BenchConfig) -> Contestant:
    from rlbot.bench.rlgym_learn import RLGymLearn

    return RLGymLearn(case.config(config), case.team_size, case.workers)


def _row(
    case: Case,
    cores: int,
    name: str,
    rates: list[float],
    raw: list[float],
    loads: list[float],
    key: str,
    memory: list[list[float]],
) -> Row:
    learner = key in ("train", "train2", "opponents", "rlgym_learn")
    median = statistics.median(rates)
    return Row(
        name=name,
        cores=cores if case.workers else 1,
        team_size=case.team_size,
        num_envs=case.num_envs,
        workers=case.workers,
        agent_steps_per_s=median,
        ratio_to_raw=statistics.median(rate / bare for rate, bare in zip(rates, raw, strict=True)),
        spread=(max(rates) - min(rates)) / median,
        rates=rates,
        gpu_load=statistics.median(loads) if loads else None,
        main_mb=memory[0][0] if learner else None,
        worker_mb=memory[0][1:] if learner else [each[0] for each in memory],
    )
