"""Going on with a run: the components brought to where its checkpoint stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rlbot.run import Console, Resume
from rlbot.settings.errors import building
from rlbot.training.build import Components
from rlbot.training.loop import Progress, Start


@contextmanager
def continuing(resume: Resume) -> Iterator[None]:
    """Where a checkpoint is sound but does not hold what this version's training writes."""
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(
            f"resume={resume.checkpoint}: training cannot go on with it ({type(error).__name__}: {error});\n"
            "name another run or checkpoint, or start anew with resume=null"
        ) from error


def restore(components: Components, saved: Any, console: Console, resume: Resume | None) -> Start:
    """Bring the parts to where the checkpoint stopped."""
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
                "leave out the model settings to go on with the checkpoint's own"
            ) from error
        components.ppo.load_state(tensors["learner"], documents["learner_state"])
        components.pool.load_state(tensors["opponents"])
        collector = None
        if 0 <= progress.stage < len(components.stages):  # else the curriculum was made shorter
            collector = components.make_collector(progress.stage)
            try:
                collector.restore(tensors["environment"], documents["environment_state"])
            except ValueError as error:  # another number of arenas was asked for: the bot goes on, the episodes do not
                console.warn(f"The saved episodes are not continued: {error}")
    console.ok(f"Resumed at {progress.timesteps} timesteps from {resume.checkpoint}")
    return progress, collector
