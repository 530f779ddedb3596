"""The space of labels: several axes as one class number, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import ConfigError
from facecrop.index import AGE_GROUPS, GENDERS, MASKS


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """Axes of labels and the numbering of their combinations; the last axis changes fastest.

    >>> MASK_TASK.encode({"mask": "none", "gender": "female", "age_group": "old"})
    17
    >>> MASK_TASK.decode(8)
    {'mask': 'incorrect', 'gender': 'male', 'age_group': 'old'}
    """

    axes: tuple[tuple[str, tuple[str, ...]], ...]

    def __len__(self) -> int:
        return prod(len(words) for _, words in self.axes)

    def encode(self, labels: Mapping[str, str]) -> int:
        """Return the class number of a combination, in [0, len(self)).

        Raises:
            ConfigError: An axis has no such word.
        """
        number = 0
        for axis, words in self.axes:
            if labels[axis] not in words:
                raise ConfigError(f"{axis} must be one of {', '.join(words)}, got {labels[axis]!r}")
            number = number * len(words) + words.index(labels[axis])
        return number

    def decode(self, number: int) -> dict[str, str]:
        """Return the words of a class number.

        Raises:
            ConfigError: There is no such class.
        """
        if not 0 <= number < len(self):
            raise ConfigError(f"class must be in [0, {len(self)}), got {number}")
        labels = {}
        for axis, words in reversed(self.axes):
            number, position = divmod(number, len(words))
            labels[axis] = words[position]
        return {axis: labels[axis] for axis, _ in self.axes}

    def encode_table(self, labels: pa.Table) -> npt.NDArray[np.int32]:
        """Return the class of each row.

        Args:
            labels: (N,) rows with a string column for each axis.

        Returns:
            (N,) int32, -1 where any of the labels is unknown.
        """
        numbers = np.zeros(labels.num_rows, np.int32)
        known = np.ones(labels.num_rows, bool)
        for axis, words in self.axes:
            found = pc.index_in(labels[axis], value_set=pa.array(words, pa.string()))
            position = pc.fill_null(found, -1).to_numpy()
            known &= position >= 0
            numbers = numbers * len(words) + position
        return np.where(known, numbers, -1).astype(np.int32)


MASK_TASK = LabelSpace((("mask", MASKS), ("gender", GENDERS), ("age_group", AGE_GROUPS)))
"""The 18 classes of the mask task: mask * 6 + gender * 3 + age group."""
WORDS = dict(MASK_TASK.axes)
"""Of each axis, in the order of their classes."""
