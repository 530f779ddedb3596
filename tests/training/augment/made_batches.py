"""Batches for tests of augmentation."""

import torch
from torch import Tensor

from facecrop.training.augment import Batch

MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.25, 0.2, 0.3])
PLAIN = (torch.zeros(3), torch.ones(3))
"""Mean and deviation that leave pictures in [0, 1]."""


def made_batch(n: int = 8, height: int = 36, width: int = 28, seed: int = 0) -> Batch:
    """Return smooth random pictures; their targets are their own rows, one-hot."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 5, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    images = (smooth * 255).round().to(torch.uint8)
    return batch_of(images.contiguous(memory_format=torch.channels_last))


def flat_batch(n: int = 8, height: int = 36, width: int = 28) -> Batch:
    """Return pictures of one gray each, no two alike."""
    grays = torch.linspace(10, 240, n).round().to(torch.uint8)
    return batch_of(grays.view(n, 1, 1, 1).expand(n, 3, height, width).clone())


def batch_of(images: Tensor) -> Batch:
    """Return a batch of pictures with everything else made up."""
    n = len(images)
    eyes_and_face = torch.tensor([[0.3, 0.3, 0.7, 0.45], [0.2, 0.1, 0.8, 0.9]])
    return Batch(
        images,
        {"joint": torch.eye(n), "age": torch.linspace(20, 60, n)[:, None]},
        torch.linspace(1, 2, n),
        eyes_and_face.repeat(n, 1, 1),
        {
            "mask": torch.arange(n) % 3,
            "gender": torch.arange(n) % 2,
            "age_group": torch.arange(n) // 2 % 3,
        },
        torch.arange(n) + 100,
    )


def copy_of(batch: Batch) -> Batch:
    """Return a batch that shares nothing with the given one."""
    return Batch(
        batch.images.clone(),
        {name: target.clone() for name, target in batch.targets.items()},
        batch.weight.clone(),
        batch.regions.clone(),
        {axis: classes.clone() for axis, classes in batch.labels.items()},
        batch.rows.clone(),
    )


def assert_equal(one: Batch, other: Batch, tolerance: float = 0.0) -> None:
    """Compare two batches; NaN equals NaN."""
    close = {"rtol": 0, "atol": tolerance, "equal_nan": True}
    torch.testing.assert_close(one.images, other.images, **close)
    torch.testing.assert_close(one.targets, other.targets, **close)
    torch.testing.assert_close(one.weight, other.weight, **close)
    torch.testing.assert_close(one.regions, other.regions, **close)
    assert one.labels.keys() == other.labels.keys()
    for axis, classes in one.labels.items():
        assert torch.equal(classes, other.labels[axis])
    assert torch.equal(one.rows, other.rows)
