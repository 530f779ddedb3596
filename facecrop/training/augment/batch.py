"""A batch: pictures and all that is known of them, row by row."""

from dataclasses import dataclass

from torch import Tensor

from facecrop.training.augment.layout import pick


@dataclass(frozen=True, slots=True)
class Batch:
    """What a training step looks at; every tensor has one row for each picture.

    On a GPU only pictures, targets and weight need to lie: the rest is read by Python.
    """

    images: Tensor
    """(N, 3, H, W) RGB in channels-last memory: uint8 before augmentation, normalised float32
    after it."""
    targets: dict[str, Tensor]
    """Output of the network -> (N, width) float32 rows. All zero: unknown; NaN: age unknown."""
    weight: Tensor
    """(N,) float32: how much a record counts."""
    regions: Tensor
    """(N, 2, 4) float32: boxes of eyes and face, x0 y0 x1 y1 as shares of width and height; NaN
    where unknown."""
    labels: dict[str, Tensor]
    """Axis (mask, gender, age_group) -> (N,) int64 class; -1: unknown."""
    rows: Tensor
    """(N,) int64 place of each record in the training's records."""

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> "Batch":
        """Return copies of some rows, in the order of (K,) int64 `rows` on the CPU."""
        return Batch(
            pick(self.images, rows),
            {name: target[rows.to(target.device)] for name, target in self.targets.items()},
            self.weight[rows.to(self.weight.device)],
            self.regions[rows.to(self.regions.device)],
            {axis: classes[rows.to(classes.device)] for axis, classes in self.labels.items()},
            self.rows[rows.to(self.rows.device)],
        )
