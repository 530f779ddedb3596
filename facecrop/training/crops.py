"""Crops one by one: read, and brought to the size of a network's input."""

from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.crops import crop_data
from facecrop.errors import TableError
from facecrop.images.codec import decode_crop
from facecrop.images.frames import Image

Size = tuple[int, int]
"""Height and width, pixels."""

_CURE = "run facecrop preprocess again with --verify"


def read_crop(out: Path, image: str, digest: bytes) -> Image:
    """Return a crop, (h, w, 3) uint8, if it is the one that the index names.

    Args:
        out: The dataset.
        image: The crop, relative to it.
        digest: sha256 of its bytes.

    Raises:
        TableError: It is missing, cannot be decoded, or is another one.
    """
    decoded = decode_crop(crop_bytes(out, image, digest))
    if decoded.image is None:
        raise TableError(f"{out / image} cannot be decoded ({decoded.reason}); {_CURE}")
    return decoded.image


def crop_bytes(out: Path, image: str, digest: bytes) -> bytes:
    """Return the bytes of a crop, if it is the one that the index names.

    Args:
        out: The dataset.
        image: The crop, relative to it.
        digest: Their sha256.

    Raises:
        TableError: It is missing, or is another one.
    """
    path = out / image
    try:
        data = crop_data(path)
    except OSError as error:
        raise TableError(f"{path} cannot be read ({error.strerror}); {_CURE}") from None
    if sha256(data).digest() != digest:
        raise TableError(f"{path} is not the crop that the index names; {_CURE}")
    return data


def as_input(image: Image, size: Size, center_crop: Size | None = None) -> Image:
    """Return a decoded crop as the network's input: the one way there, for every picture.

    The middle is cut out first (what a smaller crop has of it), then the picture is stretched:
    averages over areas if neither side grows, else linear interpolation.

    Args:
        image: (h, w, 3) uint8.
        size: Height and width of the result.
        center_crop: Height and width of the middle.

    Returns:
        (H, W, 3) uint8.
    """
    if center_crop is not None:
        start, inner = _middle(np.array(image.shape[:2]), np.array(center_crop))
        (top, left), (bottom, right) = start.tolist(), (start + inner).tolist()
        image = image[top:bottom, left:right]
    height, width = size
    if image.shape[:2] == size:
        return image
    grows = image.shape[0] < height or image.shape[1] < width
    how = cv2.INTER_LINEAR if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def windows(crops: NDArray[np.int64], center_crop: Size | None) -> NDArray[np.float64]:
    """Return which part of each crop becomes the input.

    Args:
        crops: (N, 2) height and width of each, pixels.
        center_crop: Height and width that are cut from the middle; None: all of it.

    Returns:
        (N, 4) x0, y0, x1, y1 as fractions of the crop.
    """
    wanted = crops if center_crop is None else np.array(center_crop)
    start, inner = (part[:, ::-1] for part in _middle(crops, wanted))
    sides = crops[:, ::-1]
    return np.hstack([start / sides, (start + inner) / sides])


def _middle(
    size: NDArray[np.int64], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where a cut from the middle begins and how large it is, (..., 2) each."""
    inner = np.minimum(size, wanted)
    return (size - inner) // 2, inner
