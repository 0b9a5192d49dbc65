"""The viewer that shows matches in a browser, its web server, and matches that are played live."""
