"""The engine, its collision meshes, and the Gymnasium environment."""

from rlbot.validation.require import require


def engine() -> str:
    from rlbot.sim import describe

    return describe("auto")


def collision_meshes(meshes: str | None) -> str:
    from rlbot.sim import load_meshes, obtain_meshes

    obtain_meshes(meshes)
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
    require(found == ((180,), (8,)), f"they are of shape {found}, not (180,) and (8,)")
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
        require(fits, f"an observation is {obs!r}")
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        kinds = [type(each) for each in (reward, terminated, truncated, info)]
        require(kinds == [float, bool, bool, dict], f"a step gives {kinds} after the observation")
        if terminated or truncated:
            obs, info = env.reset()
    return "(obs, info) and (obs, reward, terminated, truncated, info), 30 steps"
