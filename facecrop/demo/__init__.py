"""Drawn people: portraits with known labels, boxes and mattes, and the faults of real folders."""
