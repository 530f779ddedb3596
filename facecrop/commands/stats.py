"""The numbers of a dataset: what it holds, how unevenly, and what its pictures are like."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.distributions import Spread, face_places, spread
from facecrop.checks.pixelstats import (
    CROP_COLUMNS,
    Moments,
    crop_file,
    measure,
    painted_by,
    pool,
)
from facecrop.errors import ConfigError
from facecrop.index import CARD_FILE, INDEX_FILE, Status, read_table
from facecrop.labels.ages import AgePolicy, active_policy, load_policy, shipped_policies
from facecrop.labels.certificate import read_split, split_files
from facecrop.labels.current import NEEDED, current_labels
from facecrop.labels.history import read_history
from facecrop.labels.tallies import (
    Tally,
    age_histogram,
    axis_counts,
    axis_imbalance,
    class_counts,
    imbalance,
    tally,
)

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
    if Path(other).is_dir():
        return Stats((first, summarise(Path(other), None, split=split, pixels=pixels)))
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
    columns = [*NEEDED, "status", "image", *_NUMBERS, *_FACES, *CROP_COLUMNS]
    index = read_table(out / INDEX_FILE, list(dict.fromkeys(columns)))
    own = active_policy(out)
    shown = policy or own
    history = read_history(out)
    labels = current_labels(index, history, shown)
    tallies = [tally(index["profile"], labels, shown, active=shown == own)]
    for one in [own, *shipped_policies().values()]:
        if one.name not in {done.policy for done in tallies}:
            under = current_labels(index, history, one)
            tallies.append(tally(index["profile"], under, one, active=one == own))
    name, parts = _parts(out, split, index["path"])
    kept = pc.and_(labels["kept"], pc.is_valid(index["image"])) if pixels else None
    measured, unread = ({}, 0) if kept is None else _pixels(out, index, kept, parts)
    return Summary(
        str(out) if policy is None else f"{out} under {policy.name}",
        index.num_rows,
        pc.count_distinct(index["profile"]).as_py(),
        _counted(index["status"], list(Status)),
        _counted(labels["kept_reason"].drop_null()),
        tallies,
        {part: axis_counts(rows) for part, rows in _by_part(labels, parts).items()},
        {part: class_counts(rows) for part, rows in _by_part(labels, parts).items()},
        age_histogram(index["profile"], labels),
        {column: spread(index[column]) for column in _NUMBERS},
        face_places(index),
        measured,
        unread,
        name,
    )


def _counted(values: pa.ChunkedArray, order: Sequence[str] = ()) -> dict[str, int]:
    counts = {row["values"]: row["counts"] for row in pc.value_counts(values).to_pylist()}
    return {
        key: counts[key] for key in [*order, *sorted(set(counts) - set(order))] if key in counts
    }


def _parts(out: Path, split: str, paths: pa.ChunkedArray) -> tuple[str | None, list[str | None]]:
    """Return the name of the split, if it is there, and each record's part."""
    if not split_files(out, split)[0].exists():
        return None, [None] * len(paths)
    made = read_split(out, split)
    table = made.table
    found = pc.index_in(paths, value_set=table["path"].combine_chunks())
    parts = pc.take(table["part"], found).to_pylist()
    if made.settings.strategy == "kfold":
        folds = pc.take(table["fold"], found).to_pylist()
        parts = [None if fold is None else f"fold {fold}" for fold in folds]
    return split, parts


def _by_part(labels: pa.Table, parts: list[str | None]) -> dict[str, pa.Table]:
    """Return the kept rows, all and of each part."""
    column = pa.array(parts, pa.string())
    result = {"all": labels.filter(labels["kept"])}
    for part in sorted({part for part in parts if part is not None}):
        result[part] = labels.filter(pc.and_(labels["kept"], pc.equal(column, part)))
    return result


def _pixels(
    out: Path, index: pa.Table, wanted: pa.ChunkedArray, parts: list[str | None]
) -> tuple[dict[str, dict[str, Pixels]], int]:
    rows = pc.indices_nonzero(wanted).to_pylist()
    crops = index.select(["image", *CROP_COLUMNS]).filter(wanted).to_pylist()
    files = [crop_file(out, row) for row in crops]
    painted, resize = painted_by(out / CARD_FILE)
    measured = list(measure(files, painted, resize))
    pooled = pool(measured, [parts[row] for row in rows])
    result = {}
    for part, (every, person) in pooled.items():
        both = {"with background": _as_pixels(every), "without background": _as_pixels(person)}
        result[part] = {key: one for key, one in both.items() if one is not None}
    return {part: one for part, one in result.items() if one}, measured.count(None)


def _as_pixels(moments: Moments) -> Pixels | None:
    if moments.mean is None or moments.std is None:
        return None
    mean = tuple(round(value, 5) for value in moments.mean)
    return Pixels(moments.pixels / 1e6, mean, tuple(round(value, 5) for value in moments.std))
