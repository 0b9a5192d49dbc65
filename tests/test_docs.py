"""README.md and docs/ say what is true: settings, defaults, commands, examples, files, curves."""

import importlib.util
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rlbot.env.observation import OBSERVATION, OBSERVATION_SIZE, columns
from rlbot.settings import command, explain
from rlbot.settings.document import document
from rlbot.settings.names import NAME, settings
from rlbot.settings.schema import ROOTS, TrainConfig

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "README.md").is_file():
    pytest.skip("needs a checkout, with README.md and docs/", allow_module_level=True)
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
EVERYTHING = "\n".join(PAGES.values())
GROUPS = [name for name in TrainConfig.__dataclass_fields__ if (ROOT / "conf" / name).is_dir()]
MAPPINGS = (
    "env.reset",
    "env.ending",
    "reward.terms",
    "curriculum.stages.NAME.teams",
    "curriculum.stages.NAME.reward",
    "curriculum.stages.NAME.reset",
)


def blocks(text: str, *languages: str) -> list[str]:
    return [code for language, code in re.findall(r"```(\w*)\n(.*?)```", text, re.DOTALL) if language in languages]


def commands() -> list[list[str]]:
    """Every `python -m rlbot...` and `make train ARGS=...` of the pages: the module, then its arguments."""
    found = []
    for text in PAGES.values():
        lines = [line for block in blocks(text, "bash", "bat") for line in block.splitlines()]
        for line in lines + re.findall(r"`(python -m rlbot[^`]*)`", text):
            words = shlex.split(line, comments=True)
            arguments = [word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")]
            if words[:2] == ["make", "train"]:
                found.append(["rlbot.train", *shlex.split(" ".join(arguments))])
            elif "-m" in words and words[words.index("-m") + 1].startswith("rlbot"):
                found.append(words[words.index("-m") + 1 :])
    return found


def jobs(arguments: list[str]) -> list[list[str]]:
    """The command lines of a sweep, one for each combination; of one command line, itself."""
    without = [word for word in arguments if word not in ("-m", "--multirun", "--cfg", "job")]
    choices = []
    for word, parsed in zip(without, OverridesParser.create().parse_overrides(without), strict=True):
        if parsed.is_interval_sweep():
            values = iter([str(parsed.value().start)])  # any of them will do
        else:
            values = parsed.sweep_string_iterator() if parsed.is_sweep_override() else None
        choices.append([word] if values is None else [f"{parsed.get_key_element()}={value}" for value in values])
    return [list(job) for job in itertools.product(*choices)]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages tell to make, and a conf/ with those of their YAML blocks."""
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    for block in blocks(EVERYTHING, "yaml", "python"):
        if match := re.match(r"# (\S+\.(?:yaml|py))\n", block):
            (tmp_path / match[1]).write_text(block, encoding="utf-8")
    (tmp_path / "meshes" / "soccar").mkdir(parents=True)
    (tmp_path / "meshes" / "soccar" / "mesh_0.cmf").write_bytes(b"")
    for folder in re.findall(r"\w=(outputs/[\w/-]+)", "".join(PAGES.values())):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for folder in re.findall(r"multirun/learncheck/[a-z]+", EVERYTHING):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "learncheck.csv").touch()
    for match in re.findall(r"(?:recording=|nexto:|necto:)([\w/.-]+)", "".join(PAGES.values())):
        (tmp_path / match).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / match).touch()
    monkeypatch.setattr(explain, "config_dir", lambda: tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reference() -> Any:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_an_option_is_for_is_said_in_whole_sentences() -> None:
    described = re.findall(r"^\| `\w+=\w+`(?: \(default\))? \| (.*) \|$", PAGES["settings.md"], re.MULTILINE)
    assert len(described) > 20 and [text for text in described if not text.endswith(".")] == []


def test_the_reference_pages_are_up_to_date() -> None:
    for path, text in reference().pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is old: run python docs/reference.py"


@pytest.mark.parametrize("name", ROOTS)
def test_every_setting_is_in_the_reference_with_its_default(name: str) -> None:
    text = PAGES["settings.md"].partition(f"\n# `python -m rlbot.{name}`\n")[2].partition("\n# ")[0]
    rows = {key: shown.strip("`") for key, shown in re.findall(r"\| `([\w.]+)` \| (.*?) \|", text)}
    own = set(settings(ROOTS[name])) - (set(settings()) if name in ("bench", "learncheck") else set())
    groups = {key for key in own if any(other.startswith(f"{key}.") for other in own)} - {
        "curriculum.stages",
        "curriculum.stages.NAME.opponent",
    }
    assert set(rows) == own - groups - {"curriculum.stages.NAME.opponent.shares"}
    default = command.compose([], name)
    plain = set(rows) - {"reward.terms", "curriculum.stages"}
    assert command.compose([f"{key.replace(NAME, 'duel')}={rows[key]}" for key in plain], name) == default
    for key in plain:
        value = document(default)
        for part in key.split("."):
            value = value["duel" if part == NAME else part]
        if key != "curriculum.stages.NAME.opponent":
            assert rows[key].replace("_", "").lower() == _written(value).replace("_", "").lower(), key


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_written(each)}" for name, each in value.items()) + "}"
    return str(value).replace("'", "").replace("None", "null")


def test_the_table_of_the_observation() -> None:
    rows = re.findall(r"\| (\d+)(?:-(\d+))? \| `([\w.]+)` \|", PAGES["observation.md"])
    assert [name for *_, name in rows] == [name for name, _ in OBSERVATION]
    for first, last, name in rows:
        assert columns(name) == slice(int(first), int(last or first) + 1)
    assert f"{OBSERVATION_SIZE} float32 numbers" in PAGES["observation.md"]


def test_the_commands_that_are_shown_compose(workplace: Path) -> None:
    shown = commands()
    assert len(shown) > 15
    for module, *arguments in shown:
        assert importlib.util.find_spec(module), module
        if (name := module.removeprefix("rlbot.")) in ROOTS:
            for job in jobs(arguments):
                command.compose(job, name)


def test_the_settings_that_are_mentioned_exist() -> None:
    names = set(settings())
    for page, text in PAGES.items():
        for key in re.findall(rf"`\+?((?:{'|'.join(GROUPS)})\.\w[\w.]*)(?:=[^`]*)?`", text):
            plain = re.sub(r"^(curriculum\.stages)\.\w+", rf"\1.{NAME}", key)
            assert plain in names or plain.rpartition(".")[0] in MAPPINGS, f"{page}: {key}"


def test_links_lead_somewhere_and_everything_is_ascii() -> None:
    for page, text in PAGES.items():
        assert text.isascii(), page
        folder = ROOT if page == "README.md" else ROOT / "docs"
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
            path, _, anchor = (target if not target.startswith("#") else page + target).partition("#")
            assert (folder / path).exists(), f"{page}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.*)", (folder / path).read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in [heading.lower().replace(" ", "-") for heading in headings], target


def test_the_table_of_what_is_where_names_files_and_definitions_that_exist() -> None:
    rows = re.findall(r"^\| (?!to find|---).* \| (.*) \|$", PAGES["architecture.md"], re.MULTILINE)
    assert len(rows) > 10
    for row in rows:
        names = re.findall(r"`([^`]+)`", row)
        paths = [ROOT / name for name in names if "/" in name]
        assert all(path.exists() for path in paths), row
        code = "".join(path.read_text(encoding="utf-8") for path in paths if path.is_file())
        for name in names:
            if name.endswith(".py"):
                assert any((path / name).is_file() for path in paths) or "/" in name, name
            elif "/" not in name and name != "env.reset":
                *_, last = name.split(".")
                assert re.search(rf"(def|class) {last}\b", code) or name in code, name


def test_the_tree_has_every_package_and_its_files_exist() -> None:
    (tree,) = (block for block in blocks(README, "") if block.startswith("conf/ "))
    folder = ROOT
    for line in tree.splitlines():
        names = re.split(r"  +", line.strip())[0] if line.startswith(" ") else line.split()[0]
        folder = folder if line.startswith(" ") else ROOT
        for name in names.split():
            assert (folder / name).exists(), line
        folder = folder if line.startswith(" ") else ROOT / names
    packages = {path.parent.name for path in ROOT.glob("rlbot/*/__init__.py")}
    assert packages <= set(re.findall(r"(\w+)/", tree))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of a reward of one's own, trained for a moment: the folder it was started from."""
    folder = tmp_path_factory.mktemp("run")
    (example,) = (block for block in blocks(EVERYTHING, "python") if block.startswith("# rewards.py"))
    (folder / "rewards.py").write_text(example, encoding="utf-8")
    (arguments,) = (each for each in commands() if any("rewards.py" in word for word in each))
    python(folder, "-m", *arguments, "experiment=debug", "env.time_limit=1", "env.workers=0", "hardware.threads=1")
    return folder


def python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_curve_is_explained(run: Path) -> None:
    explained = set(re.findall(r"^\| `([\w/]+)`", PAGES["metrics.md"], re.MULTILINE))
    tags = EventAccumulator(str(run / "outputs" / "latest" / "tensorboard")).Reload().Tags()
    curves = [*tags["scalars"], *tags["images"]]
    assert "reward_term/near_ball" in curves and "rated/clip_1v1" in curves
    written = {re.sub(r"^(reward_term\w*)/.*", r"\1/NAME", name) for name in curves}
    elsewhere = {"reward_term_transformed/NAME", "reward_weight/NAME", "skill/NAME"}
    elsewhere |= {f"against_NAME/{what}_{team}" for what in ("score", "goals") for team in ("1v1", "2v2")}
    elsewhere |= {name for name in explained if "gpu/" in name}
    assert written | elsewhere == explained
    mentioned = re.findall(r"`((?:play|reward|policy|value|speed)/[a-z_]+)`", PAGES["runs.md"])
    assert mentioned and set(mentioned) <= explained


def test_what_a_run_leaves_is_listed(run: Path) -> None:
    (listing,) = (block for block in blocks(PAGES["runs.md"], "") if block.startswith("outputs/"))
    (directory,) = (run / "outputs").glob("*-*/*")
    (checkpoint, *_) = sorted((directory / "checkpoints").iterdir())
    for path in (*directory.iterdir(), *checkpoint.iterdir()):
        assert path.name == ".hydra" or path.name in listing, path.name


def test_the_examples_in_python(run: Path) -> None:
    (bot,) = (block for block in blocks(PAGES["python.md"], "python") if "rlbot.policy" in block)
    (batch,) = (block for block in blocks(PAGES["python.md"], "python") if "make_env" in block)
    assert python(run, "-c", f"{bot}\n{batch}").splitlines() == ["(16, 180) (16,)"]


@pytest.mark.slow
def test_the_example_with_stable_baselines(run: Path) -> None:
    (example,) = (block for block in blocks(PAGES["python.md"], "python") if "stable_baselines3" in block)
    assert "1024" in python(run, "-c", example)
