"""The content of the viewer: its files, the arena's meshes, and a single HTML file that contains everything."""

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
_FULL_PAD = 10.0  # s until a pad that gives 100 boost is back


def asset(name: str) -> bytes:
    """Returns the content of a file in page/."""
    return Path(__file__).with_name("page").joinpath(name).read_bytes()


def page_document(live: bool) -> bytes:
    """Returns page.json: what the viewer has to know before it draws."""
    pads = [
        {"pos": position, "big": bool(cooldown == _FULL_PAD)}
        for position, cooldown in zip(PAD_POSITION.tolist(), PAD_COOLDOWN.tolist(), strict=True)
    ]
    return json.dumps({"live": live, "pads": pads}).encode()


def arena(folder: str | Path | None = None) -> bytes:
    """Returns all collision meshes as one: the numbers of triangles and vertices as uint32, then three uint32 for each
    triangle and three float32 (uu) for each vertex; little-endian.

    A .cmf file has the same layout, with its numbers as int32. Raises ValueError if a file has another layout, or if
    there are no files (see `find_meshes`).
    """
    triangles, vertices, count = [], [], 0
    for path in sorted((find_meshes(folder) / "soccar").glob("*.cmf")):
        data = path.read_bytes()
        num_triangles, num_vertices = struct.unpack_from("<ii", data) if len(data) >= 8 else (-1, -1)
        if min(num_triangles, num_vertices) < 0 or len(data) != 8 + 12 * (num_triangles + num_vertices):
            raise ValueError(f"{path} is no collision mesh: {len(data)} bytes")
        index = np.frombuffer(data, "<i4", num_triangles * 3, 8)
        if len(index) and (index.min() < 0 or index.max() >= num_vertices):
            raise ValueError(f"{path} is no collision mesh: a triangle has vertices that do not exist")
        triangles.append(index + count)
        vertices.append(np.frombuffer(data, "<f4", num_vertices * 3, 8 + index.nbytes) * MESH_SCALE)
        count += num_vertices
    all_triangles, all_vertices = np.concatenate(triangles).astype("<u4"), np.concatenate(vertices).astype("<f4")
    sizes: bytes = struct.pack("<II", len(all_triangles) // 3, count)
    return b"".join((sizes, all_triangles.tobytes(), all_vertices.tobytes()))


def content(folder: str | Path | None, recording: Recording | None) -> dict[str, tuple[str, bytes]]:
    """Returns all files that the server offers, by path, for a recording, or for a live match if that is None.

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
    """Returns an HTML file that plays `recording` (the content of a recording file) without a server or network."""
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
