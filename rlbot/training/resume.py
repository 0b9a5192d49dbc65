"""Resumes a run: restores the components from its checkpoint."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rlbot.curriculum import stage_at
from rlbot.policy import Bot
from rlbot.policy.bot import read_mask
from rlbot.run import Console, Resume
from rlbot.settings.errors import building
from rlbot.settings.schema import TrainConfig
from rlbot.sim import FIRST_ENGINE, choose, version
from rlbot.training.bots import saved_bots
from rlbot.training.build import Components
from rlbot.training.loop import Progress, Start, open_stage


def with_engine(config: TrainConfig, policy: Mapping[str, Any] | None, warn: Callable[[str], None]) -> TrainConfig:
    """The settings with an engine in place of "auto": on a resume (`policy`: the checkpoint's policy.json) the one that
    the run was trained on. Another one is warned of, and raises ValueError where it is not here."""
    trained_on = None if policy is None else str(policy.get("engine", FIRST_ENGINE))
    wanted: str = config.env.engine
    if wanted == "auto" and trained_on is not None:
        wanted = trained_on.split()[0]
    try:
        engine: Any = choose(wanted)
    except ValueError as error:
        if trained_on is None or config.env.engine != "auto":
            raise
        raise ValueError(
            f"resume={config.resume}: it was trained on {trained_on}, which is not built here; build it (README), or\n"
            "continue with env.engine=rocketsim2, on which cars and ball move a little differently"
        ) from error
    if trained_on not in (None, version(engine)):
        warn(
            f"Trained on {trained_on}, continues on {version(engine)}: cars and ball move a little differently there "
            "(docs/physics.md), the saved episodes are not continued, and ratings start again"
        )
    return dataclasses.replace(config, env=dataclasses.replace(config.env, engine=engine))


@contextmanager
def continuing(resume: Resume) -> Iterator[None]:
    """Turns errors about missing or odd entries in a complete checkpoint into ValueError: another version wrote it."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume={resume.checkpoint}: training cannot continue from it ({type(error).__name__}: {error});\n"
            "name another run or checkpoint, or start a new run with resume=null"
        ) from error


def kept_bots(saved: Any, resume: Resume | None) -> dict[str, Bot]:
    """Returns the opponents in the checkpoint that are named by a path, by that path."""
    if saved is None or resume is None:
        return {}
    with continuing(resume):
        return saved_bots(*saved)


def restore(components: Components, saved: Any, console: Console, resume: Resume | None) -> Start:
    """Restores the components from the checkpoint. Returns the progress, and the collector if its stage goes on."""
    if saved is None or resume is None:
        return Progress(), None
    tensors, documents = saved
    with building(), continuing(resume):
        progress = Progress(**documents["progress"])
        if documents["policy"]["observation"] != [list(each) for each in components.observation.columns]:
            raise ValueError(
                f"resume={resume.checkpoint}: it was trained with another observation than the one asked for;\n"
                "leave out env.observation to use the checkpoint's own"
            )
        uses_table = components.network.action_head == "table"
        if uses_table and documents["policy"]["action_table"] != components.network.action_table.tolist():
            raise ValueError(
                f"resume={resume.checkpoint}: it was trained with another action table than the one asked for;\n"
                "leave out env.actions to use the checkpoint's own"
            )
        masked = read_mask(documents["policy"])
        if masked != components.network.action_mask:
            raise ValueError(
                f"resume={resume.checkpoint}: it was trained with env.action_mask={str(masked).lower()};\n"
                "leave out env.action_mask to use the checkpoint's own"
            )
        try:
            components.model.load_state_dict(tensors["model"])
        except RuntimeError as error:
            raise ValueError(
                f"resume={resume.checkpoint}: its network has another shape than the one asked for;\n"
                "leave out the model settings to use the checkpoint's own"
            ) from error
        components.ppo.load_state(tensors["learner"], documents["learner_state"])
        components.pool.load_state(tensors["opponents"])
        progress.stage = _same_stage(progress.stage, documents["config"], components)
        if progress.stage > 0 and "stage_began" not in documents["progress"]:  # saved by an older version
            progress.stage_began = components.stages[progress.stage - 1].until or 0
        collector = None
        if progress.stage == stage_at(
            components.stages, progress.timesteps, progress.passed
        ):  # otherwise another stage begins
            collector = open_stage(
                progress.stage,
                stages=components.stages,
                pool=components.pool,
                timesteps=progress.timesteps,
                weights=components.publish(),
                make_collector=components.make_collector,
                started=console.start,
                note=console.ok,
            )
            try:
                collector.restore(tensors["environment"], documents["environment_state"])
            except ValueError as error:  # other arenas were asked for: training continues with new episodes
                console.warn(f"The saved episodes are not continued: {error}")
                collector.close()
                collector = None
    console.ok(f"Resumed at {progress.timesteps} timesteps from {resume.checkpoint}")
    return progress, collector


def _same_stage(index: int, saved: Mapping[str, Any], components: Components) -> int:
    """The index in this run of the checkpoint's stage, found by its name, because stages may have been added before it.
    -1 if there is none of that name."""
    names, before = [stage.name for stage in components.stages], saved["curriculum"]["stages"]
    played = [each["name"] for each in before] if isinstance(before, list) else list(before)  # older versions: a list
    name = played[index] if index >= 0 else None
    return names.index(name) if name in names else -1
