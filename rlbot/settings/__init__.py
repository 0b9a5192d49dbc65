"""The settings of every command: their types and ranges, reading them with Hydra, checks, and error messages."""
