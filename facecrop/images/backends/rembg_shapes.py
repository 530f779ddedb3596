"""How the families of rembg's models want their pictures, and what their answers mean."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LEAST_PEAK = 1e-6
"""rembg's guard against dividing by the peak of a black picture."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one family of models wants its pictures, and what it answers.

    Args:
        side: Of the square picture, pixels.
        mean: Taken from each channel after its peak was brought to 1.
        std: Then divides it.
        sigmoid: Whether the output is logits.
    """

    side: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet's
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    sigmoid: bool = False


U2NET = Shape(320)
_ISNET = Shape(1024, mean=(0.5, 0.5, 0.5), std=(1, 1, 1))
_BIREFNET = Shape(1024, sigmoid=True)

SHAPES = {
    "u2net": U2NET,
    "u2netp": U2NET,
    "u2net_human_seg": U2NET,
    "silueta": U2NET,
    "isnet-general-use": _ISNET,
    "isnet-anime": Shape(1024, std=(1, 1, 1)),
    "birefnet-general": _BIREFNET,
    "birefnet-general-lite": _BIREFNET,
    "birefnet-portrait": _BIREFNET,
    "birefnet-dis": _BIREFNET,
    "birefnet-hrsod": _BIREFNET,
    "birefnet-cod": _BIREFNET,
    "birefnet-massive": _BIREFNET,
    "bria-rmbg": Shape(1024),
}
"""The local models of rembg 2.0.86 that find what stands out, as its sessions use them."""


class Runner(Protocol):
    """A loaded model file on one runtime."""

    batch_size: int
    """Pictures in one call at most."""

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mattes (N, S, S) of pictures (N, S, S, 3) RGB, stretched to 0 to 255."""


class Numbers:
    """rembg's arithmetic before and after a model, in float32 where rembg uses float64.

    Args:
        shape: Of the model.
    """

    def __init__(self, shape: Shape) -> None:
        # x / peak, minus mean, over std: one product and one difference for each channel.
        self._gain = (1 / np.array(shape.std)).astype(np.float32)[:, None, None]
        self._shift = (np.array(shape.mean) / np.array(shape.std)).astype(np.float32)[:, None, None]
        self._sigmoid = shape.sigmoid

    def planes(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the model takes, (N, 3, S, S): each picture by its own peak."""
        peaks = pictures.reshape(len(pictures), -1).max(axis=1).clip(LEAST_PEAK)
        gain = self._gain / peaks[:, None, None, None].astype(np.float32)
        planes: NDArray[np.float32] = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)) * gain
        planes -= self._shift
        return planes

    def mattes(self, maps: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return what the model said, (N, S, S), as mattes.

        Each is stretched to the full range and cut to 8 bits as rembg does it. Where the model
        says the same everywhere (rembg divides by zero there) nobody was found.
        """
        return np.stack([self._matte(one) for one in maps])

    def _matte(self, said: NDArray[np.float32]) -> NDArray[np.uint8]:
        prediction = 1 / (1 + np.exp(-said)) if self._sigmoid else said
        low, high = prediction.min(), prediction.max()
        if not high > low:  # also where a number is missing
            return np.zeros(prediction.shape, np.uint8)
        stretched: NDArray[np.uint8] = ((prediction - low) / (high - low) * 255).astype(np.uint8)
        return stretched
