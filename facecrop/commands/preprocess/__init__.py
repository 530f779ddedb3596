"""`facecrop preprocess`: raw profile folders become a dataset, and stay one."""
