"""Predictions: what one model, or one vote, says about each picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facecrop.labels.space import MASK_TASK, WORDS, LabelSpace

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What is said about N pictures in a space of K classes.

    Args:
        name: Who says it.
        keys: (N,) the pictures, each once.
        space: The labels that are answered, and the number of their combinations.
        classes: (N,) the answers, in [0, K); -1 where there is none, which only truths may have.
        probabilities: (N, K), rows sum to 1; None where only answers are known.
        key: What `keys` are called in files.
    """

    name: str
    keys: tuple[str, ...]
    space: LabelSpace
    classes: Ints
    probabilities: Floats | None = None
    key: str = "path"

    @property
    def axes(self) -> tuple[str, ...]:
        """The labels that are answered."""
        return tuple(axis for axis, _ in self.space.axes)

    def distribution(self) -> Floats:
        """Return (N, K) probabilities; where only answers are known, 1 at the answer."""
        if self.probabilities is not None:
            return self.probabilities
        return np.eye(len(self.space))[self.classes]

    def shares(self) -> Floats:
        """Return (K,) how often each class is the answer, as shares of those known."""
        counts = np.bincount(self.classes[self.classes >= 0], minlength=len(self.space))
        return counts / max(int(counts.sum()), 1)

    def of_axis(self, axis: str) -> Self:
        """Return what is said about one label: its part of the answers, its marginals."""
        words = WORDS[axis]
        place = self.axes.index(axis)
        probabilities = None
        if self.probabilities is not None:
            probabilities = marginals(self.probabilities, self.space)[axis]
        step = int(np.prod([len(inner) for _, inner in self.space.axes[place + 1 :]], dtype=int))
        classes = np.where(self.classes < 0, -1, self.classes // step % len(words))
        space = LabelSpace(((axis, words),))
        return replace(self, space=space, classes=classes, probabilities=probabilities)

    def take(self, rows: Ints) -> Self:
        """Return some of the pictures, in this order."""
        return replace(
            self,
            keys=tuple(self.keys[row] for row in rows),
            classes=self.classes[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
        )


def space_of(axes: Sequence[str]) -> LabelSpace:
    """Return the space of some of the task's labels, in the task's order."""
    return LabelSpace(tuple((axis, words) for axis, words in MASK_TASK.axes if axis in axes))


def marginals(joint: Floats, space: LabelSpace) -> dict[str, Floats]:
    """Return each label's probabilities, (N, C) each, from those of all combinations, (N, K)."""
    lengths = [len(words) for _, words in space.axes]
    cube = joint.reshape(-1, *lengths)
    places = range(1, len(lengths) + 1)
    return {
        axis: cube.sum(axis=tuple(other for other in places if other != place))
        for place, (axis, _) in zip(places, space.axes, strict=True)
    }


def product(of_axes: Mapping[str, Floats], space: LabelSpace) -> Floats:
    """Return the probabilities of all combinations, (N, K), of labels that are independent."""
    first, *others = (np.asarray(of_axes[axis], np.float64) for axis, _ in space.axes)
    joint = first
    for other in others:
        joint = (joint[:, :, None] * other[:, None, :]).reshape(len(first), -1)
    return joint
