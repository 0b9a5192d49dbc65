"""`python -m rlbot.sweep multirun/DATE/TIME`: table and plot of a sweep, finished or still running."""

import sys
from pathlib import Path

from rlbot.processes.text import printable
from rlbot.sweep.report import report


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("[ERROR] give the directory of a sweep: python -m rlbot.sweep multirun/DATE/TIME", file=sys.stderr)
        return 1
    lines = report(Path(arguments[0]))
    for line in lines:
        print(printable(line))
    if not lines:
        print(printable(f"[ERROR] {arguments[0]}: no job has ended yet"), file=sys.stderr)
    return 0 if lines else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
