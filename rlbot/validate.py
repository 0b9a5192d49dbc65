"""`python -m rlbot.validate`: checks that everything a training run needs is installed and works on this machine.

Each check really uses what it checks, and prints a line; all checks run, even if some fail. The only setting is
env.collision_meshes=FOLDER, for the user's own meshes. Exit status 1 if a check failed or an argument is unknown.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial

from rlbot.processes.environment_variables import set_defaults
from rlbot.processes.text import printable
from rlbot.validation import game, machine, options, storage

Check = tuple[str, Callable[[], str]]  # its name, and a function that returns what it found, or raises
MESHES = "env.collision_meshes"
TEAMS = ("1v1", "1v2", "2v2")  # of the stages of curriculum=three_stage


def checks(meshes: str | None) -> Iterator[Check]:
    """Yields all checks in order. `meshes`: the user's own folder; None: the meshes of `python -m rlbot.meshes`."""
    yield "Python", machine.python_version
    for distribution, module in machine.PACKAGES.items():
        yield f"Import {distribution}", partial(machine.import_package, distribution, module)
    yield "NumPy fits", machine.numpy_version
    yield "Engine", game.engine
    yield "Collision meshes", partial(game.collision_meshes, meshes)
    yield "Gymnasium's checker", partial(game.gymnasium_checker, meshes)
    yield "Spaces", partial(game.spaces, meshes)
    yield "Reset and step", partial(game.reset_and_step, meshes)
    for index, teams in enumerate(TEAMS):
        yield f"Stage {index} of curriculum=three_stage", partial(options.stage, meshes, index, teams)
    yield "Mixed precision", machine.mixed_precision
    for group, option in options.options():
        yield f"Setting {group}={option}", partial(options.setting, meshes, group, option)
    yield "TensorBoard", storage.tensorboard
    yield "Checkpoints", storage.checkpoints
    yield "GPU", machine.gpu


def run(meshes: str | None) -> int:
    """Runs all checks, prints a line for each and the counts; returns how many failed."""
    passed = failed = 0
    for name, check in checks(meshes):
        try:
            with warnings.catch_warnings():
                # Warnings about spaces do not concern the user. Our own use of deprecated functions is an error.
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", category=DeprecationWarning, module=r"rlbot\.|__main__")
                warnings.filterwarnings("error", category=FutureWarning, module=r"rlbot\.|__main__")
                line = f"[OK] {name}: {check()}"
            passed += 1
        except Exception as error:  # any failure is printed as a line, and the next check runs
            line = f"[ERROR] {name}: {error if isinstance(error, ValueError) else repr(error)}"
            failed += 1
        print(printable(" ".join(line.split())), flush=True)
    print(f"Tests Passed: {passed}\nTests Failed: {failed}")
    return failed


def main() -> None:
    set_defaults()
    meshes = None
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        if name != MESHES or not value:
            print(printable(f"[ERROR] {argument[:200]}: the only setting here is {MESHES}=FOLDER"), file=sys.stderr)
            sys.exit(1)
        meshes = None if value == "null" else value
    sys.exit(1 if run(meshes) else 0)


if __name__ == "__main__":
    main()
