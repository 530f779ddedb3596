"""The contact sheet: a sheet of what became of each picture."""
