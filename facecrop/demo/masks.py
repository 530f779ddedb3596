"""Masks of several kinds and colours, worn high, low, on the chin or on the neck."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

from dataclasses import dataclass

import cv2
import numpy as np

from facecrop.demo.face import Shape
from facecrop.demo.people import Wear
from facecrop.demo.strokes import (
    F32,
    Colour,
    Layer,
    Part,
    Window,
    around,
    blend,
    bump,
    curve,
    darken,
    filled,
    inside,
    lift,
    lines,
    lowered,
    mirrored,
    mix,
)

_KINDS = ("surgical", "boat", "cone", "cloth")
_REACH = 24  # pixels that shadow and rim reach beyond mask and straps
_COLOURS: dict[str, tuple[Colour, ...]] = {
    "surgical": (
        (152, 190, 214), (152, 190, 214), (232, 234, 236), (60, 62, 68), (226, 178, 190),
        (150, 200, 180),
    ),
    "boat": ((236, 236, 234), (236, 236, 234), (48, 48, 52), (190, 192, 196), (214, 196, 178)),
    "cone": ((238, 238, 238), (52, 52, 56), (206, 212, 222)),
    "cloth": (
        (40, 44, 70), (150, 54, 60), (92, 110, 84), (206, 190, 160), (116, 90, 132), (30, 30, 32),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fabric:
    """Which mask it is; it tells nothing of the person or of how it is worn."""

    kind: str
    colour: Colour
    pattern: float
    wire: float


def draw_fabric(rng: np.random.Generator) -> Fabric:
    """Draw a mask from the box."""
    kind = str(rng.choice(_KINDS, p=(0.5, 0.25, 0.12, 0.13)))
    colours = _COLOURS[kind]
    colour = colours[int(rng.integers(len(colours)))]
    return Fabric(kind, colour, float(rng.random()), float(rng.uniform(0.5, 1.0)))


def put_on(layer: Layer, shape: Shape, wear: Wear, fabric: Fabric) -> Window | None:
    """Draw the mask onto a layer, and return the window that it changed; None without a mask."""
    if wear.top is None or wear.bottom is None:
        return None
    top, bottom = wear.top * shape.chin, wear.bottom * shape.chin
    outline, width = _outline(shape, top, bottom, fabric)
    straps = _straps(layer, shape, top, bottom, width)
    cover = filled(outline, 0.7)
    window, inner = cover
    darken(layer.colour, filled(outline + np.array([0, 0.035], np.float32), 4), (0.66, 0.58, 0.55))
    blend(layer.colour, cover, fabric.colour)
    np.maximum(layer.alpha[window], inner, out=layer.alpha[window])
    _bulge(layer, cover, outline, top=top, bottom=bottom, fabric=fabric)
    _seams(layer, cover, top=top, bottom=bottom, width=width, fabric=fabric)
    return around([cover, *straps], _REACH)


def _outline(shape: Shape, top: float, bottom: float, fabric: Fabric) -> tuple[F32, float]:
    """Return the edge of the mask, and half its width."""
    tall = bottom - top
    neck = float(np.interp(top, (1.3 * shape.chin / 1.42, 1.6), (0, 1)))  # slips off the face
    hold = shape.half_width(min(top + 0.35 * tall, 0.86 * shape.chin))
    width = (0.985 * hold + 0.01) * (1 - 0.28 * neck)
    rise = {"surgical": 0.10, "boat": 0.16, "cone": 0.14, "cloth": 0.12}[fabric.kind] * (
        1 - 0.7 * neck
    )
    side_top, side_low = top + rise + 0.16 * tall, bottom - 0.30 * tall
    low_width = min(shape.half_width(min(side_low, shape.chin)) + 0.05, width)
    low_width = max(low_width, (0.62 + 0.38 * neck) * width)
    right = [
        (0.16, top + 0.012),
        (0.42, top + 0.55 * rise + 0.02),
        (width, side_top),
        (0.5 * (width + low_width) + 0.01, 0.5 * (side_top + side_low)),
        (low_width, side_low),
        (0.64 * low_width, bottom - 0.075 * tall),
    ]
    points = [(0.0, top), *right, (0.0, bottom), *[(-x, y) for x, y in reversed(right)]]
    return curve(points, closed=True, n=5), width


def _straps(layer: Layer, shape: Shape, top: float, bottom: float, width: float) -> list[Part]:
    tall = bottom - top
    drawn = []
    for side in (-1.0, 1.0):
        ear = 1.02 * shape.half_width(0.0)
        upper = [(0.96 * width, top + 0.24 * tall), (ear, min(0.02, top - 0.2))]
        lower = [(0.94 * width, bottom - 0.34 * tall), (ear, 0.34)]
        paths = [mirrored(upper, side), mirrored(lower, side)]
        drawn.append(lines(paths, 2, 0.6))
        darken(layer.colour, lowered(drawn[-1], 2), (0.72, 0.66, 0.63))
        blend(layer.colour, drawn[-1], (232, 232, 230), 0.95)
    return drawn


def _bulge(
    layer: Layer, cover: Part, outline: F32, *, top: float, bottom: float, fabric: Fabric
) -> None:
    """Replace the relief of nose and mouth by that of a stretched cloth."""
    window, inner = cover
    here = layer.relief[window]
    here += (cv2.GaussianBlur(here, (0, 0), 6) - here) * inner
    tall = bottom - top
    height = {"surgical": 5.0, "boat": 13.0, "cone": 15.0, "cloth": 7.0}[fabric.kind] * min(
        tall / 1.2, 1.0
    )
    dome = bump(0, top + 0.42 * tall, 0.36, 0.26 * tall + 0.05)
    rim = filled(outline, 2.5)
    lift(layer.relief, inside(dome, rim), height)
    lift(layer.relief, rim, 2.5)
    # A mask pulled together lies in folds.
    slack = max(0.0, 1.0 - tall / 0.75)
    if slack:
        for k in range(3):
            y = top + tall * (0.28 + 0.22 * k)
            fold = lines([curve([(-0.5, y - 0.02), (0, y + 0.03), (0.5, y - 0.02)])], 2, 1.6)
            fold = inside(fold, cover)
            lift(layer.relief, fold, -2.5 * slack)
            darken(layer.colour, fold, (1 - 0.25 * slack,) * 3)


def _seams(
    layer: Layer, cover: Part, *, top: float, bottom: float, width: float, fabric: Fabric
) -> None:
    tall = bottom - top
    dark = mix(fabric.colour, (0, 0, 0), 0.30)
    pale = mix(fabric.colour, (255, 255, 255), 0.35)

    def across(y: float, sag: float, reach: float = 0.93) -> F32:
        w = reach * width
        return curve([(-w, y - sag), (-0.5 * w, y), (0, y + 0.5 * sag), (0.5 * w, y), (w, y - sag)])

    def clipped(part: Part) -> Part:
        return inside(part, cover)

    if fabric.kind == "surgical":
        for share in (0.30, 0.50, 0.70):
            pleat = clipped(lines([across(top + share * tall, -0.02)], 2, 0.9))
            blend(layer.colour, pleat, dark, 0.75)
            lift(layer.relief, lowered(pleat, 3), 3.0)
        blend(
            layer.colour, clipped(lines([across(top + 0.07 * tall, -0.05, 0.6)], 3, 1.2)), pale, 0.5
        )
    elif fabric.kind == "boat":
        for share in (0.34, 0.68):
            blend(
                layer.colour,
                clipped(
                    lines([across(top + share * tall, 0.06 if share < 0.5 else -0.06)], 2, 0.8)
                ),
                dark,
                0.6,
            )
    elif fabric.kind == "cone":
        blend(
            layer.colour,
            clipped(lines([[(0, top), (0.012, top + 0.5 * tall), (0, bottom)]], 2, 0.9)),
            dark,
            0.65,
        )
        lift(layer.relief, clipped(lines([[(0, top), (0, bottom)]], 6, 4)), 4.0)
    else:
        _print(layer, cover, fabric)
        blend(
            layer.colour,
            clipped(
                lines(
                    [across(top + 0.07 * tall, -0.05), across(bottom - 0.08 * tall, -0.05, 0.7)],
                    1,
                    0.6,
                )
            ),
            pale,
            0.6,
        )
    wire = clipped(
        lines([curve([(-0.2, top + 0.06), (0, top + 0.045), (0.2, top + 0.06)])], 4, 1.5)
    )
    lift(layer.relief, wire, 2.2 * fabric.wire)


def _print(layer: Layer, cover: Part, fabric: Fabric) -> None:
    """Print dots, stripes or checks on cloth; a third of the masks are plain."""
    window, inner = cover
    ys, xs = np.mgrid[window].astype(np.float32)
    step = 9 + 9 * fabric.wire
    if fabric.pattern < 0.33:
        return
    if fabric.pattern < 0.6:
        mark = (
            (xs % step - step / 2) ** 2 + (ys % step - step / 2) ** 2 < (0.22 * step) ** 2
        ).astype(np.float32)
    elif fabric.pattern < 0.8:
        mark = ((xs + ys) % step < 0.4 * step).astype(np.float32)
    else:
        mark = 0.5 * (xs % step < step / 2) + 0.5 * (ys % step < step / 2)
    soft = cv2.GaussianBlur(mark.astype(np.float32), (0, 0), 0.8)
    blend(layer.colour, (window, inner * soft), mix(fabric.colour, (250, 246, 240), 0.6), 0.8)
