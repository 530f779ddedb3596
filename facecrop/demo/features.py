"""Eyes, brows, nose and mouth."""

import numpy as np

from facecrop.demo.face import BROW_LINE, Shape
from facecrop.demo.looks import Looks
from facecrop.demo.marks import crease, draw_marks
from facecrop.demo.strokes import (
    F32,
    Layer,
    blend,
    bump,
    curve,
    darken,
    filled,
    inside,
    lift,
    lines,
    mirrored,
    mix,
)


def draw_features(layer: Layer, looks: Looks, shape: Shape, rng: np.random.Generator) -> None:
    """Draw what lies on the skin, from the marks of age to the brows."""
    draw_marks(layer, looks, shape, rng)
    for side in (-1.0, 1.0):
        _eye(layer, looks, side)
        _brow(layer, looks, side, rng)
    _nose(layer, looks)
    _mouth(layer, looks)


def _eye(layer: Layer, looks: Looks, side: float) -> None:
    x, size = side * looks.eye_gap, 0.205 * looks.eye_size
    sunk = min(looks.lids, 1.5)
    top, low = 0.50 * (1 - 0.30 * sunk), 0.34

    def at(points: list[tuple[float, float]]) -> F32:
        moved = np.array(points, np.float32) * size
        moved[:, 1] -= looks.eye_tilt * moved[:, 0] / size  # the outer corner is a little higher
        return moved * np.array([side, 1], np.float32) + np.array([x, 0], np.float32)

    outer_drop = 0.10 + 0.22 * sunk
    upper = [
        (-1.0, 0.12),
        (-0.6, -0.62 * top),
        (-0.05, -top),
        (0.55, -0.72 * top + 0.1 * sunk),
        (1.02, outer_drop - 0.08),
    ]
    lower = [(0.6, 0.75 * low), (0.05, low), (-0.6, 0.72 * low)]
    darken(
        layer.colour,
        filled(curve(at([(x_ * 1.1, y_ * 1.3) for x_, y_ in [*upper, *lower]]), closed=True), 3),
        (0.80, 0.72, 0.68),
    )
    opening = curve(at([*upper, *lower]), closed=True)
    part = filled(opening, 0.5)
    blend(layer.colour, part, (226, 220, 214))
    centre = (x, -0.02 * 0.2)
    for radius, colour in (
        (0.098, mix(looks.iris, (10, 8, 8), 0.55)),
        (0.086, looks.iris),
        (0.042, (12, 10, 10)),
    ):
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.stack(
            [centre[0] + radius * np.cos(angles), centre[1] + radius * np.sin(angles)], axis=1
        )
        blend(layer.colour, inside(filled(ring, 0.6), part), colour)
    darken(layer.colour, inside(lines([curve(at(upper))], 6, 3), part), (0.55, 0.5, 0.5))
    blend(layer.colour, bump(x - 0.03, -0.045, 0.016, 0.016), (255, 255, 255), 0.9)
    lash = 0.5 - 0.5 * np.tanh(0.9 * looks.lashes)  # women's mean 0.86, men's 0.14
    line = curve(at(upper))
    blend(layer.colour, lines([line], 2 + round(2.2 * lash), 0.5), (30, 22, 20), 0.50 + 0.45 * lash)
    roots = np.arange(1, len(line), 3)
    out = np.stack(
        [side * (0.01 + 0.05 * roots / len(line)), np.full(len(roots), -0.055 - 0.02 * lash)]
    )
    rays = np.stack([line[roots], line[roots] + out.T], axis=1).astype(np.float32)
    blend(layer.colour, lines(rays, 1, 0.4), (26, 20, 18), 0.6 * lash)
    blend(
        layer.colour,
        filled(curve(at([*upper, (0.5, -1.15), (-0.3, -1.2)]), closed=True), 3),
        (120, 78, 84),
        0.26 * lash,
    )
    blend(layer.colour, lines([curve(at(lower))], 1, 0.7), (96, 62, 54), 0.30 + 0.25 * lash)
    fold = [
        (-0.9, -0.25),
        (-0.4, -top - 0.22 + 0.1 * sunk),
        (0.2, -top - 0.25 + 0.16 * sunk),
        (0.9, -0.28 + 0.40 * sunk),
        (1.25, 0.06 + 0.55 * sunk),
    ]
    crease(layer, [curve(at(fold))], 0.40 + 0.75 * sunk, 2.0)
    lift(layer.relief, bump(x + side * 0.07, -0.15, 0.15, 0.05), 2.8 * sunk)


def _brow(layer: Layer, looks: Looks, side: float, rng: np.random.Generator) -> None:
    thick = 0.062 * (1.52 + 0.60 * np.tanh(looks.brow) * 1.2)
    y = BROW_LINE + 0.02 * looks.brow
    spine = curve(
        mirrored([(0.14, y + 0.06), (0.30, y - 0.01), (0.52, y - 0.06), (0.74, y + 0.05)], side),
        n=10,
    )
    taper = (
        np.interp(np.linspace(0, 1, len(spine)), [0, 0.12, 0.5, 1], [0.55, 0.95, 0.9, 0.18])[
            :, None
        ]
        * thick
    )
    up = np.array([0, -0.5], np.float32) * taper
    colour = mix(mix(looks.hair, (24, 18, 16), 0.35), (170, 168, 166), min(0.55 * looks.grey, 0.7))
    blend(layer.colour, filled(np.concatenate([spine + up, (spine - up)[::-1]]), 1.8), colour, 0.62)
    at = rng.integers(0, len(spine) - 2, 46)
    roots = spine[at] + (rng.random((46, 1)) - 0.5) * 2 * up[at]
    lean = np.stack([side * (0.05 + 0.02 * rng.random(46)), -0.05 + 0.05 * at / len(spine)], axis=1)
    hairs = np.stack([roots, roots + lean], axis=1).astype(np.float32)
    blend(layer.colour, lines(hairs, 1, 0.4), mix(colour, (0, 0, 0), 0.3), 0.7)


def _nose(layer: Layer, looks: Looks) -> None:
    tip, half = looks.nose_length, looks.nose_width
    for y in np.linspace(-0.15, tip - 0.12, 7):
        lift(layer.relief, bump(0, float(y), 0.085, 0.09), 2.2 + 3.4 * float(y + 0.2))
    lift(layer.relief, bump(0, tip - 0.06, 0.115, 0.10), 11.0)
    for side in (-1.0, 1.0):
        lift(layer.relief, bump(side * 0.72 * half, tip, 0.07, 0.065), 6.5)
        wing = [(half * 0.98, tip - 0.12), (half * 1.1, tip - 0.01), (half * 0.85, tip + 0.065)]
        darken(layer.colour, lines([curve(mirrored(wing, side))], 2, 1.8), (0.74, 0.62, 0.58))
        darken(
            layer.colour,
            bump(side * 0.44 * half, tip + 0.06, 0.052, 0.022, -0.3 * side),
            (0.24, 0.15, 0.14),
        )
        darken(layer.colour, bump(side * 0.145, 0.1, 0.05, 0.2), (0.92, 0.88, 0.86))
    darken(layer.colour, bump(0, tip + 0.10, 0.2, 0.035), (0.76, 0.68, 0.65))
    blend(layer.colour, bump(0.01, tip - 0.09, 0.035, 0.04), (255, 240, 228), 0.22)


def _mouth(layer: Layer, looks: Looks) -> None:
    y, half = 1.0 * looks.length - 0.06, looks.mouth_width
    full = 0.5 - 0.5 * np.tanh(0.9 * looks.lips)  # women's mean 0.86, men's 0.14
    up, down = 0.055 + 0.065 * full, 0.075 + 0.085 * full
    lift_ = -0.05 * looks.smile
    seam = [
        (-half, y + lift_),
        (-half / 2, y + 0.012),
        (0, y + 0.004),
        (half / 2, y + 0.012),
        (half, y + lift_),
    ]
    upper = [
        *seam,
        (half / 2, y - 0.72 * up),
        (0.07, y - up),
        (0, y - 0.82 * up),
        (-0.07, y - up),
        (-half / 2, y - 0.72 * up),
    ]
    lower = [*seam, (0.62 * half, y + 0.66 * down), (0, y + down), (-0.62 * half, y + 0.66 * down)]
    red = mix(mix(looks.skin, (168, 92, 86), 0.42), (186, 52, 66), 0.75 * float(full))
    blend(
        layer.colour,
        filled(curve(upper, closed=True, n=5), 1.1),
        mix(red, (70, 20, 24), 0.16),
        0.88,
    )
    blend(layer.colour, filled(curve(lower, closed=True, n=5), 1.1), red, 0.84)
    blend(
        layer.colour,
        bump(0, y + 0.55 * down, 0.5 * half, 0.25 * down),
        (255, 226, 222),
        0.18 + 0.2 * float(full),
    )
    darken(layer.colour, lines([curve(seam)], 2, 0.8), (0.34, 0.22, 0.22))
    darken(layer.colour, bump(0, y + down + 0.05, 0.6 * half, 0.03), (0.80, 0.73, 0.70))
    lift(layer.relief, bump(0, y - 0.5 * up, 0.7 * half, 0.5 * up), 3.0)
    lift(layer.relief, bump(0, y + 0.5 * down, 0.6 * half, 0.5 * down), 4.0)
    for side in (-1.0, 1.0):
        darken(layer.colour, bump(side * half * 1.03, y + lift_, 0.03, 0.025), (0.66, 0.56, 0.54))
