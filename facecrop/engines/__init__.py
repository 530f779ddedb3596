"""Engines: what runs the work. Every engine maps the same items to the same results."""
