"""`facecrop train`: a run, from a split to its report."""
