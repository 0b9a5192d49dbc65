"""RLGym v2: its states from the arrays of a batch."""
