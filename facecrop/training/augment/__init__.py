"""Augmentation: what training pictures go through on their way to the network, in batches."""

from facecrop.training.augment.batch import Batch
from facecrop.training.augment.colours import normalise
from facecrop.training.augment.pipeline import Augment
from facecrop.training.augment.preview import preview

__all__ = ["Augment", "Batch", "normalise", "preview"]
