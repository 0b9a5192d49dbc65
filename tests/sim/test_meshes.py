"""Finding and loading the collision meshes, right and wrong, in processes of their own where loading is final."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlbot.sim import find_meshes
from tests.conftest import needs_rocketsim3


def test_the_package_has_them() -> None:
    assert len(list((find_meshes() / "soccar").glob("*.cmf"))) == 16


def test_a_folder_of_the_users_own_or_its_subfolder(tmp_path: Path) -> None:
    soccar = tmp_path / "soccar"
    soccar.mkdir()
    (soccar / "mesh_0.cmf").write_bytes(b"x")
    assert find_meshes(tmp_path) == find_meshes(soccar) == tmp_path


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_meshes_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"env\.collision_meshes=.*{name}.*RLArenaCollisionDumper|subfolder soccar"):
        find_meshes(tmp_path / name)


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("engine", ["rocketsim2", pytest.param("rocketsim3", marks=needs_rocketsim3)])
def test_broken_meshes_are_an_error_of_the_setting(engine: str, tmp_path: Path) -> None:
    (tmp_path / "soccar").mkdir()
    (tmp_path / "soccar" / "mesh_0.cmf").write_bytes(b"not a mesh")
    done = _python(f"from rlbot.sim import load_meshes\nload_meshes({str(tmp_path)!r}, engine={engine!r})")
    assert "ValueError: env.collision_meshes=" in done.stderr and "RocketSim refuses" in done.stderr
    assert done.stderr.startswith("Traceback")  # Rust prints nothing of its own


def test_another_folder_in_the_same_process_is_refused(tmp_path: Path) -> None:
    (tmp_path / "soccar").mkdir()
    (tmp_path / "soccar" / "mesh_0.cmf").write_bytes(b"x")
    done = _python(f"from rlbot.sim import load_meshes\nload_meshes(); load_meshes()\nload_meshes({str(tmp_path)!r})")
    assert "this process already uses the meshes" in done.stderr
