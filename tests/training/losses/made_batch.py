"""One small batch, whose losses are worked out in other ways."""

import torch
from torch import Tensor
from torch.nn import functional

COUNTS = torch.tensor([4000.0, 300.0, 20.0, 1.0])
BY_CLASS = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 3, 1, 0])
ONE_HOT = functional.one_hot(LABELS, 4).double()
LOGITS = torch.randn((6, 4), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MIXED = 0.3 * ONE_HOT + 0.7 * ONE_HOT.roll(1, 0)


def close(ours: Tensor, theirs: Tensor | float) -> None:
    torch.testing.assert_close(ours, torch.as_tensor(theirs, dtype=ours.dtype))
