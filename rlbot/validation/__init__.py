"""What `python -m rlbot.validate` checks: each function does the thing for real and says what it found, or raises."""
