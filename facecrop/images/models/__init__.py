"""Model weights: the table of what there is, and the folder of files, each one checked."""

from facecrop.images.models.registry import Catalogue, Model, read_catalogue
from facecrop.images.models.store import ModelStore, Progress, cure_for, default_folder, parse_own

__all__ = [
    "Catalogue",
    "Model",
    "ModelStore",
    "Progress",
    "cure_for",
    "default_folder",
    "parse_own",
    "read_catalogue",
]
