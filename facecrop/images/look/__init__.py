"""Look: what models say about one image, remembered by content."""
