"""`python -m rlbot.processes.child MODULE ARGUMENT...`: as `python -m MODULE ARGUMENT...`, but ends with its parent.

The parent starts it with a pipe as stdin. When the parent ends, in whatever way, the pipe is closed, and this process
ends at once. For commands that must react to stop signals; `rlbot.processes.spawn` is for other child processes.
"""

import os
import runpy
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1024):  # not sys.stdin, whose lock would be held when Python shuts down
        pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
