"""Neck, shoulders and clothes."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

import cv2
import numpy as np

from facecrop.demo.face import Shape
from facecrop.demo.looks import Looks
from facecrop.demo.strokes import (
    EYES,
    F32,
    HEIGHT,
    UNIT,
    WIDTH,
    Colour,
    Layer,
    Part,
    blend,
    bump,
    curve,
    darken,
    filled,
    floats,
    lines,
    mirrored,
    mix,
)

_CLOTH: tuple[Colour, ...] = (
    (44, 52, 74), (30, 30, 34), (226, 224, 220), (120, 30, 42), (66, 92, 72), (150, 164, 186),
    (196, 172, 138), (88, 66, 96), (206, 140, 150), (60, 110, 140), (110, 112, 116), (214, 186, 96),
)  # fmt: skip
_STYLES = ("crew", "vee", "shirt", "jacket", "turtleneck", "hoodie")


def draw_body(layer: Layer, looks: Looks, shape: Shape, rng: np.random.Generator) -> None:
    """Draw neck and clothes; clothes tell nothing of gender or age."""
    neck = 0.56 + 0.085 * looks.neck
    _neck(layer, looks, shape, neck)
    style = str(rng.choice(_STYLES))
    colour = mix(
        _CLOTH[int(rng.integers(len(_CLOTH)))], (128, 128, 128), 0.25 * float(rng.random())
    )
    shoulder = 2.05 + 0.25 * float(rng.random())
    drop = 2.32 + 0.15 * float(rng.random())
    opening = {
        "vee": 0.95,
        "shirt": 0.55,
        "jacket": 0.9,
        "crew": 0.30,
        "turtleneck": -0.38,
        "hoodie": 0.34,
    }[style]
    base = 1.66
    right = [
        (neck + 0.06, base),
        (neck + 0.50, base + 0.22),
        (0.74 * shoulder, drop - 0.27),
        (shoulder, drop),
        (shoulder + 0.35, 3.0),
        (shoulder + 0.5, 4.3),
    ]
    neckline = [
        (-0.75 * neck, base + 0.62 * opening),
        (0, base + opening),
        (0.75 * neck, base + 0.62 * opening),
    ]
    if style == "turtleneck":
        neckline = [
            (-neck - 0.03, base + opening),
            (0, base + opening + 0.16),
            (neck + 0.03, base + opening),
        ]
    outline = [
        *curve(right),
        *curve([(-x, y) for x, y in reversed(right)]),
        *curve([(-neck - 0.06, base), *neckline, (neck + 0.06, base)], n=5),
    ]
    cover = filled(np.array(outline, np.float32), 0.8)
    blend(layer.colour, cover, colour)
    np.maximum(layer.alpha[cover[0]], cover[1], out=layer.alpha[cover[0]])
    layer.relief[cover[0]] = np.where(
        cover[1] > 0.5, _shoulder_relief()[cover[0]], layer.relief[cover[0]]
    )
    _weave(layer, cover, rng)
    _details(layer, style, colour, neck=neck, base=base, opening=opening)


def _neck(layer: Layer, looks: Looks, shape: Shape, neck: float) -> None:
    right = [
        (0.96 * neck + 0.05, 0.7),
        (neck, 1.35),
        (neck + 0.05, 1.7),
        (neck + 0.55, 1.98),
        (0.5, 3.0),
    ]
    outline = curve([*right, *[(-x, y) for x, y in reversed(right)]], closed=True)
    cover = filled(outline, 0.8)
    blend(layer.colour, cover, mix(looks.skin, (150, 96, 72), 0.10))
    np.maximum(layer.alpha[cover[0]], cover[1], out=layer.alpha[cover[0]])
    xs = (np.arange(WIDTH, dtype=np.float32)[None, :] - EYES[0]) / UNIT
    round_ = (UNIT * 0.42 * np.sqrt(np.maximum(1 - (xs / (1.25 * neck)) ** 2, 0.02))).astype(
        np.float32
    )
    window, part = cover
    layer.relief[window] = np.where(
        part > 0.5, np.broadcast_to(round_, layer.relief.shape)[window], layer.relief[window]
    )
    for side in (-1.0, 1.0):  # the two muscles that meet at the throat
        darken(
            layer.colour,
            lines(
                [curve(mirrored([(0.72 * neck, 1.3), (0.4 * neck, 1.7), (0.1, 2.02)], side))],
                4,
                3.5,
            ),
            (0.90, 0.86, 0.84),
        )
        darken(
            layer.colour,
            lines([curve(mirrored([(0.08, 2.06), (0.4, 2.0), (0.9, 1.98)], side))], 3, 2.5),
            (0.84, 0.79, 0.76),
        )
    shadow = [
        (-0.95, 0.9),
        (-0.6, shape.chin + 0.12),
        (0, shape.chin + 0.34),
        (0.6, shape.chin + 0.12),
        (0.95, 0.9),
    ]
    darken(layer.colour, filled(curve(shadow, closed=True), 9), (0.58, 0.47, 0.43))
    blend(layer.colour, bump(0, 1.72, 0.07 * (1 + 0.3 * looks.neck), 0.11), (255, 230, 210), 0.05)


def _shoulder_relief() -> F32:
    ys = (np.arange(HEIGHT, dtype=np.float32)[:, None] - EYES[1]) / UNIT
    xs = (np.arange(WIDTH, dtype=np.float32)[None, :] - EYES[0]) / UNIT
    round_ = 0.5 * np.sqrt(np.maximum(1 - (xs / 3.1) ** 2, 0.02))
    forward = 0.28 * np.clip((ys - 1.8) / 1.6, 0, 1)
    return floats(UNIT * (round_ + forward))


def _weave(layer: Layer, cover: Part, rng: np.random.Generator) -> None:
    """Give the cloth folds, a weave, and now and then stripes or checks."""
    window, part = cover
    height, width = part.shape
    folds = rng.standard_normal((max(height // 60, 2), max(width // 26, 2))).astype(np.float32)
    wide = cv2.resize(folds, (width, height), interpolation=cv2.INTER_CUBIC)
    layer.relief[window] += 2.4 * wide * part
    threads = rng.standard_normal(((height + 1) // 2, (width + 1) // 2), np.float32)
    tone = 1 + 0.025 * cv2.resize(threads, (width, height), interpolation=cv2.INTER_NEAREST)
    kind = rng.random()
    step, second = int(rng.integers(10, 26)), (rng.random(3) * 0.5 + 0.6).astype(np.float32)
    band = np.zeros((height, width), np.float32)
    if kind < 0.12:
        band[(np.arange(height) // step) % 2 == 0] = 1
    elif kind < 0.2:
        band += (
            0.5 * ((np.arange(width) // step) % 2)[None]
            + 0.5 * ((np.arange(height) // step) % 2)[:, None]
        )
    here = layer.colour[window]
    here *= (1 + (tone - 1) * part)[..., None] * (
        1 + band[..., None] * part[..., None] * (second - 1)
    )


def _details(
    layer: Layer, style: str, colour: Colour, *, neck: float, base: float, opening: float
) -> None:
    dark, light = mix(colour, (0, 0, 0), 0.45), mix(colour, (255, 255, 255), 0.25)
    low = base + opening
    for side in (-1.0, 1.0):
        if style == "shirt":
            collar = [
                (neck - 0.02, base - 0.12),
                (neck + 0.26, base + 0.22),
                (0.36, low + 0.28),
                (0.02, low - 0.02),
            ]
            blend(layer.colour, filled(mirrored(collar, side), 0.8), light)
            blend(layer.colour, lines([mirrored([*collar[1:]], side)], 2, 1), dark, 0.5)
        elif style == "jacket":
            lapel = [
                (neck + 0.02, base - 0.06),
                (neck + 0.48, base + 0.5),
                (0.62, low - 0.05),
                (0.05, low + 0.9),
                (0.02, low),
            ]
            blend(layer.colour, filled(mirrored(lapel, side), 0.8), mix(colour, (0, 0, 0), 0.2))
            blend(layer.colour, lines([mirrored(lapel[:4], side)], 2, 1), dark, 0.6)
        elif style == "hoodie":
            hood = [
                (neck - 0.04, base - 0.16),
                (neck + 0.42, base + 0.12),
                (0.62, low + 0.1),
                (0.2, low + 0.02),
            ]
            blend(
                layer.colour,
                filled(curve(mirrored(hood, side), closed=True), 1.2),
                mix(colour, (0, 0, 0), 0.18),
            )
            blend(
                layer.colour,
                lines([mirrored([(0.3, low + 0.1), (0.32, low + 0.9)], side)], 3, 0.6),
                light,
                0.9,
            )
        else:
            half = [(neck + 0.04, base), (0.75 * neck, base + 0.62 * opening), (0.0, low)]
            darken(layer.colour, lines([curve(mirrored(half, side))], 3, 1.6), (0.72, 0.72, 0.72))
    if style in {"shirt", "jacket"}:
        blend(layer.colour, lines([[(0, low), (0, 4.2)]], 2, 1), dark, 0.6)
        for y in np.arange(low + 0.25, 4.0, 0.5):
            blend(layer.colour, bump(0.05, float(y), 0.025, 0.025), light, 0.8)
