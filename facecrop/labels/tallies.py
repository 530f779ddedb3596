"""What a dataset holds, in numbers of images and people: by class, axis, age, and age policy."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.index import AGE_GROUPS, GENDERS, LABELS_SCHEMA, MASKS
from facecrop.labels.ages import AgePolicy
from facecrop.labels.space import MASK_TASK

ALL = "all"
"""The name of all records among the parts of a split."""

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


class PolicyCount:
    """Counts kept records under one policy, batch by batch.

    Args:
        policy: The policy.
        active: Whether it is the dataset's own.
        n_people: How many people there are.
    """

    def __init__(self, policy: AgePolicy, *, active: bool, n_people: int) -> None:
        self._policy, self._active = policy, active
        self._seen = np.zeros(n_people, np.bool_)
        self._images = np.zeros(len(MASK_TASK), np.int64)
        self._people = np.zeros(len(GENDERS) * len(AGE_GROUPS), np.int64)
        self._kept = 0

    def add(self, persons: NDArray[np.int64], labels: pa.Table) -> None:
        """Count some records.

        Args:
            persons: (N,) a number for each record's person.
            labels: (N,) rows as they are under the policy.
        """
        kept = labels.filter(labels["kept"])
        own = persons[labels["kept"].to_numpy()]
        self._kept += kept.num_rows
        self._images += np.array(class_counts(kept))
        self._people += np.array(_person_counts(kept.take(pa.array(first_seen(own, self._seen)))))

    def tally(self) -> Tally:
        """Return what was counted."""
        return Tally(
            self._policy.name,
            self._policy.cuts,
            self._policy.drop,
            self._active,
            self._images.tolist(),
            self._people.tolist(),
            self._kept,
            int(self._seen.sum()),
        )


class LabelCount:
    """Counts kept records by label, of all and of each part of a split, and people by age.

    Args:
        parts: Names of the parts.
        n_people: How many people there are.
    """

    def __init__(self, parts: Sequence[str], n_people: int) -> None:
        self._names = [ALL, *sorted(parts)]
        self._codes = {part: code for code, part in enumerate(parts)}
        self._axes = {name: axis_counts(LABELS_SCHEMA.empty_table()) for name in self._names}
        self._classes = {name: np.zeros(len(MASK_TASK), np.int64) for name in self._names}
        self._seen = np.zeros(n_people, np.bool_)
        self._ages: Counter[tuple[int, int]] = Counter()
        self._reasons: Counter[str] = Counter()

    def add(self, persons: NDArray[np.int64], labels: pa.Table, part: NDArray[np.int64]) -> None:
        """Count some records.

        Args:
            persons: (N,) a number for each record's person.
            labels: (N,) rows.
            part: (N,) the number of each record's part, -1 for none.
        """
        kept = labels["kept"].to_numpy()
        for name in self._names:
            of_part = kept if name == ALL else kept & (part == self._codes[name])
            rows = labels.filter(pa.array(of_part))
            self._classes[name] += np.array(class_counts(rows))
            for axis, counts in axis_counts(rows).items():
                for word, count in counts.items():
                    own = self._axes[name][axis]
                    own[word] = own.get(word, 0) + count
        for row in pc.value_counts(labels["kept_reason"].drop_null()).to_pylist():
            self._reasons[row["values"]] += row["counts"]
        person = labels.take(pa.array(first_seen(persons, self._seen)))
        known = person.filter(pc.is_valid(person["age"]))
        genders = pc.fill_null(pc.index_in(known["gender"], value_set=pa.array(GENDERS)), 2)
        self._ages.update(zip(known["age"].to_pylist(), genders.to_pylist(), strict=True))

    @property
    def axes(self) -> dict[str, dict[str, dict[str, int]]]:
        """By part, how many rows each word of each axis has, as `axis_counts` says."""
        return self._axes

    @property
    def classes(self) -> dict[str, list[int]]:
        """By part, how many rows each of the 18 classes has."""
        return {name: counts.tolist() for name, counts in self._classes.items()}

    @property
    def kept_reasons(self) -> dict[str, int]:
        """Rows that are not kept, by reason."""
        return dict(sorted(self._reasons.items()))

    @property
    def ages(self) -> list[tuple[int, list[int]]]:
        """The people of each year of age: (age, [male, female, unknown]), without empty years.

        People are counted whether an age policy keeps them or not.
        """
        years = sorted({age for age, _ in self._ages})
        genders = range(len(GENDERS) + 1)
        return [(age, [self._ages[age, gender] for gender in genders]) for age in years]


def first_seen(persons: NDArray[np.int64], seen: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the first row of each person not seen before, rising, and note them as seen."""
    people, first = np.unique(persons, return_index=True)
    rows = np.sort(first[~seen[people]])
    seen[people] = True
    return np.asarray(rows, np.int64)


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
