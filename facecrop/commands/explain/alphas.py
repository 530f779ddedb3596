"""Alphas of records, wherever preprocess left them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.commands.contact.cards import open_mattes
from facecrop.images.frames import Box
from facecrop.images.look.alpha import alpha_in
from facecrop.images.output import extra_file

Alpha = NDArray[np.uint8]


@contextmanager
def open_alphas(out: Path, index: pa.Table) -> Iterator[Callable[[int], Alpha | None]]:
    """Give a function that finds the alpha of a row: kept as a file, else as a finding.

    Args:
        out: The dataset.
        index: (N,) rows with path, digest, image, width and height.

    Yields:
        From the row's number to (H, W) uint8 of the upright source, or None where none is kept.
    """
    names = ("path", "digest", "image", "width", "height")
    rows = list(zip(*(index[name].to_pylist() for name in names), strict=True))
    with open_mattes(out, {path for path, *_ in rows}) as find:

        def alpha(row: int) -> Alpha | None:
            path, digest, image, width, height = rows[row]
            kept = _from_file(out, image)
            if kept is not None:
                return kept
            found = find(path, digest)
            whole = Box(0, 0, width, height)
            return None if found is None else alpha_in(found, whole, height, width)

        yield alpha


def _from_file(out: Path, image: str) -> Alpha | None:
    target = image.removeprefix("images/").rpartition(".")[0]
    file = out / extra_file("alpha", target)
    if not file.is_file():
        return None
    data = np.frombuffer(file.read_bytes(), np.uint8)
    read = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if len(data) else None
    return None if read is None else np.asarray(read, np.uint8)
