"""Losses: one file for each, a table of them, and the criterion that adds them up.

A loss is a function `(logits (N, C), target (N, C), weight (N,) or None, options) -> scalar`. What
all of them promise, and `tests/training/losses/` asserts for each entry of the table:

- Target rows are probabilities: one-hot, smoothed or mixed. For one-hot rows the loss is the one of
  its paper. A row of zeros is an unknown label and left out; a row that sums to less than 1 (a
  known label mixed with an unknown one) counts as much less. Years and thresholds are NaN where
  unknown.
- A record of weight 0 is as good as absent; only the ratio of weights matters, not their sum.
- The order of records does not matter. Gradients are finite wherever logits are.
- Nothing is known: the loss is 0, and so is its gradient.

A new loss is a file with the function and its `build`, its settings in `settings/loss.py`, a line
in the table, and its own promises as a test.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from facecrop.registry import Registry

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""`(logits, target, weight) -> scalar`, its options fixed."""

Build = Callable[[Any, Tensor, int], Loss]
"""`(settings of the term, (C,) training records of each class, epoch counted from 0) -> loss`."""

LOSSES: Registry[Build] = Registry(
    "loss",
    {
        "cross-entropy": "facecrop.training.losses.cross_entropy:build",
        "focal": "facecrop.training.losses.focal:build",
        "soft-f1": "facecrop.training.losses.soft_f1:build",
        "ldam": "facecrop.training.losses.ldam:build",
        "class-balanced": "facecrop.training.losses.class_balanced:build",
        "symmetric-ce": "facecrop.training.losses.symmetric:build",
        "smooth-l1": "facecrop.training.losses.smooth_l1:build",
        "ordinal": "facecrop.training.losses.ordinal:build",
    },
)
"""What a term of `LossSettings` can be."""
