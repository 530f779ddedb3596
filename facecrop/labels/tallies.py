"""What a dataset holds, in numbers of images and people: by class, axis, age, and age policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.index import AGE_GROUPS, GENDERS, MASKS
from facecrop.labels.ages import AgePolicy
from facecrop.labels.space import MASK_TASK

UNKNOWN = "?"
"""Stands among the words of an axis for records whose label is not known."""

AXES = {"mask": MASKS, "gender": GENDERS, "age_group": AGE_GROUPS}


@dataclass(frozen=True, slots=True)
class Tally:
    """What is counted under one age policy.

    Args:
        policy: Its name.
        cuts: First year of middle, first year of old.
        drop: Years that are left out.
        active: Whether it is the dataset's own.
        images: Kept images of each of the 18 classes, in the order of `MASK_TASK`.
        people: Kept people by gender and age group, in the order of its last six classes.
        kept: Kept images, with and without labels.
        people_kept: People with at least one of them.
    """

    policy: str
    cuts: tuple[int, int]
    drop: tuple[int, ...]
    active: bool
    images: list[int]
    people: list[int]
    kept: int
    people_kept: int

    @property
    def smallest(self) -> int:
        """Images of the rarest class."""
        return min(self.images)

    @property
    def largest(self) -> int:
        """Images of the most frequent class."""
        return max(self.images)


def tally(profiles: pa.ChunkedArray, labels: pa.Table, policy: AgePolicy, *, active: bool) -> Tally:
    """Count kept records.

    Args:
        profiles: (N,) of each record.
        labels: (N,) rows as they are under the policy.
        policy: That one.
        active: Whether it is the dataset's own.
    """
    kept = labels.filter(labels["kept"])
    people = profiles.filter(labels["kept"])
    one_each = _first_of_each(people)
    return Tally(
        policy.name,
        policy.cuts,
        policy.drop,
        active,
        class_counts(kept),
        _person_counts(kept.take(one_each)),
        kept.num_rows,
        len(one_each),
    )


def class_counts(labels: pa.Table) -> list[int]:
    """Return how many rows each of the 18 classes has; those with an unknown label have none."""
    numbers = MASK_TASK.encode_table(labels)
    return list(np.bincount(numbers[numbers >= 0], minlength=len(MASK_TASK)).tolist())


def _person_counts(labels: pa.Table) -> list[int]:
    gender = pc.fill_null(pc.index_in(labels["gender"], value_set=pa.array(GENDERS)), -1)
    group = pc.fill_null(pc.index_in(labels["age_group"], value_set=pa.array(AGE_GROUPS)), -1)
    genders, groups = gender.to_numpy(), group.to_numpy()
    known = (genders >= 0) & (groups >= 0)
    cells = (genders * len(AGE_GROUPS) + groups)[known]
    return list(np.bincount(cells, minlength=len(GENDERS) * len(AGE_GROUPS)).tolist())


def _first_of_each(profiles: pa.ChunkedArray) -> NDArray[np.int64]:
    codes = pc.fill_null(profiles.combine_chunks().dictionary_encode().indices, -1).to_numpy()
    return np.asarray(np.sort(np.unique(codes, return_index=True)[1]), np.int64)


def axis_counts(labels: pa.Table) -> dict[str, dict[str, int]]:
    """Return how many rows each word of each axis has, and how many have none (`UNKNOWN`)."""
    result = {}
    for axis, words in AXES.items():
        counts = {word: pc.sum(pc.equal(labels[axis], word)).as_py() or 0 for word in words}
        unknown = labels.num_rows - sum(counts.values())
        result[axis] = counts | ({UNKNOWN: unknown} if unknown else {})
    return result


def imbalance(counts: Sequence[int]) -> float | None:
    """Return how often the most frequent is for one of the rarest; None if there is none of one.

    >>> imbalance([4085, 83]), imbalance([5, 0])
    (49.21686746987952, None)
    """
    return max(counts) / min(counts) if counts and min(counts) else None


def axis_imbalance(counts: Mapping[str, int]) -> float | None:
    """Return the imbalance of the words of an axis; records without one are left out.

    >>> axis_imbalance({"male": 20, "female": 10, "?": 3})
    2.0
    """
    return imbalance([count for word, count in counts.items() if word != UNKNOWN])


def age_histogram(profiles: pa.ChunkedArray, labels: pa.Table) -> list[tuple[int, list[int]]]:
    """Return the people of each year of age: (age, [male, female, unknown]), without empty years.

    People are counted whether an age policy keeps them or not.
    """
    person = labels.take(_first_of_each(profiles))
    known = person.filter(pc.is_valid(person["age"]))
    genders = pc.fill_null(pc.index_in(known["gender"], value_set=pa.array(GENDERS)), 2)
    ages = known["age"].to_numpy()
    table = np.zeros((int(ages.max(initial=-1)) + 1, len(GENDERS) + 1), np.int64)
    np.add.at(table, (ages, genders.to_numpy()), 1)
    return [(age, row) for age, row in enumerate(table.tolist()) if any(row)]
