"""What the page is made of: the arena of the meshes, one file that needs no network, a bundle that is up to date."""

import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from rlbot.sim import find_meshes
from rlbot.watch import page
from tests.recording.test_recording import played

ROOT = Path(__file__).resolve().parents[2]


def test_the_arena_is_made_of_all_meshes() -> None:
    data = page.arena()
    triangles, vertices = struct.unpack_from("<II", data)
    assert len(data) == 8 + 12 * triangles + 12 * vertices
    index = np.frombuffer(data, "<u4", triangles * 3, 8)
    places = np.frombuffer(data, "<f4", vertices * 3, 8 + index.nbytes).reshape(-1, 3)
    files = list((find_meshes() / "soccar").glob("*.cmf"))
    assert len(data) - 8 == sum(path.stat().st_size - 8 for path in files) and len(files) == 16
    assert index.max() == vertices - 1 and np.isfinite(places).all()
    np.testing.assert_allclose(np.abs(places).max(0), [4105, 6000, 2076], atol=5, err_msg="uu: walls, nets, ceiling")


BROKEN = [
    b"",
    b"\0" * 7,
    struct.pack("<ii", 1, 3) + b"\0" * 10,
    struct.pack("<ii", -1, 1),
    struct.pack("<iiiii", 1, 0, 1, 2, 3),
]


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_mesh_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "soccar").mkdir()
    (tmp_path / "soccar" / "mesh_0.cmf").write_bytes(data)
    with pytest.raises(ValueError, match=r"mesh_0\.cmf is no collision mesh"):
        page.arena(tmp_path)


def test_one_file_holds_everything() -> None:
    text = page.export_html(played(seconds=1.0).to_bytes(), 'a </title><script>alert("b")</script>').decode()
    assert "<title>a &lt;/title&gt;&lt;script&gt;alert(&quot;b&quot;)&lt;/script&gt;</title>" in text
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="(?!data:)', text), "nothing is loaded"
    assert text.count("<script") == text.count("</script>") == 4
    assert "default-src 'none'" in text and 'id="recording.npz"' in text and 'id="arena.bin"' in text


def test_the_bundle_is_made_of_the_sources() -> None:
    node, packages = shutil.which("node"), ROOT / "viewer" / "node_modules" / "esbuild"
    if node is None or not packages.is_dir():
        pytest.skip("needs Node, and `npm ci` in viewer/")
    done = subprocess.run([node, "build.mjs", "--check"], cwd=ROOT / "viewer", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
