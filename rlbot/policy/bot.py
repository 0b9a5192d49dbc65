"""Load a trained bot from a checkpoint; raise an error if this version of the code cannot play it as trained."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from rlbot.env.action import ACTION_TABLE, Table, checked_table
from rlbot.env.action_mask import Masks, pack
from rlbot.env.batch import BatchEnv
from rlbot.env.observations import DEFAULT, OBSERVATIONS, Observation
from rlbot.model.activations import ACTIVATIONS
from rlbot.policy.actor import Network, Policy
from rlbot.policy.exported import MANIFEST, is_exported, read_exported
from rlbot.policy.heads import HEADS, Floats
from rlbot.policy.own_network import OwnNetwork
from rlbot.run import resolve_resume
from rlbot.run.code import newest_copies
from rlbot.run.files import from_json
from rlbot.run.manifest import read_verified
from rlbot.sim import FIRST_ENGINE
from rlbot.values.convert import checked
from rlbot.values.target import Target

_WEIGHTS, _DOCUMENT = "model.safetensors", "policy.json"


@dataclass(eq=False)
class Bot:
    """A trained policy with its timing: it chooses an action every `tick_skip` physics ticks (1/120 s), which takes
    effect `action_delay` ticks later. A Bot can be pickled."""

    network: Network | OwnNetwork
    weights: Floats  # (network.size(),)
    tick_skip: int
    action_delay: int
    timesteps: int  # of training
    path: Path  # of the checkpoint
    seed: int = 0  # for drawing actions
    engine: str = FIRST_ENGINE  # on which it was trained, with its version
    observation: Observation = DEFAULT  # what it sees

    def __post_init__(self) -> None:
        self.policy = Policy(self.network, self.weights, self.network.action_table)
        self._calls = 0
        self._states = np.zeros((0, self.network.state_size), np.float32)

    @property
    def name(self) -> str:
        return self.path.name

    def act(self, observations: NDArray[Any], deterministic: bool = False, allowed: Any = None) -> Floats:
        """Controls (B, 8) for observations (B, size) of its `observation`, by default the 180 numbers of
        rlbot.env.observation: drawn from the policy, or the most likely ones if `deterministic`. A recurrent network
        remembers each row from call to call, until `reset`. `allowed` (B, actions): for a bot that was trained with
        env.action_mask, which actions it may choose, as `action_masks()` of the environments says.

        Raises ValueError if a shape is another, `allowed` is missing or not needed, or the rows are not as many as in
        the call before and a recurrent network was not reset."""
        rows = np.asarray(observations, np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.network.observation_size:
            raise ValueError(f"observations of shape {rows.shape}: must be (B, {self.network.observation_size})")
        masks = self._packed(allowed, len(rows))
        if len(self._states) != len(rows):
            if len(self._states) and self.network.state_size:
                raise ValueError(
                    f"{len(rows)} rows after {len(self._states)}, each of which it remembers; reset() first"
                )
            self._states = np.zeros((len(rows), self.network.state_size), np.float32)
        inputs = self.network.inputs(rows, self._states)
        if deterministic:
            return self.policy.mode(inputs, self._states, masks)
        self._calls += 1
        return self.policy.sample(inputs, self.seed, self._calls, np.arange(len(rows)), self._states, masks)[2]

    def _packed(self, allowed: Any, rows: int) -> Masks | None:
        masked, wanted = self.network.action_mask, (rows, self.network.head.outputs)
        if (allowed is not None) != masked:
            what = "give" if masked else "leave out"
            raise ValueError(f"{self.path}: trained with env.action_mask={str(masked).lower()}: {what} allowed")
        if allowed is not None and np.shape(allowed) != wanted:
            raise ValueError(f"allowed of shape {np.shape(allowed)}: must be {wanted}")
        return None if allowed is None else pack(allowed)

    def reset(self, rows: Any = None) -> None:
        """Forget what a recurrent network remembers of rows of `act` (indices or a mask; None: all). Call it where an
        episode begins."""
        if rows is None:
            self._states = self._states[:0]
        else:
            self._states[rows] = 0.0

    def view(self, env: BatchEnv, cars: NDArray[np.int64], observations: Floats) -> Floats:
        """What the cars (K,), rows of `env`, see (K, size): `observations`, which are theirs in `env`, unless this bot
        was trained with another observation."""
        return observations if self.observation == env.observation else env.observed(self.observation, cars)

    def __reduce__(self) -> tuple[Any, ...]:
        return Bot, tuple(getattr(self, each.name) for each in fields(self))


def load(path: str | Path, seed: int | None = None, *, setting: str = "checkpoint") -> Bot:
    """Load a bot from a checkpoint directory, a run directory (its newest valid checkpoint), "latest" (the newest run)
    or a folder that `python -m rlbot.export` wrote.

    What `act` draws depends only on `seed`, the number of the call and the observations; if `seed` is None, each load
    takes another seed. The weights are checked against the manifest's checksums; nothing is unpickled. Raises
    ValueError if `seed` is not a whole number of at least 0, there is no valid checkpoint (the message names `setting`,
    where the path comes from), or the observation, action table or network differ from those of this version.
    """
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0):
        raise ValueError(f"seed={seed!r}: must be a whole number of at least 0, or None to draw anew with every load")
    exported = is_exported(Path(path))
    source = Path(path) if exported else resolve_resume(str(path), Path("outputs"), setting).checkpoint
    manifest, files = ({}, {}) if exported else read_verified(source)
    try:
        if exported:
            document, tensors = read_exported(source)
            manifest = document
        else:
            document, tensors = _read_checkpoint(files)
        observation = read_observation(document, None if exported else source)
        _check_layout(document, observation)
        network = read_network(document["network"], None if exported else source, observation)
        network = replace(network, table=read_table(document), action_mask=read_mask(document))
        tick_skip, action_delay = document["tick_skip"], document["action_delay"]
        if not (isinstance(tick_skip, int) and isinstance(action_delay, int) and 0 <= action_delay < tick_skip):
            raise ValueError(f"its tick_skip={tick_skip} and action_delay={action_delay} do not fit together")
        weights = _weights(network, tensors)
        timesteps = manifest["timesteps"]
    except (ValueError, KeyError, TypeError) as error:
        fault = f"its {MANIFEST if exported else _DOCUMENT} lacks {error}" if isinstance(error, KeyError) else error
        which = "" if exported or Path(path).name == source.name else f"{source.name}: "
        raise ValueError(f"{setting}={path}: {which}{fault}") from error
    engine = str(document.get("engine", FIRST_ENGINE))
    return Bot(network, weights, tick_skip, action_delay, timesteps, source, _seed(seed), engine, observation)


def _seed(seed: int | None) -> int:
    """At most 63 bits, since compiled code takes it as an int64."""
    return secrets.randbits(63) if seed is None else int(seed) & (2**63 - 1)


def _read_checkpoint(files: Mapping[str, bytes]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(policy.json, the arrays of the model) from a checkpoint's files."""
    if missing := [name for name in (_WEIGHTS, _DOCUMENT) if name not in files]:
        raise ValueError(f"has no {missing[0]}")
    try:
        return from_json(files[_DOCUMENT]), safetensors.numpy.load(files[_WEIGHTS])
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"{_WEIGHTS} cannot be read: {error}") from error


def read_observation(document: Mapping[str, Any], checkpoint: Path | None = None) -> Observation:
    """Reads "observation_from" of a policy.json, which is what `Observation.document` returned. The code of one of the
    user's own is the copy in the run directory of the checkpoint, with the files that it imports; without that, the
    text in the document. Raises ValueError if this version does not know it, or it cannot be loaded."""
    if not isinstance(document, Mapping):
        raise ValueError(f"its {_DOCUMENT} is {type(document).__name__}, not an object")
    made = document.get("observation_from", {"name": "default"})  # older checkpoints have none
    if "target" not in made:
        if made["name"] not in OBSERVATIONS:
            raise ValueError(f"its observation is {made['name']}, this version knows {', '.join(OBSERVATIONS)}")
        return Observation(str(made["name"]))
    target: Target = checked(Target, made["target"], "env.observation")
    blue, orange = made.get("sizes", (1, 1))
    own = Observation("own", target, sizes=(int(blue), int(orange)))
    if target.file is None:
        pass
    elif checkpoint is not None and (kept := _kept(target, checkpoint)) != target:
        own = replace(own, target=kept)
    elif isinstance(made.get("source"), str):
        own = replace(own, source=made["source"])
    else:
        raise ValueError(f"it was trained with the observation {target.name}, whose text is missing in {_DOCUMENT}")
    own.size  # noqa: B018 - loads it, and calls it once
    return own


def _check_layout(document: Mapping[str, Any], observation: Observation) -> None:
    """Raises ValueError if the policy was trained with other columns than those of its observation here."""
    here: list[Any] = [list(entry) for entry in observation.columns]
    for i, (theirs, ours) in enumerate(zip_longest(document["observation"], here)):
        if theirs != ours:
            raise ValueError(
                f"trained with another observation: entry {i} is {_entry(theirs)}, in this version {_entry(ours)}"
            )


def read_table(document: Mapping[str, Any]) -> Table | None:
    """Reads "action_table" of a policy.json: the table that the policy was trained with; None if that is this version's
    own or its head does not use one. Raises ValueError if it is no table."""
    if document["network"]["action_head"] != "table" or document["action_table"] == ACTION_TABLE.tolist():
        return None
    return checked_table(document["action_table"], "its action table")


def read_mask(document: Mapping[str, Any]) -> bool:
    """Reads "action_mask" of a policy.json, which older checkpoints lack."""
    return bool(document.get("action_mask", False))


def _entry(entry: Any) -> str:
    try:
        name, size = entry
    except (TypeError, ValueError):
        return "missing" if entry is None else repr(entry)
    return f"{name} ({size})"


def read_network(
    document: Mapping[str, Any], checkpoint: Path | None = None, observation: Observation = DEFAULT
) -> Network | OwnNetwork:
    """Reads what `Network.document` or `OwnNetwork.document` returned. The code of a network of the user's own is the
    copy in the run directory of the checkpoint, or else the user's file. Raises ValueError if this version cannot run
    the network, or the file is gone."""
    if "target" in document:
        own = OwnNetwork.read(document)
        if checkpoint is not None and own.target.file is not None:
            own = replace(own, target=_kept(own.target, checkpoint))
        _check_names(document, own.observation_size, observation)
        return own
    names = [each.name for each in fields(Network) if each.name not in ("table", "action_mask")]
    if other := sorted(set(document) ^ set(names)):
        raise ValueError(f"its network is described by other keys than in this version: {', '.join(other)}")
    network = Network(**{**document, "hidden": tuple(document["hidden"])})
    _check_names(document, network.observation_size, observation)
    if not network.hidden or not all(isinstance(width, int) and width > 0 for width in network.hidden):
        raise ValueError(f"its network's hidden layers are {list(network.hidden)}")
    return network


def _kept(target: Target, checkpoint: Path) -> Target:
    """The same class in the file that the run kept when it trained the checkpoint, if there is one."""
    before = max(int(checkpoint.name.rpartition("_")[2]) - 1, 0)  # copies of this step are of a run that went on
    copy = newest_copies(checkpoint.parent.parent / "code", before).get(str(target.file))
    return target if copy is None else target.at(copy)


def _check_names(document: Mapping[str, Any], observation_size: int, observation: Observation) -> None:
    if observation_size != observation.size:
        raise ValueError(f"its network sees {observation_size} numbers, this version gives {observation.size}")
    for name, known in (("activation", ACTIVATIONS), ("action_head", HEADS)):
        if name in document and document[name] not in known:
            raise ValueError(f"its network's {name} is {document[name]}, this version knows {', '.join(known)}")


def _weights(network: Network | OwnNetwork, tensors: Mapping[str, Any]) -> Floats:
    if missing := [name for name, _ in network.arrays() if name not in tensors]:
        raise ValueError(f"{_WEIGHTS} has no {missing[0]}, which its network needs")
    vector = np.empty(network.size(), np.float32)
    network.vector(tensors, vector)
    if not np.isfinite(vector).all():
        raise ValueError(f"{_WEIGHTS} holds numbers that are not finite")
    return vector
