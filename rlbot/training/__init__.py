"""The life of a training run: preflight, build, the loop, reports, checkpoints to save, the guard against NaN."""
