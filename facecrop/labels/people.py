"""The persons of a dataset, and what each would bring into a fold of a split."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.index import AGE_GROUPS, GENDERS, MASKS, Status
from facecrop.labels.ages import OFFICIAL

Numbers = NDArray[np.int64]
Codes = NDArray[np.int16]

_PEOPLE_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True)
class People:
    """The persons of a dataset, sorted by profile.

    Args:
        profiles: (P,) their profiles.
        of_rows: (N,) the person of each record.
        cells: (P,) what each is counted as, in `cell_names`.
        cell_names: `male young`, `female old (left out)`, and so on.
        kinds: (T, C) how much of each class people hold, for the solver: the different rows.
        kind: (P,) which of them each person's is.
    """

    profiles: list[str]
    of_rows: Numbers
    cells: Numbers
    cell_names: list[str]
    kinds: Numbers
    kind: Numbers

    def held_by(self, folds: Numbers, n_folds: int) -> Numbers:
        """Return how much of each class each fold holds, (K, C), by each person's fold or -1."""
        return np.stack(
            [
                np.bincount(self.kind[folds == fold], minlength=len(self.kinds)) @ self.kinds
                for fold in range(n_folds)
            ]
        )


def usable_rows(status: pa.ChunkedArray, kept: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return which records a training can use, (N,): kept ones that have a crop."""
    has_crop = pc.is_in(status, value_set=pa.array([Status.OK, Status.FALLBACK], pa.string()))
    return np.asarray(pc.and_(has_crop, kept).to_numpy(), bool)


def people_of(profiles: pa.ChunkedArray, labels: pa.Table, usable: NDArray[np.bool_]) -> People:
    """Gather the persons and count what each would bring into a fold.

    A person counts in its cell, gender x age group, and with its pictures in theirs, which the
    mask divides further; those without a usable picture, and those the age policy leaves out (by
    their official group), have cells of their own, so that they too lie evenly.

    Args:
        profiles: (N,) of each record.
        labels: (N,) rows with mask, gender, age and age_group.
        usable: (N,) as `usable_rows` returns it.
    """
    names = pc.unique(profiles).sort()
    of_rows = pc.index_in(profiles, value_set=names).to_numpy().astype(np.int64)
    gender = _codes(labels["gender"], GENDERS)
    group = _codes(pc.coalesce(labels["age_group"], OFFICIAL.groups(labels["age"])), AGE_GROUPS)
    base = gender * (len(AGE_GROUPS) + 1) + group
    n_base = (len(GENDERS) + 1) * (len(AGE_GROUPS) + 1)
    used = np.zeros(len(names), bool)
    used[of_rows[usable]] = True
    cells = np.zeros(len(names), np.int64)
    cells[of_rows] = base
    cells += n_base * ~used
    base += np.int16(n_base) * ~usable
    base *= np.int16(len(MASKS) + 1)
    base += _codes(labels["mask"], MASKS)
    kinds, kind = _kinds(cells, of_rows, base)
    return People(names.to_pylist(), of_rows, cells, _cell_names(), kinds, kind)


def _kinds(cells: Numbers, of_rows: Numbers, pictures: Codes) -> tuple[Numbers, Numbers]:
    """Return the different rows of a table of people, and which of them each person's is.

    A row counts the person in its cell, and its pictures in theirs; of cells that nobody is in
    there is no column. The table is never there as a whole: it would be larger than the dataset.
    """
    # People weigh as much as all their pictures, so that neither is balanced at the other's cost.
    weight = max(round(len(of_rows) / max(len(cells), 1)), 1)
    cell, n_cells = _dense(cells)
    picture, n_pictures = _dense(pictures)
    order = None
    if np.any(of_rows[1:] < of_rows[:-1]):
        order = np.argsort(of_rows, kind="stable")
        of_rows, picture = of_rows[order], picture[order]
    found, kind = [np.zeros((0, n_cells + n_pictures), np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, len(cells), _PEOPLE_AT_ONCE):
        end = min(start + _PEOPLE_AT_ONCE, len(cells))
        rows = slice(*np.searchsorted(of_rows, [start, end]).tolist())
        table = np.zeros((end - start, n_cells + n_pictures), np.int64)
        table[np.arange(end - start), cell[start:end]] = weight
        np.add.at(table, (of_rows[rows] - start, n_cells + picture[rows]), 1)
        some, which = np.unique(table, axis=0, return_inverse=True)
        kind.append(which.reshape(-1) + sum(map(len, found)))
        found.append(some)
    kinds, place = np.unique(np.concatenate(found), axis=0, return_inverse=True)
    return kinds, place.reshape(-1)[np.concatenate(kind)]


def _dense(codes: Numbers | Codes) -> tuple[Codes, int]:
    """Return codes as numbers without gaps, in the same order, and how many there are."""
    there = np.bincount(codes) > 0
    return (np.cumsum(there) - 1).astype(np.int16)[codes], int(there.sum())


def _codes(values: pa.ChunkedArray, words: Sequence[str]) -> Codes:
    """Return the place of each value in `words`, their number where it is unknown."""
    found = pc.fill_null(pc.index_in(values, value_set=pa.array(words, pa.string())), len(words))
    return np.asarray(found.to_numpy(), np.int16)


def _cell_names() -> list[str]:
    return [
        f"{gender} {group}{left_out}"
        for left_out in ("", " (left out)")
        for gender in (*GENDERS, "?")
        for group in (*AGE_GROUPS, "?")
    ]
