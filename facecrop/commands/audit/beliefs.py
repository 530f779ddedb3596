"""What models that had not seen a person say about them, and people to compare them with."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.material import Material
from facecrop.index import AGE_GROUPS, GENDERS, MASKS

_AXES = {"gender": GENDERS, "age_group": AGE_GROUPS, "mask": MASKS}
_OF_PEOPLE = ("gender", "age_group")
_EXAMPLES = 48
"""People of each class to compare with: some of any probability, in 400 pictures in all."""

Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """Out-of-fold probabilities, averaged over repeats.

    Args:
        records: Axis -> (N, C) for each row of the index, NaN where nothing was said.
        people: Axis -> (P, C): the mean over a person's pictures; of gender and age group.
        person: (N,) the person of each row of the index.
    """

    records: dict[str, Shares]
    people: dict[str, Shares]
    person: NDArray[np.int64]

    def of_record(self, axis: str, row: int) -> Shares | None:
        """Return the probabilities of a picture, (C,); None where nothing was said."""
        return _known(self.records[axis][row]) if axis in self.records else None

    def of_person(self, row: int) -> dict[str, Shares]:
        """Return by axis the probabilities of the person of a picture, (C,)."""
        said = {axis: _known(shares[self.person[row]]) for axis, shares in self.people.items()}
        return {axis: shares for axis, shares in said.items() if shares is not None}


def read_beliefs(material: Material) -> Beliefs | None:
    """Return what the run's models say of records they were not trained on, None without a run."""
    table = material.predictions
    if table is None:
        return None
    index = material.index
    rows = pc.index_in(table["path"], value_set=index["path"].combine_chunks())
    there = pc.is_valid(rows).to_numpy()
    places = rows.drop_null().to_numpy().astype(np.int64)
    person = index["profile"].combine_chunks().dictionary_encode().indices.to_numpy()
    person = person.astype(np.int64)
    records = {}
    for axis, words in _AXES.items():
        columns = [f"p_{axis}_{word}" for word in words]
        if not set(columns) <= set(table.column_names):
            continue
        shares = np.stack(
            [table[name].to_numpy(zero_copy_only=False)[there] for name in columns], axis=1
        )
        records[axis] = _means(shares, places, len(index))
    people = {}
    for axis in _OF_PEOPLE:
        if axis in records:
            said = np.isfinite(records[axis]).all(axis=1)
            people[axis] = _means(
                records[axis][said], person[said], int(person.max(initial=-1)) + 1
            )
    return Beliefs(records, people, person)


def examples_of(
    material: Material, beliefs: Beliefs, suspects: AbstractSet[str]
) -> dict[str, dict[str, list[tuple[int, float, str]]]]:
    """Return whom a suspect can be compared with: axis -> word -> (row, probability, profile).

    They are people who are labelled so and taken for it by models that had not seen them, none of
    them a suspect; spread evenly over those probabilities, sorted by them. The page shows those
    whose probability is nearest to the suspect's: as alike as the model can tell, not as pictures
    go. For gender and age a picture without a mask is shown, if there is one.

    Args:
        material: The dataset.
        beliefs: What models say.
        suspects: Profiles that are left out.
    """
    index, labels = material.index, material.labels
    doubted = pc.is_in(index["profile"], value_set=pa.array(sorted(suspects), pa.string()))
    shown = pc.and_(pc.is_valid(index["image"]), labels["kept"])
    usable = pc.and_not(shown, doubted).to_numpy()
    bare = pc.fill_null(pc.equal(labels["mask"], MASKS[-1]), False).to_numpy()
    profiles = index["profile"].combine_chunks()
    found: dict[str, dict[str, list[tuple[int, float, str]]]] = {}
    for axis, shares in beliefs.records.items():
        if axis in beliefs.people:
            shares = beliefs.people[axis][beliefs.person]  # noqa: PLW2901 - the same of people
        best = np.where(np.isfinite(shares).all(axis=1), np.nan_to_num(shares).argmax(axis=1), -1)
        found[axis] = {}
        for number, word in enumerate(_AXES[axis]):
            given = pc.fill_null(pc.equal(labels[axis], word), False).to_numpy()
            rows = np.flatnonzero(usable & given & (best == number))
            rows = rows[np.argsort(~bare[rows], kind="stable")] if axis in beliefs.people else rows
            _, first = np.unique(beliefs.person[rows], return_index=True)
            rows = rows[np.sort(first)]
            rows = rows[np.argsort(shares[rows, number], kind="stable")]
            if len(rows) > _EXAMPLES:
                rows = rows[np.linspace(0, len(rows) - 1, _EXAMPLES).round().astype(np.int64)]
            found[axis][word] = [
                (row, float(shares[row, number]), profiles[row].as_py()) for row in rows.tolist()
            ]
    return found


def _means(values: NDArray[np.floating], groups: NDArray[np.int64], count: int) -> Shares:
    """Return the mean row of each group, (count, C); NaN where a group has none."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, groups, values)
    sizes = np.bincount(groups, minlength=count)[:, None]
    means = np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0)
    return means.astype(np.float32)


def _known(shares: Shares) -> Shares | None:
    return shares if np.isfinite(shares).all() else None
