"""The pixel track: from raw image to crop. Never knows a label."""
