"""What the pictures of one person say together."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.training.answer import Answer

_PER_PICTURE = "mask"
"""A person takes the mask off; gender and age are the same in all of their pictures."""


def pool(answer: Answer, persons: Sequence[str] | NDArray[np.str_] | NDArray[np.int64]) -> Answer:
    """Let the pictures of a person agree about gender and age; the mask stays each picture's own.

    The log-probabilities of a person's gender and age are averaged over the pictures (a geometric
    mean: a picture that is sure counts more than one that shrugs) and normalised. The joint classes
    become mask of the picture times gender and age of the person.

    Args:
        answer: Of N pictures.
        persons: (N,) name or number of each picture's person.

    Returns:
        Of the same N pictures, with the same correction; the age is the mean over the pictures.
    """
    _, numbers = np.unique(np.asarray(persons), return_inverse=True)
    person = torch.from_numpy(numbers).to(answer.log_joint.device)
    age = None if answer.age is None else _means(answer.age.unsqueeze(1), person)[person, 0]
    axes = [axis for axis, _ in answer.space.axes]
    if axes == [_PER_PICTURE]:
        return answer
    if _PER_PICTURE not in axes:
        log_p = _means(answer.log_joint, person).log_softmax(dim=1)[person]
        return Answer(answer.space, log_p, answer.correction, age)
    grid = answer.grid().flatten(2)  # (N, masks, the rest); the mask is the first axis
    rest = _means(grid.logsumexp(dim=1), person).log_softmax(dim=1)[person]
    log_joint = (grid.logsumexp(dim=2).unsqueeze(2) + rest.unsqueeze(1)).flatten(1)
    return Answer(answer.space, log_joint, answer.correction, age)


def _means(values: Tensor, group: Tensor) -> Tensor:
    """Return (G, C) means of (N, C) values by (N,) group numbers."""
    sums = values.new_zeros(int(group.max()) + 1 if len(group) else 0, values.shape[1])
    sums = sums.index_add(0, group, values)
    return sums / group.bincount().to(values).unsqueeze(1)
