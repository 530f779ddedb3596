"""The table of transforms: the name of a setting, and what is built from it."""

from collections.abc import Callable
from typing import Any

from facecrop.training.augment.filters import Relief, Sharpening, Softening
from facecrop.training.augment.geometry import Mirror, Shake
from facecrop.training.augment.histogram import Equalisation, LocalEqualisation
from facecrop.training.augment.jitter import GrayScale, color_jitter
from facecrop.training.augment.noise import Erasing, Grain
from facecrop.training.augment.randaugment import RandomOperations
from facecrop.training.augment.transform import Changes, Recolours

TRANSFORMS: dict[str, Callable[[Any], Recolours | Changes]] = {
    "flip": Mirror,
    "affine": Shake,
    "color-jitter": color_jitter,
    "noise": Grain,
    "gray": GrayScale,
    "clahe": LocalEqualisation,
    "equalize": Equalisation,
    "emboss": Relief,
    "sharpen": Sharpening,
    "blur": Softening,
    "erase": Erasing,
    "rand-augment": RandomOperations,
}
"""Name of the settings class -> what it builds; each takes its own settings class."""
