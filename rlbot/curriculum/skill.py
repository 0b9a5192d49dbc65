"""What a stage may end by besides timesteps: skills, measured over a window that one lucky iteration does not fill."""

from collections.abc import Iterable, Mapping

# Each skill by its name in a stage's `until`, and the curve that measures it; None: the rating of a saved version.
SKILLS: dict[str, str | None] = {
    **{
        f"{name}_per_minute": f"play/{name}_per_minute"
        for name in ("touches", "goals", "shots", "saves", "passes", "demos")
    },
    "speed": "play/speed",
    "air_share": "play/air_share",
    "score_against_past": "opponents/score_against_past",
    "rating": None,
}
WINDOW = 10  # iterations of the stage, the newest; a skill is the mean of its curve over them
RATINGS = 2  # rated versions that were saved in the stage, the newest; "rating" is their mean

# For each skill of a stage the points in its window, [timesteps, value], oldest first. A checkpoint holds it as JSON.
Measured = dict[str, list[list[float]]]


def window_of(skill: str) -> int:
    return WINDOW if SKILLS[skill] else RATINGS


def measure(measured: Measured, skills: Iterable[str], metrics: Mapping[str, float], timesteps: int) -> None:
    """Adds the metrics of an iteration that ended at `timesteps` to the windows of `skills`. A curve that is absent, as
    `score_against_past` is where no episode ended, adds nothing."""
    for skill in skills:
        curve = SKILLS[skill]
        if curve is not None and curve in metrics:
            add(measured, skill, timesteps, metrics[curve])


def add(measured: Measured, skill: str, timesteps: int, value: float) -> None:
    """Adds a point to a window, unless it is not newer than the last one there."""
    points = measured.setdefault(skill, [])
    if not points or timesteps > points[-1][0]:
        points.append([timesteps, value])
        del points[: -window_of(skill)]


def means(measured: Measured, skills: Iterable[str]) -> dict[str, float]:
    """Returns the mean of every window that is full."""
    full = [skill for skill in skills if len(measured.get(skill, ())) >= window_of(skill)]
    return {skill: sum(value for _, value in measured[skill]) / len(measured[skill]) for skill in full}


def reached(found: Mapping[str, float], skills: Mapping[str, float]) -> bool:
    """Whether the `means` that were found reach all of `skills`; False if there are none."""
    return bool(skills) and all(skill in found and found[skill] >= least for skill, least in skills.items())
