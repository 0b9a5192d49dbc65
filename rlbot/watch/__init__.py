"""The page that shows matches in a browser, its server, and the match that is played while somebody watches."""
