"""A dataset of drawn people with names that hurt, and pictures that lie on their side."""

import os
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
from fakes import draw, usual_face, write_png
from made_datasets import texture
from PIL import Image as Pil
from runs import recipe, run

from facecrop.checks.material import Limits
from facecrop.commands.relabel.command import relabel
from facecrop.images.choose.geometry import Crop
from facecrop.images.frames import Image

HOSTILE = "<img src=x onerror=alert(1)>"
TURNED = "000002_female_Asian_40/turned.jpg"
"""A picture whose file says that it is to be turned by a quarter."""
ASIDE = "000003_male_Asian_50/mask1.png"
"""A picture that a correction sets aside."""
TWINS = ("000004_male_Asian_20", "000005_female_Asian_20")
"""Two people who share a picture, so that one of their genders is wrong."""
SAME = Limits(agreement=1, radius=0)
"""So that only equal pictures are taken for one photograph."""
_EXIF_ORIENTATION = 0x0112
_DIM = 200
"""The darkest part of a bright square: more than what a fake detector asks for."""


def dataset(folder: Path) -> Path:
    """Preprocess a small raw folder; return the dataset, beside its `raw`."""
    raw, out = folder / "raw", folder / "out"
    for name, image in _pictures().items():
        write_png(raw / name, image)
    odd = os.fsdecode(b"caf\xe9 & 50%.png") if sys.platform == "linux" else "cafe & 50%.png"
    (raw / "000001_male_Asian_30" / "spare.png").rename(raw / "000001_male_Asian_30" / odd)
    (raw / TURNED).write_bytes(lying(_face(4)))
    run(raw, out, recipe=recipe(background=False).model_copy(update={"crop": Crop(margin=1.0)}))
    manifest = folder / "aside.csv"
    profile, _, file = ASIDE.partition("/")
    manifest.write_text(
        f"profile,name,field,was,now,reason\n{profile},{file[:-4]},keep,yes,no,blurred\n"
    )
    relabel(out, manifests=[manifest])
    return out


def _face(number: int) -> Image:
    """Return a bright square; it and what is behind it have shapes that no other picture has."""
    shapes = texture(number, 96, 64, blob=12)
    image = shapes // 2
    x0, y0, x1, y1 = usual_face().shift(number % 4, number % 7).outward()
    image[y0:y1, x0:x1] = _DIM + shapes[y0:y1, x0:x1] // 5
    return np.asarray(image, np.uint8)


def _pictures() -> dict[str, Image]:
    shared = _face(9)
    return {
        "000001_male_Asian_30/normal.png": _face(0),
        "000001_male_Asian_30/mask1.png": _face(1),
        "000001_male_Asian_30/spare.png": _face(2),
        f"000002_female_{HOSTILE}_40/{HOSTILE}.png": _face(3),
        TURNED: _face(4),
        "000003_male_Asian_50/normal.png": _face(5),
        ASIDE: _face(6),
        "000003_male_Asian_50/mask2.png": draw(face=None, body=False, shade=3),
        f"{TWINS[0]}/normal.png": shared,
        f"{TWINS[0]}/mask1.png": _face(10),
        f"{TWINS[1]}/normal.png": shared,
        f"{TWINS[1]}/mask1.png": _face(12),
    }


def lying(image: Image) -> bytes:
    """Return a JPEG that shows this picture once it is turned as its EXIF says."""
    stored = Pil.fromarray(np.rot90(image).copy())
    exif = Pil.Exif()
    exif[_EXIF_ORIENTATION] = 6  # turn by a quarter, clockwise
    file = BytesIO()
    stored.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def brightest(image: Image, level: int = 170) -> tuple[int, int, int, int]:
    """Return the box around the bright square, x0, y0, x1, y1."""
    rows, columns = np.nonzero(image.min(axis=2) > level)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
