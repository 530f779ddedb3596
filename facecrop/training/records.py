"""What a training reads of a dataset: records with a crop, their labels, their place in a split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.errors import TableError
from facecrop.index import INDEX_FILE, LABELS_FILE, Status, read_table
from facecrop.labels.ages import OFFICIAL, AgePolicy, active_policy
from facecrop.labels.certificate import read_split, refuse_pending, verify_split
from facecrop.labels.current import AGE_POLICY, index_batches, labels_of
from facecrop.labels.history import read_history
from facecrop.labels.overrides import resolve
from facecrop.labels.space import WORDS
from facecrop.labels.splits import SplitSettings
from facecrop.training.regions import REGION_COLUMNS, regions_of

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Records:
    """The records of a dataset that a training or its evaluation can use, N of them.

    Those with a crop, at least one label, and either kept or left out by the age policy alone:
    these last are never learnt from, but the official bins are evaluated on them too. What a
    correction set aside is not here.

    Args:
        paths: (N,) strings, keys of the records, in the order of the index.
        profiles: (N,) strings, each record's person.
        images: Each record's crop, relative to OUT.
        digests: sha256 of the bytes of each crop.
        labels: (N,) rows with path, mask, gender, age, age_group (active policy) and
            official_group (official bins; one that was set by hand is the same in both).
        kept: (N,) whether `labels.parquet` keeps it.
        drawn: (N,) whether the split's sampling draws it for training.
        weight: (N,) float32, how much it counts in training, or how often it is drawn.
        fold: (N,) int64, -1 where it is set aside.
        part: (N,) strings, `train`, `val` or null.
        regions: (N, 2, 4) float32, eyes and face as in `regions_of`.
        policy: The active one.
        split: Name of the split.
        split_settings: How it was made.
        split_sha256: What identifies its content.
        warnings: What a user should know: a split that leaks on purpose, labels that drifted.
    """

    paths: pa.Array
    profiles: pa.Array
    images: list[str]
    digests: list[bytes]
    labels: pa.Table
    kept: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    weight: NDArray[np.float32]
    fold: Rows
    part: pa.Array
    regions: NDArray[np.float32]
    policy: AgePolicy
    split: str
    split_settings: SplitSettings
    split_sha256: str
    warnings: list[str]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def persons(self) -> Rows:
        """(N,) a number for each record's person, equal for equal profiles."""
        return np.asarray(self.profiles.dictionary_encode().indices.to_numpy(), np.int64)

    @property
    def classes(self) -> dict[str, Rows]:
        """(N,) each record's class on every axis of `WORDS`, -1 where it is unknown."""
        return {axis: class_numbers(self.labels[axis], words) for axis, words in WORDS.items()}

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that any kept record has a label of."""
        return tuple(
            axis for axis, classes in self.classes.items() if (classes >= 0)[self.kept].any()
        )

    @property
    def loss_weight(self) -> NDArray[np.float32]:
        """(N,) how much each record counts in the loss: 1 where weights are for drawing."""
        return np.ones_like(self.weight) if self._draws else self.weight

    @property
    def draw_weight(self) -> NDArray[np.float32] | None:
        """(N,) how often each record is drawn, for `epoch_order`; None: all of them, once each."""
        return self.weight if self._draws else None

    @property
    def _draws(self) -> bool:
        return self.split_settings.sampling.use == "draws"


@dataclass(frozen=True, slots=True)
class Fold:
    """One division of the records into those to learn from and those to be judged by.

    Args:
        number: The fold that is validation.
        train: Rows that are drawn: kept, of other folds, and what sampling takes of them.
        val: Every kept row of the fold, whatever sampling says.
        left_out: Rows of the fold that only the age policy leaves out; the official bins are
            evaluated on `val` and these.
    """

    number: int
    train: Rows
    val: Rows
    left_out: Rows


def read_records(out: Path, split: str = "default") -> Records:
    """Read what a training needs to know of a dataset, once its split is proved not to leak.

    Args:
        out: The dataset.
        split: Name of the split.

    Raises:
        TableError: The certificate of the split does not hold, records are pending, a table is
            missing or damaged, or no record has a crop and a label.
    """
    warnings = verify_split(out, split)
    columns = ["path", "profile", "status", "image", "image_sha256", *REGION_COLUMNS]
    index = read_table(out / INDEX_FILE, columns).combine_chunks()
    refuse_pending(index, out)
    labels = _labels(out, index)
    placed = read_split(out, split)
    rows = np.flatnonzero(_usable(index, labels))
    if not len(rows):
        raise TableError(
            f"no record of {out} has both a crop and a label: there is nothing to learn; "
            f"look at: facecrop stats {out}"
        )
    take = pa.array(rows)
    index, labels, table = index.take(take), labels.take(take), placed.table.take(take)
    known = labels.select(["path", "mask", "gender", "age", "age_group", "official_group"])
    return Records(
        paths=_array(index["path"]),
        profiles=_array(index["profile"]),
        images=index["image"].to_pylist(),
        digests=index["image_sha256"].to_pylist(),
        labels=known.combine_chunks(),
        kept=_numpy(labels["kept"], bool),
        drawn=_numpy(table["kept"], bool),
        weight=_numpy(table["weight"], np.float32),
        fold=_numpy(pc.fill_null(table["fold"], -1), np.int64),
        part=_array(table["part"]),
        regions=regions_of(index, out),
        policy=active_policy(out),
        split=split,
        split_settings=placed.settings,
        split_sha256=str(placed.certificate["split_sha256"]),
        warnings=warnings,
    )


def crop_digests(out: Path) -> list[bytes]:
    """Return the digests of the crops that `read_records` would read, whatever splits there are.

    Raises:
        TableError: A table is missing or damaged.
    """
    index = read_table(out / INDEX_FILE, ["path", "status", "image", "image_sha256"])
    rows = np.flatnonzero(_usable(index, _labels(out, index.combine_chunks())))
    return list(index["image_sha256"].take(pa.array(rows)).to_pylist())


def folds(records: Records) -> tuple[Fold, ...]:
    """Return every fold that can be validation: one of most splits, each in turn of `kfold`.

    People who are set aside are in none of them.

    Raises:
        TableError: Some fold leaves nothing to learn from, or nothing to be judged by.
    """
    settings = records.split_settings
    numbers = range(settings.folds) if settings.strategy == "kfold" else range(1)
    return tuple(_fold(records, number) for number in numbers)


def _fold(records: Records, number: int) -> Fold:
    there = records.fold == number
    others = (records.fold >= 0) & ~there
    fold = Fold(
        number,
        np.flatnonzero(others & records.kept & records.drawn & (records.weight > 0)),
        np.flatnonzero(there & records.kept),
        np.flatnonzero(there & ~records.kept),
    )
    for rows, what in ((fold.train, "training"), (fold.val, "validation")):
        if not len(rows):
            raise TableError(
                f"fold {number} of split {records.split!r} has no record for {what}; make a split "
                "with fewer folds or of more people"
            )
    return fold


def class_numbers(labels: pa.ChunkedArray, words: tuple[str, ...]) -> Rows:
    """Return the place of each label in `words`, (N,), -1 where it is unknown."""
    found = pc.index_in(labels, value_set=pa.array(words, pa.string()))
    return _numpy(pc.fill_null(found, -1), np.int64)


def _labels(out: Path, index: pa.Table) -> pa.Table:
    """Return the current labels with `official_group`, the rows of the index.

    The official group is what the official policy would say today. It cannot be told from
    `labels.parquet` alone, where a bin that was set by hand looks like one that follows from an
    age; hand-set bins are official ones (`docs/relabel.md`).
    """
    labels = read_table(out / LABELS_FILE).combine_chunks()
    if not _array(labels["path"]).equals(_array(index["path"])):
        raise TableError(
            f"{out / LABELS_FILE} does not list the records of {INDEX_FILE}; "
            f"run: facecrop preprocess RAW {out}"
        )
    overrides = resolve(read_history(out), index_batches(out))
    official = pa.concat_tables(labels_of(index_batches(out), overrides, OFFICIAL))
    group = official["age_group"].combine_chunks()
    # Who was put into another bin by hand is of another age than was said: nobody shall learn it.
    age = _array(labels["age"])
    wrong = pc.fill_null(pc.not_equal(OFFICIAL.groups(age), group), False)
    age = pc.if_else(wrong, pa.scalar(None, pa.int32()), age)
    labels = labels.set_column(labels.schema.get_field_index("age"), "age", age)
    return labels.append_column("official_group", group)


def _usable(index: pa.Table, labels: pa.Table) -> NDArray[np.bool_]:
    cropped = pc.is_in(
        index["status"], value_set=pa.array([Status.OK, Status.FALLBACK], pa.string())
    )
    cropped = pc.and_(cropped, pc.is_valid(index["image"]))
    by_policy = pc.fill_null(pc.equal(labels["kept_reason"], AGE_POLICY), False)
    wanted = pc.or_(labels["kept"], by_policy)
    labelled = pc.is_valid(labels["official_group"])
    for axis in WORDS:
        labelled = pc.or_(labelled, pc.is_valid(labels[axis]))
    return _numpy(pc.and_(pc.and_(cropped, wanted), labelled), bool)


def _array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    # An empty or once chunked column may come back in chunks, depending on its length.
    return combined.combine_chunks() if isinstance(combined, pa.ChunkedArray) else combined


def _numpy(column: pa.ChunkedArray, kind: Any) -> NDArray[Any]:
    return np.array(column.to_numpy(), kind)  # a copy: torch wants memory that can be written to
