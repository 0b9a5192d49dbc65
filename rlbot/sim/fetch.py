"""Downloads the collision meshes of the soccar arena into the user's cache folder.

They come from the source distribution of rlgym-rocket-league, which ships them. Only its archive is downloaded: the
package itself needs numpy<2 and is not installed.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import zlib
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

REQUIREMENT = "rlgym-rocket-league==2.0.1"
_ARCHIVE_SHA256 = "3be8e9d2f1cfb6514e0e3d455fb33ff95e26eb7c399f819fff0258025cf4d501"  # pip checks it
_MESHES_SHA256 = "a8bd4894c64be7fb1902133cd1cce46c70d75b1fab80387b9155f0f8a50a274b"  # of `_digest`
_BY_HAND = (
    f"elsewhere run `pip download --no-deps {REQUIREMENT}`, then here `python -m rlbot.meshes FILE` with the file that "
    "it saves,\nor set env.collision_meshes to a folder that holds soccar/*.cmf dumped from your game"
)


def cache_folder() -> Path:
    """Returns the folder for the meshes of this user: in $XDG_CACHE_HOME or ~/.cache on Linux, ~/Library/Caches on
    macOS, %LOCALAPPDATA% on Windows."""
    if sys.platform == "win32":
        variable, usual = "LOCALAPPDATA", "AppData/Local"
    elif sys.platform == "darwin":
        variable, usual = "", "Library/Caches"
    else:
        variable, usual = "XDG_CACHE_HOME", ".cache"
    chosen = os.environ.get(variable, "")
    caches = Path(chosen) if os.path.isabs(chosen) else Path(os.path.expanduser("~"), usual)
    return caches / "rlbot-trainer" / "collision_meshes"


def is_complete(folder: Path) -> bool:
    """Whether folder/soccar holds the 16 meshes of the distribution, byte for byte."""
    try:
        return _digest(folder) == _MESHES_SHA256
    except OSError:
        return False


def fetch(folder: Path, archive: Path | None = None) -> None:
    """Puts the meshes into folder/soccar, from `archive`, or from the archive that pip downloads.

    Several processes may do this at the same time. Raises ValueError if the download fails, if the archive is not the
    expected one, or if the folder cannot be written.
    """
    if is_complete(folder):
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="collision_meshes-", dir=folder.parent) as temporary:
            unpacked = Path(temporary, "unpacked")
            _unpack(archive or _download(Path(temporary)), unpacked)
            _move(unpacked / "soccar", folder / "soccar")
    except OSError as error:
        raise ValueError(
            f"Cannot write the arena's collision meshes into {folder.parent}: {error};\n"
            "make room there or make it writable, or set env.collision_meshes to a folder that holds soccar/*.cmf"
        ) from error


def _download(folder: Path) -> Path:
    """Downloads the archive into `folder` and returns its path. pip checks the hash before it runs anything in it."""
    if find_spec("pip") is None:
        raise ValueError(
            "The arena's collision meshes are not here yet, and this Python has no pip to download them: install it\n"
            f"with `python -m ensurepip` (with uv: `uv pip install pip`), or {_BY_HAND}"
        )
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{REQUIREMENT} --hash=sha256:{_ARCHIVE_SHA256}\n", encoding="ascii")
    name = REQUIREMENT.partition("==")[0]
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--retries=1",
        "--no-deps", f"--no-binary={name}", "--require-hashes", f"--requirement={wanted}", f"--dest={folder}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = sorted(folder.glob("*.tar.gz"))
    if done.returncode or not found:
        lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        reason = lines[0].removeprefix("ERROR:").strip()[:300] if lines else f"exit status {done.returncode}"
        raise ValueError(
            f"The arena's collision meshes are not here yet, and pip cannot download them: {reason}\n"
            f"Repeat `python -m rlbot.meshes` with a connection to the internet, or {_BY_HAND}"
        )
    return found[0]


def _unpack(archive: Path, folder: Path) -> None:
    """Copies the meshes of the archive to folder/soccar. Raises ValueError if they are not the expected ones."""
    meshes: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                if path.match("collision_meshes/soccar/*.cmf") and (content := opened.extractfile(member)):
                    meshes[path.name] = content.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise ValueError(f"Cannot read the archive {archive} ({error}): download {REQUIREMENT} again") from error
    (folder / "soccar").mkdir(parents=True)
    for name, data in meshes.items():
        (folder / "soccar" / name).write_bytes(data)
    if not is_complete(folder):
        raise ValueError(f"{archive} does not hold the collision meshes of {REQUIREMENT}: download it again")


def _move(source: Path, target: Path) -> None:
    """Replaces the files in `target` one by one, so that a correct file is never missing, even if several processes do
    this at once."""
    target.mkdir(parents=True, exist_ok=True)
    names = {path.name for path in source.iterdir()}
    try:
        for other in target.glob("*.cmf"):
            if other.name not in names:
                other.unlink()
        for name in names:
            os.replace(source / name, target / name)
    except OSError:  # on Windows, if another process is reading a file
        if not is_complete(target.parent):
            raise


def _digest(folder: Path) -> str:
    """Returns the SHA-256 of the names and contents of folder/soccar/*.cmf."""
    total = hashlib.sha256()
    for path in sorted((folder / "soccar").glob("*.cmf")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
