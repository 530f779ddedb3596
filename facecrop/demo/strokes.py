"""Paint and relief on the canvas on which a person is drawn once, upright and facing us."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Points = Sequence[tuple[float, float]] | NDArray[np.floating]
Colour = tuple[float, float, float]
"""Red, green, blue, 0 to 255."""

Window = tuple[slice, slice]
"""Rows and columns of the canvas."""

Part = tuple[Window, F32]
"""A cover, 0 to 1, and the window of the canvas that it fills; beyond it the cover is 0."""

UNIT = 80.0
"""Half the width of a face, in pixels of the canvas: the unit in which everything is drawn."""

HEIGHT, WIDTH = 600, 448
EYES = (WIDTH / 2, 275.0)
"""Where the origin of the drawing lies on the canvas: midway between the eyes. y points down."""

_SHIFT = 4  # OpenCV's fixed point: 1/16 pixel
_REACH = 3.0  # how far a blur or a bump is felt, in standard deviations


@dataclass(slots=True)
class Layer:
    """Colour, cover and relief of something drawn on the canvas.

    Args:
        colour: (HEIGHT, WIDTH, 3) float32, 0 to 255, as under white light from everywhere.
        alpha: (HEIGHT, WIDTH) float32, 0 to 1.
        relief: (HEIGHT, WIDTH) float32, height towards us in pixels.
    """

    colour: F32
    alpha: F32
    relief: F32


def new_layer() -> Layer:
    """Return an empty layer."""
    return Layer(
        np.zeros((HEIGHT, WIDTH, 3), np.float32),
        np.zeros((HEIGHT, WIDTH), np.float32),
        np.zeros((HEIGHT, WIDTH), np.float32),
    )


def to_pixels(points: Points) -> F32:
    """Turn drawing units into canvas pixels."""
    return (np.asarray(points, np.float32) * UNIT + np.array(EYES, np.float32)).astype(np.float32)


def curve(points: Points, *, closed: bool = False, n: int = 8) -> F32:
    """Return a smooth line through points (Catmull-Rom), n steps from each to the next."""
    p = np.asarray(points, np.float32)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = (np.arange(n, dtype=np.float32) / n)[None, :, None]
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    line = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    line = line.reshape(-1, 2)
    return line if closed else np.concatenate([line, p[-2:-1]])


def mirrored(points: Points, side: float) -> F32:
    """Return points of the right half (x > 0) for a side: 1 keeps, -1 mirrors."""
    return np.asarray(points, np.float32) * np.array([side, 1], np.float32)


def _window(pixels: F32, pad: float) -> Window:
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(pixels, np.float32))
    reach = int(np.ceil(pad))
    x0, x1 = max(x - reach, 0), min(max(x + width + reach, 0), WIDTH)
    y0, y1 = max(y - reach, 0), min(max(y + height + reach, 0), HEIGHT)
    return slice(y0, max(y1, y0)), slice(x0, max(x1, x0))


def _fixed(pixels: F32, window: Window) -> NDArray[np.int32]:
    origin = np.array([window[1].start, window[0].start], np.float32)
    return np.round((pixels - origin) * (1 << _SHIFT)).astype(np.int32)


def floats(values: NDArray[Any] | cv2.Mat) -> F32:
    """Return float32 values; only the type checker sees a change if they are."""
    return np.asarray(values, np.float32)


def saturated(values: NDArray[Any] | cv2.Mat) -> U8:
    """Return values as bytes, rounded, cut to 0 and 255."""
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8)
    return np.asarray(cv2.add(values, 0, dtype=cv2.CV_8U), np.uint8)  # type: ignore[call-overload]  # OpenCV takes numbers


def soften(cover: F32 | U8, sigma: float) -> F32:
    """Blur a cover; sigma in pixels, 0 leaves it."""
    return floats(cv2.GaussianBlur(cover, (0, 0), sigma) if sigma > 0 else cover)


def filled(points: Points, blur: float = 0) -> Part:
    """Return the cover, 0 to 1, of a filled outline (drawing units), and its window."""
    pixels = to_pixels(points)
    window = _window(pixels, _REACH * blur + 2)
    cover = np.zeros((window[0].stop - window[0].start, window[1].stop - window[1].start), np.uint8)
    if cover.size:
        cv2.fillPoly(cover, [_fixed(pixels, window)], 255, cv2.LINE_AA, _SHIFT)
        return window, soften(cover, blur) / np.float32(255)
    return window, cover.astype(np.float32)


def lines(paths: Sequence[Points] | F32, width: float, blur: float = 0) -> Part:
    """Return the cover, 0 to 1, of thin lines; width and blur in pixels.

    Args:
        paths: Lines in drawing units: a list, or (N, points, 2) for many of one length.
        width: Of the line.
        blur: Standard deviation.
    """
    pixels = [to_pixels(paths)] if isinstance(paths, np.ndarray) else [to_pixels(p) for p in paths]
    everywhere = np.concatenate([line.reshape(-1, 2) for line in pixels])
    window = _window(everywhere, _REACH * blur + width + 2)
    cover = np.zeros((window[0].stop - window[0].start, window[1].stop - window[1].start), np.uint8)
    if cover.size:
        thick = max(round(width), 1)
        fixed = [_fixed(line, window) for line in pixels]
        drawn = list(fixed[0]) if isinstance(paths, np.ndarray) else fixed
        cv2.polylines(cover, drawn, False, 255, thick, cv2.LINE_AA, _SHIFT)
        return window, soften(cover, blur) / np.float32(255)
    return window, cover.astype(np.float32)


def lowered(part: Part, rows: int) -> Part:
    """Return a cover moved down by whole pixels."""
    (y, x), cover = part
    stop = min(y.stop + rows, HEIGHT)
    start = min(y.start + rows, stop)
    return (slice(start, stop), x), cover[: stop - start]


def haze(cover: F32, sigma: float) -> F32:
    """Blur a cover of the whole canvas widely, on a quarter of its pixels a side: cheap."""
    small = cv2.resize(cover, (WIDTH // 4, HEIGHT // 4), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / 4)
    return np.asarray(
        cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.float32
    )


def inside(part: Part, other: Part) -> Part:
    """Return a cover cut to another one."""
    (rows, columns), cover = part
    (rows2, columns2), cover2 = other
    y0, y1 = max(rows.start, rows2.start), min(rows.stop, rows2.stop)
    x0, x1 = max(columns.start, columns2.start), min(columns.stop, columns2.stop)
    y1, x1 = max(y0, y1), max(x0, x1)
    mine = cover[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start]
    its = cover2[y0 - rows2.start : y1 - rows2.start, x0 - columns2.start : x1 - columns2.start]
    return (slice(y0, y1), slice(x0, x1)), mine * its


def around(parts: Sequence[Part], pad: int) -> Window:
    """Return the window that holds all parts and a border."""
    y0, x0 = (min(part[0][i].start for part in parts) - pad for i in (0, 1))
    y1, x1 = (max(part[0][i].stop for part in parts) + pad for i in (0, 1))
    return slice(max(y0, 0), min(y1, HEIGHT)), slice(max(x0, 0), min(x1, WIDTH))


def whole(part: Part) -> F32:
    """Return a cover on the whole canvas."""
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    cover[part[0]] = part[1]
    return cover


def blend(target: F32, part: Part, colour: Colour, opacity: float = 1) -> None:
    """Mix a colour into (H, W, 3) pixels where a cover is."""
    window, cover = part
    here, weight = target[window], cover * np.float32(opacity)
    for channel, value in enumerate(colour):  # numpy is slow where the last axis has length 3
        plane = here[..., channel]
        plane += (np.float32(value) - plane) * weight


def darken(target: F32, part: Part, keep: Colour) -> None:
    """Multiply (H, W, 3) pixels by `keep` (1 = unchanged, each channel) where a cover is."""
    window, cover = part
    here = target[window]
    for channel, value in enumerate(keep):
        here[..., channel] *= 1 + np.float32(value - 1) * cover


def lift(target: F32, part: Part, height: float) -> None:
    """Add height (pixels) to a relief where a cover is."""
    window, cover = part
    target[window] += np.float32(height) * cover


def bump(x: float, y: float, sx: float, sy: float, turn: float = 0) -> Part:
    """Return a Gaussian cover: centre, deviations (drawing units) and turn in radians."""
    reach = _REACH * max(sx, sy)
    window = _window(to_pixels([(x - reach, y - reach), (x + reach, y + reach)]), 0)
    ys = (
        np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - EYES[1]
    ) / UNIT - y
    xs = (
        np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - EYES[0]
    ) / UNIT - x
    if turn:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        xs, ys = cos * xs + sin * ys, cos * ys - sin * xs
        return window, np.exp(-0.5 * ((xs / sx) ** 2 + (ys / sy) ** 2)).astype(np.float32)
    # Without a turn it is an outer product, ten times cheaper.
    return window, (np.exp(-0.5 * (ys / sy) ** 2) * np.exp(-0.5 * (xs / sx) ** 2)).astype(
        np.float32
    )


def mix(low: Colour, high: Colour, share: float) -> Colour:
    """Return a colour between two."""
    r, g, b = (a + (z - a) * share for a, z in zip(low, high, strict=True))
    return r, g, b
