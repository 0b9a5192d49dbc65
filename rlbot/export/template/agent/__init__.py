"""Plays the exported policy from RLBot's game packets. It needs NumPy and nothing else."""
