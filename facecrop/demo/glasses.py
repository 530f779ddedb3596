"""Glasses, worn by one person in seven."""

import numpy as np

from facecrop.demo.looks import Looks
from facecrop.demo.strokes import Colour, Layer, blend, curve, darken, filled, lines, mirrored

_FRAMES: tuple[Colour, ...] = ((26, 24, 26), (70, 44, 30), (140, 142, 148), (120, 96, 50))


def draw_glasses(layer: Layer, looks: Looks, rng: np.random.Generator) -> None:
    """Draw frame, glint and shadow over the eyes."""
    colour = _FRAMES[int(rng.integers(len(_FRAMES)))]
    square, thick = float(rng.uniform(0, 1)), int(rng.integers(2, 4))
    x, w, h = looks.eye_gap + 0.01, 0.30, 0.19 + 0.03 * (1 - square)
    corner = 0.72 + 0.2 * square
    ring = [
        (-w, 0),
        (-corner * w, -corner * h),
        (0, -h),
        (corner * w, -corner * h),
        (w, 0),
        (corner * w, corner * h),
        (0, h),
        (-corner * w, corner * h),
    ]
    for side in (-1.0, 1.0):
        rim = curve(mirrored(np.array(ring) + np.array([x, 0.02]), side), closed=True)
        rim = np.concatenate([rim, rim[:1]])
        darken(
            layer.colour,
            lines([rim + np.array([0, 0.03], np.float32)], thick + 1, 2),
            (0.82, 0.77, 0.75),
        )
        blend(layer.colour, filled(rim), (235, 240, 245), 0.05)
        arm = mirrored([(x + w, -0.02), (1.02, -0.08)], side)
        blend(layer.colour, lines([rim, arm], thick, 0.5), colour, 0.95)
    bridge = curve([(-x + w, 0.0), (0, -0.05), (x - w, 0.0)])
    blend(layer.colour, lines([bridge], thick, 0.5), colour, 0.95)
