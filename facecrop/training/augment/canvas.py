"""Pictures on their way through the transforms: as bytes, and as lazily, as their order allows."""

import torch
from torch import Tensor

from facecrop.training.augment.colours import (
    compose,
    identity,
    mean_colours,
    normalising,
    recolour,
)
from facecrop.training.augment.layout import pick, put, to_bytes
from facecrop.training.augment.transform import Changes, Params, Recolours


class Canvas:
    """Pixels, the colour map they have yet to go through, and what is yet to be erased.

    Args:
        images: (N, 3, H, W) uint8, channels-last; may be overwritten.
    """

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self._maps: Tensor | None = None
        self._last: list[tuple[Changes, Tensor, Params]] = []

    def change(self, transform: Recolours | Changes, rows: Tensor, params: Params) -> None:
        """Change (K,) int64 `rows`, at least one; parameters have K rows."""
        if isinstance(transform, Recolours):
            self._recolour(transform, rows, params)
        elif transform.reads == "normalised":
            self._last.append((transform, rows, params))
        else:
            self._apply(transform, rows, params)

    def normalised(self, mean: Tensor, std: Tensor) -> Tensor:
        """Return the finished pictures: new (N, 3, H, W) float32, channels-last."""
        device = self._images.device
        mean, std = mean.to(device), std.to(device)
        maps, bounds = normalising(mean, std).expand(len(self._images), 3, 4), None
        if self._maps is not None:
            maps, bounds = compose(maps, self._maps), (-mean / std, (1 - mean) / std)
        images = recolour(self._images, maps, bounds)
        for transform, rows, params in self._last:
            images = put(images, rows, transform.apply(pick(images, rows), params))
        return images

    def _recolour(self, transform: Recolours, rows: Tensor, params: Params) -> None:
        before = identity(len(self._images)).to(self._images.device)
        before = before if self._maps is None else self._maps
        here = rows.to(self._images.device)
        means = mean_colours(self._images)[here]
        means = (before[here] @ torch.cat([means, torch.ones_like(means[:, :1])], 1)[..., None])[
            ..., 0
        ]
        self._maps = before.index_copy(
            0, here, compose(transform.maps(params, means), before[here])
        )

    def _apply(self, transform: Changes, rows: Tensor, params: Params) -> None:
        if transform.reads != "any" and self._maps is not None:
            self._flush()
        if transform.reads == "floats" and self._images.dtype == torch.uint8:
            self._flush()
        chosen = pick(self._images, rows)
        if transform.reads == "bytes" and chosen.is_floating_point():
            changed = transform.apply(to_bytes(chosen), params).float().div_(255)
        else:
            changed = transform.apply(chosen, params)
        self._images = put(self._images, rows, changed)

    def _flush(self) -> None:
        """Send the pixels through the colour map: float32 in [0, 1] from here on."""
        if self._maps is None:
            maps, bounds = identity(len(self._images)).to(self._images.device), None
        else:
            zero = torch.zeros(3, device=self._images.device)
            maps, bounds = self._maps, (zero, zero + 1)
        self._images, self._maps = recolour(self._images, maps, bounds), None
