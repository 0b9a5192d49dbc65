"""A policy trained by reinforcement learning, for RLBot v5, which starts it by the command in bot.toml.

`python bot.py --self-test` checks that it plays as it was trained.
"""

import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # with one car, more threads only cost time
FOLDER = Path(__file__).resolve().parent

if sys.version_info < (3, 11):
    sys.exit(f"[ERROR] This is Python {sys.version.split()[0]}; RLBot v5 bots need 3.11 or later, see README.md")
try:
    import numpy  # noqa: F401
    from rlbot import flat
    from rlbot.managers import Bot
except ImportError as error:
    package = (error.name or "rlbot").partition(".")[0]
    sys.exit(
        f"[ERROR] The package {package}, as RLBot v5 bots need it, is missing ({error});\n"
        f"in {FOLDER} run: python -m pip install -r requirements.txt"
    )

from agent.files import BrokenFolder, load_network, make_pilot, read_manifest
from agent.pilot import NEUTRAL
from agent.recording import controller


class TrainedBot(Bot):
    """Hands packets to the pilot and its controls to the game."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        super().__init__(manifest["agent_id"])
        self._manifest = manifest
        self._network = load_network(FOLDER, manifest)
        self._warned_missing = False

    def initialize(self) -> None:
        self._pilot = make_pilot(self._manifest, self._network, self.field_info.boost_pads)
        if missing := self._pilot.tracker.missing_pads:
            self.logger.warning(
                "This map lacks %s of the boost pads used in training, the first at %s: "
                "the bot plays as if they were active", len(missing), missing[0],
            )  # fmt: skip

    def get_output(self, packet: flat.GamePacket) -> flat.ControllerState:
        indices = [i for i, player in enumerate(packet.players) if player.player_id == self.player_id]
        if not indices:
            if not self._warned_missing:
                self.logger.warning("No player of the packet has the id %s, which is this bot's", self.player_id)
            self._warned_missing = True
            return controller(flat, NEUTRAL.tolist())
        self.index, self._warned_missing = indices[0], False  # the order of the players may change
        return controller(flat, self._pilot.controls(packet, self.player_id).tolist())


def main() -> int:
    if "--self-test" in sys.argv[1:]:
        from agent import self_test

        result = self_test.run(FOLDER, flat)
        for fault in result.faults[:10]:
            print(f"[ERROR] {fault}")
        verdict = f"[ERROR] {len(result.faults)} differences" if result.faults else "[OK] It plays as it was trained"
        print(f"{verdict}: {result.summary}")
        return 1 if result.faults else 0
    TrainedBot(read_manifest(FOLDER)).run(wants_match_communications=False, wants_ball_predictions=False)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenFolder as error:
        sys.exit(f"[ERROR] {error}; export it again, or get the whole folder")
