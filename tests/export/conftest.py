"""Shared by the tests of the export: the Python environment of an exported bot, and its folders."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rlbot.export import folder
from rlbot.policy import Bot, load
from tests.policy.test_bot import write as write_checkpoint

if TYPE_CHECKING:
    from tests.export.server import Server


@pytest.fixture(scope="session")
def bot_python(request: pytest.FixtureRequest) -> Path:
    """The Python of a virtual environment with only the packages of requirements.txt."""
    return _environment(request.config, folder.TEMPLATE)


@pytest.fixture(scope="session")
def rlgym_python(request: pytest.FixtureRequest) -> Path:
    """The same for format=rlgym."""
    return _environment(request.config, folder.RLGYM_TEMPLATE)


def _environment(config: pytest.Config, template: Path) -> Path:
    """Makes the environment once, and keeps it in pytest's cache."""
    requirements = template / "requirements.txt"
    python = next(filter(None, (_is_new_enough(name) for name in (sys.executable, *_PYTHONS))), None)
    if python is None:
        pytest.skip("RLBot v5 needs Python 3.11 or later, and none is at hand")
    key = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:12]
    home = Path(config.cache.mkdir(f"rlbot-{key}"))  # type: ignore[union-attr]
    made = home / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (home / "complete").exists():
        shutil.rmtree(home / "venv", ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(home / "venv")], check=True, timeout=300)
        install = [str(made), "-m", "pip", "install", "--quiet", "-r", str(requirements)]
        done = subprocess.run(install, capture_output=True, text=True, timeout=300)
        if done.returncode:
            pytest.skip(f"the bot's packages cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
        (home / "complete").touch()
    return made


_PYTHONS = ("python3.14", "python3.13", "python3.12", "python3.11")


def _is_new_enough(name: str) -> str | None:
    """Returns the path of this Python outside of virtual environments, or None."""
    code = "import sys; print(getattr(sys, '_base_executable', sys.executable) if sys.version_info >= (3, 11) else '')"
    try:
        done = subprocess.run([name, "-c", code], capture_output=True, text=True, timeout=300)
    except OSError:
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def exported(path: Path, bot: Bot, python: Path | None = None, rlgym: bool = False) -> Path:
    """Exports a bot to `path`; with `python`, also links its environment to where bot.toml looks for it."""
    make = folder.rlgym_folder if rlgym else folder.rlbot_folder
    folder.write(path, make(bot, folder.BotInfo("Tested", "nobody")))
    if python is not None:
        try:
            (path / ".venv").symlink_to(python.parents[1], target_is_directory=True)
        except OSError:  # Windows asks for a privilege
            shutil.copytree(python.parents[1], path / ".venv")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bot:
    """A policy whose action probabilities are far from equal, so that it drives, jumps and flips."""
    path, _ = write_checkpoint(tmp_path_factory.mktemp("trained"), "model.hidden=[64,64]")
    return load(path)


@pytest.fixture(scope="session")
def bot_folder(trained: Bot, bot_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its exported folder. Tests must not change it."""
    return exported(tmp_path_factory.mktemp("exported") / "a folder", trained, bot_python)


@pytest.fixture
def start() -> "Iterator[Callable[..., Server]]":
    """Starts servers. At the end of the test, those that still run are stopped."""
    from tests.export.server import Server  # imported here because it needs the package of RLBot's messages

    started: list[Server] = []

    def begin(*arguments: object) -> Server:
        started.append(Server(*arguments))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for server in started:
        server.close()
