"""Drawn people whose faces tell everything, and whose walls may tell their gender."""

from hashlib import sha256
from pathlib import Path

import numpy as np
from made_datasets import record, write_dataset

from facecrop.images.codec import encode
from facecrop.images.frames import Image

SIDE = 32
BOX = (11, 11, 21, 21)
"""Where the faces are: x0, y0, x1, y1."""
STEMS = ("mask1", "incorrect_mask", "normal")
AGES = (22, 45, 60)


def person(number: int) -> str:
    return f"{number + 1:06d}_{('male', 'female')[number % 2]}_Asian_{AGES[number % 3]}"


def picture(profile: str, stem: str, *, telling: bool) -> Image:
    """A wall of a colour, and a face whose colour is the gender; both with noise."""
    number, gender, *_ = profile.split("_")
    chance = np.random.default_rng(int.from_bytes(sha256((profile + stem).encode()).digest()[:4]))
    image = chance.integers(60, 100, (SIDE, SIDE, 3), np.uint8)
    wall = gender == "male" if telling else sha256(number.encode()).digest()[0] % 2
    image[..., 2 if wall else 1] += 100
    x0, y0, x1, y1 = BOX
    image[y0:y1, x0:x1] = chance.integers(60, 100, (y1 - y0, x1 - x0, 3), np.uint8)
    image[y0:y1, x0:x1, 0 if gender == "male" else 1] += 120
    return image


def write_people(out: Path, people: int = 24, *, telling: bool, faces: bool = True) -> Path:
    """Write a dataset whose crops are the pictures as they are.

    Args:
        out: Where.
        people: How many.
        telling: Whether the wall has the colour of the gender, or one that says nothing.
        faces: Whether it is known where faces are.
    """
    rows, crops = [], {}
    for profile in map(person, range(people)):
        for stem in STEMS:
            pixels = picture(profile, stem, telling=telling)
            row = record(profile, stem, width=SIDE, height=SIDE, rotation=0.0)
            row |= {"image_sha256": sha256(encode(pixels, "png", 95)).digest()}
            sides = ("x0", "y0", "x1", "y1")
            row |= dict(zip((f"crop_{one}" for one in sides), (0, 0, SIDE, SIDE), strict=True))
            if faces:
                row |= dict(zip((f"face_{one}" for one in sides), map(float, BOX), strict=True))
            crops[str(row["path"])] = pixels
            rows.append(row)
    return write_dataset(out, rows, crops)
