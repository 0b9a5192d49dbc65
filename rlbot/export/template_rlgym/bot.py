"""A policy trained by reinforcement learning, for RLBot v5 through rlgym-rlbot.

`python bot.py --self-test` checks that its observations are those of the training.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # with one car, more threads only cost time
FOLDER = Path(__file__).resolve().parent

try:
    import numpy as np
    from rlgym_compat import GameState
    from rlgym_rlbot import RLGymBot, RLGymBotConfig
    from rlgym_rlbot.rlgym_bot import StepOffset, StepOffsetRelativeTo

    from rlbot import flat
except ImportError as error:
    package = (error.name or "rlgym_rlbot").partition(".")[0]
    sys.exit(
        f"[ERROR] The package {package}, as rlgym-rlbot needs it, is missing ({error});\n"
        f"in {FOLDER} run: python -m pip install -r requirements.txt"
    )

from act import TrainedAct
from agent.files import RECORDING, BrokenFolder, load_network, read_arrays, read_manifest
from agent.recording import field_info, packet
from obs import TrainedObs

TOLERANCE = 1e-5
# Numbers that rlgym-compat knows less exactly: wheels on the ground during a jump, and the time since a jump ended.
INEXACT = ("on_ground", "has_flip", "air_time_since_jump")


class TrainedBot(RLGymBot):
    def __init__(self, manifest: dict[str, Any]) -> None:
        self._network = load_network(FOLDER, manifest)
        self._generator = None if manifest["deterministic"] else np.random.default_rng()
        super().__init__(
            obs_builder(manifest),
            TrainedAct(manifest["tick_skip"]),
            default_agent_id=manifest["agent_id"],
            config=RLGymBotConfig(step_offset=StepOffset(-manifest["action_delay"], StepOffsetRelativeTo.ACTION_END)),
        )

    def get_action(self, obs: np.ndarray, game_state: GameState, packet: flat.GamePacket) -> np.ndarray:
        logits = self._network.logits(obs)
        if self._generator is None:
            return self._network.likeliest(logits)
        return self._network.draw(logits, self._generator)


def obs_builder(manifest: dict[str, Any]) -> TrainedObs:
    cooldowns = [cooldown for _, _, cooldown in manifest["constants"]["boost_pads"]]
    return TrainedObs(cooldowns, elapsed_timers=True, size=manifest["network"]["observation_size"])


def self_test(manifest: dict[str, Any]) -> list[str]:
    """Returns a line for each difference from the recorded play."""
    recorded, names = read_arrays(FOLDER, manifest, RECORDING), []
    for name, size in manifest["observation"]:
        names += [name] * size
    exact = np.array([name.partition(".")[2] not in INEXACT for name in names])
    pads = np.array(manifest["constants"]["boost_pads"])[recorded["pad_order"]].tolist()
    builder, faults, count, first_frame = obs_builder(manifest), [], 0, 0
    state, shared_info = None, {"previous_controls": {}}
    for i, player_id in enumerate(recorded["player_id"].tolist()):
        frame, phase = recorded["info"][i].tolist()
        if recorded["first"][i]:
            state = GameState.create_compat_game_state(field_info(flat, pads))
            first_frame, shared_info["previous_controls"] = frame, {}
        state.update(packet(flat, frame, phase, recorded["ball"][i], recorded["pads"][i], recorded["cars"][i]))
        if (frame - first_frame) % manifest["tick_skip"]:
            continue
        found = builder.build_obs([player_id], state, shared_info)[player_id]
        difference = np.abs(found - recorded["observations"][count]) * exact
        if difference.max() > TOLERANCE:
            faults.append(f"packet {i}: {names[int(difference.argmax())]} differs by {difference.max():.2g}")
        shared_info["previous_controls"][player_id] = recorded["controls"][count].tolist()
        count += 1
    print(f"{len(recorded['info'])} packets; {count} observations; {int(exact.sum())} of {len(exact)} numbers compared")
    return faults


def main() -> int:
    manifest = read_manifest(FOLDER)
    if "--self-test" in sys.argv[1:]:
        faults = self_test(manifest)
        for fault in faults[:10]:
            print(f"[ERROR] {fault}")
        print(f"[ERROR] {len(faults)} differences" if faults else "[OK] It sees what it was trained to see")
        return 1 if faults else 0
    TrainedBot(manifest).run(wants_match_communications=False, wants_ball_predictions=False)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenFolder as error:
        sys.exit(f"[ERROR] {error}; export it again, or get the whole folder")
