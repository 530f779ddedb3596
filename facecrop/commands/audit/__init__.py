"""`facecrop audit`: what is still wrong with a dataset, found, shown and decided."""
