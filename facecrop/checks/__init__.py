"""Audit checks, one per file."""
