"""The download of the collision meshes, and every way in which it can fail. No mirror is needed but for one test."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from rlbot.sim import fetch as module
from rlbot.sim import find_meshes
from rlbot.sim.fetch import cache_folder, fetch, is_complete

SOURCE = "rlgym-rocket-league-2.0.1/rlgym/rocket_league/sim/collision_meshes"
NOWHERE = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_FIND_LINKS": ""}  # nothing listens there


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive laid out like the source distribution, with the real meshes."""
    path = tmp_path / "rlgym-rocket-league-2.0.1.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        opened.add(find_meshes() / "soccar", f"{SOURCE}/soccar")
        opened.add(Path(__file__), f"{SOURCE}/../../../setup.py")
    return path


def environment(cache: Path, **more: str) -> dict[str, str]:
    """Of a process whose cache folder is in `cache` and that has no rlgym-rocket-league."""
    (cache / "hidden" / "rlgym").mkdir(parents=True, exist_ok=True)
    (cache / "hidden" / "rlgym" / "__init__.py").touch()
    path = os.pathsep.join([str(cache / "hidden"), os.environ.get("PYTHONPATH", "")])
    places = {"XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache), "HOME": str(cache)}
    return {**os.environ, **places, "PYTHONPATH": path, **more}


def command(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], env=env, capture_output=True, text=True, check=False)


def test_the_archive_is_unpacked_into_the_cache_and_found_there(tmp_path: Path, archive: Path) -> None:
    env = environment(tmp_path / "home")
    done = command("rlbot.meshes", str(archive), env=env)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.startswith("[OK] Collision meshes: ") and str(tmp_path / "home") in done.stdout
    again = command("rlbot.meshes", env={**env, **NOWHERE})  # nothing is downloaded twice
    assert again.stdout == done.stdout and again.returncode == 0
    (folder,) = (tmp_path / "home").rglob("collision_meshes")
    assert sorted(path.name for path in folder.iterdir()) == ["soccar"]
    assert len(list((folder / "soccar").iterdir())) == 16 and list(folder.parent.iterdir()) == [folder]


def test_a_mesh_that_was_damaged_in_the_cache_is_replaced(tmp_path: Path, archive: Path) -> None:
    fetch(tmp_path / "meshes", archive)
    (tmp_path / "meshes" / "soccar" / "mesh_3.cmf").write_bytes(b"damaged")
    (tmp_path / "meshes" / "soccar" / "mesh_16.cmf").write_bytes(b"of another package")
    assert not is_complete(tmp_path / "meshes")
    fetch(tmp_path / "meshes", archive)
    assert is_complete(tmp_path / "meshes")


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:20_000])
    with pytest.raises(ValueError, match=r"Cannot read the archive .*2\.0\.1\.tar\.gz .*: download .* again"):
        fetch(tmp_path / "meshes", archive)
    assert list(tmp_path.iterdir()) == [archive]


def test_an_archive_with_other_meshes_is_refused(tmp_path: Path, archive: Path) -> None:
    other = tmp_path / "soccar"
    other.mkdir()
    (other / "mesh_0.cmf").write_bytes(b"other")
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(other, f"{SOURCE}/soccar")
    with pytest.raises(ValueError, match=r"does not hold the collision meshes of rlgym-rocket-league==2\.0\.1"):
        fetch(tmp_path / "meshes", archive)
    assert not (tmp_path / "meshes").exists()


def test_an_archive_that_is_not_there_is_an_error_in_a_line(tmp_path: Path) -> None:
    done = command("rlbot.meshes", "missing.tar.gz", env=environment(tmp_path))
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("[ERROR] Cannot read the archive missing.tar.gz") and done.stderr.count("\n") == 1


def test_pip_refuses_an_archive_with_another_hash_before_it_runs_its_setup(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = tmp_path / "setup.py"
    setup.write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')")
    with tarfile.open(archive, "w:gz") as opened:
        opened.add(setup, "rlgym-rocket-league-2.0.1/setup.py")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ValueError, match="pip cannot download them: THESE PACKAGES DO NOT MATCH THE HASHES"):
        fetch(tmp_path / "meshes")
    assert not (tmp_path / "was_run").exists() and not (tmp_path / "meshes").exists()


@pytest.mark.parametrize(
    "arguments", [["train", "experiment=debug"], ["evaluate"], ["bench"], ["learncheck", "experiment=debug"]], ids=str
)
def test_without_a_connection_each_command_tells_what_to_do_and_leaves_nothing(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "here").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", f"rlbot.{arguments[0]}", *arguments[1:]],
        env=environment(tmp_path, **NOWHERE), cwd=tmp_path / "here", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "[START] Downloading the arena's collision meshes" in done.stdout
    lines = done.stderr.replace("; ", "\n[ERROR] ").splitlines()  # evaluate joins them
    assert lines[0].startswith("[ERROR] The arena's collision meshes are not here yet, and pip cannot download them: ")
    assert "Repeat `python -m rlbot.meshes` with a connection to the internet" in lines[1]
    assert "env.collision_meshes" in lines[2] and len(lines) == 3
    assert list((tmp_path / "here").iterdir()) == []


def test_without_pip_the_line_tells_how_to_get_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    python = next(path for name in ("bin/python", "Scripts/python.exe") if (path := tmp_path / "bare" / name).exists())
    code = f"import pathlib, runpy; runpy.run_path({module.__file__!r})['fetch'](pathlib.Path('meshes'))"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([python, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert "ValueError: The arena's collision meshes are not here yet, and this Python has no pip" in done.stderr
    assert "`python -m ensurepip`" in done.stderr and [path.name for path in tmp_path.iterdir()] == ["bare"]


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(ValueError, match=r"Cannot write .*\n.*env\.collision_meshes"):
        fetch(archive / "cache" / "meshes", archive)  # a file where the cache folder should be


@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_fetch_at_the_same_time_all_find_the_whole(tmp_path: Path, archive: Path, damaged: bool) -> None:
    """Each waits for the file `go`, so that all begin together; from its own return on, each sees them complete."""
    folder = tmp_path / "cache" / "meshes"
    if damaged:
        fetch(folder, archive)
        (folder / "soccar" / "mesh_0.cmf").write_bytes(b"")
    code = (
        "import pathlib, runpy, sys, time\n"
        f"module = runpy.run_path({module.__file__!r})\n"
        "folder, archive, go = map(pathlib.Path, sys.argv[1:])\n"
        "print('ready', flush=True)\n"
        "while not go.exists(): time.sleep(0.001)\n"
        "module['fetch'](folder, archive)\n"
        "assert all(module['is_complete'](folder) for _ in range(200))\n"
    )
    arguments = [str(folder), str(archive), str(tmp_path / "go")]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline().strip() == b"ready"
    (tmp_path / "go").touch()
    assert [process.communicate(timeout=300)[1] for process in processes] == [b""] * 6
    assert is_complete(folder) and list(folder.parent.iterdir()) == [folder]


@pytest.mark.slow
def test_pip_downloads_them(tmp_path: Path) -> None:
    try:
        fetch(tmp_path / "meshes")
    except ValueError as error:
        if "No matching distribution" in str(error) or "Could not find a version" in str(error):
            pytest.skip(f"pip finds no source distribution from here: {error}")
        raise
    assert is_complete(tmp_path / "meshes")


def test_the_cache_folder_is_the_platforms(tmp_path: Path) -> None:
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    code = f"import runpy; print(runpy.run_path({module.__file__!r})['cache_folder']())"
    chosen = {**os.environ, variable: str(tmp_path), "HOME": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", code], env=chosen, capture_output=True, text=True, check=True)
    expected = tmp_path / ("Library/Caches" if sys.platform == "darwin" else "") / "rlbot-trainer" / "collision_meshes"
    assert found.stdout.strip() == str(expected)
    assert cache_folder().is_absolute()
