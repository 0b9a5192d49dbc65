"""Which values are allowed, and the error message for others, from the command line and from Python alike."""
