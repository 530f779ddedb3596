"""`facecrop tune`: settings searched, and found again."""
