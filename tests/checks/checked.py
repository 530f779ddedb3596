"""Looking at a dataset with one check."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facecrop.checks.check import Issue
from facecrop.checks.material import Material
from facecrop.checks.table import CHECKS
from facecrop.demo.people import draw_person
from facecrop.demo.portrait import portraits
from facecrop.images.frames import Image

SIDE = 128


def found(out: Path, name: str, **material: Any) -> list[Issue]:
    """Return what a check finds in a dataset."""
    return list(CHECKS.load(name).find(Material(out, **material)))


def paths(issues: list[Issue]) -> list[str]:
    """Return the records that issues are about, each issue's first."""
    return [issue.paths[0] for issue in issues]


@cache
def face(number: int = 0) -> Image:
    """Return a drawn face that fills the picture, sharp, well lit and coloured."""
    portrait = next(dict([one]) for one in _normal(number))["normal"]
    box = portrait.face.grow(0.2).clip(portrait.image.shape[1], portrait.image.shape[0])
    x0, y0, x1, y1 = map(int, box.corners)
    cut = portrait.image[y0:y1, x0:x1]
    return np.asarray(cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _normal(number: int) -> Iterator[Any]:
    return portraits(11, draw_person(11, number), ("normal",))
