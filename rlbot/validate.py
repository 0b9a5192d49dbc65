"""`python -m rlbot.validate`: is everything a training run needs here, and does it work on this machine?

Each check does the thing for real and gives a line; all of them run, whatever fails. One setting is taken:
env.collision_meshes=FOLDER, for meshes of one's own. Exit status 1 where a check failed, and for
another argument.
"""

# What is checked is imported within its check: a missing package is a failed check, not a traceback.
import dataclasses
import importlib
import importlib.metadata
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlbot.processes.environment_variables import set_defaults

if TYPE_CHECKING:
    from rlbot.curriculum import Stage
    from rlbot.settings.schema import TrainConfig

Check = tuple[str, Callable[[], str]]  # its name, and what raises where it fails, else returns what was found
MESHES = "env.collision_meshes"
TEAMS = ("1v1", "1v2", "2v2")  # of curriculum=three_stage
PACKAGES = {  # distribution: the module that is imported
    "hydra-core": "hydra",
    "omegaconf": "omegaconf",
    "torch": "torch",
    "filelock": "filelock",
    "gymnasium": "gymnasium",
    "rocketsim": "RocketSim",
    "rlgym-rocket-league": "rlgym",
    "numpy": "numpy",
    "numba": "numba",
    "llvmlite": "llvmlite",
    "threadpoolctl": "threadpoolctl",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
    "nvidia-ml-py": "pynvml",
    "safetensors": "safetensors",
    "rich": "rich",
}


def checks(meshes: str | None) -> Iterator[Check]:
    """All checks in their order. `meshes`: folder of the user's own, None for those of the package."""
    yield "Python", python_version
    for distribution, module in PACKAGES.items():
        yield f"Import {distribution}", partial(import_package, distribution, module)
    yield "NumPy fits", numpy_version
    yield "Collision meshes", partial(collision_meshes, meshes)
    yield "Gymnasium's checker", partial(gymnasium_checker, meshes)
    yield "Spaces", partial(spaces, meshes)
    yield "Reset and step", partial(reset_and_step, meshes)
    for index, teams in enumerate(TEAMS):
        yield f"Stage {index} of curriculum=three_stage", partial(stage, meshes, index, teams)
    yield "Mixed precision", mixed_precision
    for group, option in _options():
        yield f"Setting {group}={option}", partial(setting, meshes, group, option)
    yield "TensorBoard", tensorboard
    yield "Checkpoints", checkpoints
    yield "GPU", gpu


def python_version() -> str:
    found = ".".join(map(str, sys.version_info[:3]))
    _require((3, 10) <= sys.version_info[:2] < (3, 13), f"{found} does not fit; it must be >=3.10,<3.13")
    return found


def import_package(distribution: str, module: str) -> str:
    importlib.import_module(module)
    return importlib.metadata.version(distribution)


def numpy_version() -> str:
    import numpy as np

    major, minor = map(int, np.__version__.split(".")[:2])
    _require((1, 26) <= (major, minor) < (2, 0), f"{np.__version__} does not fit; it must be >=1.26,<2")
    return np.__version__


def collision_meshes(meshes: str | None) -> str:
    from rlbot.sim import load_meshes

    root = load_meshes(meshes)
    return f"{len(list((root / 'soccar').glob('*.cmf')))} files in {root}"


def gymnasium_checker(meshes: str | None) -> str:
    import gymnasium
    from gymnasium.utils.env_checker import check_env

    import rlbot.env  # noqa: F401 - registers the environment

    check_env(gymnasium.make("RocketSim-v0", collision_meshes=meshes).unwrapped, skip_render_check=True)
    return "RocketSim-v0 passes"


def spaces(meshes: str | None) -> str:
    import gymnasium

    import rlbot.env  # noqa: F401 - registers the environment

    env = gymnasium.make("RocketSim-v0", collision_meshes=meshes)
    found = env.observation_space.shape, env.action_space.shape
    _require(found == ((180,), (8,)), f"they are of shape {found}, not (180,) and (8,)")
    return f"observation {env.observation_space}, action {env.action_space}"


def reset_and_step(meshes: str | None) -> str:
    import gymnasium
    import numpy as np

    import rlbot.env  # noqa: F401 - registers the environment

    env = gymnasium.make("RocketSim-v0", collision_meshes=meshes, opponent="random")
    env.action_space.seed(0)
    obs, info = env.reset(seed=0)
    for _ in range(30):
        fits = obs.shape == (180,) and obs.dtype == np.float32 and np.isfinite(obs).all()
        _require(fits, f"an observation is {obs!r}")
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        kinds = [type(each) for each in (reward, terminated, truncated, info)]
        _require(kinds == [float, bool, bool, dict], f"a step gives {kinds} after the observation")
        if terminated or truncated:
            obs, info = env.reset()
    return "(obs, info) and (obs, reward, terminated, truncated, info), 30 steps"


def stage(meshes: str | None, index: int, teams: str) -> str:
    from rlbot.training.build import make_stages

    config = _composed(meshes, "curriculum=three_stage", "env.num_envs=2")
    text = _stepped(config, make_stages(config)[index])
    _require(f"{teams}:" in text, f"not {teams} but {text}")
    return text


def _composed(meshes: str | None, *overrides: str) -> "TrainConfig":
    from rlbot.settings.command import compose

    config = compose(overrides)
    return dataclasses.replace(config, env=dataclasses.replace(config.env, collision_meshes=meshes))


def _stepped(config: "TrainConfig", stage: "Stage") -> str:
    """The arenas of a stage, made and stepped."""
    import numpy as np

    from rlbot.sim import load_meshes
    from rlbot.training.build_env import make_env

    load_meshes(config.env.collision_meshes)
    env = make_env(config, stage)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        obs, rewards, *_ = env.step(rng.uniform(-1, 1, (env.num_envs, 8)).astype(np.float32))
        finite = np.isfinite(obs).all() and np.isfinite(rewards).all()
        _require(finite, "an observation or a reward is not finite")
    teams = ", ".join(sorted({f"{min(sizes)}v{max(sizes)}" for sizes in env.team_sizes}))
    return f"{stage.name}, {teams}: {env.num_envs} cars in {len(env.arenas)} arenas, 10 steps"


def mixed_precision() -> str:
    """A step of gradient descent in every precision of this machine, through torch.amp."""
    import torch

    from rlbot.hardware import Hardware

    device = Hardware.choose().device.type
    native = device == "cpu" or torch.cuda.is_bf16_supported(including_emulation=False)
    tried = {"fp16": torch.float16} if device == "cuda" else {}
    tried |= {"bf16": torch.bfloat16} if native else {}
    for precision, dtype in tried.items():
        hardware = Hardware.choose(device, precision)
        weight = torch.ones(64, 64, device=device, requires_grad=True)
        optimizer, scaler = torch.optim.SGD([weight], lr=0.1), hardware.scaler()
        fits = scaler.is_enabled() == (precision == "fp16")
        _require(fits, f"{precision}: the gradient scaler is {'on' if scaler.is_enabled() else 'off'}")
        with hardware.autocast():
            product = weight @ weight
        _require(product.dtype == dtype, f"{precision}: a matrix product is {product.dtype}")
        torch.autograd.backward(scaler.scale(product.float().mean()))
        scaler.step(optimizer)
        scaler.update()
        _require(bool((weight < 1).all()), f"{precision}: the step was not taken")
    scaled = "on in fp16 only" if "fp16" in tried else "off"
    return f"torch.amp on {device} in {' and '.join(tried)}; gradient scaler {scaled}"


def _options() -> list[tuple[str, str]]:
    """(group, option) of every file in the groups of conf/ that a training run has, and every recipe."""
    root = Path(__file__).resolve().parent
    conf = next(folder for folder in (root / "conf", root.parent / "conf") if folder.is_dir())
    groups = (*BUILDERS, "experiment")
    return [(group, file.stem) for group in groups for file in sorted((conf / group).glob("*.yaml"))]


def setting(meshes: str | None, group: str, option: str) -> str:
    """One option of a group, composed into the settings of a run, and built; a recipe is composed only."""
    config = _composed(meshes, f"{group}={option}")
    if group == "experiment":
        return f"composed, {config.total_timesteps} timesteps"
    try:
        return f"composed and built: {BUILDERS[group](config)}"
    except ValueError as error:
        if not _right_refusal(config, str(error)):
            raise
        return f"composed, and refused as it must be here: {str(error).splitlines()[0]}"


def _right_refusal(config: "TrainConfig", message: str) -> bool:
    """Whether an error only says that this machine has not the GPU that was asked for."""
    import torch

    if config.hardware.device == "cuda" and not torch.cuda.is_available():
        return message.startswith("hardware.device=cuda: PyTorch sees no CUDA GPU")
    return message.startswith("hardware.precision=bf16: this GPU has no bf16")


def _build_env(config: "TrainConfig") -> str:
    from rlbot.training.build import make_stages

    return _stepped(config, make_stages(config)[0])


def _build_reward(config: "TrainConfig") -> str:
    from rlbot.training.build_env import make_reward

    return f"{len(make_reward(config.reward).names)} terms"


def _build_model(config: "TrainConfig") -> str:
    from rlbot.training.build import make_model, make_network

    model = make_model(config)
    make_network(config).size()
    return f"{sum(each.numel() for each in model.parameters())} parameters"


def _build_learner(config: "TrainConfig") -> str:
    from rlbot.hardware import Hardware
    from rlbot.training.build import make_model, make_ppo

    ppo = make_ppo(config, make_model(config), Hardware.choose("cpu"))
    return f"learning rate {ppo.learning_rate:g}, {ppo.epochs} epochs"


def _build_curriculum(config: "TrainConfig") -> str:
    from rlbot.training.build import make_stages

    return "; ".join(_stepped(config, stage) for stage in make_stages(config))


def _build_hardware(config: "TrainConfig") -> str:
    from rlbot.training.build import make_hardware

    return make_hardware(config).reason


def _build_user(config: "TrainConfig") -> str:
    return config.user.name


BUILDERS: dict[str, Callable[["TrainConfig"], str]] = {
    "env": _build_env,
    "reward": _build_reward,
    "model": _build_model,
    "learner": _build_learner,
    "curriculum": _build_curriculum,
    "hardware": _build_hardware,
    "user": _build_user,
}


def tensorboard() -> str:
    from tensorboard.backend.event_processing import event_accumulator

    from rlbot.run import TensorBoard

    with tempfile.TemporaryDirectory() as folder:
        problems: list[str] = []
        writer = TensorBoard(Path(folder), warn=problems.append)
        writer.write({"check/value": 0.5}, 250_000)
        writer.close()
        _require(not problems, "; ".join(problems))
        curves = event_accumulator.EventAccumulator(folder).Reload()
        (point,) = curves.Scalars("check/value")
    _require((point.step, point.value) == (250_000, 0.5), f"a point came back as {point}")
    return "curves can be written and read"


def checkpoints() -> str:
    import torch

    from rlbot.run import load_checkpoint, save_checkpoint

    weights = torch.randn(8, 8)
    with tempfile.TemporaryDirectory() as folder:
        content = {"model": {"w": weights}}, {"note": {"a": [1]}}
        path = save_checkpoint(Path(folder), 1, *content, run_id="check")
        tensors, documents = load_checkpoint(path)
    same = torch.equal(torch.as_tensor(tensors["model"]["w"]), weights) and documents == {"note": {"a": [1]}}
    _require(same, "a checkpoint came back changed")
    return "can be written and read"


def gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none that PyTorch sees; training runs on the CPU"
    properties = torch.cuda.get_device_properties(0)
    matrix = torch.arange(64.0, device="cuda").reshape(8, 8)
    same = torch.equal((matrix @ matrix).cpu(), matrix.cpu() @ matrix.cpu())  # whole numbers: exact anywhere
    _require(same, "a matrix product is wrong")
    return f"{properties.name}, {properties.total_memory / 2**20:.0f} MB, a matrix product is right"


def _require(holds: Any, fault: str) -> None:
    if not holds:
        raise ValueError(fault)


def _ascii(text: str) -> str:
    return " ".join(text.split()).encode("ascii", "backslashreplace").decode()


def run(meshes: str | None) -> int:
    """Run all checks, print a line for each and the count; returns how many failed."""
    passed = failed = 0
    for name, check in checks(meshes):
        try:
            with warnings.catch_warnings():
                # advice about spaces is none of the user's business; a call that will be gone one day is ours
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", category=DeprecationWarning, module=r"rlbot\.|__main__")
                warnings.filterwarnings("error", category=FutureWarning, module=r"rlbot\.|__main__")
                line = f"[OK] {name}: {check()}"
            passed += 1
        except Exception as error:  # whatever it is, it is a line, and the next check has its turn
            line = f"[ERROR] {name}: {error if isinstance(error, ValueError) else repr(error)}"
            failed += 1
        print(_ascii(line), flush=True)
    print(f"Tests Passed: {passed}\nTests Failed: {failed}")
    return failed


def main() -> None:
    set_defaults()
    meshes = None
    for argument in sys.argv[1:]:
        name, _, value = argument.partition("=")
        if name != MESHES or not value:
            print(_ascii(f"[ERROR] {argument[:200]}: the only setting here is {MESHES}=FOLDER"), file=sys.stderr)
            sys.exit(1)
        meshes = None if value == "null" else value
    sys.exit(1 if run(meshes) else 0)


if __name__ == "__main__":
    main()
