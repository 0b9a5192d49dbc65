"""Measure a case: everything to be measured takes turns, round after round."""

import dataclasses
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from rlbot.bench.cases import ArenaRange, Case
from rlbot.bench.processes import Contestant, ContestantProcesses
from rlbot.bench.raw import Env, Raw, Raw3
from rlbot.settings.schema import BenchConfig
from rlbot.sim import built, choose

_WARM_UP = 0.2  # s


@dataclass(frozen=True)
class Row:
    """The result of one measured part (raw, env, train, ...) of one case. cores: 1 if workers is 0, else all cores.
    engine: what it plays on.

    `rates` are agent steps a second of each round, `agent_steps_per_s` is their median, `spread` is (max - min) /
    median. `ratio_to_raw` is to bare RocketSim v2: the median of the ratios within each round, so that a phase in which
    the machine is slower does not change it. `gpu_load`: median percent of the time that the GPU was busy at the end of
    the turns of "train" and "learn" (None without a GPU). `main_mb` and `worker_mb`: peak memory in MB of the learner's
    process (None if there is none) and of each other process. That of raw includes the BatchEnv in which its controls
    were recorded.
    """

    name: str
    engine: str
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


@dataclass(frozen=True)
class _Entry:
    """Processes that take part in a case, the turns that they take, and the engine that they play on."""

    turns: tuple[str, ...]
    engine: str
    processes: ContestantProcesses
    learns: bool = False  # the first process of it is a learner's


_LEARNING = ("train", "learn")  # the turns that use a GPU


def measure(case: Case, config: BenchConfig, cores: int, tell: Callable[[str], None]) -> list[Row]:
    """Play the rounds of one case. Raises ValueError if this machine does not support a setting."""
    with ExitStack() as stack:
        entries = list(_entries(case, config, stack.enter_context))
        for entry in entries:
            entry.processes.ready()
        turns = [(entry, name) for entry in entries for name in entry.turns]
        for entry, name in turns:
            entry.processes.play(name, min(_WARM_UP, config.bench.seconds))
        rates: list[list[float]] = [[] for _ in turns]
        loads: list[list[float]] = [[] for _ in turns]
        for number in range(1, config.bench.rounds + 1):
            for k, (entry, name) in enumerate(turns):
                rates[k].append(entry.processes.play(name, config.bench.seconds))
                if name in _LEARNING and (load := entry.processes.gpu_load()) is not None:
                    loads[k].append(load)
            found = ", ".join(
                f"{name} {SHORT[entry.engine]} {each[-1]:.0f}" for (entry, name), each in zip(turns, rates, strict=True)
            )
            tell(f"{describe(case)}: round {number}/{config.bench.rounds}: {found} steps/s")
        memory = {entry.processes: entry.processes.peak_memory() for entry in entries}
    return [
        _row(case, cores, name, entry, rates[k], rates[0], loads[k], memory[entry.processes])
        for k, (entry, name) in enumerate(turns)
    ]


def describe(case: Case) -> str:
    where = f"{case.workers} workers" if case.workers else "one core"
    return f"{case.team_size}, {case.num_envs} arenas, {where}"


SHORT = {"rocketsim2": "v2", "rocketsim3": "v3"}


def _entries(
    case: Case, config: BenchConfig, enter: Callable[[ContestantProcesses], ContestantProcesses]
) -> Iterator[_Entry]:
    """Bare RocketSim v2 first: it is what all others are compared with."""
    played = choose(config.env.engine)
    engines = list(dict.fromkeys([played, *(built() if config.bench.both_engines else ())]))

    def each_range(make: Callable[[ArenaRange], Contestant], engine: str) -> ContestantProcesses:
        ranges = case.arena_ranges(_on(engine, config))
        return enter(ContestantProcesses([partial(make, arenas) for arenas in ranges], threads=1))

    def one(make: Callable[[], Contestant]) -> ContestantProcesses:
        return enter(ContestantProcesses([make], threads=None if case.workers else 1))

    yield _Entry(("raw",), "rocketsim2", each_range(Raw, "rocketsim2"))
    if "rocketsim3" in engines:
        yield _Entry(("raw",), "rocketsim3", each_range(Raw3, "rocketsim3"))
    for engine in engines:
        yield _Entry(("env",), engine, each_range(Env, engine))
    for engine in engines:
        turns = ("collect", "train", "learn", "products") if engine == played else ("collect", "train", "learn")
        yield _Entry(turns, engine, one(partial(_trainer, case, _on(engine, config), 0)), learns=True)
    yield _Entry(("opponents",), played, one(partial(_trainer, case, config, 1)), learns=True)
    if config.bench.peer is not None:
        from rlbot.bench.peers import RLGymPeer

        yield _Entry(("rlgym",), "rocketsim2", each_range(RLGymPeer, "rocketsim2"))
    # rlgym-learn needs worker processes and one team size.
    if config.bench.peer == "rlgym_learn" and case.workers and case.team_size != "mixed":
        yield _Entry(("rlgym_learn",), "rocketsim2", one(partial(_rlgym_learn, case, config)), learns=True)


def _on(engine: str, config: BenchConfig) -> BenchConfig:
    changed: Any = {"engine": engine}
    return dataclasses.replace(config, env=dataclasses.replace(config.env, **changed))


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
    entry: _Entry,
    rates: list[float],
    raw: list[float],
    loads: list[float],
    memory: list[list[float]],
) -> Row:
    median = statistics.median(rates)
    return Row(
        name=name,
        engine=entry.engine,
        cores=cores if case.workers else 1,
        team_size=case.team_size,
        num_envs=case.num_envs,
        workers=case.workers,
        agent_steps_per_s=median,
        ratio_to_raw=statistics.median(rate / bare for rate, bare in zip(rates, raw, strict=True)),
        spread=(max(rates) - min(rates)) / median,
        rates=rates,
        gpu_load=statistics.median(loads) if loads else None,
        main_mb=memory[0][0] if entry.learns else None,
        worker_mb=memory[0][1:] if entry.learns else [each[0] for each in memory],
    )
