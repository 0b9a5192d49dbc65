"""Processes: cores, signals, spawning, torchrun, environment variables. Does not import PyTorch, which is slow."""
