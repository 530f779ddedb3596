"""Wrinkles, folds, bags and stubble: what years and beards leave on a face."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

import cv2
import numpy as np

from facecrop.demo.face import Shape
from facecrop.demo.looks import Looks, grey_mix
from facecrop.demo.strokes import (
    F32,
    Colour,
    Layer,
    blend,
    bump,
    curve,
    darken,
    filled,
    lift,
    lines,
    lowered,
    mirrored,
    mix,
)


def draw_marks(layer: Layer, looks: Looks, shape: Shape, rng: np.random.Generator) -> None:
    """Draw the marks of age, and the shadow of a beard."""
    _forehead(layer, looks)
    _around_eyes(layer, looks)
    _folds(layer, looks)
    _stubble(layer, looks, shape, rng)


def crease(layer: Layer, paths: list[F32], depth: float, width: float = 2.0) -> None:
    """Cut a wrinkle: dark in its bottom, a little light on its lower lip, and real relief."""
    if depth <= 0.02:
        return
    strength = min(depth, 1.5)
    cut = lines(paths, width, 1.0)
    darken(layer.colour, cut, _deep(0.38 * strength))
    blend(layer.colour, lowered(cut, 2), (255, 232, 214), 0.10 * strength)
    lift(layer.relief, cut, -2.0 * strength)


def _deep(strength: float) -> Colour:
    return 1 - 0.75 * strength, 1 - strength, 1 - 1.1 * strength


def _forehead(layer: Layer, looks: Looks) -> None:
    for k, (y, half) in enumerate([(-0.62, 0.52), (-0.76, 0.56), (-0.5, 0.36), (-0.9, 0.46)]):
        depth = 1.25 * looks.forehead - 0.22 * k
        reach = half * (0.55 + 0.4 * min(looks.forehead, 1.3))
        dip = 0.035 if k % 2 else 0.02
        path = curve(
            [
                (-reach, y + 0.05),
                (-reach / 2, y - 0.01),
                (0, y + dip),
                (reach / 2, y - 0.015),
                (reach, y + 0.04),
            ]
        )
        crease(layer, [path], depth, 2.2)
    for side in (-1.0, 1.0):  # frown lines between the brows
        crease(
            layer,
            [curve(mirrored([(0.09, -0.42), (0.075, -0.3), (0.085, -0.2)], side))],
            0.9 * looks.forehead - 0.25,
        )


def _around_eyes(layer: Layer, looks: Looks) -> None:
    for side in (-1.0, 1.0):
        for k, turn in enumerate((-0.28, 0.05, 0.36, -0.55)):
            length = 0.09 + 0.20 * min(looks.crowfeet, 1.5)
            ray = [
                (0.70, 0.01 + 0.12 * turn),
                (0.70 + 0.5 * length, 0.01 + turn * 0.30),
                (0.70 + length, 0.02 + turn * 0.52),
            ]
            crease(layer, [curve(mirrored(ray, side))], 1.15 * looks.crowfeet - 0.17 * k, 1.6)
        x = side * looks.eye_gap
        bag = min(looks.eyebags, 1.6)
        arc = [(-0.2, 0.12), (-0.1, 0.205 + 0.03 * bag), (0.04, 0.23 + 0.035 * bag), (0.2, 0.15)]
        path = curve(np.array(arc) * np.array([side, 1]) + np.array([x, 0]))
        darken(layer.colour, bump(x, 0.17, 0.17, 0.06), _deep(0.05 + 0.26 * bag))
        blend(layer.colour, bump(x, 0.15, 0.13, 0.03), (255, 226, 205), 0.16 * bag)
        lift(layer.relief, bump(x, 0.15, 0.15, 0.045), 2.6 * bag)
        crease(layer, [path], 0.9 * bag - 0.05, 2.0)


def _folds(layer: Layer, looks: Looks) -> None:
    for side in (-1.0, 1.0):
        fold = [(0.27, 0.52), (0.38, 0.68), (0.47, 0.84), (0.47, 0.98)]
        path = curve(mirrored(fold, side))
        darken(layer.colour, lines([path], 7, 4.5), _deep(0.06 + 0.20 * min(looks.folds, 1.6)))
        crease(layer, [path], 1.15 * looks.folds, 2.4)
        lift(layer.relief, bump(side * 0.60, 0.72, 0.15, 0.18), 2.2 * looks.folds)
        mouth_corner = curve(mirrored([(0.40, 0.96), (0.46, 1.08), (0.47, 1.2)], side))
        crease(layer, [mouth_corner], 1.1 * looks.jowls - 0.1, 2.2)
        lift(layer.relief, bump(side * 0.56, 1.08, 0.14, 0.11), 3.5 * looks.jowls)
        darken(
            layer.colour, bump(side * 0.48, 1.2, 0.07, 0.10), _deep(0.24 * min(looks.jowls, 1.5))
        )


def _stubble(layer: Layer, looks: Looks, shape: Shape, rng: np.random.Generator) -> None:
    strength = 1 / (1 + np.exp(-2.4 * (looks.stubble - 0.25)))
    beard = [
        (-0.9, 0.5),
        (-0.62, 0.74),
        (-0.33, 0.72),
        (0, 0.68),
        (0.33, 0.72),
        (0.62, 0.74),
        (0.9, 0.5),
        (0.8, 1.0),
        (0.4, shape.chin + 0.02),
        (-0.4, shape.chin + 0.02),
        (-0.8, 1.0),
    ]
    window, cover = filled(curve(beard, closed=True), 7)
    cover = cover * layer.alpha[window]
    grain = rng.random(cover.shape, np.float32)
    hairs = cv2.GaussianBlur((grain < 0.34).astype(np.float32), (0, 0), 0.7)
    colour = mix(grey_mix(looks), (70, 72, 84), 0.35)
    blend(layer.colour, (window, cover * (0.16 + 0.85 * hairs)), colour, 0.72 * float(strength))
