"""The table of a split: its columns, how it is put together, and what is counted in it."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.index import Status
from facecrop.labels.balance import Deviation, deviation
from facecrop.labels.groups import same_value_links
from facecrop.labels.splits import Numbers, People, Placement, people_of, usable_rows

SPLIT_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("profile", pa.string()),
        ("digest", pa.binary(32)),
        ("group", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("kept", pa.bool_()),
        ("weight", pa.float32()),
    ]
)
"""Columns of `splits/<name>.parquet`, the rows of the index in its order.

`digest` is null where the file shows nothing. `group` is the first profile of those that must not
be parted; `fold` and `part` are null for people that were set aside; `part` is `val` in fold 0.
`kept` and `weight` say what sampling draws for training; validation uses every record that
`labels.parquet` keeps.
"""


def split_table(
    index: pa.Table,
    people: People,
    placement: Placement,
    *,
    folds: Numbers,
    kept: NDArray[np.bool_],
    weights: NDArray[np.float32],
) -> pa.Table:
    """Put a split together.

    Args:
        index: (N,) rows with path, profile, digest, phash and status.
        people: Of the same rows.
        placement: Where they go.
        folds: (N,) each record's fold, -1 where it is set aside.
        kept: (N,) what sampling draws.
        weights: (N,) how much each record counts.

    Returns:
        With `SPLIT_SCHEMA`.
    """
    profiles = pa.array(people.profiles, pa.string())
    aside = folds < 0
    part = np.where(folds == 0, "val", "train")
    columns = [
        index["path"].combine_chunks(),
        index["profile"].combine_chunks(),
        content_digests(index).combine_chunks(),
        profiles.take(pa.array(placement.groups[people.of_rows])),
        pa.array(folds.astype(np.int32), mask=aside),
        pa.array(part, pa.string(), mask=aside),
        pa.array(kept & ~aside),
        pa.array(np.where(aside, 0, weights).astype(np.float32)),
    ]
    return pa.Table.from_arrays(columns, schema=SPLIT_SCHEMA)


def old_folds(people: People, table: pa.Table) -> Numbers:
    """Return the fold each person had, -1 for new ones and those that were set aside."""
    rows = zip(table["profile"].to_pylist(), table["fold"].to_pylist(), strict=True)
    known = {profile: fold for profile, fold in rows if fold is not None}
    return np.array([known.get(profile, -1) for profile in people.profiles], np.int64)


def placed_deviation(people: People, placement: Placement, shares: Sequence[float]) -> Deviation:
    """Return how far folds are from the whole, over people and their pictures by class."""
    held = np.zeros((len(shares), people.counts.shape[1]), np.int64)
    placed = placement.folds >= 0
    np.add.at(held, placement.folds[placed], people.counts[placed])
    return deviation(held, np.array(shares))


def groups_over(people: People, placement: Placement, size: int) -> tuple[int, list[list[str]]]:
    """Return how many groups there are, and the profiles of those of more people than `size`."""
    names, sizes = np.unique(placement.groups, return_counts=True)
    members = [np.flatnonzero(placement.groups == group) for group in names[sizes > size]]
    return len(names), [[people.profiles[one] for one in rows.tolist()] for rows in members]


def table_digest(table: pa.Table) -> str:
    """Return what identifies the content of a split, 64 hex digits, however it is stored."""
    digest = sha256()
    for column in ("path", "profile", "group", "fold", "part", "kept", "weight"):
        for chunk in table[column].cast(pa.string()).chunks:
            digest.update("\0".join(value or "" for value in chunk.to_pylist()).encode() + b"\0")
        digest.update(column.encode())
    for value in table["digest"].to_pylist():
        digest.update(value or b"-")
    return digest.hexdigest()


def count_cells(
    folds: pa.ChunkedArray, profiles: pa.ChunkedArray, labels: pa.Table, status: pa.ChunkedArray
) -> dict[str, dict[str, int]]:
    """Return the people of each cell, `male young` and so on, in each fold; a record each row."""
    people = people_of(profiles, labels, usable_rows(status, labels["kept"]))
    fold = np.full(len(people.profiles), -1, np.int64)
    fold[people.of_rows] = pc.fill_null(folds, -1).to_numpy()
    result: dict[str, dict[str, int]] = {}
    for number in np.unique(fold).tolist():
        counts = np.bincount(people.cells[fold == number], minlength=len(people.cell_names))
        there = {people.cell_names[cell]: int(counts[cell]) for cell in np.flatnonzero(counts)}
        result["set aside" if number < 0 else str(number)] = there
    return result


def content_digests(index: pa.Table) -> pa.ChunkedArray:
    """Return the digest of each record that shows something, null for the others.

    Empty files, pages of one colour and error messages in place of a picture are alike in many
    profiles without anybody being the same person; they have no perceptual hash.

    Args:
        index: (N,) rows with digest, phash and status.
    """
    has_crop = pc.is_in(
        index["status"], value_set=pa.array([Status.OK, Status.FALLBACK], pa.string())
    )
    shows = pc.or_(pc.is_valid(index["phash"]), has_crop)
    return pc.if_else(shows, index["digest"], pa.scalar(None, pa.binary(32)))


def digest_links(digests: pa.ChunkedArray, persons: Numbers) -> list[tuple[int, int]]:
    """Return rows of different persons whose files are identical; see `same_value_links`."""
    codes = pc.dictionary_encode(digests.combine_chunks()).indices
    return same_value_links(pc.fill_null(codes, -1).to_numpy().astype(np.int64), persons)
