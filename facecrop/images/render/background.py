"""What becomes of everything that is not the person."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.frames import Image
from facecrop.images.render.settings import Background

_FULL = 255
_BLURRED_AT = 3.0
"""Standard deviation, in pixels, at which the blur is computed; wider ones on a smaller picture."""


def replace_background(image: Image, alpha: NDArray[np.uint8], how: Background) -> Image:
    """Paint or blur the background.

    Args:
        image: (H, W, 3) uint8.
        alpha: (H, W) uint8, 255 on the person.
        how: What to do.

    Returns:
        (H, W, 3) uint8: `(alpha * image + (255 - alpha) * background) / 255`, each product rounded;
        so exactly the image where alpha is 255, exactly the background where it is 0.
    """
    if how.mode == "keep":
        return image
    weight = cv2.merge([alpha, alpha, alpha])
    mixed = cv2.multiply(image, weight, scale=1 / _FULL)
    if how.mode == "color" and not any(how.color):
        return np.asarray(mixed, np.uint8)  # black adds nothing
    if how.mode == "color":
        there = np.frombuffer(bytes(how.color) * alpha.size, np.uint8).reshape(image.shape)
    else:
        there = _without_person(image, alpha, how.blur * min(image.shape[:2]))
    rest = cv2.multiply(there, cv2.bitwise_not(weight), scale=1 / _FULL)
    return np.asarray(cv2.add(mixed, rest), np.uint8)


def _without_person(image: Image, alpha: NDArray[np.uint8], sigma: float) -> Image:
    """Blur the background as if nobody stood before it, so that no halo shows around the person.

    Weighted by what is background, as in normalised convolution (Knutsson and Westin 1993).
    """
    height, width = image.shape[:2]
    shrink = max(sigma / _BLURRED_AT, 1)
    size = (max(round(width / shrink), 1), max(round(height / shrink), 1))
    weight = (_FULL - alpha).astype(np.float32) / _FULL
    weighted = cv2.merge([*cv2.split(image * weight[..., None]), weight])
    small = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink)
    # Deep inside the person nothing is known of the background, and none of it shows.
    behind = small[..., :3] / np.maximum(small[..., 3:], 1 / _FULL)
    behind = np.rint(behind).clip(0, _FULL).astype(np.uint8)
    return np.asarray(cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
