"""The proof that two pictures are one photograph: they agree everywhere once laid on each other."""

import cv2
import numpy as np
from numpy.typing import NDArray

Small = NDArray[np.uint8]
Gray = NDArray[np.float32]
Warp = NDArray[np.float32]

SIDE = 96
"""Pixels at which pictures are compared: enough for a face's features, little enough to be fast."""

_COARSE = 32
_TILE = 16
_FINE_SIGMA, _BROAD_SIGMA = 1.0, 6.0
"""Details between these sizes are compared: finer ones fall to compression, broader ones are
shading and silhouette, which all aligned faces share."""
_TEXTURE = 2.0
"""Grey levels by which a tile's details must vary to tell anything; rounding alone gives 0.3."""
_LEAST_OVERLAP = 0.5
_LEAST_TILES = 9
"""A quarter of all tiles."""
_MAX_STRETCH = 1.6
_ITERATIONS, _EPSILON = 40, 1e-4
_BLUR = 5
_HOPELESS = 0.3
"""One photograph, registered at the coarse size, agrees better than this by far."""
_UNLIKELY = 0.8
"""Below this two pictures are not laid on each other the other way round as well."""
_QUANTILE = 0.25
"""A quarter of the tiles may disagree: a stamp, a new background, a drawn-on mask."""


def prepare(image: NDArray[np.uint8]) -> Small:
    """Return a picture as it is compared: (SIDE, SIDE) uint8 grey levels.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def agreement(first: Small, second: Small) -> float:
    """Return how far two pictures agree once one is laid on the other, whichever of them.

    One is registered by an affine map (Evangelidis and Psarakis 2008, "Parametric image alignment
    using enhanced correlation coefficient maximization"), coarse to fine. Then details are
    correlated tile by tile, of which the lower quartile counts, over those that have any. The
    lesser of both ways is the answer: two strangers may agree where one is stretched until little
    but smooth skin is compared, but then they do not the other way round.
    One photograph, cropped by a tenth, resized or compressed again, agrees in nearly all tiles;
    two strangers in the same pose before the same wall agree in outlines and in the wall only.

    Args:
        first: As `prepare` returns it.
        second: Likewise.

    Returns:
        A number in [0, 1]; 0 where too little can be compared. Below 0.8 it may be that of one way.
    """
    found = _one_way(first, second)
    return found if found < _UNLIKELY else min(found, _one_way(second, first))


def _one_way(first: Small, second: Small) -> float:
    """Return the agreement when the second is laid on the first."""
    one, two = first.astype(np.float32), second.astype(np.float32)
    warp = np.eye(2, 3, dtype=np.float32)
    best = _laid(one, two, warp)
    for side in (_COARSE, SIDE):
        found = _register(one, two, warp, side)
        if found is None or not _plausible(found):
            break
        warp = found
        best = max(best, _laid(one, two, warp))
        if best < _HOPELESS:
            break
    return best


def _laid(first: Gray, second: Gray, warp: Warp) -> float:
    """Return the agreement of the details when the second is laid on the first by a given map."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(second, warp, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones_like(second), warp, (SIDE, SIDE), flags=flags) > 1 - 1e-3
    if inside.mean() < _LEAST_OVERLAP:
        return 0.0
    tiles = _tile_correlations(_details(first), _details(np.asarray(moved, np.float32)), inside)
    if len(tiles) < _LEAST_TILES:
        return 0.0
    return float(np.clip(np.quantile(tiles, _QUANTILE), 0, 1))


def _register(first: Gray, second: Gray, warp: Warp, side: int) -> Warp | None:
    """Return the map from the first to the second, made better at one resolution."""
    scale = np.array([[1, 1, side / SIDE]], np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ITERATIONS, _EPSILON)
    one, two = _resized(first, side), _resized(second, side)
    every = np.full((side, side), 255, np.uint8)
    try:
        _, found = cv2.findTransformECC(
            one, two, warp * scale, cv2.MOTION_AFFINE, criteria, every, _BLUR
        )
    except cv2.error:  # it does not converge, as on strangers it often does not
        return None
    return np.asarray(found / scale, np.float32)


def _resized(picture: Gray, side: int) -> Gray:
    if side == SIDE:
        return picture
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def _plausible(warp: Warp) -> bool:
    """Tell whether a map only crops, resizes and turns a little, rather than bending a face."""
    if not np.isfinite(warp).all():
        return False
    stretch = np.linalg.svd(warp[:, :2], compute_uv=False)
    upright = warp[0, 0] > 0 and warp[1, 1] > 0
    return bool(upright and stretch[0] < _MAX_STRETCH and stretch[1] > 1 / _MAX_STRETCH)


def _details(picture: Gray) -> Gray:
    fine = cv2.GaussianBlur(picture, (0, 0), _FINE_SIGMA)
    broad = cv2.GaussianBlur(picture, (0, 0), _BROAD_SIGMA)
    return np.asarray(fine - broad, np.float32)


def _tile_correlations(first: Gray, second: Gray, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the correlation of each tile that lies inside and has details in both, (T,)."""

    def tiles(picture: NDArray[np.float32]) -> NDArray[np.float64]:
        n = SIDE // _TILE
        cut = picture.reshape(n, _TILE, n, _TILE).swapaxes(1, 2).reshape(n * n, -1)
        return cut.astype(np.float64)

    whole = tiles(inside.astype(np.float32)).min(axis=1) > 0
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (tiles(first), tiles(second)))
    spread = np.sqrt((a**2).mean(axis=1)), np.sqrt((b**2).mean(axis=1))
    textured = whole & (np.maximum(*spread) > _TEXTURE)
    product = (a * b).mean(axis=1)[textured]
    return np.asarray(product / np.maximum(spread[0] * spread[1], 1e-9)[textured])
