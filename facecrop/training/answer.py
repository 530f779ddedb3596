"""What a network says of pictures, whatever heads it has, and how far that is from the labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from facecrop.labels.space import LabelSpace


@dataclass(frozen=True)
class Answer:
    """What a network says of N pictures, whatever heads it has.

    Everything follows from the log-probabilities of the P joint classes; for separate heads these
    are sums, as if the labels were independent given the picture.

    Args:
        space: The axes and their words.
        log_joint: (N, P) float32, normalised and finite.
        correction: (P,) float32, subtracted from `log_joint` where classes are *chosen*;
            probabilities stay the network's own.
        age: (N,) float32, expected age in years; None where the network does not know years.
    """

    space: LabelSpace
    log_joint: Tensor
    correction: Tensor | None = None
    age: Tensor | None = None

    def __len__(self) -> int:
        return len(self.log_joint)

    @cached_property
    def joint(self) -> Tensor:
        """(N,) int64, the chosen class of the space: the largest, after the correction."""
        shift = 0 if self.correction is None else self.correction.to(self.log_joint)
        return (self.log_joint - shift).argmax(dim=1)

    @cached_property
    def classes(self) -> dict[str, Tensor]:
        """By axis, (N,) int64: the position of the chosen word; the words of `joint`."""
        sizes = [len(words) for _, words in self.space.axes]
        positions = torch.unravel_index(self.joint, sizes)
        return {axis: p for (axis, _), p in zip(self.space.axes, positions, strict=True)}

    @cached_property
    def probabilities(self) -> dict[str, Tensor]:
        """By axis, (N, C) float32: marginals of the joint classes, not corrected."""
        grid = self.grid()
        axes = range(1, grid.ndim)
        return {
            axis: grid.logsumexp(dim=[a for a in axes if a != here]).exp()
            if len(axes) > 1
            else grid.exp()
            for here, (axis, _) in enumerate(self.space.axes, start=1)
        }

    def grid(self) -> Tensor:
        """Return `log_joint` with a dimension for each axis: (N, C1, C2 …)."""
        return self.log_joint.reshape(-1, *(len(words) for _, words in self.space.axes))

    def take(self, rows: Tensor) -> "Answer":
        """Return the answers of some rows, (M,) int64 or (N,) bool."""
        age = None if self.age is None else self.age[rows]
        return Answer(self.space, self.log_joint[rows], self.correction, age)


def record_loss(answer: Answer, truth: Mapping[str, Tensor]) -> Tensor:
    """Return how surprised a network is by each record's labels: one definition for all heads.

        l = - sum over the known axes of  log p(true word | picture)

    For a joint head with all labels known it is the joint class's, -log p(mask, gender, age group).
    With age in years it is the probability of the age *group*, so that runs can be compared.

    Args:
        answer: Of N records.
        truth: By axis and `joint`, (N,) int64, -1 where unknown, as `Task.truth` returns it.

    Returns:
        (N,) float32, nats; NaN where no label is known.
    """
    grid = answer.grid()
    axes = [axis for axis, _ in answer.space.axes]
    true = torch.stack([truth[axis].to(grid.device) for axis in axes], dim=1)  # (N, axes)
    loss = torch.full((len(answer),), torch.nan, device=grid.device)
    for known in {tuple(row) for row in (true >= 0).tolist()} - {(False,) * len(axes)}:
        mask = torch.tensor(known, device=grid.device)
        rows = ((true >= 0) == mask).all(dim=1).nonzero()[:, 0]
        hidden = [position + 1 for position, here in enumerate(known) if not here]
        log_p = grid[rows].logsumexp(dim=hidden) if hidden else grid[rows]
        at = true[rows][:, mask].unbind(dim=1)
        loss[rows] = -log_p[(torch.arange(len(rows), device=grid.device), *at)]
    return loss
