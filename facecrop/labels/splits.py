"""Which fold a person belongs to: strategies, strata, and growing without moving anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.errors import ConfigError
from facecrop.index import AGE_GROUPS, GENDERS, MASKS, Status
from facecrop.labels.ages import OFFICIAL
from facecrop.labels.balance import deal
from facecrop.labels.groups import Groups
from facecrop.labels.order import hashed_order
from facecrop.labels.sampling import Sampling

Strategy = Literal["random", "profile", "stratified", "kfold", "final"]
Numbers = NDArray[np.int64]

_USUAL, _FINAL = 0.2, 0.05
LARGE_GROUP = 5
"""Groups of more people than this are reported: one wrong link may have joined them."""


class SplitSettings(Settings):
    """How a dataset is split."""

    strategy: Strategy = "stratified"
    """`stratified` by person, with every gender and age group in proportion; `kfold` the same for
    several folds; `final` the same with nearly all in training; `profile` by person alone;
    `random` by image, which leaks people and only serves to show by how much."""
    val_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the people in validation; None: 0.05 for `final`, 0.2 else. Not used by `kfold`."""
    folds: int = Field(default=5, ge=2)
    """Of `kfold`."""
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    """Which of all good splits it is."""
    radius: int = Field(default=10, ge=0, le=15)
    """Bits by which the hashes of two pictures may differ for them to be compared as duplicates; a
    border of 4 % cut off an aligned face changes 10."""
    agreement: float = Field(default=0.9, gt=0, le=1)
    """How far the registered pixels of two pictures must agree to be one photograph. Compressed,
    resized or cropped again, photographs agree by 0.97 and more."""
    sampling: Sampling = Sampling()
    """What a training draws."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.strategy == "kfold" and self.val_fraction is not None:
            raise ValueError("kfold takes folds, not val_fraction")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each fold; fold 0 is validation."""
        if self.strategy == "kfold":
            return (1 / self.folds,) * self.folds
        usual = _FINAL if self.strategy == "final" else _USUAL
        val = usual if self.val_fraction is None else self.val_fraction
        return val, 1 - val


@dataclass(frozen=True, slots=True)
class People:
    """The persons of a dataset, sorted by profile.

    Args:
        profiles: (P,) their profiles.
        of_rows: (N,) the person of each record.
        cells: (P,) what each is counted as, in `cell_names`.
        cell_names: `male young`, `female old (left out)`, and so on.
        counts: (P, C) how much of each class each holds, for the solver.
    """

    profiles: list[str]
    of_rows: Numbers
    cells: Numbers
    cell_names: list[str]
    counts: Numbers


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
    pictures = (base + n_base * ~usable) * (len(MASKS) + 1) + _codes(labels["mask"], MASKS)
    # People weigh as much as all their pictures, so that neither is balanced at the other's cost.
    weight = max(round(len(of_rows) / max(len(names), 1)), 1)
    counts = np.concatenate(
        [_table(np.arange(len(names)), cells) * weight, _table(of_rows, pictures)], axis=1
    )
    return People(names.to_pylist(), of_rows, cells, _cell_names(), counts)


def _table(rows: Numbers, columns: Numbers) -> Numbers:
    """Count pairs: a row for each number from 0 to the largest, a column for each that occurs."""
    there, column = np.unique(columns, return_inverse=True)
    n_rows = int(rows.max(initial=-1)) + 1
    flat = np.bincount(rows * len(there) + column, minlength=n_rows * len(there))
    return np.asarray(flat.reshape(n_rows, len(there)), np.int64)


def _codes(values: pa.ChunkedArray, words: Sequence[str]) -> Numbers:
    """Return the place of each value in `words`, their number where it is unknown."""
    found = pc.fill_null(pc.index_in(values, value_set=pa.array(words, pa.string())), len(words))
    return np.asarray(found.to_numpy(), np.int64)


def _cell_names() -> list[str]:
    return [
        f"{gender} {group}{left_out}"
        for left_out in ("", " (left out)")
        for gender in (*GENDERS, "?")
        for group in (*AGE_GROUPS, "?")
    ]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everybody goes.

    Args:
        folds: (P,) each person's fold, -1 for those set aside.
        groups: (P,) each person's group, named by its first person.
        bridges: Persons that were set aside, each with those it would have joined.
    """

    folds: Numbers
    groups: Numbers
    bridges: dict[int, list[int]]


def place(people: People, links: Sequence[tuple[int, int]], settings: SplitSettings) -> Placement:
    """Deal people into folds, those of a group together.

    Args:
        people: As `people_of` returns them.
        links: Pairs of persons that must not be parted.
        settings: How.

    Raises:
        ConfigError: There are fewer groups than folds.
    """
    groups = Groups(len(people.profiles))
    for first, second in links:
        groups.join(first, second)
    nobody = np.full(len(people.profiles), -1, np.int64)
    return _deal(people, groups.names(), nobody, settings, {})


def extend(
    people: People,
    links: Sequence[tuple[int, int]],
    settings: SplitSettings,
    old: Numbers,
) -> Placement:
    """Deal new people into folds; nobody who has a fold moves.

    Args:
        people: As `people_of` returns them.
        links: Pairs of persons that must not be parted.
        settings: How.
        old: (P,) the fold each has already, or -1.

    Raises:
        ConfigError: Two people who are to be kept apart turn out to be linked.
    """
    groups = Groups(len(old))
    fold_of = dict(enumerate(old.tolist()))
    neighbours: dict[int, list[int]] = {}
    for first, second in links:
        neighbours.setdefault(first, []).append(second)
        neighbours.setdefault(second, []).append(first)
    bridges: dict[int, list[int]] = {}
    placed: set[int] = set()
    order = hashed_order(people.profiles, settings.seed)
    for person in [*order[old[order] >= 0].tolist(), *order[old[order] < 0].tolist()]:
        before = [other for other in neighbours.get(person, []) if other in placed]
        roots = {groups.find(other) for other in [person, *before]}
        folds = {fold_of[root] for root in roots} - {-1}
        if len(folds) > 1 and old[person] >= 0:
            raise ConfigError(_parted(people, person, before, old))
        if len(folds) > 1:
            bridges[person] = sorted(before)
            continue
        placed.add(person)
        for root in roots:
            groups.join(person, root)
        fold_of[groups.find(person)] = folds.pop() if folds else -1
    names = groups.names()
    held = np.array([fold_of[name] for name in names.tolist()], np.int64)
    held[list(bridges)] = -1
    return _deal(people, names, held, settings, bridges)


def _parted(people: People, person: int, others: list[int], old: Numbers) -> str:
    other = next(one for one in others if old[one] >= 0 and old[one] != old[person])
    return (
        f"{people.profiles[person]!r} and {people.profiles[other]!r} show the same photograph but "
        f"lie in folds {old[person]} and {old[other]} of the old split, where nobody may move; "
        "make a new split without --extend"
    )


def _deal(
    people: People,
    groups: Numbers,
    held: Numbers,
    settings: SplitSettings,
    bridges: dict[int, list[int]],
) -> Placement:
    """Give a fold to every group that has none."""
    shares = np.array(settings.shares)
    counts = people.counts
    if settings.strategy == "profile":
        counts = np.ones((len(groups), 1), np.int64)
    base = np.zeros((len(shares), counts.shape[1]), np.int64)
    np.add.at(base, held[held >= 0], counts[held >= 0])
    free = held < 0
    free[list(bridges)] = False
    names, inverse = np.unique(groups[free], return_inverse=True)
    if len(names) + len(np.unique(held[held >= 0])) < len(shares):
        raise ConfigError(
            f"{len(shares)} folds need at least {len(shares)} people who can be parted, "
            f"there are {len(np.unique(groups))}; ask for fewer folds or add people"
        )
    totals = np.zeros((len(names), counts.shape[1]), np.int64)
    np.add.at(totals, inverse, counts[free])
    ranks = np.empty(len(names), np.int64)
    order = hashed_order((people.profiles[name] for name in names.tolist()), settings.seed)
    ranks[order] = np.arange(len(names))
    folds = held.copy()
    if len(names):
        folds[free] = deal(totals, shares, ranks, base)[inverse]
    return Placement(folds, groups, bridges)


def deal_images(paths: Sequence[str], settings: SplitSettings) -> Numbers:
    """Deal single images into folds, whoever they show: the leak that `random` is there to show."""
    order = hashed_order(paths, settings.seed)
    borders = np.cumsum(settings.shares)[:-1] * len(paths)
    folds = np.empty(len(paths), np.int64)
    folds[order] = np.searchsorted(np.rint(borders), np.arange(len(paths)), side="right")
    return folds
