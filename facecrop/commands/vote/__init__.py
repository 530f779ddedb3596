"""`facecrop vote`: predictions that decide together."""
