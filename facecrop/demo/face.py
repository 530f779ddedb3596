"""The face: skin, relief, eyes, brows, nose, mouth, and the marks of age."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

from dataclasses import dataclass

import cv2
import numpy as np

from facecrop.demo.looks import Looks
from facecrop.demo.strokes import (
    EYES,
    F32,
    HEIGHT,
    UNIT,
    WIDTH,
    Layer,
    Part,
    Window,
    blend,
    bump,
    curve,
    darken,
    filled,
    lift,
    lines,
    mirrored,
    mix,
)

CHIN = 1.42
"""Height of the chin below the eyes of a face of middle length, in drawing units."""

BROW_LINE = -0.36
_LEVELS = (-1.5, -1.38, -1.1, -0.7, -0.3, 0.0, 0.35, 0.7, 0.95, 1.18, 1.34, CHIN)
_HALF_WIDTHS = (0.0, 0.42, 0.76, 0.93, 0.99, 1.0, 0.96, 0.86, 0.72, 0.5, 0.27, 0.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """The outline of a face.

    Args:
        outline: (N, 2) closed line, drawing units.
        chin: Height of its lowest point.
    """

    outline: F32
    chin: float

    def half_width(self, y: float) -> float:
        """Return half the width of the face at a height, drawing units."""
        right = self.outline[self.outline[:, 0] >= 0]
        order = np.argsort(right[:, 1])
        return float(np.interp(y, right[order, 1], right[order, 0]))


def shape_of(looks: Looks) -> Shape:
    """Return the outline: the jaw cue widens jaw and chin, the jowls sag beside the chin."""
    points = []
    for y, half in zip(_LEVELS, _HALF_WIDTHS, strict=True):
        jaw = float(np.interp(y, (0.2, 0.95, 1.25, CHIN), (0, 0.062, 0.10, 0.0))) * looks.jaw
        jowl = 0.06 * looks.jowls * float(np.exp(-(((y - 1.08) / 0.16) ** 2)))
        points.append((looks.width * (half + jaw + jowl), y * looks.length))
    left = [(-x, y) for x, y in reversed(points[1:-1])]
    return Shape(curve(points + left, closed=True), CHIN * looks.length)


def draw_skin(layer: Layer, looks: Looks, shape: Shape, rng: np.random.Generator) -> None:
    """Draw neck-up skin: head, ears, their relief, and the texture of the skin."""
    skin = looks.skin
    for side in (-1.0, 1.0):
        ear = mirrored(
            [(0.93, -0.2), (1.1, -0.24), (1.17, -0.05), (1.11, 0.25), (0.98, 0.42), (0.9, 0.3)],
            side,
        )
        part = filled(curve(ear * (1, looks.ears), closed=True))
        blend(layer.colour, part, mix(skin, (205, 120, 100), 0.22))
        np.maximum(layer.alpha[part[0]], part[1], out=layer.alpha[part[0]])
        darken(
            layer.colour,
            lines([curve(mirrored([(1.02, -0.13), (1.1, -0.1), (1.06, 0.2)], side))], 3, 1.5),
            (0.75, 0.66, 0.62),
        )
    head = filled(shape.outline)
    window, cover = head
    blend(layer.colour, head, skin)
    np.maximum(layer.alpha[window], cover, out=layer.alpha[window])
    # On the whole canvas, for the features' windows; only the head's part of it is kept.
    relief = _head_relief(shape, window)
    np.maximum(layer.relief[window], relief[window] * (cover > 0), out=layer.relief[window])
    _texture(layer, looks, head, rng)
    for side in (-1.0, 1.0):  # blood in cheeks, ears and nose
        blend(
            layer.colour, bump(side * 0.55, 0.48, 0.24, 0.18), mix(skin, (214, 96, 84), 0.5), 0.34
        )
    blend(layer.colour, bump(0, 0.55, 0.16, 0.14), mix(skin, (214, 96, 84), 0.5), 0.25)


def _head_relief(shape: Shape, window: Window) -> F32:
    relief = np.zeros((HEIGHT, WIDTH), np.float32)
    rows, columns = window
    ys = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - EYES[1]) / UNIT
    xs = (np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - EYES[0]) / UNIT
    wide = 1.14 - 0.16 * np.clip(ys - 0.3, 0, 1.2)
    r2 = (xs / wide) ** 2 + ((ys + 0.05) / (1.14 * shape.chin)) ** 2
    relief[window] = UNIT * 0.95 * np.sqrt(np.maximum(1 - r2, 0.02))
    for part, height in _features_relief():
        lift(relief, part, height)
    return relief


def _features_relief() -> list[tuple[Part, float]]:
    both = [-1.0, 1.0]
    return [
        (bump(0, -0.36, 0.55, 0.10), 3.0),  # brow ridge
        *((bump(s * 0.43, -0.02, 0.24, 0.15), -6.0) for s in both),  # eye sockets
        *((bump(s * 0.43, 0.0, 0.15, 0.085), 4.5) for s in both),  # eyeballs
        *((bump(s * 0.62, 0.40, 0.22, 0.17), 4.5) for s in both),  # cheekbones
        (bump(0, 0.85, 0.30, 0.16), 4.0),  # muzzle
        (bump(0, 1.24, 0.20, 0.12), 5.0),  # chin
        (bump(0, 1.07, 0.22, 0.05), -3.0),  # hollow above the chin
        *((bump(s * 0.72, 0.85, 0.16, 0.22), -3.0) for s in both),  # hollow of the cheeks
    ]


def _texture(layer: Layer, looks: Looks, head: Part, rng: np.random.Generator) -> None:
    window, cover = head
    height, width = cover.shape
    coarse = rng.standard_normal((height // 12, width // 12), np.float32)
    fine = rng.standard_normal((height // 2, width // 2), np.float32)
    mottle = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    pores = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    rough = 0.010 + 0.022 * looks.spots
    tone = 1 + (rough * pores + (0.010 + 0.016 * looks.spots) * mottle) * cover
    layer.colour[window] *= tone[..., None]
    layer.relief[window] += (0.08 + 0.20 * looks.spots) * pores * cover
    n = int(34 * looks.spots)
    places = rng.uniform((-0.9, -0.95), (0.9, 1.1), (120, 2))
    sizes = rng.uniform(0.014, 0.05, 120)
    for (x, y), size in zip(places[:n], sizes[:n], strict=True):
        on_skin = abs(x) < 0.92 * np.sqrt(max(1 - (y / 1.4) ** 2, 0))
        if on_skin and not (abs(abs(x) - 0.43) < 0.26 and abs(y) < 0.14):
            darken(
                layer.colour,
                bump(float(x), float(y), float(size), 0.8 * float(size)),
                (0.80, 0.70, 0.60),
            )
