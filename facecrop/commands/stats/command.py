"""The numbers of a dataset: what it holds, how unevenly, and what its pictures are like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.distributions import Spread, face_places, spread
from facecrop.checks.moments import Moments, pool
from facecrop.checks.pixelstats import PIXEL_COLUMNS, measure_crops, painted_by
from facecrop.errors import ConfigError
from facecrop.index import CARD_FILE, INDEX_FILE, Status, read_columns, read_table
from facecrop.labels.ages import AgePolicy, active_policy, load_policy, shipped_policies
from facecrop.labels.certificate import read_split, split_files
from facecrop.labels.current import BATCH_ROWS, index_batches, labels_under
from facecrop.labels.history import read_history
from facecrop.labels.overrides import resolve
from facecrop.labels.tallies import (
    LabelCount,
    PolicyCount,
    Tally,
    axis_imbalance,
    imbalance,
)
from facecrop.storage import place

Rows = NDArray[np.int64]

_NUMBERS = ("width", "height", "sharpness", "brightness")
_FACES = ("face_x0", "face_y0", "face_x1", "face_y1")


@dataclass(frozen=True, slots=True)
class Pixels:
    """What the pixels of crops are like, pooled over all of them.

    Args:
        pixels: How many, in millions.
        mean: Of red, green and blue, in [0, 1].
        std: Likewise.
    """

    pixels: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The numbers of one dataset under one age policy.

    Args:
        name: Its folder, and the policy if it is not the active one.
        records: Images, kept or not.
        people: Profiles.
        statuses: Images of each status.
        kept_reasons: Images that are not kept, by reason.
        tallies: Under every policy, this dataset's first.
        axes: Kept images by label, of all and of each part of the split.
        classes: Kept images of the 18 classes, likewise.
        ages: People by age: (years, [male, female, unknown]).
        numbers: Of the sources: sizes, brightness, sharpness.
        faces: Where face boxes lie, as shares of the picture; their centres on a grid.
        pixels: Of the crops, by part: `with background` and `without background`.
        unread: Crops that could not be read.
        split: Name of the split, if there is one.
    """

    name: str
    records: int
    people: int
    statuses: dict[str, int]
    kept_reasons: dict[str, int]
    tallies: list[Tally]
    axes: dict[str, dict[str, dict[str, int]]]
    classes: dict[str, list[int]]
    ages: list[tuple[int, list[int]]]
    numbers: dict[str, Spread]
    faces: dict[str, Any]
    pixels: dict[str, dict[str, Pixels]]
    unread: int
    split: str | None

    @property
    def imbalance(self) -> dict[str, dict[str, float | None]]:
        """Most frequent to rarest, by part: of each axis, and of the 18 `classes`."""
        return {
            part: {axis: axis_imbalance(counts) for axis, counts in axes.items()}
            | {"classes": imbalance(self.classes[part])}
            for part, axes in self.axes.items()
        }


@dataclass(frozen=True, slots=True)
class Beside:
    """A label in two datasets.

    Args:
        axis: `mask`, `gender` or `age_group`.
        label: Its word, `?` where it is not known.
        images: Kept images with it, of either.
        shares: The same as shares of all kept images, in [0, 1].
    """

    axis: str
    label: str
    images: tuple[int, int]
    shares: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of a dataset, or of two side by side."""

    datasets: tuple[Summary, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "datasets": [
                asdict(summary) | {"imbalance": summary.imbalance} for summary in self.datasets
            ]
        }

    def side_by_side(self) -> list[Beside]:
        """Return each label's images in the two datasets; nothing if there is only one."""
        if len(self.datasets) == 1:
            return []
        first, second = (summary.axes["all"] for summary in self.datasets)
        return [
            Beside(
                axis,
                word,
                (first[axis].get(word, 0), second[axis].get(word, 0)),
                (_share(first[axis], word), _share(second[axis], word)),
            )
            for axis in first
            for word in dict.fromkeys([*first[axis], *second[axis]])
        ]


def _share(counts: dict[str, int], word: str) -> float:
    return counts.get(word, 0) / max(sum(counts.values()), 1)


def stats(
    out: Path,
    other: str | Path | None = None,
    *,
    split: str = "default",
    pixels: bool = True,
) -> Stats:
    """Work out the numbers of a dataset, and of another to compare it with.

    Args:
        out: The dataset.
        other: Another dataset, labelled or not, or an age policy: then the same under that one.
        split: Whose parts are told apart, if it is there.
        pixels: Whether to read the crops for mean and standard deviation.

    Raises:
        TableError: A table is missing or damaged.
        ConfigError: `other` is neither a dataset nor a policy.
    """
    first = summarise(out, None, split=split, pixels=pixels)
    if other is None:
        return Stats((first,))
    if place(other).is_dir():
        return Stats((first, summarise(place(other), None, split=split, pixels=pixels)))
    try:
        policy = load_policy(str(other))
    except ConfigError as error:
        raise ConfigError(f"{str(other)!r} is no dataset, and {error}") from None
    return Stats((first, summarise(out, policy, split=split, pixels=pixels)))


def summarise(out: Path, policy: AgePolicy | None, *, split: str, pixels: bool) -> Summary:
    """Work out the numbers of one dataset.

    Args:
        out: The dataset.
        policy: Instead of its own, or None.
        split: As in `stats`.
        pixels: Likewise.
    """
    own = active_policy(out)
    shown = policy or own
    others = {one.name: one for one in [own, *shipped_policies().values()]}
    others.pop(shown.name, None)
    policies = [shown, *others.values()]
    part_names, part = _parts(out, split)
    persons, n_people = _persons(out)
    labels = LabelCount(part_names or (), n_people)
    counts = [PolicyCount(one, active=one == own, n_people=n_people) for one in policies]
    kept, start = np.zeros(len(persons), np.bool_), 0
    overrides = resolve(read_history(out), index_batches(out))
    for under in labels_under(index_batches(out), overrides, policies):
        rows = slice(start, start + under[0].num_rows)
        labels.add(persons[rows], under[0], part[rows])
        for count, one in zip(counts, under, strict=True):
            count.add(persons[rows], one)
        kept[rows] = under[0]["kept"].to_numpy()
        start = rows.stop
    del persons
    measured, unread = _pixels(out, kept, part_names or (), part) if pixels else ({}, 0)
    return Summary(
        str(out) if policy is None else f"{out} under {policy.name}",
        len(kept),
        n_people,
        _statuses(read_table(out / INDEX_FILE, ["status"])["status"]),
        labels.kept_reasons,
        [count.tally() for count in counts],
        labels.axes,
        labels.classes,
        labels.ages,
        {name: spread(read_table(out / INDEX_FILE, [name])[name]) for name in _NUMBERS},
        face_places(read_table(out / INDEX_FILE, [*_NUMBERS[:2], *_FACES])),
        measured,
        unread,
        None if part_names is None else split,
    )


def _statuses(values: pa.ChunkedArray) -> dict[str, int]:
    counts = {row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()}
    return {
        key: counts[key] for key in [*Status, *sorted(set(counts) - set(Status))] if key in counts
    }


def _persons(out: Path) -> tuple[Rows, int]:
    """Return a number for each record's person, (N,), and how many people there are."""
    profiles = read_table(out / INDEX_FILE, ["profile"])["profile"]
    names = pc.unique(profiles)
    return pc.index_in(profiles, value_set=names).to_numpy().astype(np.int64), len(names)


def _parts(out: Path, split: str) -> tuple[list[str] | None, Rows]:
    """Return the names of the parts of a split, None if it is not there, and each record's.

    The latter is (N,), places in the names, -1 where the record is in no part.
    """
    paths = read_table(out / INDEX_FILE, ["path"])["path"]
    if not split_files(out, split)[0].exists():
        return None, np.full(len(paths), -1, np.int64)
    made = read_split(out, split, ["path", "part", "fold"])
    kfold = made.settings.strategy == "kfold"
    values = made.table["fold" if kfold else "part"]
    if not made.table["path"].equals(paths):
        values = values.take(pc.index_in(paths, value_set=made.table["path"].combine_chunks()))
    known = pc.unique(values).drop_null()
    part = pc.fill_null(pc.index_in(values, value_set=known, skip_nulls=True), -1)
    names = [f"fold {value}" if kfold else value for value in known.to_pylist()]
    return names, part.to_numpy().astype(np.int64)


def _pixels(
    out: Path, kept: NDArray[np.bool_], names: Sequence[str], part: Rows
) -> tuple[dict[str, dict[str, Pixels]], int]:
    painting = painted_by(out / CARD_FILE)
    pooled: dict[str, tuple[Moments, Moments]] = {}
    unread = start = 0
    for batch in read_columns(out / INDEX_FILE, list(PIXEL_COLUMNS), BATCH_ROWS):
        wanted = pc.and_(pa.array(kept[start : start + len(batch)]), pc.is_valid(batch["image"]))
        own = part[start : start + len(batch)][wanted.to_numpy(zero_copy_only=False)].tolist()
        start += len(batch)
        measured = measure_crops(out, batch.filter(wanted).to_pylist(), *painting)
        unread += measured.count(None)
        words = [None if one < 0 else names[one] for one in own]
        for name, both in pool(measured, words).items():
            before = pooled.get(name, (Moments(), Moments()))
            pooled[name] = before[0] + both[0], before[1] + both[1]
    result = {}
    for name, (every, person) in pooled.items():
        moments = {"with background": _as_pixels(every), "without background": _as_pixels(person)}
        result[name] = {key: one for key, one in moments.items() if one is not None}
    return {name: one for name, one in result.items() if one}, unread


def _as_pixels(moments: Moments) -> Pixels | None:
    if moments.mean is None or moments.std is None:
        return None
    mean = tuple(round(value, 5) for value in moments.mean)
    return Pixels(moments.pixels / 1e6, mean, tuple(round(value, 5) for value in moments.std))
