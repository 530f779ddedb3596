"""`facecrop relabel`: labels corrected from manifests."""
