"""`facecrop stats`: a dataset in numbers and pictures."""
