"""One library function for each command; no terminal."""
