"""What the page is made of: its files, the arena's meshes, and one self-contained HTML file of all of it."""

import base64
import html
import json
import re
import struct
from pathlib import Path

import numpy as np

from rlbot.recording import Recording
from rlbot.sim import PAD_COOLDOWN, PAD_POSITION, find_meshes

MESH_SCALE = 50.0  # the unit of the collision meshes is 50 uu
FILES = {"viewer.js": "text/javascript; charset=utf-8", "viewer.css": "text/css; charset=utf-8"}
_FULL_PAD = 10.0  # s until a pad that fills the tank comes back


def asset(name: str) -> bytes:
    """A file of the page."""
    return Path(__file__).with_name("page").joinpath(name).read_bytes()


def page_document(live: bool) -> bytes:
    """page.json: what the page has to know before it draws."""
    pads = [
        {"pos": position, "big": bool(cooldown == _FULL_PAD)}
        for position, cooldown in zip(PAD_POSITION.tolist(), PAD_COOLDOWN.tolist(), strict=True)
    ]
    return json.dumps({"live": live, "pads": pads}).encode()


def arena(folder: str | Path | None = None) -> bytes:
    """The collision meshes in one piece: two uint32, how many triangles and vertices there are, then three uint32 of
    each triangle and three float32 (uu) of each vertex; little-endian.

    A .cmf file holds two int32 with its numbers of triangles and vertices, and then the same. Raises ValueError where
    a file is something else, or where there are none (see `find_meshes`).
    """
    triangles, vertices, count = [], [], 0
    for path in sorted((find_meshes(folder) / "soccar").glob("*.cmf")):
        data = path.read_bytes()
        num_triangles, num_vertices = struct.unpack_from("<ii", data) if len(data) >= 8 else (-1, -1)
        if min(num_triangles, num_vertices) < 0 or len(data) != 8 + 12 * (num_triangles + num_vertices):
            raise ValueError(f"{path} is no collision mesh: {len(data)} bytes")
        index = np.frombuffer(data, "<i4", num_triangles * 3, 8)
        if len(index) and (index.min() < 0 or index.max() >= num_vertices):
            raise ValueError(f"{path} is no collision mesh: a triangle of vertices that are not there")
        triangles.append(index + count)
        vertices.append(np.frombuffer(data, "<f4", num_vertices * 3, 8 + index.nbytes) * MESH_SCALE)
        count += num_vertices
    all_triangles, all_vertices = np.concatenate(triangles).astype("<u4"), np.concatenate(vertices).astype("<f4")
    sizes: bytes = struct.pack("<II", len(all_triangles) // 3, count)
    return b"".join((sizes, all_triangles.tobytes(), all_vertices.tobytes()))


def content(folder: str | Path | None, recording: Recording | None) -> dict[str, tuple[str, bytes]]:
    """All that the server gives, by path: of a recording, or of a live match if that is None.

    Raises ValueError if there are no meshes."""
    binary = "application/octet-stream"
    files = {
        "/": ("text/html; charset=utf-8", asset("index.html")),
        "/page.json": ("application/json", page_document(live=recording is None)),
        "/arena.bin": (binary, arena(folder)),
    }
    if recording is not None:
        files["/recording.npz"] = (binary, recording.to_bytes())
    return files | {f"/{name}": (kind, asset(name)) for name, kind in FILES.items()}


def export_html(recording: bytes, title: str, folder: str | Path | None = None) -> bytes:
    """One HTML file that plays `recording` (the content of a recording file) from the disk, without a network."""
    style, script = asset("viewer.css").decode(), asset("viewer.js").decode()
    assert "</style" not in style
    script = re.sub(r"</(script)", r"<\\/\1", script, flags=re.IGNORECASE)
    data = {"page.json": page_document(live=False), "arena.bin": arena(folder), "recording.npz": recording}
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
    parts = [
        (
            '<meta charset="utf-8" />',
            f'<meta charset="utf-8" />\n<meta http-equiv="Content-Security-Policy" content="{policy}" />',
        ),
        ("<title>Match</title>", f"<title>{html.escape(title)}</title>"),
        ('<link rel="stylesheet" href="viewer.css" />', f"<style>{style}</style>"),
        (
            '<script src="viewer.js"></script>',
            "\n".join(
                f'<script type="text/plain" id="{name}">{base64.b64encode(content).decode()}</script>'
                for name, content in data.items()
            )
            + f"\n<script>{script}</script>",
        ),
    ]
    text = asset("index.html").decode()
    for old, new in parts:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text.encode()
