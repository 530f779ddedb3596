"""Explain: where a network looks when it answers, as pictures and as numbers."""
