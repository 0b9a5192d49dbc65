"""Run by test_checkpoint.py: forks writers that save in a loop, kills them at random, checks what is left.

python killed_writer.py FOLDER KILLS SEED; prints one JSON object. The fork comes after the import of torch:
a kill costs milliseconds instead of seconds. Needs os.fork.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from rlbot.run.checkpoint import load_checkpoint, prune_checkpoints, save_checkpoint, valid_checkpoints

RUN = "a1"


def save(folder: Path, timesteps: int) -> None:
    weights = torch.full((20_000,), float(timesteps))
    tensors = {"model": {"weight": weights}, "optimizer": {"step": np.array(timesteps)}}
    save_checkpoint(folder, timesteps, tensors, {"loop": {"timesteps": timesteps}}, run_id=RUN)


def write_forever(folder: Path, acknowledged: Path, timesteps: int) -> None:
    log = os.open(acknowledged, os.O_WRONLY | os.O_APPEND)
    while True:
        timesteps += 1
        save(folder, timesteps)
        os.write(log, b"%d\n" % timesteps)
        save(folder, timesteps)  # over the existing one
        prune_checkpoints(folder, run_id=RUN, keep_best=1)


def main(folder: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    acknowledged = folder.parent / "acknowledged.txt"
    acknowledged.touch()
    timesteps, leftovers = 0, set()
    for number in range(kills):
        before = acknowledged.stat().st_size
        child = os.fork()
        if child == 0:
            write_forever(folder, acknowledged, timesteps)
        while number % 2 == 0 and acknowledged.stat().st_size == before:
            time.sleep(0.001)  # every other one has saved something, however busy the machine is
        time.sleep(chance.uniform(0.005, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        promised = max(map(int, acknowledged.read_text().split()), default=0)
        found, warnings = valid_checkpoints(folder)
        assert not warnings, warnings
        if promised:
            tensors, documents = load_checkpoint(found[0])
            timesteps = documents["loop"]["timesteps"]
            assert timesteps >= promised, (timesteps, promised)
            assert torch.equal(tensors["model"]["weight"], torch.full((20_000,), float(timesteps)))
        if folder.exists():
            leftovers |= {entry.name.split("-")[0] for entry in folder.glob(".*")}
    save(folder, timesteps + 1)
    names = sorted(entry.name.split("_")[0] for entry in folder.iterdir())
    print(json.dumps({"timesteps": timesteps, "leftovers": sorted(leftovers), "names": sorted(set(names))}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
