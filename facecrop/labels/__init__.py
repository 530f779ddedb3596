"""The label track: from names and corrections to labels and splits. Never opens an image."""
