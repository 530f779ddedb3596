"""What every model backend offers: three functions, so that a device does nothing but infer."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from facecrop.images.findings import Finding
from facecrop.images.frames import Image

ELSEWHERE = "elsewhere"
"""The device of a finder whose `infer` is another process's work."""

Weights = Callable[[str], Path]
"""Returns the checked local file of a model named in `manifests/models.toml`."""


class Finder(Protocol):
    """A loaded model, made by the `load` of its settings (`look/settings.py`).

    `interpret(infer(stack([prepare(image)]))[0], image.shape)` is the finding of one image, in
    pixels of that image. Each image is prepared alone, so that its finding depends neither on the
    other images of a batch nor on their number.
    """

    batch_size: int
    """Images for one call of `infer` at most; what needs full batches fills them up itself."""

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the image in the model's own fixed shape (runs on the CPU)."""

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        """Return the raw outputs of a batch (N, ...), one for each image (runs on the device)."""

    def interpret(self, raw: Any, height: int, width: int) -> Finding:
        """Return the finding in pixels of the image that was `height` by `width` (CPU)."""
