"""Which fold a person belongs to: strategies, strata, and growing without moving anybody."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.errors import ConfigError
from facecrop.labels.balance import deal_kinds
from facecrop.labels.groups import Groups
from facecrop.labels.order import hashed_order, words
from facecrop.labels.people import Numbers, People
from facecrop.labels.sampling import Sampling

Strategy = Literal["random", "profile", "stratified", "kfold", "final"]
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
    radius: int = Field(default=14, ge=0, le=15)
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
    if settings.strategy == "profile":
        alike = np.zeros(len(groups), np.int64)
        people = replace(people, kinds=np.ones((1, 1), np.int64), kind=alike)
    free = held < 0
    free[list(bridges)] = False
    names, inverse = np.unique(groups[free], return_inverse=True)
    if len(names) + len(np.unique(held[held >= 0])) < len(shares):
        raise ConfigError(
            f"{len(shares)} folds need at least {len(shares)} people who can be parted, "
            f"there are {len(np.unique(groups))}; ask for fewer folds or add people"
        )
    ranks = np.empty(len(names), np.int64)
    order = hashed_order((people.profiles[name] for name in names.tolist()), settings.seed)
    ranks[order] = np.arange(len(names))
    folds = held.copy()
    if len(names):
        kinds, kind = _kinds_of_groups(people, free, inverse)
        base = people.held_by(held, len(shares))
        folds[free] = deal_kinds(kinds, kind, shares, ranks, base)[inverse]
    return Placement(folds, groups, bridges)


def _kinds_of_groups(
    people: People, free: NDArray[np.bool_], group: Numbers
) -> tuple[Numbers, Numbers]:
    """Return the different rows of what groups hold, and which of them each group's is.

    Args:
        people: With their own kinds.
        free: (P,), who is in a group.
        group: (F,), the number of the group of each of these.
    """
    own = people.kind[free]
    several = np.bincount(group) > 1
    kind = np.zeros(len(several), np.int64)
    kind[group] = own
    kind[several] = len(people.kinds) + np.arange(several.sum())
    of_several = several[group]
    sums = np.zeros((int(several.sum()), people.kinds.shape[1]), np.int64)
    np.add.at(sums, kind[group[of_several]] - len(people.kinds), people.kinds[own[of_several]])
    used, place = np.unique(kind, return_inverse=True)
    every = np.concatenate([people.kinds, sums])[used]
    kinds, merged = np.unique(every, axis=0, return_inverse=True)
    return kinds, merged.reshape(-1)[place.reshape(-1)]


def deal_images(paths: pa.ChunkedArray, settings: SplitSettings) -> Numbers:
    """Deal single images into folds, whoever they show: the leak that `random` is there to show."""
    order = hashed_order(words(paths), settings.seed)
    borders = np.cumsum(settings.shares)[:-1] * len(paths)
    folds = np.empty(len(paths), np.int64)
    folds[order] = np.searchsorted(np.rint(borders), np.arange(len(paths)), side="right")
    return folds
