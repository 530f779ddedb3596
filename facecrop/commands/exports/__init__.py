"""Datasets in the formats of other tools: a table of exporters, and the way back from one."""
