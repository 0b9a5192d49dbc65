"""Processes: cores, signals, spawning, torchrun, environment variables. Without PyTorch, which is slow to load."""
