"""What values are allowed, and the line for one that is not: the same from the command line and from Python."""
