"""`facecrop explain`: where a run looks."""
