"""The checks of `python -m rlbot.validate`: each function uses what it checks, and returns what it found or raises."""
