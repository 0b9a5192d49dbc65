"""Makes a folder with files that commands must refuse; the cases in malformed.py name them."""

import shutil
from pathlib import Path

import safetensors.torch
import torch

from rlbot.run import save_checkpoint
from rlbot.run.manifest import seal

_SHAPE = "after.present.shape"

# Terms of the user's own: "NAME.py:term".
REWARDS: dict[str, str | bytes] = {
    "good": f"import numpy as np\ndef term(before, after, scale=1.0): return np.full({_SHAPE}, scale)",
    "syntax": "def term(before, after:\n    return 0",
    "tabs": "def term(before, after):\n        x = 1\n\treturn x",
    "nul": b"def term(before, after): return 0\x00",
    "not_utf8": b"# \xff\xfe\ndef term(before, after): return 0",
    "empty": "",
    "no_module": "import nonsense_that_is_not_there",
    "raises": "raise RuntimeError('first line\\nsecond \\u0141ine')",
    "exits": "import sys\nsys.exit(3)",
    "endless": "def f(): return f()\nf()",
    "number": "term = 3",
    "one_argument": "def term(before): return 0",
    "three_arguments": "def term(before, after, scale): return 0",
    "shape": "import numpy as np\ndef term(before, after): return np.zeros(3)",
    "transposed": f"import numpy as np\ndef term(before, after): return np.zeros({_SHAPE}).T",
    "scalar": "def term(before, after): return 1.0",
    "text": "def term(before, after): return 'much'",
    "texts": f"import numpy as np\ndef term(before, after): return np.full({_SHAPE}, '1')",
    "nothing": "def term(before, after): pass",
    "a_dict": "def term(before, after): return {'touch': 1}",
    "ragged": "def term(before, after): return [[1, 2], [3]]",
    "generator": "def term(before, after): yield 1.0",
    "complex": f"import numpy as np\ndef term(before, after): return np.full({_SHAPE}, 1j)",
    "times": f"import numpy as np\ndef term(before, after): return np.zeros({_SHAPE}, 'm8[s]')",
    "nan": f"import numpy as np\ndef term(before, after): return np.full({_SHAPE}, np.nan)",
    "inf": f"import numpy as np\ndef term(before, after): return np.full({_SHAPE}, -np.inf)",
    "too_large": f"import numpy as np\ndef term(before, after): return np.full({_SHAPE}, 1e300)",
    "key_error": "def term(before, after): return {}['\\u0141']",
    "no_field": "def term(before, after): return after.car_speed",
    "recursive": "def term(before, after): return term(before, after)",
    "stops": "def term(before, after): raise StopIteration",
    "quits": "def term(before, after): raise SystemExit(0)",
    "lines": "def term(before, after): raise ValueError('a\\nb\\nc\\nd\\ne\\nf')",
    "long": "def term(before, after): raise ValueError('x' * 100_000)",
    "changes": "def term(before, after):\n    after.car_boost[:] = 0\n    return after.car_boost",
    "changes_before": "def term(before, after):\n    before.ball_pos *= 2\n    return after.car_boost",
    "a_class": "class term:\n    def __init__(self, before, after): pass",
}

# Settings of the user's own, for --config-dir=own.
SETTINGS: dict[str, str | bytes] = {
    "env/tab.yaml": "num_envs: 8\n\ttick_skip: 8\n",
    "env/duplicate.yaml": "num_envs: 8\nnum_envs: 9\n",
    "env/list.yaml": "- 1\n- 2\n",
    "env/text.yaml": "just words\n",
    "env/number.yaml": "3\n",
    "env/empty.yaml": "",
    "env/comment.yaml": "# nothing but a comment\n",
    "env/unbalanced.yaml": "reset: {kickoff: 1\n",
    "env/quote.yaml": 'collision_meshes: "abc\n',
    "env/two.yaml": "num_envs: 1\n---\nnum_envs: 2\n",
    "env/binary.yaml": b"\x00\x01\x02\xff",
    "env/not_utf8.yaml": "num_envs: 8 # caf\u00e9\n".encode("latin-1"),
    "env/utf16.yaml": "num_envs: 8\n".encode("utf-16-le"),
    "env/python.yaml": "num_envs: !!python/object/apply:os.getcwd []\n",
    "env/date.yaml": "defaults: [soccar, _self_]\nnum_envs: 2026-01-01\n",
    "env/set.yaml": "defaults: [soccar, _self_]\nreset: !!set {kickoff}\n",
    "env/keys.yaml": "defaults: [soccar, _self_]\nreset: {1: 2, null: 3, true: 4}\n",
    "env/complex_key.yaml": "defaults: [soccar, _self_]\nreset: {[1, 2]: 3}\n",
    "env/cycle.yaml": "defaults: [cycle]\n",
    "env/missing_default.yaml": "defaults: [nothing_of_that_name, _self_]\n",
    "env/bad_defaults.yaml": "defaults: 3\n",
    "env/bad_default.yaml": "defaults: [[soccar]]\n",
    "env/wrong_value.yaml": "defaults: [soccar, _self_]\nnum_envs: many\n",
    "env/unknown.yaml": "defaults: [soccar, _self_]\nnum_env: 3\n",
    "env/interpolation.yaml": "defaults: [soccar, _self_]\nnum_envs: ${nothing.of.that.name}\n",
    "env/circular.yaml": "defaults: [soccar, _self_]\nnum_envs: ${env.tick_skip}\ntick_skip: ${env.num_envs}\n",
    "env/resolver.yaml": "defaults: [soccar, _self_]\nnum_envs: ${nonsense:3}\n",
    "env/environment.yaml": "defaults: [soccar, _self_]\nnum_envs: ${oc.env:RLBOT_NOT_SET}\n",
    "env/deep.yaml": "reset: " + "[" * 2000 + "]" * 2000 + "\n",
    "env/alias.yaml": "reset: *nowhere\n",
    "experiment/syntax.yaml": "# @package _global_\nseed: [1\n",
    "experiment/unknown.yaml": "# @package _global_\nleaner: {gamma: 0.9}\n",
    "experiment/wrong.yaml": "# @package _global_\nlearner: {gamma: 9}\n",
    "experiment/no_package.yaml": "learner: {gamma: 0.9}\n",
    "experiment/bad_package.yaml": "# @package _globl_\nseed: 1\n",
    "experiment/two_packages.yaml": "# @package _global_ _group_\nseed: 1\n",
    "experiment/no_override.yaml": "# @package _global_\ndefaults: [/model: mlp_small]\n",
    "experiment/no_group.yaml": "# @package _global_\ndefaults: [override /modell: mlp_small]\n",
    "experiment/no_option.yaml": "# @package _global_\ndefaults: [override /model: huge]\n",
    "experiment/scalar_group.yaml": "# @package _global_\nlearner: 3\n",
    "experiment/stages.yaml": "# @package _global_\ncurriculum: {stages: {alone: {teams: {1v1: 1}}}}\n",
    "experiment/caf\u00e9.yaml": "# @package _global_\nseed: \u0141\n",
    "experiment/target.yaml": "# @package _global_\nlearner: {_target_: os.system, command: touch made}\n",
    "broken_root.yaml": "defaults: [env: soccar]\nseed: [\n",
}


def build(folder: Path, run: Path) -> None:
    """Writes all files into `folder`; `run` is the directory of a run that was really trained."""
    for name, text in REWARDS.items():
        _write(folder / f"{name}.py", text)
    for name, text in SETTINGS.items():
        _write(folder / "own" / name, text)
    _write(folder / "a file", "text")
    _write(folder / "own/env/a_folder.yaml/note", "a folder where a file should be")
    _write(folder / "folder.py/note", "a folder where a file should be")
    (folder / "empty folder").mkdir()
    _meshes(folder / "meshes")
    _checkpoints(folder / "runs", run)


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


def _meshes(folder: Path) -> None:
    _write(folder / "wrong/soccar/mesh.obj", "v 0 0 0")
    _write(folder / "broken/soccar/mesh_0.cmf", "not a mesh")
    _write(folder / "hollow/soccar/mesh_0.cmf", "")
    (folder / "bare/soccar").mkdir(parents=True)
    (folder / "folders/soccar/mesh_0.cmf").mkdir(parents=True)


def _checkpoints(folder: Path, run: Path) -> None:
    step = sorted((run / "checkpoints").iterdir())[-1].name
    shutil.copytree(run, folder / "good")
    for name in ("corrupt", "truncated", "no_manifest", "no_policy", "newer", "hollow", "text"):
        shutil.copytree(run, folder / name)
    flipped = bytearray((folder / "corrupt/checkpoints" / step / "model.safetensors").read_bytes())
    flipped[-1] ^= 1
    _write(folder / "corrupt/checkpoints" / step / "model.safetensors", bytes(flipped))
    _write(folder / "truncated/checkpoints" / step / "model.safetensors", bytes(flipped[:100]))
    (folder / "no_manifest/checkpoints" / step / "manifest.json").unlink()
    (folder / "no_policy/checkpoints" / step / "policy.json").unlink()
    _write(folder / "newer/checkpoints" / step / "manifest.json", seal({"format": 99}))
    _write(folder / "hollow/checkpoints" / step / "manifest.json", "{}")
    _write(folder / "text/checkpoints" / step / "manifest.json", b"\xff not json")
    _write(folder / "deep/step_000000001/manifest.json", "[" * 100_000)
    _write(folder / "list/step_000000001/manifest.json", "[]")
    _write(folder / "no_runs/checkpoints/notes", "nothing")
    _write(folder / "pickle/step_000000001/model.pt", b"\x80\x04N.")
    _write(folder / "pointer", "one\ntwo\n")
    _write(folder / "bad_pointer", b"\xff\xfe\x00")
    (folder / "foreign").mkdir()
    safetensors.torch.save_file({"weight": torch.zeros(3)}, folder / "foreign/model.safetensors")
    # sound by their checksums, but not of training
    save_checkpoint(folder / "bare", 1, {}, {}, run_id="test")
    save_checkpoint(folder / "other", 1, {"model": {"weight": torch.zeros(3)}}, {"policy": {"a": 1}}, run_id="test")
    save_checkpoint(folder / "list_policy", 1, {"model": {"w": torch.zeros(3)}}, {"policy": [1]}, run_id="test")
    documents = {"config": {"seed": 0}, "progress": {}, "learner_state": {}, "environment_state": {}, "policy": {}}
    save_checkpoint(folder / "old", 1, {"model": {"weight": torch.zeros(3)}}, documents, run_id="test")
