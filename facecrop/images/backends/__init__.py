"""Model backends, one file each: settings, and prepare, infer, interpret."""
