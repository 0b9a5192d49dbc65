"""Settings of every command: types, YAML and command line to objects, checks, Hydra, the wording of errors."""
