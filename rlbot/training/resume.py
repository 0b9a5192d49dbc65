"""Resumes a run: restores the components from its checkpoint."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rlbot.curriculum import stage_at
from rlbot.policy import Bot
from rlbot.run import Console, Resume
from rlbot.settings.errors import building
from rlbot.training.bots import saved_bots
from rlbot.training.build import Components
from rlbot.training.loop import Progress, Start, open_stage


@contextmanager
def continuing(resume: Resume) -> Iterator[None]:
    """Turns errors about missing or odd entries in a complete checkpoint into ValueError: another version wrote it."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume={resume.checkpoint}: training cannot continue from it ({type(error).__name__}: {error});\n"
            "name another run or checkpoint, or start anew with resume=null"
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
        collector = None
        if progress.stage == stage_at(components.stages, progress.timesteps):  # otherwise another stage begins
            collector = open_stage(
                progress.stage,
                stages=components.stages,
                pool=components.pool,
                timesteps=progress.timesteps,
                weights=components.publish(),
                make_collector=components.make_collector,
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
