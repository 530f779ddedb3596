"""Hair: a mass behind the head, and two ribbons of strands that fall from the parting."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

import cv2
import numpy as np

from facecrop.demo.face import Shape
from facecrop.demo.looks import Looks
from facecrop.demo.strokes import (
    F32,
    HEIGHT,
    U8,
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
    haze,
    lines,
    mix,
    new_layer,
    to_pixels,
    whole,
)

_SHADES = 7
_STRANDS = 210
_WHITE: Colour = (172, 171, 170)


def reach(looks: Looks) -> float:
    """Return how far down the hair falls, drawing units: -0.1 at the temples, 2.7 on the chest."""
    share = 0.5 - 0.5 * float(np.tanh(0.75 * looks.hair_length))
    return float(np.interp(share, (0.0, 0.2, 0.5, 0.75, 1.0), (-0.15, 0.12, 0.9, 1.7, 2.75)))


def hairline(looks: Looks) -> float:
    """Return the height of the hairline above the eyes, drawing units (negative is up)."""
    return -0.80 - 0.32 * min(looks.hairline, 1.7)


def draw_back(layer: Layer, looks: Looks, rng: np.random.Generator) -> None:
    """Draw the hair that falls behind neck and shoulders."""
    end = reach(looks)
    if end < 0.3:  # short hair does not show behind a face
        return
    wide = 0.98 + looks.volume
    flare = wide + 0.10 * min(end, 1.6)
    right = [
        (0.9 * wide, -1.0),
        (wide, -0.2),
        (0.5 * (wide + flare), 0.5 * end),
        (flare, 0.85 * end),
        (0.86 * flare, end),
    ]
    outline = curve([*right, *[(-x, y) for x, y in reversed(right)]], closed=True)
    cover = filled(outline, 1.2)
    mass = _colour(looks)
    blend(layer.colour, cover, mix(mass, (0, 0, 0), 0.45))
    np.maximum(layer.alpha[cover[0]], cover[1], out=layer.alpha[cover[0]])
    xs = np.linspace(-0.95 * flare, 0.95 * flare, 90)[:, None]
    tips = end * (0.7 + 0.28 * rng.random((90, 1)))
    down = np.linspace(0, 1, 6)[None]
    across = xs * (0.9 + 0.08 * np.sin(2.5 * down)) + 0.02 * rng.standard_normal((90, 1))
    paths = np.stack([across, tips * down], axis=2)
    texture = np.clip(layer.colour, 0, 255).astype(np.uint8)
    _strands(texture, floats(paths), looks, rng, shade=0.5)
    layer.colour[...] = texture


def draw_front(looks: Looks, shape: Shape, rng: np.random.Generator) -> Layer:
    """Return the hair before the face: it also falls over the straps of a mask."""
    layer = new_layer()
    for side in (-1.0, 1.0):
        outer, inner = _ribbon(looks, shape, side)
        cover = filled(np.concatenate([outer, inner[::-1]]), 1.6)
        np.maximum(layer.alpha[cover[0]], cover[1], out=layer.alpha[cover[0]])
    texture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    texture[...] = mix(_colour(looks), (0, 0, 0), 0.30)
    layer.relief += 26.0 * haze(layer.alpha, 7)
    for side in (-1.0, 1.0):
        outer, inner = (edge[::2] for edge in _ribbon(looks, shape, side))
        at = rng.permutation(np.linspace(-0.02, 1.02, _STRANDS))[:, None, None]
        paths = outer[None] * at + inner[None] * (1 - at)
        wiggle = np.sin(np.linspace(0, 9, len(outer))[None] + 6 * rng.random((_STRANDS, 1)))
        paths[..., 0] += (0.012 + 0.035 * looks.wave) * wiggle * np.linspace(0, 1, len(outer))
        _strands(texture, paths, looks, rng, shade=1.0)
    layer.colour[...] = texture
    _shine(layer)
    # Single hairs stand out from the mass, so its edge is not cut with scissors.
    loose = whole(_loose(looks, shape, rng))
    np.maximum(layer.alpha, 0.75 * loose, out=layer.alpha)
    return layer


def _ribbon(looks: Looks, shape: Shape, side: float) -> tuple[F32, F32]:
    """Return the outer and the inner edge of one half of the hair, root to tip."""
    line, end, vol = hairline(looks), reach(looks), looks.volume
    part = looks.part
    top = -1.56 - vol
    temple = 0.10 * min(looks.hairline, 1.7)
    w = looks.width
    outer = [
        (part, top + 0.03),
        (0.45 * part + side * 0.36, top),
        (side * (0.82 + vol / 2) * w, top + 0.24),
        (side * (1.03 + vol) * w, -0.86),
        (side * (1.09 + vol) * w, -0.4),
    ]
    inner = [
        (part, line + 0.02),
        (0.5 * part + side * 0.3, line),
        (side * (0.66 - 0.5 * temple) * w, line + 0.10 - temple),
        (side * 0.88 * w, line + 0.32),
        (side * 0.96 * w, -0.32),
    ]
    if end < 0.3:
        outer += [(side * (1.05 + vol / 2) * w, min(end, 0.0) - 0.05), (side * 0.99 * w, end)]
        inner += [(side * 0.96 * w, min(end, 0.0) - 0.1), (side * 0.95 * w, end)]
    else:
        flare = 1.14 + vol + 0.05 * min(end, 1.8)
        jaw = shape.half_width(0.9)
        for share in (0.25, 0.5, 0.75, 1.0):
            y = -0.25 + share * (end + 0.25)
            wave = 0.06 * looks.wave * float(np.sin(5 * y + side))
            close = float(
                np.interp(y, (-0.2, 0.4, 1.0, 1.5, 2.6), (0.95, 0.9, 0.98 * jaw + 0.04, 0.62, 0.66))
            )
            tip = 0.92 if share == 1 else 1.0
            outer.append((side * (flare * tip + wave), y))
            inner.append((side * (close + wave), y + (0.06 if share == 1 else 0)))
    return curve(outer, n=7), curve(inner, n=7)


def _grey_share(looks: Looks) -> float:
    return float(min(0.80 * looks.grey**1.3, 1.0))


def _colour(looks: Looks) -> Colour:
    return mix(looks.hair, _WHITE, 0.9 * _grey_share(looks))


def _strands(
    texture: U8, paths: F32, looks: Looks, rng: np.random.Generator, *, shade: float
) -> None:
    """Draw strands, (N, points, 2), a share of them grey; brightness varies between strands."""
    turned = rng.random(len(paths)) < _grey_share(looks)
    level = rng.integers(0, _SHADES, len(paths))
    fixed = np.round(to_pixels(paths) * 16).astype(np.int32)
    body = mix(looks.hair, _WHITE, 0.35 * _grey_share(looks))
    white = mix(body, _WHITE, 0.5 + 0.45 * _grey_share(looks))
    for k in range(_SHADES):  # dark ones first, so that light ones lie on top
        for base, chosen, spread in ((body, ~turned, 0.11), (white, turned, 0.085)):
            light = shade * (1 + spread * (k - 3))
            colour = tuple(min(channel * light + 3 * k * shade, 255.0) for channel in base)
            group = list(fixed[chosen & (level == k)])
            cv2.polylines(texture, group, False, colour, 1, cv2.LINE_AA, 4)


def _shine(layer: Layer) -> None:
    """Lay a soft band of light round the crown, as smooth hair has."""
    window, band = bump(0, -1.12, 0.75, 0.13)
    here = layer.colour[window]
    here += (here * 0.24 + 8) * band[..., None]


def _loose(looks: Looks, shape: Shape, rng: np.random.Generator) -> Part:
    hairs = []
    for side in (-1.0, 1.0):
        outer, _ = _ribbon(looks, shape, side)
        for k in rng.integers(2, len(outer) - 4, 16):
            stray = outer[k : k + 4] * (1 + 0.035 * rng.random() * np.linspace(0, 1, 4)[:, None])
            hairs.append(stray.astype(np.float32))
    return lines(hairs, 1, 0.5)


def shadow_on(layer: Layer, hair: Layer) -> None:
    """Darken what lies just below the edge of the front hair."""
    shadow = np.roll(haze(hair.alpha, 6), 5, axis=0)
    face = (slice(120, 470), slice(100, 348))  # elsewhere it is not seen
    darken(layer.colour, (face, shadow[face]), (0.74, 0.66, 0.62))
