"""What the pixels alone tell: a hash that survives saving and resizing, sharpness, brightness."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.findings import Source
from facecrop.images.frames import Image

QUALITY_VERSION = 1
"""Raised when the same pixels would give other numbers."""

_SMALL = 256
"""Longer side, in pixels, of the gray picture that is measured."""
_ENOUGH = 2 * _SMALL
"""Larger pictures are thinned to no less than this first: averaging all of 12 MP takes 30 ms."""
SEEN = _ENOUGH
"""Longer side that a reduced picture must keep, or the measures would be others."""
_HASHED = 32
_KEPT = 8
_DECIMALS = 3


def quality(image: Image, note: str | None = None) -> Source:
    """Measure a picture.

    Args:
        image: (H, W, 3) uint8 RGB, upright.
        note: What decoding had to tell.

    Returns:
        Its size; `phash`; `sharpness`, the variance of the Laplacian of its luma at a longer side
        of 256 pixels (smaller pictures as they are), near 0 where all is blurred; `brightness`,
        the mean luma.

    Source:
        Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative
        study" (variance of the Laplacian). We measure a reduced picture, so that sharpness can be
        compared between cameras.
    """
    height, width = image.shape[:2]
    gray = _small_gray(image)
    laplacian = cv2.Laplacian(gray, cv2.CV_16S)
    spread = float(cv2.meanStdDev(laplacian)[1][0, 0])
    return Source(
        width=width,
        height=height,
        phash=perceptual_hash(gray),
        sharpness=round(spread**2, _DECIMALS),
        brightness=round(float(cv2.mean(gray)[0]), _DECIMALS),
        note=note,
    )


def perceptual_hash(gray: NDArray[np.uint8]) -> int:
    """Return 64 bits that differ little between pictures that look alike.

    Args:
        gray: (H, W) uint8, any size.

    Returns:
        Bit 63 is the mean, bit 62 the slowest wave along x, and so on row by row; a bit is set
        where the wave is stronger than the median of all 64.

    Source:
        Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", and the
        `phash` of ImageHash. We reduce by averaging areas where ImageHash uses Lanczos, so single
        bits may differ from it.
    """
    small = cv2.resize(gray, (_HASHED, _HASHED), interpolation=cv2.INTER_AREA)
    waves = cv2.dct(small.astype(np.float32))[:_KEPT, :_KEPT].ravel()
    ordered = np.sort(waves)
    middle = (ordered[waves.size // 2 - 1] + ordered[waves.size // 2]) / 2
    return int.from_bytes(np.packbits(waves > middle).tobytes(), "big")


def _small_gray(image: Image) -> NDArray[np.uint8]:
    """Return luma with a longer side of 256 and a shorter one that is a multiple of 32.

    First whole blocks of pixels are averaged, then the rest of the way is linear: OpenCV's
    averages over broken blocks take ten times as long.
    """
    step = max(min(image.shape[:2]) // _ENOUGH, 1)
    gray = cv2.cvtColor(np.ascontiguousarray(image[::step, ::step]), cv2.COLOR_RGB2GRAY)
    height, width = gray.shape
    if max(height, width) <= _SMALL:
        return gray.astype(np.uint8, copy=False)
    block = max(height, width) // _SMALL
    if block > 1 and min(height, width) >= block:
        height, width = height // block, width // block
        whole = gray[: height * block, : width * block]
        gray = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    scale = _SMALL / max(height, width)
    size = (_in_cells(width * scale), _in_cells(height * scale))
    return cv2.resize(gray, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)


def _in_cells(side: float) -> int:
    return max(round(side / _HASHED), 1) * _HASHED
