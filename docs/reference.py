"""Write the reference pages of docs/ from the code and from conf/: python docs/reference.py

tests/test_docs.py compares the pages with `pages()`, so that they stay up to date.
"""

import dataclasses
import functools
import inspect
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from omegaconf import DictConfig, ListConfig, OmegaConf

from rlbot.env import ACTION_TABLE, CONTROL_NAMES
from rlbot.env.observation import OBSERVATION, OBSERVATION_SIZE
from rlbot.env.observations import SIX_CARS
from rlbot.reward import TERMS, terms
from rlbot.settings.explain import composed
from rlbot.settings.forms import ObservationChoice, OpponentConfig, PlayerConfig, Reset, TrackerConfig, Until
from rlbot.settings.names import NAME, settings
from rlbot.settings.schema import ROOTS, StageConfig, TrainConfig
from rlbot.sim.state import ARENA, CAR
from rlbot.values.convert import Range, names_of
from rlbot.values.ramp import Ramp
from rlbot.values.target import Target

DOCS = Path(__file__).resolve().parent
CONF = DOCS.parent / "conf"
STAGE = "curriculum.stages.NAME"
# The groups of settings, each with its default option.
GROUPS: dict[str, str | None] = {
    str(group): option
    for item in OmegaConf.load(CONF / "train.yaml").defaults
    if isinstance(item, DictConfig)
    for group, option in item.items()
    if "/" not in str(group)
}
MADE = "<!-- written by docs/reference.py; change the code, conf/ or that file, and run it -->\n"

# Meanings of settings whose line in conf/ has no comment.
MEANINGS = {
    "curriculum.stages": "the stages by name, in order",
    "reward.terms": "the reward terms by name",
}

# What is written for a type that has a form of its own.
FORMS = {
    ObservationChoice: "`default`, `relative`, `small`, `six_cars`, or `{_target_: ...}`",
    OpponentConfig: "name, path, `{_target_: ...}`, or mapping of names to shares",
    PlayerConfig: "name, path, or `{_target_: ...}`",
    Reset: "share",
    Target: "`{_target_: ...}`",
    TrackerConfig: "`tensorboard`, `csv`, `wandb`, or `{_target_: ...}`",
    Until: "whole number from 1, or mapping of skills to numbers",
}

ELSEWHERE = {"reward.terms": "see [rewards.md](rewards.md)", "curriculum.stages": "see below"}

# Meaning of each part of the observation; those of other cars are under "other".
COLUMNS = {
    "ball.pos": "position, / 2300",
    "ball.vel": "velocity, / 2300",
    "ball.ang_vel": "angular velocity, / 6",
    "ball.local_pos": "position relative to the own car, along its axes, / 2300",
    "ball.local_vel": "velocity relative to the own car, along its axes, / 2300",
    "ball.distance": "distance to the own car, / 2300",
    "ball.local_pos_in_half_a_second": "ball.local_pos after half a second of free flight",
    "ball.local_pos_in_a_second": "the same for one second",
    "car.pos": "position of the own car, / 2300",
    "car.vel": "velocity, / 2300",
    "car.ang_vel": "angular velocity, / 5.5",
    "car.forward": "direction of the nose",
    "car.up": "direction of the roof",
    "car.local_vel": "velocity along the car's own axes, / 2300",
    "car.local_ang_vel": "angular velocity along the car's own axes, / 5.5",
    "car.boost": "share of a full tank",
    "car.on_ground": "1 if three or more wheels touch a surface",
    "car.has_flip": "1 while it can still jump, double jump or flip",
    "car.has_jumped": "0 or 1",
    "car.has_double_jumped": "0 or 1",
    "car.has_flipped": "0 or 1",
    "car.air_time_since_jump": "seconds / 1.25, at most 1",
    "car.is_supersonic": "0 or 1",
    "car.is_demoed": "0 or 1",
    "car.demo_timer": "seconds until the respawn / 3",
    "car.handbrake": "0 to 1",
    "previous_action": f"the controls of the last step: {', '.join(CONTROL_NAMES)}",
    "goal.opponent_local_pos": "middle of the opponents' goal relative to the car, along its axes, / 2300",
    "goal.own_local_pos": "the same for the own goal",
    "pads.timer": "of each boost pad: 0 = ready, 1 = just taken; pads are ordered from the own goal line on",
    "other.present": "1 if this car exists, otherwise all its columns are 0",
    "other.pos": "position, / 2300",
    "other.vel": "velocity, / 2300",
    "other.ang_vel": "angular velocity, / 5.5",
    "other.forward": "direction of the nose",
    "other.up": "direction of the roof",
    "other.local_pos": "position relative to the own car, along its axes, / 2300",
    "other.local_vel": "velocity relative to the own car, along its axes, / 2300",
    "other.boost": "share of a full tank",
    "other.demoed": "0 or 1",
    "other.on_ground": "0 or 1",
    "other.has_flip": "0 or 1",
}

# Units and meanings of the arrays of the state.
FIELDS = {
    "ball_pos": "uu", "ball_vel": "uu/s", "ball_ang_vel": "rad/s", "ball_forward": "direction",
    "blue_score": "goals of blue; only use the difference between the two states",
    "orange_score": "goals of orange; only use the difference",
    "pad_active": "1 = ready, 0 = taken", "pad_timer": "s until it is ready again",
    "car_pos": "uu", "car_vel": "uu/s", "car_ang_vel": "rad/s", "car_forward": "direction of the nose",
    "car_right": "direction", "car_up": "direction of the roof", "car_boost": "0 to 100",
    "car_on_ground": "1 if three or more wheels touch a surface", "car_touched": "1 = touched the ball in this step",
    "car_is_demoed": "0 or 1", "car_demo_timer": "s until the respawn",
    "car_has_flip": "1 = can still jump, double jump or flip", "car_has_jumped": "0 or 1",
    "car_has_double_jumped": "0 or 1", "car_has_flipped": "0 or 1", "car_is_supersonic": "0 or 1",
    "car_air_time_since_jump": "s", "car_handbrake": "0 to 1",
    "car_goals": "a count: take the difference", "car_saves": "a count: take the difference",
    "car_shots": "a count: take the difference", "car_demos": "a count: take the difference",
    "car_boost_pickups": "a count: take the difference", "car_team": "0 blue, 1 orange",
    "present": "1 if there is a car in the slot; the first half of the slots is blue, the second orange",
}  # fmt: skip


def pages() -> dict[Path, str]:
    """{path: text} of the pages."""
    made = {"settings.md": _settings(), "observation.md": _observation(), "rewards.md": _rewards()}
    return {DOCS / name: "\n".join(lines) + "\n" for name, lines in made.items()}


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield MADE
    yield (
        "All settings of all commands. `NAME=VALUE` on the command line changes one; `GROUP=OPTION` selects another "
        "file of `conf/GROUP/`. The defaults are those of a command without arguments; other options of a group have "
        "other values.\n"
    )
    yield "# `python -m rlbot.train`\n"
    yield from _table(TrainConfig, [name for name in settings() if name.partition(".")[0] not in GROUPS])
    for group, option in GROUPS.items():
        yield f"\n## `{group}`\n"
        yield "| option | for |\n|---|---|"
        for file in sorted((CONF / group).glob("*.yaml")):
            star = " (default)" if file.stem == option else ""
            yield f"| `{group}={file.stem}`{star} | {_header(file)} |"
        if option is not None:
            yield ""
            yield from _table(TrainConfig, [name for name in settings() if name.startswith(f"{group}.")])
        if group == "curriculum":
            yield "\n`NAME` is the name of a stage, as in `curriculum.stages.duel.until`; the defaults are the first's."
    for command, root in ROOTS.items():
        if command != "train":
            yield f"\n# `python -m rlbot.{command}`\n"
            own = set(settings(root)) - (set(settings()) if issubclass(root, TrainConfig) else set())
            if issubclass(root, TrainConfig):
                yield "All settings of `rlbot.train`, and:\n"
            yield from _table(root, [name for name in settings(root) if name in own], command)


def _table(root: Any, names: list[str], command: str = "train") -> Iterator[str]:
    yield "| setting | default | values | meaning |\n|---|---|---|---|"
    for name in names:
        kind = _kind(root, name)
        inside = hasattr(_kind(root, name.rpartition(".")[0]), "parse")
        if (dataclasses.is_dataclass(kind) and not hasattr(kind, "parse")) or inside:
            continue  # a group of settings, not a setting
        default, comment = _default(name, command), MEANINGS.get(name) or _comment(name, command)
        shown = ELSEWHERE.get(name) or f"`{_shown(default)}`"
        yield f"| `{name}` | {shown} | {_values(kind)} | {comment} |"


def _kind(root: Any, name: str) -> Any:
    """The type of a setting, or of a group of settings."""
    kind = root
    for part in name.split(".") if name else []:
        kind = get_args(kind)[1] if part == NAME else get_type_hints(kind, include_extras=True)[part]
    return kind


def _values(kind: Any) -> str:
    """The allowed values of a setting, in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType) and Ramp in arguments:
        return f"{_values(arguments[0])}, or a ramp"
    if origin in (Union, types.UnionType):
        return f"{_values(arguments[0])}, or `null`"
    if origin is Annotated:
        if isinstance(arguments[1], Range):
            return _values(arguments[0]) + _limits(arguments[1])
        return ", ".join(f"`{name}`" for name in names_of(kind))
    if hasattr(kind, "parse"):
        return FORMS.get(kind, "weight or ramp")
    if origin is Literal:
        return ", ".join(f"`{name}`" for name in arguments)
    if origin is tuple:
        return f"list of: {_values(arguments[0])}"
    if origin is dict and arguments[1] is StageConfig:
        return "mapping of names to stages"
    if origin is dict:
        return f"mapping of {_values(arguments[0]) if names_of(arguments[0]) else 'names'} to {_values(arguments[1])}"
    return {bool: "`true`, `false`", int: "whole number", float: "number", str: "text"}[kind]


def _limits(limits: Range) -> str:
    if limits.low < -1e12:
        return ""
    low = f" {'above' if limits.above else 'from'} {limits.low:g}"
    return low if limits.high >= 1e12 else f"{low} to {limits.high:,}".replace(",", "_")


@functools.cache
def _composed(command: str) -> Any:
    """The settings of a command line without arguments."""
    return OmegaConf.to_container(composed((), command), resolve=False)


def _files(name: str, command: str) -> tuple[list[Path], str]:
    """The files of conf/ that have the setting (default option first), and its name in them."""
    group, _, rest = name.partition(".")
    if rest and GROUPS.get(group):
        files = sorted((CONF / group).glob("*.yaml"), key=lambda file: file.stem != GROUPS[group])
        return files, rest
    return [CONF / f"{command}.yaml"], name


def _default(name: str, command: str) -> Any:
    value: Any = _composed(command)
    for part in name.split("."):
        value = value[next(iter(value)) if part == NAME else part]
    return value


def _comment(name: str, command: str) -> str:
    """The comment after a setting in the default file of its group, or else in another file of it."""
    files, rest = _files(name, command)
    return next(comment for file in files for key, comment in _comments_of(file) if key == rest)


def _comments_of(file: Path) -> Iterator[tuple[str, str]]:
    path: list[tuple[int, str]] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        match = re.fullmatch(r"( *)(- )?(\w+):.*?(?: # (.*))?", line)
        if match:
            indent = len(match[1]) + len(match[2] or "")
            path = [(at, name) for at, name in path if at < indent - len(match[2] or "")]
            path.append((indent, NAME if path and path[-1][1] == "stages" else match[3]))
            if match[4]:
                yield ".".join(name for _, name in path), match[4]


def _header(file: Path) -> str:
    """The comment at the top of a file of conf/, up to the first line at which a sentence ends."""
    head = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("# @"):
            head.append(line.removeprefix("# "))
            if not line.startswith("#") or line.endswith("."):
                break
    return " ".join(head)


def _shown(value: Any) -> str:
    """A value as on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    if isinstance(value, (ListConfig, list, tuple)):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    if isinstance(value, (DictConfig, dict)):
        return "{" + ", ".join(f"{name}: {_shown(each)}" for name, each in value.items()) + "}"
    return f"{value:_}" if isinstance(value, int) else str(value)


def _observation() -> Iterator[str]:
    yield "# Observation and actions\n"
    yield MADE
    yield (
        f"A car observes {OBSERVATION_SIZE} float32 numbers, each within [-10, 10]. Every car sees the field as if it "
        "played blue: for orange it is rotated by half a turn (x and y change sign). The axes of a car are forward, "
        "right, up. 2300 uu/s is the top speed of a car. `columns(name)` of `rlbot.env.observation` returns the "
        "columns of a name. `env.observation` chooses [another one](your-own-parts.md#observation).\n"
    )
    yield "| columns | name | meaning |\n|---|---|---|"
    first = 0
    for name, size in OBSERVATION:
        key = re.sub(r"^(mate|opponent_\d)\.", "other.", name)
        columns = f"{first}" if size == 1 else f"{first}-{first + size - 1}"
        yield f"| {columns} | `{name}` | {COLUMNS[key]} |"
        first += size
    shown = [name.partition(".")[0] for name, _ in SIX_CARS.columns if name.endswith(".present")]
    yield "\n## Teams of three\n"
    yield (
        f"With `env.observation=six_cars` a car observes {SIX_CARS.size} numbers: those about itself, ball, goals and "
        f"boost pads as above, and then {', '.join(f'`{name}`' for name in shown)}, each with the same columns as "
        "`mate` above. Mates and opponents come in the order of their places in the team, beginning with the car's own "
        "place, those that are not there last: so in 2v2 the third opponent is always absent. It is for every team "
        "size from 1v1 to 3v3."
    )
    yield "\n## Actions\n"
    yield (
        f"The environment takes {len(CONTROL_NAMES)} controls for each car, in this order: {', '.join(CONTROL_NAMES)}. "
        "The first five are in [-1, 1], the last three are pressed if above 0; larger numbers are clipped. A policy "
        "with `model.action_head=table` "
        f"chooses one of {len(ACTION_TABLE)} rows of controls (`rlbot.env.ACTION_TABLE`: 24 for the ground, 66 for "
        "the air). With `multi_discrete` it chooses each control by itself (-1, 0 or 1; pressed or not), with "
        "`continuous` it draws a number for each control."
    )
    yield "\n## Action mask\n"
    yield (
        "With `env.action_mask=true` and `model.action_head=table` a policy chooses only from the rows whose buttons "
        "do something, in a table of your own, too:\n"
    )
    yield "| forbidden | if, at the decision, |\n|---|---|"
    yield "| boost | the tank is empty |"
    yield (
        "| jump | the car is in the air, and its second jump or flip is used up or lost, 1.25 s after the jump; except "
        "while it still rises from the jump, and if it lies on its roof |"
    )
    yield (
        "\nThe update computes probabilities and entropy of the allowed actions alone; what is forbidden gets no "
        "gradient. If a table has no other row, all are allowed. A car that lands or takes a pad between two decisions "
        "has to wait for the next one. The mask is part of the policy: it is in every checkpoint, an opponent, a rated "
        "version and a watched bot have their own, and a resumed run keeps it."
    )


def _text(function: Any) -> str:
    """A docstring as one cell of a table."""
    return " ".join((inspect.getdoc(function) or "").split()).replace("|", "\\|")


def _rewards() -> Iterator[str]:
    weights = {file.stem: OmegaConf.load(file).terms for file in sorted((CONF / "reward").glob("*.yaml"))}
    yield "# Rewards\n"
    yield MADE
    yield (
        "In every step a car earns the sum of weight x term over all terms, clipped to +-`reward.clip`. Change a "
        "weight with `reward.terms.NAME=WEIGHT`; a term of weight 0 is not computed.\n"
    )
    yield "## Built-in terms\n"
    yield (
        "Every term is positive if what its name says happens. A demolished car earns nothing by a term about itself; "
        "`ball_to_goal`, `goal` and `concede` pay the whole team. The last columns are the weights in "
        "`reward=OPTION`.\n"
    )
    yield "| term | in one step | " + " | ".join(f"`{name}`" for name in weights) + " |"
    yield "|---|---|" + "---|" * len(weights)
    for name in TERMS:
        row = " | ".join(str(chosen.get(name, "")) for chosen in weights.values())
        yield f"| `{name}` | {_text(getattr(terms, name))} | {row} |"
    yield "\n## Transforms\n"
    yield (
        "- `reward.zero_sum=[NAME,...]`: from what a car earned by such a term, the mean of what its opponents earned "
        "by it is subtracted.\n"
        "- `reward.team_spirit=S`: a car gets 1 - S of its own reward plus S of its team's mean.\n"
        "- Both change the weighted terms; then the sum is clipped. TensorBoard shows a term before "
        "(`reward_term/NAME`) and, if a transform changes it, after (`reward_term_transformed/NAME`).\n"
        "- A stage of the curriculum may have other weights: `curriculum.stages.duel.reward.touch=2`."
    )
    yield "\n## A term of your own\n"
    yield (
        "Write a function of (state before the step, state after it, and any arguments of its own) that returns an "
        "array of N arenas x P car slots; [your-own-parts.md](your-own-parts.md) has an example. Every worker process "
        "calls it once a step for all its arenas, so use array code, not loops. The result must depend only on the "
        "two states, and for each arena only on that arena: a resumed run would lose what a function keeps from call "
        "to call, and which arenas are in a batch depends on the number of workers. Every start checks this: it "
        "calls each term twice with the same states, and with half of the arenas, and names a term that gives "
        "another result. An exception or another shape ends the run with an error that names the term, and so does "
        "a number that is not finite in the check before training. Later, such a number undoes the arena's step: "
        "[troubleshooting.md](troubleshooting.md#numbers-that-are-not-finite).\n"
    )
    yield (
        "Both states hold these float32 arrays in the world frame (uu, uu/s, rad/s, seconds) for N arenas and P car "
        "slots: 4, or 6 if an arena of the stage has a team of three:\n"
    )
    yield "| array | shape | |\n|---|---|---|"
    for dtype, prefix, lead in ((ARENA, "", "N"), (CAR, "car_", "N, P")):
        for field in dtype.names or ():
            name = field if field == "present" else prefix + field
            shape = ", ".join([lead, *map(str, dtype[field].shape)])
            if name in FIELDS:
                yield f"| `{name}` | ({shape}) | {FIELDS[name]} |"
    yield (
        "\nA slot without a car is all zeros. `after.team_sign()`, of shape (P,), is 1 for blue and -1 for orange: "
        "multiply x and y by it to see the field as blue does."
    )


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"[OK] {path.relative_to(DOCS.parent)}")
